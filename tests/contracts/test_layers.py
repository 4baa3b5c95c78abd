"""The direction of imports, held by import-linter; and that the contract would notice."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = [
    "app",
    "gateway",
    "capture",
    "sanitize",
    "label",
    "benchmark",
    "rollout",
    "attribution",
    "store",
    "evaluators",
    "providers",
    "stats",
    "domain",
]
FLOORS = ["api", "cli", "config", "demo", "doctor", "house", "loop", "remote", "serve", "web"]
"""The parts of ``app`` that contracts name."""

# What the lowest rooms may import beside the standard library and themselves.
FOREIGN = {"domain": {"xxhash"}, "stats": {"numpy", "scipy"}}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the ``src`` below ``root`` with the ``pyproject.toml`` there."""
    program = Path(sys.executable).with_name("lint-imports")
    env = os.environ | {"PYTHONPATH": str(root / "src"), "NO_COLOR": "1"}
    return subprocess.run(
        [str(program), "--no-cache"], cwd=root, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def empty_house(tmp_path):
    """Our contract over a house of empty rooms."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in [*ROOMS, *(f"app/{one}" for one in FLOORS)]:
        package = tmp_path / "src" / "inchworm" / room
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    (tmp_path / "src" / "inchworm" / "__init__.py").touch()
    return tmp_path


def test_the_house_keeps_its_contracts():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_empty_house_keeps_them_too(empty_house):
    done = lint_imports(empty_house)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("label", "benchmark"),  # a sibling
        ("store", "rollout"),  # the store is a sibling too
        ("providers", "evaluators"),  # upwards
        ("domain", "stats"),
        ("stats", "domain"),  # downwards, yet forbidden
        ("gateway", "store"),  # downwards too, and forbidden: it lives without the control plane
        ("app/loop", "app/web"),  # a use case that knows a face
        ("app/web", "app/cli"),
    ],
)
def test_a_forbidden_import_is_noticed(empty_house, importer, imported):
    (empty_house / "src" / "inchworm" / importer / "__init__.py").write_text(
        f"import inchworm.{imported}\n".replace("/", ".")
    )
    done = lint_imports(empty_house)
    assert done.returncode == 1
    assert f"inchworm.{importer} -> inchworm.{imported}".replace("/", ".") in done.stdout


def test_a_room_outside_the_contract_is_noticed(empty_house):
    cellar = empty_house / "src" / "inchworm" / "cellar"
    cellar.mkdir()
    (cellar / "__init__.py").touch()
    done = lint_imports(empty_house)
    assert done.returncode == 1
    assert "cellar" in done.stdout


@pytest.mark.parametrize("room", FOREIGN)
def test_the_lowest_rooms_import_nothing_foreign(room):
    allowed = FOREIGN[room] | set(sys.stdlib_module_names)
    files = list((ROOT / "src" / "inchworm" / room).rglob("*.py"))
    assert files
    foreign = [
        f"{path.name}: {name}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in imported_by(node)
        if name.partition(".")[0] not in allowed and not f"{name}.".startswith(f"inchworm.{room}.")
    ]
    assert foreign == []


def imported_by(node: ast.AST) -> list[str]:
    """The absolute module names that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return [node.module]
    return []
