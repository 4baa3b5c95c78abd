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

F = TypeVar("F", bound=Callable[..., Any])


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
        """What the file says; without one, what is assumed of a folder whose traffic is observed.

        Raises:
            ConfigError: if it is wrong, or missing where nothing is observed either.
        """
        from inchworm.app.config.load import load
        from inchworm.app.config.observed import observed

        if not self.file.exists() and (assumed := observed(self.file)).data.is_dir():
            return assumed
        return load(self.file)

    def house(self) -> House:
        """The app's house; to be used in a ``with``.

        Raises:
            ConfigError: if the file is missing or wrong.
            StoreError: if the server that the environment names cannot be reached.
        """
        from inchworm.app.house import House
        from inchworm.app.remote.client import Client
        from inchworm.app.remote.server import elsewhere

        spec, actor = self.spec(), self.actor
        far = elsewhere(os.environ) if actor is None else None
        if far is not None:  # there a key acts under its own name, whoever holds it
            with Client(far) as client:
                actor = client.me()
        return House(spec=spec) if actor is None else House(spec=spec, actor=actor)

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
