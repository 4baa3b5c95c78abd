"""Pure rooms make up nothing: time, randomness and ids are arguments, and nothing is read or printed.

What is pure stands in ``pyproject.toml`` under ``[tool.coverage.run]``, once for this and for the coverage.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PURE = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["coverage"]["run"]["source_pkgs"]

# A file below src, what it may do, and why. Nothing else may.
EXCEPTIONS: dict[tuple[str, str], str] = {}

MODULES = {"random", "secrets", "socket", "subprocess", "time", "urllib", "uuid"}
CALLS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "os.getenv",
    "os.getpid",
    "os.urandom",
}
BUILTINS = {
    "input": "reads",
    "open": "reads or writes",
    "print": "writes",
    "id": "differs from run to run",
    "hash": "differs from run to run (PYTHONHASHSEED)",
}
# numpy's generators are welcome when they are given their seed; its global one never is.
SEEDED = {f"numpy.random.{name}" for name in ("default_rng", "Generator", "SeedSequence", "PCG64", "Philox")}


def pure_files() -> list[Path]:
    """The modules of the pure rooms."""
    found: list[Path] = []
    for name in PURE:
        path = SRC / Path(*name.split("."))
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return found


def aliases(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: ``np`` → ``numpy``, ``now`` → ``datetime.datetime.now``."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def full_name(node: ast.expr, names: dict[str, str]) -> str:
    """``np.random.normal`` → ``numpy.random.normal``; empty if it is not the name of something imported."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute) and (owner := full_name(node.value, names)):
        return f"{owner}.{node.attr}"
    return ""


def impurities(source: str) -> Iterator[tuple[int, str]]:
    """``(line, what it does)`` for all that a pure module must not do."""
    tree = ast.parse(source)
    names = aliases(tree)
    in_hash = {
        call
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__hash__"
        for call in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module.partition(".")[0] in MODULES:
                yield node.lineno, node.module
        elif isinstance(node, ast.Attribute | ast.Name) and full_name(node, names) in CALLS:
            # Named is enough: a default_factory or a callback calls it as well.
            yield node.lineno, full_name(node, names)
        elif isinstance(node, ast.Call):
            called = full_name(node.func, names)
            unseeded = not [a for a in node.args if not is_none(a)] and not node.keywords
            if called.startswith("numpy.random.") and (called not in SEEDED or unseeded):
                yield node.lineno, called
            if isinstance(node.func, ast.Attribute) and node.func.attr == "rvs" and not has_state(node):
                yield node.lineno, "rvs"
            if isinstance(node.func, ast.Name) and node.func.id in BUILTINS and node not in in_hash:
                yield node.lineno, node.func.id


def has_state(call: ast.Call) -> bool:
    """Whether a call hands scipy the generator to draw from."""
    return any(k.arg == "random_state" and not is_none(k.value) for k in call.keywords)


def is_none(node: ast.expr) -> bool:
    """Whether an argument is the literal ``None``, which to numpy and scipy means "surprise me"."""
    return isinstance(node, ast.Constant) and node.value is None


def test_what_is_called_pure_exists():
    assert PURE
    assert [str(path) for path in pure_files() if not path.is_file()] == []


def test_pure_modules_make_up_nothing():
    found = [
        f"{name}:{line}: {what}"
        for path in pure_files()
        for name in [str(path.relative_to(SRC))]
        for line, what in impurities(path.read_text("utf-8"))
        if (name, what) not in EXCEPTIONS
    ]
    assert found == []


def test_every_exception_has_a_reason_and_is_still_needed():
    assert all(EXCEPTIONS.values())
    done = {
        (name, w)
        for name in {n for n, _ in EXCEPTIONS}
        for _, w in impurities((SRC / name).read_text("utf-8"))
    }
    assert set(EXCEPTIONS) <= done


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import time", "time"),
        ("from random import choice", "random"),
        ("import uuid as u", "uuid"),
        ("from datetime import datetime\nx = datetime.now()", "datetime.datetime.now"),
        ("import datetime as dt\nx = dt.date.today()", "datetime.date.today"),
        (
            "from datetime import datetime, UTC\nf = field(default_factory=datetime.utcnow)",
            "datetime.datetime.utcnow",
        ),
        ("import os\nos.urandom(8)", "os.urandom"),
        ("import numpy as np\nnp.random.normal()", "numpy.random.normal"),
        ("import numpy as np\nnp.random.seed(1)", "numpy.random.seed"),
        ("import numpy as np\nnp.random.default_rng()", "numpy.random.default_rng"),
        ("from numpy.random import default_rng\ndefault_rng(None)", "numpy.random.default_rng"),
        ("from scipy import stats\nstats.norm.rvs(size=3)", "rvs"),
        ("open('x')", "open"),
        ("bucket = hash(unit) % 100", "hash"),
    ],
)
def test_an_impurity_is_noticed(source, what):
    assert what in {w for _, w in impurities(source)}


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nrng = np.random.default_rng(seed)",
        "import numpy as np\nrng = np.random.Generator(np.random.Philox(key=seed))",
        "from datetime import datetime, timedelta\nthen = datetime.fromtimestamp(seconds)",
        "def draw(rng):\n    return rng.normal()",
        "class A:\n    def __hash__(self):\n        return hash(self.x)",
    ],
)
def test_what_is_pure_is_left_alone(source):
    assert list(impurities(source)) == []
