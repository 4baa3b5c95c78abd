"""Write the parts of ``docs/`` that the code knows better than we do.

Run as ``python -m scripts.docs`` (``make docs``), or with ``--check`` to fail if a page is not what the
code says. A page holds ``<!-- generated -->`` … ``<!-- /generated -->``; what stands between is ours, the
rest of the page is the author's. A page that does not exist yet is begun with its title.
"""

import argparse
import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

import inchworm
from inchworm.app.cli import main as cli
from inchworm.app.config.schema import json_schema
from inchworm.domain.errors import InchwormError

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN = "<!-- generated -->"
END = "<!-- /generated -->"

TYPE_NAMES = {"object": "mapping", "array": "list"}


# -- the command line ---------------------------------------------------------------------------------------


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """``command`` and all below it, depth first, each with a context whose path is its full name."""
    yield command, context
    if isinstance(command, click.Group):
        for name in sorted(command.list_commands(context)):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from commands(child, click.Context(child, info_name=name, parent=context))


def cli_page() -> str:
    """Every command with its usage, its help and its options."""
    parts: list[str] = []
    for command, context in commands(cli, click.Context(cli, info_name="inchworm")):
        usage = " ".join(command.collect_usage_pieces(context))
        parts.append(f"## `{context.command_path}`\n\n```\n{context.command_path} {usage}\n```")
        help_text = command.help or command.short_help or ""
        parts.append("\n\n".join(_unwrap(p) for p in help_text.split("\n\n")).strip())
        records = [r for p in command.get_params(context) if (r := p.get_help_record(context)) is not None]
        rows = [f"| `{_cell(left)}` | {_cell(right)} |" for left, right in records if right]
        if rows:
            parts.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
    return "\n\n".join(p for p in parts if p)


def _unwrap(paragraph: str) -> str:
    r"""One paragraph of a click help text; ``\b`` in front means that its lines stay as they are."""
    lines = [line.strip() for line in paragraph.strip(" \n").splitlines()]
    if lines and lines[0] == "\b":
        return "\n".join(["```", *lines[1:], "```"])
    return " ".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# -- inchworm.yaml ------------------------------------------------------------------------------------------


_CALLS = re.compile(r"layers\.[a-z]+\.calls")


def config_keys(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Every key of a JSON Schema as ``(dotted path, its schema, required)``.

    ``[]`` stands for the items of a list, ``NAME`` for a key that the user chooses. A schema that contains
    itself is followed once. The values of single calls have the keys of the layer that they stand in, and are
    not told once more.
    """
    yield from _keys(schema, "", schema.get("$defs", {}), ())


def _keys(
    node: Mapping[str, Any], path: str, defs: Mapping[str, Any], seen: tuple[str, ...]
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    if "$ref" in node:
        name = str(node["$ref"]).rsplit("/", 1)[-1]
        if name not in seen:
            yield from _keys(defs[name], path, defs, (*seen, name))
        return
    for word in ("anyOf", "oneOf", "allOf"):
        for branch in node.get(word, ()):
            yield from _keys(branch, path, defs, seen)
    required = node.get("required", ())
    for key, child in node.get("properties", {}).items():
        here = f"{path}.{key}" if path else key
        yield here, child, key in required
        if not _CALLS.fullmatch(here):
            yield from _keys(child, here, defs, seen)
    if isinstance(items := node.get("items"), Mapping):
        yield from _keys(items, f"{path}[]", defs, seen)
    if isinstance(extra := node.get("additionalProperties"), Mapping):
        yield from _keys(extra, f"{path}.NAME" if path else "NAME", defs, seen)


def _type_of(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(f"`{v}`" for v in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    if "$ref" in node:
        return "mapping"
    for word in ("anyOf", "oneOf", "allOf"):
        if word in node:
            return " or ".join(dict.fromkeys(_type_of(branch) for branch in node[word]))
    kinds = node.get("type", "any")
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    return " or ".join(TYPE_NAMES.get(name, name) for name in names)


def _default(node: Mapping[str, Any]) -> str:
    """A default as it would stand in the file; nothing where the absence of the key is the default."""
    value = node.get("default")
    return "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def configuration_page() -> str:
    """Every key of ``inchworm.yaml``: its type, its default and its meaning."""
    rows: dict[str, str] = {}
    for path, node, required in config_keys(json_schema()):
        default = "**required**" if required else _default(node)
        cells = (f"`{path}`", _type_of(node), default, node.get("description", ""))
        rows.setdefault(path, "| " + " | ".join(_cell(str(c)) for c in cells) + " |")
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows.values()])


def builtin_metrics() -> list[str]:
    """The metrics that Inchworm computes itself: what a key called ``builtin`` may say, by the schema."""
    names = {
        str(name)
        for path, node, _ in config_keys(json_schema())
        if path.rpartition(".")[2] == "builtin"
        for name in _choices(node)
    }
    return sorted(names)


def _choices(node: Mapping[str, Any]) -> Iterator[Any]:
    """The values that a schema lists, also where they are one branch of several (a name, or nothing)."""
    yield from node.get("enum", [node["const"]] if "const" in node else [])
    for branch in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _choices(branch)


# -- errors -------------------------------------------------------------------------------------------------


def import_all() -> None:
    """Import all of ``inchworm``, so that every subclass is known; migrations run only under Alembic."""
    for module in pkgutil.walk_packages(inchworm.__path__, "inchworm."):
        if ".migrations" not in module.name:
            importlib.import_module(module.name)


def errors(
    base: type[InchwormError] = InchwormError, depth: int = 0
) -> Iterator[tuple[type[InchwormError], int]]:
    """``base`` and the classes below it, depth first, with their depth; those of ``src/inchworm`` only."""
    yield base, depth
    for child in sorted(base.__subclasses__(), key=lambda c: c.__name__):
        if child.__module__.startswith("inchworm."):
            yield from errors(child, depth + 1)


def errors_page() -> str:
    """The tree of errors, each with what it means."""
    import_all()
    lines: list[str] = []
    for error, depth in errors():
        summary = (error.__doc__ or "").strip().split("\n\n")[0]
        lines.append(f"{'  ' * depth}- `{error.__name__}` — {' '.join(summary.split())}")
    return "\n".join(lines)


# -- pages --------------------------------------------------------------------------------------------------

PAGES: Mapping[str, tuple[str, Callable[[], str]]] = {
    "cli.md": ("The command line", cli_page),
    "configuration.md": ("inchworm.yaml", configuration_page),
    "errors.md": ("Errors", errors_page),
}


def with_generated(page: str, generated: str) -> str:
    """``page`` with ``generated`` between its markers.

    Raises:
        ValueError: the markers are not there exactly once and in order.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in tail:
        raise ValueError(f"a page needs {BEGIN} and then {END}, each once")
    return f"{head}{BEGIN}\n\n{generated}\n\n{END}{tail}"


def rendered(name: str) -> str:
    """What ``docs/{name}`` should hold."""
    title, generate = PAGES[name]
    path = DOCS / name
    page = path.read_text("utf-8") if path.exists() else f"# {title}\n\n{BEGIN}\n{END}\n"
    return with_generated(page, generate())


def stale() -> list[str]:
    """The pages that are not what the code says."""
    return [n for n in PAGES if not (DOCS / n).exists() or (DOCS / n).read_text("utf-8") != rendered(n)]


def main() -> int:
    """Write or check; 0 if all is well, 1 if ``--check`` found a stale page."""
    parser = argparse.ArgumentParser(description="Write the generated parts of docs/ anew.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is stale")
    if parser.parse_args().check:
        pages = stale()
        for name in pages:
            print(f"docs/{name} is not what the code says. Run: make docs", file=sys.stderr)
        return 1 if pages else 0
    DOCS.mkdir(exist_ok=True)
    for name in PAGES:
        (DOCS / name).write_text(rendered(name), "utf-8")
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
