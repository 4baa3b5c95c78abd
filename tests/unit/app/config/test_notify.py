"""Whom to tell: what may be written, and what may be a secret and is refused without being repeated."""

import pytest

from inchworm.app.config.load import load
from inchworm.domain.errors import ConfigError
from inchworm.domain.notice import FOR_PEOPLE, Format, Target

GOOD = """\
app: shop/production
layers: {model: {name: m}, prompt: {user: "{question}"}}
metrics: {answered: {check: contains_reference, goal: true}}
"""


def read(folder, text):
    (folder / "inchworm.yaml").write_text(GOOD + text, "utf-8")
    return load(folder / "inchworm.yaml")


def test_nobody_is_told_unless_it_is_said(tmp_path):
    spec = read(tmp_path, "")
    assert (spec.notify, spec.public_url) == ((), None)


def test_targets_come_with_what_a_person_should_see(tmp_path):
    spec = read(
        tmp_path,
        """\
public_url: https://inchworm.example.org/
notify:
  - {url: env:SLACK, format: slack}
  - {url: "https://ops.example.org/hooks/inchworm", events: [rollback, start], secret: env:SECRET}
""",
    )
    assert spec.public_url == "https://inchworm.example.org"
    assert spec.notify == (
        Target(url="env:SLACK", format=Format.SLACK, events=FOR_PEOPLE),
        Target(
            url="https://ops.example.org/hooks/inchworm", events=("rollback", "start"), secret="env:SECRET"
        ),
    )
    assert len({one.key for one in spec.notify}) == 2


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{url: 'ftp://x.org/a'}", "must be env:NAME, or a URL"),
        ("{url: 'http://'}", "must be env:NAME, or a URL"),
        ("{url: 'env:not a name'}", "must be env:NAME, or a URL"),
        ("{url: 'https://u:HUSH1@x.org'}", "holds a secret"),
        ("{url: 'https://x.org/a?token=HUSH1'}", "holds a secret"),
        ("{url: 'https://hooks.slack.com/services/T0/B0/HUSH1abcdefghijklmnop'}", "holds a secret"),
        ("{url: env:A, secret: whsec_HUSH1}", "must say where the key is"),
        ("{url: env:A, events: [rollbak]}", 'the text "rollbak"'),
        ("{url: env:A, events: [test]}", 'the text "test"'),
        ("{url: env:A, events: []}", "events"),
        ("{url: env:A, format: mail}", "must be webhook or slack"),
        ("{format: slack}", '"url" is missing'),
        ("{url: env:A}\n  - {url: env:A}", "named twice"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_no_secret(tmp_path, entry, said):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"notify:\n  - {entry}\n")
    assert said in caught.value.message
    assert "HUSH1" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("url", ["inchworm.example.org", "https://u:p@x.org", "https://x.org?a=1"])
def test_pages_are_named_by_an_address_alone(tmp_path, url):
    with pytest.raises(ConfigError, match="must be a URL"):
        read(tmp_path, f"public_url: {url}\n")
