"""Validators that were installed beside ours: entry points of the group ``inchworm.validators``.

A package announces one in its ``pyproject.toml``::

    [project.entry-points."inchworm.validators"]
    no-secrets-in-prompts = "acme_checks.prompts:no_secrets"

It is a pure function from a configuration and what is known of the app to problems, as
:data:`inchworm.rollout.validate.Validator`. One that cannot be used is an error that names its distribution:
a check that is silently missing would be worse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points

from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.mistakes import MISTAKES, where
from inchworm.rollout.validate import Known, Problem, Validator

GROUP = "inchworm.validators"
_UNUSABLE = (ImportError, SyntaxError, OSError, *MISTAKES)


def validators() -> tuple[tuple[str, Validator], ...]:
    """Those that are installed, by name: what each looks at, and the function that looks.

    Raises:
        UsageError: naming the distribution, if one cannot be loaded or is no function.
    """
    found = sorted(entry_points(group=GROUP), key=lambda one: (one.name, _distribution(one)))
    return tuple((f"{one.name} ({_distribution(one)})", _guarded(one)) for one in found)


def _guarded(point: EntryPoint) -> Validator:
    """The function, with what it raises told as an error of its distribution."""
    try:
        function: Callable[[Configuration, Known], Sequence[Problem]] = point.load()
    except _UNUSABLE as error:
        raise _broken(point, f"cannot be loaded: {error} ({type(error).__name__})") from error
    if not callable(function):
        raise _broken(point, f"is no function: {point.value} is {type(function).__name__}")

    def validator(configuration: Configuration, known: Known) -> Sequence[Problem]:
        try:
            problems = tuple(function(configuration, known))
        except MISTAKES as error:
            raise _broken(point, f"failed: {where(error)}") from error
        if not all(isinstance(problem, Problem) for problem in problems):
            raise _broken(point, "must return a sequence of inchworm.rollout.validate.Problem")
        return problems

    return validator


def _distribution(point: EntryPoint) -> str:
    dist = point.dist
    return "an unknown distribution" if dist is None else f"{dist.name} {dist.version}"


def _broken(point: EntryPoint, what: str) -> UsageError:
    return UsageError(
        f'the validator "{point.name}" of {_distribution(point)} {what}',
        hint="mend or uninstall that package; without it nothing is validated by it",
    )
