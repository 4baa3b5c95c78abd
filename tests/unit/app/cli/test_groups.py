import errno
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from inchworm.app.cli import main
from inchworm.app.cli.groups import Lazy, LazyGroup, Root
from inchworm.domain.errors import NotFoundError

HEAVY = {"numpy", "scipy", "sklearn", "duckdb", "pyarrow", "sqlalchemy", "pydantic", "yaml", "msgspec"}
NOWHERE = click.Context(main)
PROBE = """
import sys
from inchworm.app.cli import main
calls = ["--help", "rollout --help", "plan --help", "traces show --help", "demo --help"]
for words in map(str.split, calls):
    try:
        main(words)
    except SystemExit as ended:
        assert ended.code == 0, words
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


class One(Root):
    """A command line with a single command."""

    def __init__(self, command: click.Command) -> None:
        super().__init__(name="inchworm", lazy={str(command.name): Lazy("nowhere:nothing", "")})
        self.one = command

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:  # noqa: ARG002  # click's
        return self.one


def failing(error):
    """A call of a command that raises."""

    @click.command("fail")
    def fail():
        raise error

    return CliRunner().invoke(One(fail), ["fail"])


def test_help_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "src", "PATH": ""},
    )
    assert "Continuous delivery" in done.stdout
    assert HEAVY.isdisjoint(done.stderr.split())


def test_every_command_is_where_the_table_says():
    def walk(group):
        for name in group.list_commands(NOWHERE):
            command = group.get_command(NOWHERE, name)
            assert command.name == name
            assert command.help
            if isinstance(command, LazyGroup):
                walk(command)

    walk(main)


def test_every_option_has_help_and_every_command_json():
    def walk(command):
        if isinstance(command, LazyGroup):
            for name in command.list_commands(NOWHERE):
                walk(command.get_command(NOWHERE, name))
            return
        options = [param for param in command.params if isinstance(param, click.Option)]
        assert all(option.help for option in options), command.name
        assert command.name == "demo" or any("--json" in option.opts for option in options), command.name

    walk(main)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            NotFoundError("no such thing", hint="make one\nor two"),
            2,
            "error: no such thing\n       make one\n       or two\n",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "a.txt"), 2, "error: a.txt: Permission denied\n"),
        (KeyboardInterrupt(), 130, "interrupted.\n"),
        (MemoryError(), 2, "error: there is not enough memory for this"),
        (
            ZeroDivisionError("by zero"),
            2,
            "error: this is a fault in Inchworm, not in what you did (ZeroDivisionError: by zero)",
        ),
        (click.exceptions.Exit(3), 3, ""),
    ],
)
def test_whatever_goes_wrong_is_a_sentence_and_a_code(error, code, said):
    result = failing(error)
    assert result.exit_code == code
    assert result.stderr.lstrip("\n").startswith(said)
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_faults_show_where_on_demand(monkeypatch):
    monkeypatch.setenv("INCHWORM_DEBUG", "1")
    assert isinstance(failing(ZeroDivisionError()).exception, ZeroDivisionError)


def test_colour_only_where_it_is_wanted(monkeypatch):
    seen = []

    @click.command("look")
    @click.pass_context
    def look(ctx):
        seen.append(ctx.find_root().color)

    group = One(look)
    monkeypatch.delenv("NO_COLOR", raising=False)
    CliRunner().invoke(group, ["look"])
    monkeypatch.setenv("NO_COLOR", "1")
    CliRunner().invoke(group, ["look"])
    assert seen == [None, False]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["plann"], 'Did you mean "plan"?'),
        (["rollout", "abrot"], 'Did you mean "abort"?'),
        (["plan", "--markdwn"], "Did you mean --markdown?"),
        (["benchmark", "a", "b", "--evalsets", "x"], "Did you mean --evalset?"),
        (["plan", "--file", "x"], "stands before the command"),
    ],
)
def test_the_nearest_name_is_offered(words, meant):
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert meant in result.stderr
    assert result.stdout == ""


def test_the_version():
    result = CliRunner().invoke(main, ["--version"])
    assert result.stdout.startswith("inchworm ")
