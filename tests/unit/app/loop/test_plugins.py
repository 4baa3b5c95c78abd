"""Validators of other people's packages: installed distributions, found, asked, and named when they fail."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.app.loop.world import World

from inchworm.app.loop.knowing import known
from inchworm.app.loop.planning import make_plan
from inchworm.app.loop.plugins import GROUP, validators
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.layers import Layer
from inchworm.rollout.validate import Known, checks, validate

GOOD = """
from inchworm.domain.layers import Layer
from inchworm.rollout.validate import Problem


def no_shouting(configuration, known):
    text = configuration.layer(Layer.PROMPT).get("system", "")
    return [Problem(layers=(Layer.PROMPT,), message="the prompt shouts")] if text.isupper() else []


def failing(configuration, known):
    raise KeyError("somebody's secret")


def talking(configuration, known):
    return ["no problem object"]


NOTHING = 7
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution ``acme-checks`` with its metadata in a folder on ``sys.path``."""
    site = tmp_path / "site-packages"

    def make(*points: str, module: str = GOOD) -> None:
        info = site / "acme_checks-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-checks\nVersion: 1.2\n", "utf-8")
        lines = "\n".join(points)
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}\n", "utf-8")
        (site / "acme_checks.py").write_text(module, "utf-8")
        monkeypatch.syspath_prepend(str(site))
        importlib.invalidate_caches()

    yield make
    sys.modules.pop("acme_checks", None)


SHOUTS = Configuration.of({"prompt": {"system": "BE SHORT.", "user": "{question}"}})


def test_an_installed_validator_is_found_and_asked(install: Install) -> None:
    install("no-shouting = acme_checks:no_shouting")
    also = validators()
    assert [what for what, _ in also] == ["no-shouting (acme-checks 1.2)"]
    found = validate(SHOUTS, Known(also=also))
    assert [(problem.message, problem.layers) for problem in found] == [
        ("the prompt shouts", (Layer.PROMPT,))
    ]
    assert checks(Known(also=also))[-1] == "no-shouting (acme-checks 1.2)"


def test_without_one_there_is_none() -> None:
    assert validators() == ()


def test_a_plan_is_refused_by_it_and_made_without_it(world: World, install: Install) -> None:
    wanted = world.stable.with_layer(Layer.PROMPT, world.stable.layer(Layer.PROMPT) | {"system": "SHOUT."})
    make_plan(world.house, wanted)
    install("no-shouting = acme_checks:no_shouting")
    assert known(world.house).also
    with pytest.raises(UsageError, match="the prompt shouts"):
        make_plan(world.house, wanted)


@pytest.mark.parametrize(
    ("point", "why"),
    [
        ("gone = acme_checks:gone", "cannot be loaded: module 'acme_checks' has no attribute 'gone'"),
        ("lost = acme_lost:check", "cannot be loaded: No module named 'acme_lost'"),
        ("nothing = acme_checks:NOTHING", "is no function: acme_checks:NOTHING is int"),
    ],
)
def test_one_that_cannot_be_used_is_an_error_that_names_its_distribution(
    install: Install, point: str, why: str
) -> None:
    install(point)
    with pytest.raises(UsageError) as caught:
        validators()
    name = point.partition(" ")[0]
    assert caught.value.message.startswith(f'the validator "{name}" of acme-checks 1.2 {why}')


def test_one_that_does_not_compile_is_an_error_that_names_its_distribution(install: Install) -> None:
    install("no-shouting = acme_checks:no_shouting", module="def no_shouting(:")
    with pytest.raises(UsageError, match=r"of acme-checks 1\.2 cannot be loaded"):
        validators()


def test_one_that_fails_is_an_error_that_says_where_and_not_what(install: Install) -> None:
    install("failing = acme_checks:failing")
    with pytest.raises(UsageError) as caught:
        validate(SHOUTS, Known(also=validators()))
    assert "of acme-checks 1.2 failed: KeyError at acme_checks:" in caught.value.message
    assert "secret" not in caught.value.message


def test_one_that_returns_something_else_is_an_error(install: Install) -> None:
    install("talking = acme_checks:talking")
    with pytest.raises(UsageError, match="must return a sequence of"):
        validate(SHOUTS, Known(also=validators()))
