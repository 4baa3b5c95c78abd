"""The first file: it loads as it is, and means what was seen."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.app.config.load import load
from inchworm.app.config.problems import Problems
from inchworm.app.config.quoting import scalar
from inchworm.app.config.schema import json_schema
from inchworm.app.config.write import Seen, draft, write_schema
from inchworm.app.config.yamltree import parse
from inchworm.domain.configuration import AppRef
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import fill

SHOP = AppRef(app="shop", environment="production")


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def loaded(folder, seen):
    (folder / "inchworm.yaml").write_text(draft(seen), encoding="utf-8")
    return load(folder / "inchworm.yaml")


def test_a_rich_app(folder):
    seen = Seen(
        app=SHOP,
        traces=6_600,
        models={"gpt-4o": 590, "gpt-4o-mini:free": 6_010},
        parameters={
            "temperature": {"0": 6_010, "0.7": 590},
            "top_p": {"0.9": 12},
            "max_tokens": {"0": 6_600},
            "stop": {'["\\n", "END"]': 6_600},
            "logit_bias": {"{}": 3},
        },
        inputs=frozenset({"question", "documents"}),
        system="Be kind.\n\n  {braces} # too",
        latency_p95_ms=1_234.5,
        cost_p95_usd=0.00123,
        references=5_000,
        finish_reasons=6_600,
        complete=0.973,
    )
    text = draft(seen)
    assert text.startswith("# yaml-language-server: $schema=.inchworm/schema.json\n")
    assert '    name: "gpt-4o-mini:free"  # seen in 6,010 of 6,600 traces; also gpt-4o\n' in text
    assert "    temperature: 0  # seen in 6,010 of 6,600 traces; also 0.7\n" in text
    assert "    # top_p: 0.9  # seen in 12 of 6,600 traces\n" in text
    assert "    # max_tokens: 0  # seen in 6,600 of 6,600 traces\n" in text
    assert "    # also seen, but no key of this file: logit_bias\n" in text
    assert "# 5,000 of 6,600 traces have one\n" in text
    assert "# 6,600 of 6,600 traces say why, 97.3% of them complete\n" in text
    assert "# 95% took at most 1,234 ms\n" in text
    spec = loaded(folder, seen)
    assert spec.configuration.layer(Layer.PARAMETERS) == {"temperature": 0, "stop": ["\n", "END"]}
    prompt = spec.configuration.layer(Layer.PROMPT)
    assert fill(prompt["system"], {}) == seen.system
    assert prompt["user"] == "Question: {question}\nInformation: {documents}"
    assert [(m.name, m.role.value, m.source) for m in spec.metrics] == [
        ("answered", "goal", {"check": "contains_reference"}),
        ("complete", "guardrail", {"check": "complete"}),
        ("success", "guardrail", {"builtin": "success"}),
        ("latency", "guardrail", {"builtin": "latency_p95"}),
        ("cost", "signal", {"builtin": "cost", "cap_usd": 0.0025}),
    ]


def test_nothing_is_known(folder):
    spec = loaded(folder, Seen(app=SHOP, traces=0))
    assert spec.configuration.layer(Layer.MODEL) == {"name": "unknown"}
    assert [(m.name, m.role.value) for m in spec.metrics] == [("success", "goal")]


def test_conversations_are_sent_as_they_are(folder):
    spec = loaded(folder, Seen(app=SHOP, traces=1, inputs=frozenset({"messages"}), finish_reasons=1))
    assert spec.configuration.layer(Layer.PROMPT) == {}
    assert [(m.name, m.role.value) for m in spec.metrics] == [("complete", "goal"), ("success", "guardrail")]


names = st.text(max_size=12)
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
    lambda text: text.isprintable() and text == text.strip() and "/" not in text
)
counts = st.integers(0, 10**7)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
).map(json.dumps)
keys = st.sampled_from(["temperature", "top_p", "max_tokens", "stop", "seed", "tool_choice", "n"]) | names
positive = st.none() | st.floats(0, 1e9)
everything = st.builds(
    Seen,
    app=st.builds(AppRef, app=words, environment=words),
    traces=counts,
    models=st.dictionaries(names, counts, max_size=4),
    parameters=st.dictionaries(keys, st.dictionaries(values | names, counts, max_size=4), max_size=6),
    inputs=st.frozensets(st.sampled_from(["question", "documents", "messages"]) | names, max_size=3),
    system=st.none() | st.text(max_size=40) | st.lists(names, max_size=4).map("\n".join),
    latency_p95_ms=positive,
    cost_p95_usd=positive,
    references=counts,
    finish_reasons=counts,
    complete=st.none() | st.floats(0, 1),
)


@given(seen=everything)
def test_whatever_was_seen_the_file_loads(folder, seen):
    spec = loaded(folder, seen)
    assert spec.app == seen.app
    if any(seen.models):
        assert spec.configuration.layer(Layer.MODEL)["name"] in seen.models
    if seen.system:
        assert fill(spec.configuration.layer(Layer.PROMPT)["system"], {}) == seen.system


@given(text=st.text(st.characters(codec="utf-8")))
def test_a_text_is_read_back_as_it_was_written(text):
    problems = Problems()
    document = parse(f"a: {scalar(text)}  # said", file="a.yaml", problems=problems)
    assert problems.found == []
    assert document.value == {"a": text}


def test_the_schema_is_written_where_the_first_line_says(tmp_path):
    path = write_schema(tmp_path / ".inchworm")
    assert path == tmp_path / ".inchworm" / "schema.json"
    assert json.loads(path.read_text("utf-8")) == json_schema()
    assert write_schema(tmp_path / ".inchworm") == path
