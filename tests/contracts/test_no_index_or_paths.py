"""No file names a machine's own folders or a package index: both mean nothing to anyone else."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {
    ".git",
    ".venv",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "build",
    "dist",
    "node_modules",
}

MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root)/[\w.]|(?<![\w.])/opt/(?:pypi|wheels)")
PACKAGE_INDEX = re.compile(
    r"https?://[^\s\"'<>]+/(?:simple|packages)(?:/|\b)|file:/{2,3}\w|pythonhosted[.]org"
)
CONSTRAINT = re.compile(r"[a-z0-9._-]+==[\w.+!]+")


def our_files() -> list[Path]:
    """Tracked files and those not yet tracked; without git (a source archive), all but the tools' own."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]
    return [p for p in ROOT.rglob("*") if p.is_file() and not NOT_OURS & set(p.relative_to(ROOT).parts)]


def text_of(path: Path) -> str:
    """The text of a file, unpacked if it is packed; what is no text gives what little can be read in it."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    return data.decode("utf-8", errors="ignore")


def test_no_machine_paths_and_no_package_index():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in our_files()
        for pattern in (MACHINE_PATH, PACKAGE_INDEX)
        for match in pattern.finditer(text_of(path))
    ]
    assert found == []


@pytest.mark.parametrize("name", ["constraints.txt", "clients.txt"])
def test_the_constraints_are_names_and_versions_only(name):
    text = (ROOT / "requirements" / name).read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    assert [line for line in lines if not CONSTRAINT.fullmatch(line)] == []
    assert "://" not in text


@pytest.mark.parametrize("folder", ["work/main", "root/.cache", "opt/wheels"])
def test_a_machine_path_is_recognised(folder):
    assert MACHINE_PATH.search(f"open('/{folder}')")


@pytest.mark.parametrize("tail", ["/simple", "/simple/numpy/", "/packages/ab/cd"])
def test_a_package_index_is_recognised(tail):
    assert PACKAGE_INDEX.search(f"--index-url https://example.org{tail}")


def test_ordinary_text_is_left_alone():
    text = "see docs/work/flow.md, https://arxiv.org/abs/2210.01948 and https://example.org/simplest"
    assert not MACHINE_PATH.search(text)
    assert not PACKAGE_INDEX.search(text)
