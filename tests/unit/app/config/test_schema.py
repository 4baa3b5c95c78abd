"""The JSON Schema says what the file may say, in words."""

import json
from pathlib import Path

import pytest

from inchworm.app.config.schema import ConfigFile, Rollout, json_schema, keys_at
from inchworm.domain.layers import LAYERS
from inchworm.evaluators.checks import CHECKS
from inchworm.evaluators.score import BUILTINS


def described(node, path=""):
    if isinstance(node, dict):
        for key, child in node.get("properties", {}).items():
            yield f"{path}.{key}", child.get("description")
        for key, child in node.items():
            yield from described(child, f"{path}.{key}")
    elif isinstance(node, list):
        for child in node:
            yield from described(child, path)


def test_every_key_says_what_it_means():
    found = list(described(json_schema()))
    assert len(found) > 60
    assert [path for path, text in found if not text] == []


def test_it_is_json_and_each_call_gives_a_copy():
    first = json_schema()
    first["properties"].clear()
    assert json.loads(json.dumps(json_schema())) == json_schema()
    assert "app" in json_schema()["properties"]


def test_it_names_the_checks_and_the_builtins_that_exist():
    entry = json_schema()["$defs"]["MetricEntry"]["properties"]
    assert entry["builtin"]["enum"] == list(BUILTINS)
    name, call = entry["check"]["oneOf"]
    assert name["enum"] == list(CHECKS)
    assert set(call["properties"]) == {name for name, check in CHECKS.items() if check.argument is not None}


def test_the_page_on_metrics_names_every_check():
    page = (Path(__file__).resolve().parents[4] / "docs" / "metrics.md").read_text("utf-8")
    assert [name for name in (*CHECKS, *BUILTINS) if f"`{name}`" not in page] == []


def test_a_key_that_is_left_out_is_no_null():
    assert '"null"' not in json.dumps(json_schema())


def test_defaults_stand_as_they_would_be_written():
    rollout = json_schema()["$defs"]["Rollout"]["properties"]
    assert (rollout["soak"]["default"], rollout["maturation"]["default"]) == ("24h", "0s")
    assert rollout["stages"]["default"] == [0.05, 0.25, 0.5]


def test_the_six_layers_are_there():
    assert keys_at(("layers",)) == [layer.value for layer in LAYERS]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        (("app",), []),
        (("layers", "model"), ["name", "provider", "quantization", "calls"]),
        (("layers", "model", "calls", "rerank"), ["name", "provider", "quantization"]),
        (("layers", "prompt", "system"), ["file"]),
        (("layers", "prompt", "few_shot", 0), ["inputs", "answer"]),
        (("rollout", "alpha"), ["harm_fast", "harm_judged", "expand", "ratio", "pause"]),
        (("nothing", "here"), []),
    ],
)
def test_the_keys_of_a_mapping(path, keys):
    assert keys_at(path) == keys


def test_every_default_is_accepted_by_the_keys_themselves():
    # Not validated when left out, so they are written out here.
    schema = json_schema()
    for name, key in schema["properties"].items():
        if "default" in key:
            entry = {"check": "complete", "goal": True}
            base = {"app": "a/b", "layers": {"model": {"name": "m"}}, "metrics": {"m": entry}}
            ConfigFile.model_validate({**base, name: key["default"]})
    rollout = {k: v["default"] for k, v in schema["$defs"]["Rollout"]["properties"].items() if "default" in v}
    assert Rollout.model_validate(rollout) == Rollout()
