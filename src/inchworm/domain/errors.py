"""Everything that Inchworm raises on purpose.

::

    InchwormError
    ├── UsageError            the call or the file is wrong; exit code 2
    │   ├── ConfigError       inchworm.yaml or a file that it names
    │   ├── InputError        data that was handed in (a line, a record, a trace)
    │   └── TemplateError     a prompt template and its variables do not fit
    ├── NotFoundError         nothing by that name or id
    ├── ConflictError         somebody else moved first
    │   ├── StaleBaseError    stable has moved since the plan was made
    │   └── InFlightError     a change is already in flight for this app and environment
    ├── TransitionError       the rollout cannot take that event in its present state
    ├── NotIdentifiableError  the data cannot answer this question
    ├── ProviderError         a model could not be asked (a harness fault, never a score)
    └── StoreError            the data directory cannot be opened, locked or migrated
"""

from __future__ import annotations


class InchwormError(Exception):
    """Base of every error that Inchworm raises on purpose.

    Args:
        message: what happened and why, in one sentence.
        hint: what to do next, often a command; shown on a line of its own.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(InchwormError):
    """The call, or a file that it names, is wrong."""


class ConfigError(UsageError):
    """``inchworm.yaml``, or a file that it names, is wrong.

    Args:
        message: what is wrong.
        file: the file as the user named it.
        line: 1-based line in that file, if known.
        hint: what to do next.
    """

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, hint: str | None = None
    ) -> None:
        place = "" if file is None else (f"{file}: " if line is None else f"{file}:{line}: ")
        super().__init__(place + message, hint=hint)
        self.file = file
        self.line = line


class InputError(UsageError):
    """A record that was handed in cannot be used."""


class TemplateError(UsageError):
    """A prompt template and the variables it is given do not fit."""


class NotFoundError(InchwormError):
    """Nothing exists by that name or id."""


class ConflictError(InchwormError):
    """Somebody else moved first."""


class StaleBaseError(ConflictError):
    """Stable has moved since the plan was made."""


class InFlightError(ConflictError):
    """A change is already in flight for this app and environment."""


class TransitionError(InchwormError):
    """A rollout cannot take that event in its present state."""


class NotIdentifiableError(InchwormError):
    """The data cannot answer this question; no estimate is better than a wrong one."""


class ProviderError(InchwormError):
    """A model could not be asked. A fault of the harness, never a score of 0."""


class StoreError(InchwormError):
    """The data directory cannot be opened, locked, read or migrated."""
