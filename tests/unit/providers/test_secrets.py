"""Keys are found by what a configuration says of them."""

import os
from pathlib import Path

import pytest

from inchworm.domain.errors import UsageError
from inchworm.providers.openai import OpenAIUpstream
from inchworm.providers.secrets import Secrets


class Clock:
    """Goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("env:HOUSE", "sk"),
        ("env:MISSING", None),
        ("env:EVIL", None),
        ("sk-literal", None),
        ("file:relative", None),
        ("file:/nowhere/at/all", None),
        (3, None),
        (None, None),
    ],
)
def test_a_key_is_a_reference(reference: object, key: str | None) -> None:
    assert Secrets({"HOUSE": " sk\n", "EVIL": "a\r\nx: y"})(reference) == key


def test_a_file_is_read_again_when_it_changed_and_looked_at_once_a_second(tmp_path: Path) -> None:
    file, clock = tmp_path / "key", Clock()
    file.write_text("first\nmore\n")
    os.utime(file, ns=(1, 1))
    secrets = Secrets({}, now=clock)
    assert secrets(f"file:{file}") == "first"
    file.write_text("second")
    os.utime(file, ns=(2, 2))
    assert secrets(f"file:{file}") == "first"
    clock.now = 1.0
    assert secrets(f"file:{file}") == "second"


def test_a_file_that_is_gone_for_a_moment_costs_nobody_the_key(tmp_path: Path) -> None:
    file, clock = tmp_path / "key", Clock()
    file.write_text("first")
    secrets = Secrets({}, now=clock)
    assert secrets(f"file:{file}") == "first"
    file.unlink()
    clock.now = 2.0
    assert secrets(f"file:{file}") == "first"
    file.write_text("second")
    clock.now = 4.0
    assert secrets(f"file:{file}") == "second"


@pytest.mark.parametrize("content", [b"", b"\n", b"a\x00b", b"\xff\xfe", "schlüssel".encode()])
def test_what_can_be_in_no_header_is_no_key(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    assert Secrets({})(f"file:{file}") is None


def test_a_benchmark_reads_the_file_too_and_says_if_there_is_nothing(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-1\n")
    assert OpenAIUpstream.of({"api_key": f"file:{file}"}, {}).api_key == "sk-1"
    with pytest.raises(UsageError, match="no key can be read"):
        OpenAIUpstream.of({"api_key": f"file:{tmp_path}/none"}, {})
    with pytest.raises(UsageError, match="not hold it"):
        OpenAIUpstream.of({"api_key": "sk-literal"}, {})
