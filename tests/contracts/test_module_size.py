"""A module that passes 400 lines has two jobs."""

from pathlib import Path

SRC = Path(__file__).resolve().parents[2] / "src"
LIMIT = 400


def test_no_module_is_longer_than_the_limit():
    sizes = {str(p.relative_to(SRC)): len(p.read_text("utf-8").splitlines()) for p in SRC.rglob("*.py")}
    assert sizes
    assert {name: lines for name, lines in sizes.items() if lines > LIMIT} == {}
