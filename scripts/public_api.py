"""Pin the public names of Inchworm in ``tests/contracts/public_api.toml``.

Run as ``python -m scripts.public_api`` (``make api``) after a deliberate change, and commit the difference:
what is pinned is what others may import, and ``tests/contracts/test_public_api.py`` fails when it moves by
accident. A room that exports nothing itself (no ``__all__``) is public by its modules: ``metric.Metric``.
"""

import ast
import importlib
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "inchworm"
SNAPSHOT = ROOT / "tests" / "contracts" / "public_api.toml"


def rooms() -> list[str]:
    """``inchworm`` and each of its rooms, as module names."""
    inner = sorted(p.parent.name for p in PACKAGE.glob("*/__init__.py"))
    return ["inchworm", *(f"inchworm.{name}" for name in inner)]


def public_names(module: str) -> list[str]:
    """What ``module`` exports, sorted.

    Raises:
        AttributeError: its ``__all__`` names what it does not have.
    """
    loaded = importlib.import_module(module)
    if not hasattr(loaded, "__all__"):
        folder = ROOT / "src" / Path(*module.split("."))
        return sorted(f"{p.stem}.{name}" for p in folder.glob("[!_]*.py") for name in defined_in(p))
    names = sorted(loaded.__all__)
    for name in names:
        getattr(loaded, name)
    return names


def defined_in(path: Path) -> Iterator[str]:
    """The public names that a module defines itself: classes, functions and constants, in its order."""
    for node in ast.parse(path.read_text("utf-8")).body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names = [name]
            case ast.Assign(targets=targets):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names = [name]
            case _:
                names = []
        yield from (name for name in names if not name.startswith("_"))


def current() -> dict[str, list[str]]:
    """The public names as the code has them."""
    return {module: public_names(module) for module in rooms()}


def pinned() -> dict[str, list[str]]:
    """The public names as they were last agreed."""
    return {
        module: list(table["names"]) for module, table in tomllib.loads(SNAPSHOT.read_text("utf-8")).items()
    }


def to_toml(names: Mapping[str, list[str]]) -> str:
    """The snapshot's text; one name a line, so that differences read well."""
    lines = ["# Written by `make api`; a difference here is a change of the public API."]
    for module, exported in names.items():
        lines += ["", f"[{json.dumps(module)}]", "names = ["]
        lines += [f"    {json.dumps(name)}," for name in exported]
        lines += ["]"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the snapshot."""
    SNAPSHOT.write_text(to_toml(current()), "utf-8")
    print(SNAPSHOT.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
