"""From the file to values: what is taken over, what is filled in, and what stays as it was written."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import inchworm.app
from inchworm.app.config.ladder import margin_factor
from inchworm.app.config.load import SanitizeSettings, load
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import ConfigError
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Absence, Clock, Role
from inchworm.domain.rollout import Judging, Policy, UnitKind
from inchworm.sanitize import CustomPattern, Kind

DEMO = Path(inchworm.app.__file__).parent / "demo" / "fernhill" / "inchworm.yaml"
GOOD = """\
app: shop/production
layers:
  model: {name: m}
  prompt: {user: "{question}"}
metrics:
  answered: {check: contains_reference, goal: true}
"""


@pytest.fixture
def read(tmp_path):
    def written(text, **files):
        for name, content in files.items():
            (tmp_path / name.replace("_", ".")).write_bytes(content)
        (tmp_path / "inchworm.yaml").write_text(text, encoding="utf-8")
        return load(tmp_path / "inchworm.yaml")

    return written


def test_the_demo_file_means_what_it_always_meant():
    spec = load(DEMO)
    assert spec.app == AppRef(app="shop-support", environment="production")
    assert spec.configuration.id == "b9d628340f602407531f71af14cbeb2b8000346bc06e70158260d75035ef35c5"
    assert spec.configuration.layer(Layer.PARAMETERS) == {"temperature": 0, "max_tokens": 64}
    assert [(m.name, m.role, m.margin, m.source) for m in spec.metrics] == [
        ("answered", Role.GOAL, 0.05, {"check": "contains_reference"}),
        ("complete", Role.GUARDRAIL, 0.05, {"check": "complete"}),
        ("latency", Role.GUARDRAIL, 0.05, {"builtin": "latency_p95"}),
    ]
    bakes = zip(Policy().stages, (3_600, 3_600, 10_800), strict=True)
    stages = tuple(replace(stage, min_bake_s=bake) for stage, bake in bakes)
    assert spec.policy == replace(Policy(), stages=stages, soak_s=10_800.0)
    assert (spec.data, spec.file) == (DEMO.parent / ".inchworm", DEMO)


def test_feedback_is_judged_and_its_absence_is_no_failure_unless_the_file_says_so(read):
    said = """\
  stars: {feedback: true, range: [1, 5], signal: true}
  verdict: {feedback: true, values: {good: 1, bad: 0}, signal: true, clock: fast, absence: failure}
"""
    _, stars, verdict = read(GOOD + said).metrics
    assert (stars.source, stars.clock, stars.absence) == (
        {"feedback": True, "range": [1, 5]},
        Clock.JUDGED,
        Absence.VOID,
    )
    assert verdict.source == {"feedback": True, "values": {"good": 1, "bad": 0}}
    assert (verdict.clock, verdict.absence) == (Clock.FAST, Absence.FAILURE)


def test_what_is_left_out_is_the_policy_of_the_domain(read):
    spec = read(GOOD)
    assert spec.policy == Policy()
    assert spec.sanitize == SanitizeSettings()
    assert spec.after == {}
    assert spec.configuration.layer(Layer.INFRASTRUCTURE) == {}
    (metric,) = spec.metrics
    assert (metric.margin, metric.harm_margin) == (0.03, 0.015)
    assert (metric.clock, metric.absence, metric.group) == (Clock.FAST, Absence.FAILURE, "unit")


def test_everything_that_can_be_said(read):
    spec = read(
        """\
app: shop
unit: user
data: var/data
layers:
  infrastructure:
    upstream: openai
    base_url: http://localhost:8080/v1
    api_key: env:SHOP_KEY
    timeout_s: 2.5
    max_concurrency: 4
    retries: 0
    batch_size: 8
    hardware: a100-80gb
    price: {input: 2.5, output: 10}
  model: {name: m, provider: p, quantization: q4_1}
  parameters:
    {temperature: 0.5, top_p: 1, max_tokens: 9, presence_penalty: -1, frequency_penalty: 1.5, stop: [a, b],
     seed: 7, tool_choice: {type: function, function: {name: find}}}
  context:
    {window_tokens: 2048, documents: 0, document_order: best_first, chunk_tokens: 300, history_turns: 2}
  prompt:
    system: "Answer {{}}."
    user: "{question}"
    few_shot: [{inputs: {question: null, n: [1, 2.5]}, answer: "no"}]
  tools: {schemas: [{type: function, function: {name: find}}], index: i-1, embedding_model: e}
metrics:
  cheap: {builtin: cost, signal: true, cap_usd: 0.01, margin: 10%, harm_margin: 0}
  short: {check: {max_words: 20}, guardrail: true, clock: judged, absence: void}
  right: {check: contains_reference, goal: true, margin: 0.02}
rollout:
  stages: [0.01, {weight: 10%, min_units: 50, min_bake: 90s, max_bake: 2d, margin_factor: 2}, 20.5 %, 50%]
  soak: 7d
  holdback: 1%
  maturation: 30m
  gate: false
  gate_margin_factor: 2
  alpha: {harm_fast: 0.02, harm_judged: 0.03, expand: 0.1, ratio: 0.001}
  after: {prompt: [context, context, tools]}
sanitize:
  kinds: [NAME, EMAIL]
  custom: {MEMBER_NO: 'M-[0-9]+'}
"""
    )
    assert str(spec.app) == "shop/production"
    assert spec.configuration.layer(Layer.INFRASTRUCTURE) == {
        "upstream": "openai",
        "base_url": "http://localhost:8080/v1",
        "api_key": "env:SHOP_KEY",
        "timeout_s": 2.5,
        "max_concurrency": 4,
        "retries": 0,
        "batch_size": 8,
        "hardware": "a100-80gb",
        "price": {"input": 2.5, "output": 10},
    }
    assert spec.configuration.layer(Layer.PARAMETERS)["stop"] == ["a", "b"]
    assert spec.configuration.layer(Layer.PROMPT) == {
        "system": "Answer {{}}.",
        "user": "{question}",
        "few_shot": [{"inputs": {"question": None, "n": [1, 2.5]}, "answer": "no"}],
    }
    assert spec.configuration.layer(Layer.TOOLS)["schemas"] == [
        {"type": "function", "function": {"name": "find"}}
    ]
    assert [metric.name for metric in spec.metrics] == ["right", "short", "cheap"]
    assert spec.metrics[1].source == {"check": {"max_words": 20}}
    assert (spec.metrics[1].clock, spec.metrics[1].absence) == (Clock.JUDGED, Absence.VOID)
    assert spec.metrics[2].source == {"builtin": "cost", "cap_usd": 0.01}
    assert (spec.metrics[2].margin, spec.metrics[2].harm_margin) == (0.1, 0.0)
    assert [s.weight for s in spec.policy.stages] == [0.01, 0.1, 0.205, 0.5]
    assert [s.margin_factor for s in spec.policy.stages] == [2.7, 2, 1.47, 1]
    assert [s.min_bake_s for s in spec.policy.stages] == [7_200, 90, 7_200, 86_400]
    assert [s.max_bake_s for s in spec.policy.stages] == [604_800, 172_800, 604_800, 1_209_600]
    assert [s.min_units for s in spec.policy.stages] == [1_000, 50, 1_000, 1_000]
    policy = spec.policy
    assert (policy.unit, policy.soak_s, policy.holdback) == (UnitKind.USER, 604_800, 0.01)
    assert (policy.maturation_s, policy.gate, policy.gate_margin_factor) == (1_800, False, 2)
    alphas = (policy.alpha_harm_fast, policy.alpha_harm_judged, policy.alpha_expand, policy.alpha_ratio)
    assert alphas == (0.02, 0.03, 0.1, 0.001)
    assert spec.after == {Layer.PROMPT: (Layer.CONTEXT, Layer.TOOLS)}
    assert spec.sanitize == SanitizeSettings(
        kinds=(Kind.EMAIL, Kind.NAME), custom=(CustomPattern(kind="MEMBER_NO", expression="M-[0-9]+"),)
    )
    assert spec.data == spec.file.parent / "var" / "data"


def test_files_say_the_same_as_texts_in_place(read):
    inline = read(
        GOOD.replace(
            'user: "{question}"',
            'user: "{question}", system: "Zeile eins\\n\\nZwei", '
            'few_shot: [{inputs: {question: q}, answer: "no"}]',
        )
    )
    files = {
        "system_md": "\ufeffZeile eins\r\n\r\nZwei\r\n\n".encode(),
        "few_yaml": b"- inputs: {question: q}\n  answer: no\n",
        "user_txt": b"{question}\n",
    }
    named = "user: {file: user.txt}, system: {file: system.md}, few_shot: {file: few.yaml}"
    assert read(GOOD.replace('user: "{question}"', named), **files).configuration == inline.configuration


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tools.json", b'[\n\t{"name": "find", "strict": null}\n]'),
        ("tools.yaml", b"- {name: find, strict: null}\n"),
    ],
)
def test_tool_schemas_come_from_json_and_from_yaml(read, name, data):
    layers = GOOD.replace("metrics:", f"  tools: {{schemas: {{file: {name}}}}}\nmetrics:")
    spec = read(layers, **{name.replace(".", "_"): data})
    assert spec.configuration.layer(Layer.TOOLS) == {"schemas": [{"name": "find", "strict": None}]}


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "NO", "1:30", "0x", "2026-11-02", "1_000", "5%"]
)
def test_yaml_1_1_does_not_read_texts_as_other_things(read, word):
    spec = read(GOOD.replace("{name: m}", f"{{name: {word}}}"))
    assert spec.configuration.layer(Layer.MODEL) == {"name": word}


@pytest.mark.parametrize(
    ("text", "value"), [("1e0", 1), ("1.5e-1", 0.15), ("0x1", 1), ("+.5", 0.5), ("0o2", 2)]
)
def test_numbers_of_yaml_1_2(read, text, value):
    spec = read(GOOD.replace("{name: m}", f"{{name: m}}\n  parameters: {{temperature: {text}}}"))
    assert spec.configuration.layer(Layer.PARAMETERS) == {"temperature": value}


def test_the_way_of_writing_does_not_change_the_configuration(read):
    block = GOOD.replace("{name: m}", "\n    # the one\n    name: 'm'")
    assert read(block).configuration == read(GOOD).configuration


@pytest.mark.parametrize(
    ("count", "factors"),
    [(1, [1]), (2, [2.7, 1]), (3, [2.7, 1.7, 1]), (4, [2.7, 2.03, 1.47, 1]), (5, [2.7, 2.2, 1.7, 1.35, 1])],
)
def test_margins_narrow_to_the_final_ones(count, factors):
    assert [margin_factor(position, count) for position in range(count)] == factors


# -- any bytes ----------------------------------------------------------------------------------------------

PIECES = [
    *": - , { } [ ] ? | > & * ! % @ ` # ~ ' \"".split(),
    *"app unit layers model name metrics rollout stages after sanitize custom kinds data file check".split(),
    *"5% 24h true null 1e3 .inf -1 999999999999999999999 prompts/system.md json regex cost goal".split(),
    "\n",
    "  ",
    "\t",
    "---\n",
    "<<",
    "\\ud800",
    "é",
    "\U0001f600",
    "\x85",
    "!!int ",
    "{a.b}",
    "{",
    "api_key: sk-x",
]


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        for file in DEMO.parent.rglob("*"):
            if file.suffix in {".md", ".yaml"}:
                (path / file.relative_to(DEMO.parent)).parent.mkdir(exist_ok=True)
                (path / file.relative_to(DEMO.parent)).write_bytes(file.read_bytes())
        yield path


def loads_or_says_why(folder, data, name="inchworm.yaml"):
    (folder / name).write_bytes(data)
    try:
        said = str(load(folder / "inchworm.yaml").app)
    except ConfigError as error:
        said = str(error)
    # Nothing else is ever raised, and whatever came says something, in words of ours.
    assert said
    assert "pydantic" not in said


@given(data=st.binary(max_size=200))
@example(data=b"\xef\xbb\xbf")
@example(data=b"? ? ? a")
@example(data=b"a: &a [*a]")
@example(data=b"%YAML 1." + b"9" * 5_000 + b"\n---\na")
@example(data=b"a: " + b"9" * 5_000)
def test_any_bytes(folder, data):
    loads_or_says_why(folder, data)


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=40))
def test_anything_like_yaml(folder, pieces):
    loads_or_says_why(folder, " ".join(pieces).encode())


@given(
    edits=st.lists(
        st.tuples(st.integers(0, 2_000), st.integers(0, 12), st.sampled_from([*PIECES, ""])), max_size=4
    )
)
def test_a_good_file_with_mistakes(folder, edits):
    text = DEMO.read_text("utf-8")
    for at, cut, piece in edits:
        place = at % (len(text) + 1)
        text = text[:place] + piece + text[place + cut :]
    loads_or_says_why(folder, text.encode())


@given(
    data=st.one_of(
        st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=20).map(" ".join).map(str.encode)
    )
)
def test_any_bytes_in_a_file_that_is_named(folder, data):
    (folder / "inchworm.yaml").write_bytes(DEMO.read_bytes())
    loads_or_says_why(folder, data, "prompts/examples.yaml")
    loads_or_says_why(folder, data, "prompts/system.md")


def test_who_takes_part_in_a_stage_and_who_in_none(read):
    spec = read(
        GOOD
        + """
rollout:
  stages:
    - {weight: 50%, audience: {tenant: [acme, 42, acme], plan: internal, beta: true, level: 2.0}}
    - {weight: 5%, audience: {unit: ana}}
    - 5%
    - 25%
  holdout: 1%
  hash: growthbook
  user_window: 12h
  maturation_judged: 2h
  judging: {baseline: 20%}
"""
    )
    said = [[(one.attribute, one.values) for one in stage.audience] for stage in spec.policy.stages]
    first = [("tenant", ("acme", "42")), ("plan", ("internal",)), ("beta", ("true",)), ("level", ("2",))]
    assert said == [first, [("unit", ("ana",))], [], []]
    # A stage for others may be smaller than the one before it.
    assert [stage.weight for stage in spec.policy.stages] == [0.5, 0.05, 0.05, 0.25]
    policy = spec.policy
    assert (policy.holdout, policy.hash_version, policy.user_window_s) == (0.01, 2, 43_200.0)
    assert (policy.maturation_judged_s, policy.judging) == (7_200.0, Judging(candidate=1.0, baseline=0.2))
    assert (Policy().holdout, Policy().hash_version, Policy().user_window_s) == (0.0, 1, 86_400.0)
