"""Cases in other tools' forms: written and read again the same; what cannot be carried over is named."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inchworm.benchmark.exchange import FORMATS, format_of
from inchworm.domain.errors import InputError
from inchworm.domain.evalset import Case

ELSEWHERE = "file:" + 2 * "/"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXTS}),
    min_size=1,
    max_size=3,
)
INPUTS = (
    st.dictionaries(TEXTS, JSON, min_size=1, max_size=3)
    | st.fixed_dictionaries({"messages": MESSAGES})
    | st.fixed_dictionaries(
        {"question": TEXTS}, optional={"documents": st.lists(TEXTS, max_size=3), "choices": JSON}
    )
).filter(lambda inputs: not any(str(value).startswith(ELSEWHERE) for value in inputs.values()))
NAMES = st.text("abcdef-", min_size=1, max_size=8)
CASES = st.builds(
    lambda inputs, reference, call, **more: Case(
        id=Case.identify(inputs, reference, call), inputs=inputs, reference=reference, call=call, **more
    ),
    inputs=INPUTS,
    reference=JSON | st.lists(TEXTS, min_size=1, max_size=3),
    call=st.none() | NAMES,
    origin=NAMES,
    cluster=NAMES,
    group=NAMES,
    weight=st.floats(1e-6, 1e9),
    metadata=st.dictionaries(NAMES, JSON, max_size=2),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(CASES)
def test_written_and_read_again_a_case_is_the_same(case):
    for name, form in FORMATS.items():
        record = form.write(case, Counter())
        draft = form.read(record, Counter())
        assert draft.inputs == case.inputs, name
        assert draft.reference == case.reference, name
        assert draft.metadata == case.metadata, name
        for member in ("call", "cluster", "group", "weight", "origin"):
            assert getattr(draft, member) == getattr(case, member), (name, member)


@settings(max_examples=20, deadline=None)
@given(CASES)
def test_a_record_is_recognised_as_what_it_was_written_as(case):
    for name in ("jsonl", "promptfoo", "inspect", "deepeval"):
        assert format_of(FORMATS[name].write(case, Counter())) == name


def read(name, record):
    said: Counter[str] = Counter()
    return FORMATS[name].read(record, said), said


def test_promptfoos_assertions_are_references_expectations_or_named():
    draft, said = read(
        "promptfoo",
        {
            "description": "where",
            "vars": {"question": "Where?"},
            "assert": [
                {"type": "contains", "value": "Paris"},
                {"type": "llm-rubric", "value": "is friendly"},
                {"type": "regex", "value": "P.*"},
                {"type": "javascript", "value": "true"},
            ],
            "metadata": {"topic": "geography"},
        },
    )
    assert (draft.inputs, draft.reference) == ({"question": "Where?"}, "Paris")
    assert draft.metadata["expectation"] == "is friendly"
    assert draft.metadata["topic"] == "geography"
    kept = draft.metadata["promptfoo"]
    assert (kept["reference"], kept["description"]) == ("contains", "where")
    assert [one["type"] for one in kept["assert"]] == ["regex", "javascript"]
    assert {one.partition(":")[0] for one in said} == {"llm-rubric", "regex", "javascript"}
    assert any("check: regex" in one for one in said)


def test_an_answer_that_must_hold_any_of_several_has_several_references():
    draft, _ = read(
        "promptfoo", {"vars": {"q": "?"}, "assert": [{"type": "icontains-any", "value": ["a", "b"]}]}
    )
    assert draft.reference == ["a", "b"]


def test_a_row_of_promptfoo_has_columns_of_its_own():
    draft, said = read(
        "promptfoo",
        {
            "question": "Where?",
            "lang": "en",
            "__expected1": "icontains: paris",
            "__expected2": "similar(0.8): in Paris",
            "__metadata:topic": "geography",
            "__metadata:tags[]": "a, b",
            "__description": "where",
        },
    )
    assert draft.inputs == {"question": "Where?", "lang": "en"}
    assert draft.reference == "paris"
    assert draft.metadata["topic"] == "geography"
    assert draft.metadata["tags"] == ["a", "b"]
    assert draft.metadata["promptfoo"]["assert"] == [
        {"type": "similar", "value": "in Paris", "threshold": 0.8}
    ]
    assert any(one.startswith("similar") for one in said)


@pytest.mark.parametrize(
    ("cell", "reference"),
    [("Paris", "Paris"), ("equals: 4", "4"), ("note: x", "note: x"), ("10:30", "10:30")],
)
def test_a_cell_without_a_known_type_is_to_be_equal(cell, reference):
    draft, _ = read("promptfoo", {"q": "?", "__expected": cell})
    assert draft.reference == reference


def test_inspects_sample_has_messages_choices_and_targets():
    messages = [{"role": "user", "content": "Which?"}]
    draft, said = read(
        "inspect",
        {
            "input": messages,
            "choices": ["a", "b"],
            "target": ["A", "B"],
            "id": 7,
            "metadata": {"level": 3},
            "sandbox": "docker",
        },
    )
    assert draft.inputs == {"messages": messages, "choices": ["a", "b"]}
    assert (draft.reference, draft.metadata["id"], draft.metadata["level"]) == (["A", "B"], 7, 3)
    assert list(said) == ["sandbox: kept in metadata, not asked"]


def test_deepevals_golden_in_a_table_has_bars_between_texts():
    draft, said = read(
        "deepeval",
        {
            "input": "Where?",
            "expected_output": "Here.",
            "context": "one|two",
            "additional_metadata": '{"level": 3}',
            "actual_output": "There.",
            "tools_called": "",
        },
    )
    assert draft.inputs == {"question": "Where?", "documents": ["one", "two"]}
    assert (draft.reference, draft.metadata["level"]) == ("Here.", 3)
    assert draft.metadata["deepeval"] == {"actual_output": "There."}
    assert list(said) == ["actual_output: kept in metadata, not asked"]


def test_what_somebody_changed_in_a_file_counts():
    case = Case(
        id=Case.identify({"question": "Where?", "documents": ["d"]}, ["a", "b"]),
        inputs={"question": "Where?", "documents": ["d"]},
        reference=["a", "b"],
        origin="o",
        cluster="c",
        group="g",
    )
    golden = FORMATS["deepeval"].write(case, Counter())
    draft, _ = read("deepeval", {**golden, "input": "When?", "expected_output": "c"})
    assert (draft.inputs["question"], draft.reference) == ("When?", "c")
    sample = FORMATS["inspect"].write(case, Counter())
    draft, _ = read("inspect", {**sample, "input": "When?", "target": "c"})
    assert (draft.inputs, draft.reference) == ({"question": "When?", "documents": ["d"]}, "c")


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("promptfoo", {"vars": f"{ELSEWHERE}vars.yaml"}),
        ("promptfoo", {"vars": {"q": f"{ELSEWHERE}q.txt"}}),
        ("promptfoo", {"vars": {"q": "?"}, "assert": [{"value": "x"}]}),
        ("inspect", {"input": ""}),
        ("inspect", {"input": ["no message"]}),
        ("deepeval", {"scenario": "a customer calls", "turns": []}),
        ("deepeval", {"expected_output": "x"}),
        ("jsonl", {"schema": "case/2", "inputs": {"q": "?"}}),
        ("jsonl", {"schema": "case/1", "inputs": {}}),
        ("jsonl", {"schema": "case/1", "inputs": {"q": "?"}, "weight": 0}),
    ],
)
def test_what_is_no_case_is_refused(name, record):
    with pytest.raises(InputError):
        read(name, record)
