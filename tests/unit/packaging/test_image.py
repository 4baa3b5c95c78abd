"""The image: what its build copies exists and reaches the build; what it runs is what we answer to."""

import re
import shlex
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest
import yaml

from inchworm.app.serve.files import PORT
from inchworm.capture.keyfile import VARIABLE
from inchworm.capture.places import GATEWAY_PORT

ROOT = Path(__file__).resolve().parents[3]
SECRET = (".env", ".inchworm/secret.key", "app/.inchworm/secret.key")


def instructions():
    """Each of the Dockerfile's, continued lines joined, comments left out."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [tuple(line.split(None, 1)) for line in lines.replace("\\\n", " ").splitlines() if line.strip()]


def admitted(path):
    """Whether ``.dockerignore`` lets a file through: the last pattern that fits it, or a parent, decides."""
    through = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep, pattern = pattern.startswith("!"), pattern.removeprefix("!")
        places = [str(place) for place in (PurePosixPath(path), *PurePosixPath(path).parents)]
        loose = pattern.removeprefix("**/")
        if any(_fits(place, pattern, loose) for place in places):
            through = keep
    return through


def _fits(place, pattern, loose):
    if loose != pattern:
        return fnmatch(PurePosixPath(place).name, loose)
    return "/" not in place.removeprefix(pattern) and fnmatch(place, pattern)


def copied():
    """What is copied from the sources, in all stages."""
    found = []
    for name, rest in instructions():
        words = shlex.split(rest)
        if name == "COPY" and not words[0].startswith("--from"):
            found += words[:-1]
    return found


def test_everything_that_is_copied_exists_and_reaches_the_build():
    assert {"pyproject.toml", "src", "requirements", "hatch_build.py", "package-lock.json"} <= set(copied())
    for name in copied():
        assert (ROOT / name).exists(), name
        assert admitted(name), name
    for path in (
        "requirements/constraints.txt",
        "src/inchworm/__init__.py",
        "src/inchworm/app/web/routes.py",
    ):
        assert (ROOT / path).is_file()
        assert admitted(path), path


def test_the_build_has_every_file_that_the_package_names():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for name in ("README.md", "LICENSE", "hatch_build.py"):
        assert name in text
        assert name in copied()


@pytest.mark.parametrize(
    "path", [*SECRET, ".git/config", ".venv/bin/python", "tests/conftest.py", "out.json"]
)
def test_what_the_build_does_not_need_does_not_reach_it(path):
    assert not admitted(path)


@pytest.mark.parametrize(
    "path", ["src/inchworm/__pycache__/x.pyc", "src/inchworm/app/web/static/vendor/htmx.min.js"]
)
def test_what_was_made_here_is_made_anew_there(path):
    assert not admitted(path)


def test_the_image_listens_where_it_says_and_is_asked_at_both_ports():
    found = dict(instructions())
    assert found["EXPOSE"].split() == [str(PORT), str(GATEWAY_PORT)]
    assert f"({PORT}, {GATEWAY_PORT})" in found["HEALTHCHECK"]
    assert "/-/health" in found["HEALTHCHECK"]
    assert found["USER"] == "inchworm"
    assert '"serve"' in found["CMD"]


def test_compose_publishes_to_this_machine_alone_and_empties_no_variable():
    service = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["inchworm"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert {port.rpartition(":")[2] for port in service["ports"]} == {str(PORT), str(GATEWAY_PORT)}
    assert service["read_only"]
    # An empty INCHWORM_KEY is a wrong one: nothing would start.
    assert VARIABLE in service["environment"]
    assert all(re.fullmatch(r"[A-Z_]+", name) for name in service["environment"])
