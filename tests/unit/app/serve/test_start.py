"""What the parts of a server are told when they start."""

from itertools import pairwise

import pytest

from inchworm.app.serve.files import ServeFile
from inchworm.app.serve.start import Asked, _gateway

KNOWN = ServeFile(
    pid=1, url="http://127.0.0.1:4140", gateway_url="http://127.0.0.1:4141", token="t", started_at=1.0
)


@pytest.mark.parametrize(
    ("said", "declared", "told"),
    [
        (None, False, None),
        ("https://claude.example/v1/", False, "https://claude.example/v1"),
        ("https://claude.example", True, None),
        ("http://127.0.0.1:4141", False, None),
        ("http://localhost:5555", False, None),
    ],
)
def test_calls_for_anthropic_go_where_the_environment_says_if_nothing_is_declared(
    tmp_path, monkeypatch, said, declared, told
):
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    if said is not None:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", said)
    file = tmp_path / "inchworm.yaml"
    if declared:
        file.write_text("app: shop\n")
    command = _gateway(Asked(file=file), tmp_path, KNOWN, 5555, 0).command
    given = dict(pairwise(command)).get("--anthropic")
    assert given == told
