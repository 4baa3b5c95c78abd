"""What a command gets from the options before it: which file, who acts; and the house, opened when needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:  # these bring the stores with them, which --help must not wait for
    from inchworm.app.config.load import AppSpec
    from inchworm.app.house import House
    from inchworm.domain.configuration import Configuration
    from inchworm.domain.evalset import EvalSet

F = TypeVar("F", bound=Callable[..., Any])
DECLARED = "declared"
"""The name of what ``inchworm.yaml`` says, among configurations."""


@dataclass(frozen=True, slots=True)
class Session:
    """One call of ``inchworm``.

    Attributes:
        file: ``inchworm.yaml``, as it was named.
        actor: who acts, if it was said.
    """

    file: Path
    actor: str | None = None

    def spec(self) -> AppSpec:
        """What the file says.

        Raises:
            ConfigError: if it is missing or wrong.
        """
        from inchworm.app.config.load import load

        return load(self.file)

    def house(self) -> House:
        """The app's house; to be used in a ``with``.

        Raises:
            ConfigError: if the file is missing or wrong.
        """
        from inchworm.app.house import House

        spec = self.spec()
        return House(spec=spec) if self.actor is None else House(spec=spec, actor=self.actor)

    @property
    def owner(self) -> str:
        """Who leases work: this process."""
        return f"cli-{os.getpid()}"


pass_session = click.make_pass_decorator(Session)


def json_option(command: F) -> F:
    """``--json``, as every command has it."""
    return click.option(
        "--json", "as_json", is_flag=True, help='Print one JSON object, with "version": 1, and no text.'
    )(command)


def cases_options(command: F) -> F:
    """``--evalset`` and ``--repetitions``, as every command that asks configurations has them."""
    cases = click.option(
        "--evalset",
        "cases",
        default="main",
        show_default=True,
        metavar="NAME[@VERSION]",
        help="On which cases.",
    )
    repetitions = click.option(
        "--repetitions",
        type=click.IntRange(1, 100),
        metavar="N",
        help="Answers per case; 3 with a temperature, else 1.",
    )
    return cases(repetitions(command))


def configuration(house: House, name: str) -> Configuration:
    """A configuration by the name a person types: ``stable``, ``declared``, or an id's beginning.

    Raises:
        NotFoundError: if there is none.
        UsageError: if several go by it.
    """
    if name == DECLARED:
        return house.spec.configuration
    if name == "stable":
        return house.control.configuration(house.lineage().stable)
    # as people read it on the screen: c7f1…9a
    return house.control.find_configuration(house.app, name.partition("…")[0])


def two_configurations(house: House, base: str, candidate: str) -> tuple[Configuration, Configuration]:
    """Two configurations to compare, by the names a person types (see :func:`configuration`).

    Raises:
        NotFoundError: if one does not exist.
        UsageError: if several go by a name, or both names are of the same one.
    """
    from inchworm.domain.errors import UsageError
    from inchworm.domain.ids import short

    one, other = configuration(house, base), configuration(house, candidate)
    if one == other:
        raise UsageError(f"{base} and {candidate} are the same configuration, {short(one.id)}")
    return one, other


def eval_set(house: House, name: str) -> EvalSet:
    """An eval set by ``NAME`` (its latest version) or ``NAME@VERSION``.

    Raises:
        UsageError: if the version is no number.
        NotFoundError: if there is none.
    """
    from inchworm.domain.errors import NotFoundError, UsageError

    plain, at, version = name.partition("@")
    if at and not version.isdecimal():
        raise UsageError(f'"{name}" names no eval set: write NAME or NAME@VERSION, e.g. main@2')
    try:
        return house.control.eval_set(house.app, plain, int(version) if at else None)
    except NotFoundError as error:
        known = [summary.id for summary in house.control.eval_sets(house.app)]
        hint = f"there are: {', '.join(known[-5:])}" if known else "draw one: inchworm evalset build"
        raise NotFoundError(error.message, hint=hint) from error
