"""Nothing a user can meet is undocumented: every command, option, setting, error and metric has its place."""

import click
import pytest

from inchworm.app.cli import main as cli
from inchworm.app.config.schema import json_schema
from scripts import docs


def page(name):
    return (docs.DOCS / name).read_text("utf-8")


@pytest.mark.parametrize("name", docs.PAGES)
def test_the_generated_part_is_what_the_code_says(name):
    # Mend with: make docs
    assert page(name) == docs.rendered(name)


def test_every_command_and_option_is_documented():
    text = page("cli.md")
    commands = list(docs.commands(cli, click.Context(cli, info_name="inchworm")))
    assert len(commands) > 1
    missing = [
        f"{context.command_path} {word}"
        for command, context in commands
        for word in [
            context.command_path,
            *(o for p in command.params if isinstance(p, click.Option) and not p.hidden for o in p.opts),
        ]
        if word not in text
    ]
    assert missing == []


def test_every_command_says_what_it_does():
    commands = docs.commands(cli, click.Context(cli, info_name="inchworm"))
    assert [context.command_path for command, context in commands if not command.help] == []


def test_every_configuration_key_is_documented():
    text = page("configuration.md")
    keys = [path for path, _, _ in docs.config_keys(json_schema())]
    assert keys
    assert [path for path in keys if f"`{path}`" not in text] == []


def test_every_configuration_key_says_what_it_means():
    assert [p for p, node, _ in docs.config_keys(json_schema()) if not node.get("description")] == []


def test_every_builtin_metric_is_documented():
    text = page("metrics.md")
    names = docs.builtin_metrics()
    assert names
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_error_is_documented():
    docs.import_all()
    text = page("errors.md")
    names = [error.__name__ for error, _ in docs.errors()]
    assert len(names) > 1
    assert [name for name in names if f"`{name}`" not in text] == []


def test_a_page_without_its_markers_is_refused():
    with pytest.raises(ValueError, match="each once"):
        docs.with_generated("# A page\n", "text")


def test_what_stands_outside_the_markers_is_kept():
    before = f"# Title\n\nOurs.\n\n{docs.BEGIN}\n\nold\n\n{docs.END}\n\nOurs too.\n"
    after = docs.with_generated(before, "new")
    assert after == before.replace("old", "new")
    assert docs.with_generated(after, "new") == after


def test_keys_are_found_through_references_lists_and_maps():
    schema = {
        "properties": {"app": {"type": "string"}, "gates": {"items": {"$ref": "#/$defs/Gate"}}},
        "required": ["app"],
        "additionalProperties": {"properties": {"free": {"type": "integer"}}},
        "$defs": {
            "Gate": {"properties": {"margin": {"type": "number"}, "all": {"items": {"$ref": "#/$defs/Gate"}}}}
        },
    }
    found = {path: required for path, _, required in docs.config_keys(schema)}
    assert found == {
        "app": True,
        "gates": False,
        "gates[].margin": False,
        "gates[].all": False,
        "NAME.free": False,
    }
