"""``models:`` and layers keyed by call, as inchworm.yaml writes them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from inchworm.app.config.load import AppSpec, load
from inchworm.domain.calls import for_call
from inchworm.domain.errors import ConfigError
from inchworm.domain.layers import Layer
from inchworm.providers.catalogue import Catalogue

TEXT = """\
app: shop/production
layers:
  model: {name: house-1}
metrics: {ok: {builtin: success, goal: true}}
"""
OWN = """\
models:
  - name: house-1
    provider: ours
    context_tokens: 4096
    refuses: [seed]
    one_of: [[temperature, top_p]]
    retires_on: 2027-02-01
    source: https://wiki.example/models
    checked: 2026-11-22
  - name: gpt-4o
    provider: openai
    output_tokens: 5
"""


def written(folder: Path, more: str, own: str | None = None) -> AppSpec:
    (folder / "inchworm.yaml").write_text(TEXT + more, "utf-8")
    if own is not None:
        (folder / "models.yaml").write_text(own, "utf-8")
    return load(folder / "inchworm.yaml")


def test_models_of_one_s_own_are_read_from_a_file(tmp_path: Path) -> None:
    spec = written(tmp_path, "models: models.yaml\n", OWN)
    mine, other = spec.models
    assert (mine.name, mine.context_tokens, mine.retires_on) == ("house-1", 4096, date(2027, 2, 1))
    assert mine.one_of == (frozenset({"temperature", "top_p"}),)
    assert (mine.sources, mine.checked, mine.own) == (
        ("https://wiki.example/models",),
        date(2026, 11, 22),
        True,
    )
    corrected = Catalogue.load(spec.models).find("gpt-4o")
    assert corrected == other


def test_they_may_stand_in_the_file_itself(tmp_path: Path) -> None:
    (only,) = written(tmp_path, "models: [{name: a, provider: b, only: {temperature: 1}}]\n").models
    assert (only.name, only.only) == ("a", {"temperature": 1})


def test_nothing_said_is_no_models(tmp_path: Path) -> None:
    assert written(tmp_path, "").models == ()


@pytest.mark.parametrize(
    ("own", "line", "message"),
    [
        (
            OWN.replace("provider: ours", "povider: ours"),
            3,
            'unknown key "povider" in models[0]. Did you mean',
        ),
        (OWN.replace("2027-02-01", "soon"), 7, "models[0].retires_on must be a date such as 2027-02-01"),
        (OWN.replace("4096", "0"), 4, "models[0].context_tokens must be at least 1, not the number 0"),
        (OWN.replace("models:", "model:"), 1, 'unknown key "model".'),
        ("models: [", 1, ""),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_line(
    tmp_path: Path, own: str, line: int, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        written(tmp_path, "models: models.yaml\n", own)
    assert caught.value.file == str(tmp_path / "models.yaml")
    assert caught.value.line == line
    assert message in str(caught.value)


def test_a_file_that_is_missing_is_said_where_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"models names 'models\.yaml': there is no such file") as caught:
        written(tmp_path, "models: models.yaml\n")
    assert caught.value.line == 5


def test_a_model_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"models\[1\] lists a of b twice"):
        written(tmp_path, "models: [{name: a, provider: b}, {name: a, provider: b}]\n")


# --- layers keyed by call

KEYED = """\
app: shop/production
layers:
  model: {name: large, calls: {rerank: {name: small}}}
  prompt:
    user: "{question}"
    calls:
      rerank: {system: {file: rerank.md}, few_shot: [{inputs: {question: a}, answer: b}]}
  tools:
    index: {observed: faq-live}
    calls: {plan: {schemas: {file: plan.json}}}
metrics: {ok: {builtin: success, goal: true}}
"""


def keyed(folder: Path, text: str = KEYED) -> AppSpec:
    (folder / "inchworm.yaml").write_text(text, "utf-8")
    (folder / "rerank.md").write_text("Sort them.\n", "utf-8")
    (folder / "plan.json").write_text('[{"type": "function", "function": {"name": "step"}}]', "utf-8")
    return load(folder / "inchworm.yaml")


def test_each_layer_may_have_values_of_single_calls_with_files_of_their_own(tmp_path: Path) -> None:
    found = keyed(tmp_path).configuration
    rerank, plan = for_call(found, "rerank"), for_call(found, "plan")
    assert rerank.layer(Layer.MODEL) == {"name": "small"}
    assert rerank.layer(Layer.PROMPT)["system"] == "Sort them."
    assert rerank.layer(Layer.PROMPT)["user"] == "{question}"
    assert plan.layer(Layer.TOOLS)["schemas"][0]["function"]["name"] == "step"
    assert plan.layer(Layer.TOOLS)["index"] == {"observed": "faq-live"}
    assert "schemas" not in for_call(found, None).layer(Layer.TOOLS)


@pytest.mark.parametrize(
    ("wrong", "right", "line", "message"),
    [
        (
            "{name: small}",
            "{nam: small}",
            3,
            'unknown key "nam" in layers.model.calls.rerank. Did you mean "name"?',
        ),
        (
            "rerank.md",
            "none.md",
            7,
            "layers.prompt.calls.rerank.system names 'none.md': there is no such file",
        ),
        ("{observed: faq-live}", "{observd: x}", 9, 'unknown key "observd" in layers.tools.index'),
        ("{observed: faq-live}", "[x]", 9, "layers.tools.index must be a text or {observed: NAME}"),
        ("{name: small}", "{calls: {}}", 3, 'unknown key "calls" in layers.model.calls.rerank'),
    ],
)
def test_what_is_wrong_in_a_call_is_said_with_its_path(
    tmp_path: Path, wrong: str, right: str, line: int, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        keyed(tmp_path, KEYED.replace(wrong, right))
    assert message in str(caught.value)
    assert caught.value.line == line
