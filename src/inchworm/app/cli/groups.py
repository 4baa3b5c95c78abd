"""Groups that import a command only when it is called, and the one error handler."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from inchworm.domain.errors import InchwormError

WRONG, INTERRUPTED, BROKEN_PIPE = 2, 130, 141
"""Exit codes: a wrong call or a system error; and as shells have it, 128 + SIGINT and 128 + SIGPIPE."""
_SAME = {"ls": "list", "list": "ls"}
"""Two words for one thing: whichever is typed, the one that the group has is meant."""
DEBUG = "INCHWORM_DEBUG"
"""Set it, and faults of Inchworm's own come with their traceback."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that is not imported yet.

    Attributes:
        target: ``module:attribute`` of the click command.
        short: its line in the list of commands.
    """

    target: str
    short: str


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; listing them imports none.

    Args:
        lazy: its commands by name, in the order of the listing.
        default: the command that is meant if none is named.
        **rest: what a group takes.
    """

    def __init__(self, *, lazy: Mapping[str, Lazy], default: str | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        self._lazy = dict(lazy)
        self._default = default

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names, in the order in which they were given."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        """The command of that name, imported now."""
        lazy = self._lazy.get(cmd_name)
        if lazy is None:
            return None
        module, _, attribute = lazy.target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the same
        """The list of commands, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.short) for name, lazy in self._lazy.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in where no command is named."""
        asks_for_help = args and args[0] in ctx.help_option_names
        if self._default is not None and not asks_for_help and (not args or args[0].startswith("-")):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called.

        Raises:
            UsageError: if there is none of that name; the nearest is named.
        """
        name = args[0]
        other = _SAME.get(name, name)
        if name not in self._lazy and other in self._lazy:
            name, args = other, [other, *args[1:]]
        if name not in self._lazy and not name.startswith("-"):
            near = get_close_matches(name, self._lazy, n=1)
            meant = f' Did you mean "{near[0]}"?' if near else ""
            raise click.UsageError(f'there is no command "{ctx.command_path} {name}".{meant}', ctx)
        return super().resolve_command(ctx, args)


class Root(LazyGroup):
    """The outermost group: whatever goes wrong below it ends as a sentence and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002  # click's signature
        **extra: Any,
    ) -> Any:
        """Run a command line and end the process with its exit code."""

        def run() -> Any:
            return super(Root, self).main(args, prog_name, complete_var, standalone_mode=False, **extra)

        if not standalone_mode:
            return run()
        for stream in (sys.stdout, sys.stderr):
            # a terminal that cannot show "−" gets an escape, not a crash and not another number
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        sys.exit(_guarded(run))

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """A context without colour where ``NO_COLOR`` is set (no-color.org)."""
        if os.environ.get("NO_COLOR"):
            extra.setdefault("color", False)
        with _quiet_pipe():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that went away is no error to talk about."""
        with _quiet_pipe():
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


@contextmanager
def _quiet_pipe() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        # Python flushes stdout once more at its end, and would complain.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        raise click.exceptions.Exit(BROKEN_PIPE) from error


def _guarded(run: Any) -> int:
    """Run it, and say what went wrong, if anything did; the exit code."""
    try:
        result = run()
    except InchwormError as error:
        return _say(error.message, error.hint)
    except click.exceptions.Abort:
        click.echo("interrupted.", err=True)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG
    except click.ClickException as error:
        return _say(*_clicked(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}", None)
    except MemoryError:
        return _say("there is not enough memory for this", "close other programs, or work on less data")
    except Exception as error:  # users get a sentence, whatever happens
        if os.environ.get(DEBUG):
            raise
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return _say(
            f"this is a fault in Inchworm, not in what you did ({what})",
            f"see where, and report it: {DEBUG}=1 inchworm …",
        )
    return result if isinstance(result, int) else 0


def _clicked(error: click.ClickException) -> tuple[str, str | None]:
    """What click complains of, in our words, and where to read more."""
    context = getattr(error, "ctx", None)
    path = context.command_path if isinstance(context, click.Context) else "inchworm"
    hint = f"see: {path} --help"
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        known = _options(context)
        near = get_close_matches(name, known, n=1)
        if name in {"-f", "--file", "--actor"}:
            rest = path.removeprefix("inchworm").strip()
            return f"{name} stands before the command", f"inchworm {name} … {rest}"
        meant = f" Did you mean {near[0]}?" if near else ""
        return f"{path} has no option {name}.{meant}", hint
    message = error.format_message().strip().removesuffix(".") if _plain(error) else error.format_message()
    return message[:1].lower() + message[1:], hint


def _plain(error: click.ClickException) -> bool:
    return not error.format_message().rstrip().endswith("?")


def _options(context: Any) -> list[str]:
    if not isinstance(context, click.Context):
        return []
    params = context.command.get_params(context)
    return [name for param in params for name in (*param.opts, *param.secondary_opts)]


def _say(message: str, hint: str | None) -> int:
    click.echo(f"error: {message}", err=True)
    if hint:
        for line in hint.splitlines():
            click.echo(f"       {line}", err=True)
    return WRONG


def end(code: int) -> NoReturn:
    """End the command with this exit code.

    Raises:
        Exit: always.
    """
    raise click.exceptions.Exit(code)
