"""Reports: the first words, escaped production text, XML that parses, JSON that is JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from inchworm.benchmark.report import headline, junit, markdown, to_json
from inchworm.domain.benchmark import Benchmark, ClusterEffect, Comparison, Interval, Trial
from inchworm.domain.canonical import canonical
from inchworm.domain.configuration import AppRef
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import BenchmarkId, CaseId, ConfigurationId, EvalSetId
from inchworm.domain.metric import Role
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.verdict import Verdict

APP = AppRef(app="shop", environment="production")
BASE, CANDIDATE = ConfigurationId("b" * 64), ConfigurationId("c" * 64)
HOSTILE = "```\n</details> @everyone <script> | `x` ````"


def comparison(
    verdict: Verdict, because: str, *, role: Role = Role.GOAL, name: str = "answered"
) -> Comparison:
    return Comparison(
        metric=name,
        role=role,
        margin=0.03,
        verdict=verdict,
        because=because,
        effect=Interval(estimate=-0.011, low=-0.034, high=0.012),
        base=0.93,
        candidate=0.919,
        cases=600,
        unscored=3,
        errored=0,
        method="bootstrap-t",
        cases_to_settle=410,
    )


SAID = (
    "Inconclusive: `answered` −1.1 points (−3.4 … +1.2), margin −3. "
    "410 more cases would settle it (≈ 1.20 USD)."
)
CASES = tuple(
    Case(
        id=CaseId(f"case-{n}"),
        inputs={"question": HOSTILE if n == 0 else f"q{n}"},
        reference=["9 am", "nine"],
        origin="trace:t",
        cluster="opening <b>hours</b>",
        group=f"g{n}",
    )
    for n in range(7)
)
SET = EvalSet(name="core", version=4, app=APP, cases=CASES, population="24,000 sessions of 9–16 Nov 2026")
TRIALS = [
    Trial(case_id=CASES[0].id, configuration_id=BASE, repetition=0, outcome=Ok(), output="At 9 am."),
    Trial(case_id=CASES[0].id, configuration_id=CANDIDATE, repetition=1, outcome=Ok(), output="second"),
    Trial(
        case_id=CASES[0].id,
        configuration_id=CANDIDATE,
        repetition=0,
        outcome=Failed(reason="deadline of 0.6 s missed"),
    ),
    Trial(case_id=CASES[1].id, configuration_id=BASE, repetition=0, outcome=Errored(reason="down")),
]


def benchmark(
    *comparisons: Comparison,
    verdict: Verdict = Verdict.INCONCLUSIVE,
    worse: tuple[str, ...] = (),
    drops: int = 7,
) -> Benchmark:
    effect = Interval(estimate=-0.2, low=-0.3, high=-0.1)
    clusters = [
        ClusterEffect(metric="answered", cluster=name, cases=40, effect=effect, worse=name in worse)
        for name in ("hours", "returns", "a|b")
    ]
    return Benchmark(
        id=BenchmarkId("bench-12345678"),
        app=APP,
        base=BASE,
        candidate=CANDIDATE,
        eval_set=EvalSetId("core@4"),
        repetitions=1,
        trials=1200,
        comparisons=comparisons or (comparison(Verdict.INCONCLUSIVE, SAID),),
        clusters=tuple(clusters),
        regressed=tuple(case.id for case in CASES[:drops]),
        verdict=verdict,
        cost_usd=2.1,
    )


def test_the_first_words_of_a_comment():
    text = markdown(benchmark(), SET, TRIALS)
    assert text.splitlines()[0] == (
        "**Inconclusive**: `answered` −1.1 points (−3.4 … +1.2), margin −3. 410 more cases would settle it "
        "(≈ 1.20 USD). No cluster is worse with confidence; the five largest drops are below."
    )
    assert headline(benchmark()).startswith("Inconclusive: `answered` −1.1 points")


@pytest.mark.parametrize(
    ("worse", "drops", "ending"),
    [
        ((), 0, "No cluster is worse with confidence."),
        (("hours",), 1, "hours is worse with confidence; the only drop is below."),
        (
            ("hours", "returns"),
            2,
            "hours, returns are worse with confidence; the two largest drops are below.",
        ),
    ],
)
def test_the_headline_names_worse_clusters_and_what_is_listed(worse, drops, ending):
    assert headline(benchmark(worse=worse, drops=drops)).endswith(ending)


def test_the_headline_takes_the_goal_before_the_guardrail_that_decided_too():
    guardrail = comparison(Verdict.FAIL, "Fail: `format`.", role=Role.GUARDRAIL, name="format")
    goal = comparison(Verdict.FAIL, "Fail: `answered`.")
    signal = comparison(Verdict.FAIL, "Fail: `tone`.", role=Role.SIGNAL, name="tone")
    assert headline(benchmark(signal, guardrail, goal, verdict=Verdict.FAIL)).startswith("Fail: `answered`.")
    assert headline(benchmark(signal, guardrail, verdict=Verdict.FAIL)).startswith("Fail: `format`.")
    nothing = headline(benchmark(signal, verdict=Verdict.NO_DATA))
    assert nothing == "No data: no goal and no guardrail is defined."


def test_the_table_has_a_row_per_metric():
    signal = comparison(Verdict.PASS, "Pass: `cost`.", role=Role.SIGNAL, name="cost")
    text = markdown(benchmark(comparison(Verdict.INCONCLUSIVE, SAID), signal), SET, TRIALS)
    row = (
        "| `answered` | goal | Inconclusive | −1.1 (−3.4 … +1.2) | −3 | 93.0 % | 91.9 % | 600 (3 unscored) |"
    )
    assert row in text.splitlines()
    assert "| `cost` | signal | Pass |" in text
    assert "bench-12345678: bbbb…bb → cccc…cc on core\\@4 (24,000 sessions of 9–16 Nov 2026)" in text
    assert "1,200 trials, 2.10 USD." in text


def test_production_text_cannot_leave_its_block():
    text = markdown(benchmark(worse=("a|b",)), SET, TRIALS)
    assert "`````text" in text  # longer than any run of backticks inside
    outside = re.sub(r"(?s)(`{3,})text\n.*?\n\1\n", "", text)
    for hostile in ("@everyone", "<script>", "<b>"):
        assert hostile not in outside
    assert "a\\|b" in outside
    assert outside.count("<details>") == outside.count("</details>") == 5


def test_both_answers_of_a_drop_are_shown():
    text = markdown(benchmark(drops=2), SET, TRIALS)
    assert "base       At 9 am." in text
    assert "candidate  (failed: deadline of 0.6 s missed)" in text
    assert "second" not in text
    assert "base       (errored: down)" in text
    assert "candidate  (not asked)" in text
    assert "reference  ['9 am', 'nine']" in text


def test_words_of_others_in_a_sentence_are_inert():
    c = comparison(Verdict.ERRORED, "Errored: `answered` has 9 errored (@ops <b> [x](http://y)).")
    first = markdown(benchmark(c, verdict=Verdict.ERRORED), SET, TRIALS).splitlines()[0]
    assert "\\@ops \\<b\\> \\[x\\](http://y)" in first
    assert "`answered`" in first


def test_junit_breaks_the_build_for_all_but_a_pass():
    made = benchmark(
        comparison(Verdict.PASS, "Pass: a.", name="a"),
        comparison(Verdict.FAIL, "Fail: <b> & \x00 \ud800.", name="b", role=Role.GUARDRAIL),
        comparison(Verdict.NO_DATA, "No data: c.", name="c"),
        comparison(Verdict.INCONCLUSIVE, "Inconclusive: d.", name="d"),
        comparison(Verdict.FAIL, "Fail: e.", name="e", role=Role.SIGNAL),
        verdict=Verdict.FAIL,
    )
    root = ET.fromstring(junit(made))  # noqa: S314  # our own
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "1", "2")
    found = {case.get("name"): [child.tag for child in case] for case in suite}
    assert found == {
        "a": ["system-out"],
        "b": ["failure"],
        "c": ["error"],
        "d": ["error"],
        "e": ["system-out"],
    }
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "Fail: <b> & � �."


def test_junit_of_nothing_is_an_error():
    signal = comparison(Verdict.PASS, "Pass.", role=Role.SIGNAL)
    root = ET.fromstring(junit(benchmark(signal, verdict=Verdict.NO_DATA)))  # noqa: S314  # our own
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")
    assert len(suite) == 2


def test_json_is_json_and_says_all():
    content = to_json(benchmark())
    assert json.loads(canonical(content)) == content
    assert content["format"] == "benchmark/1"
    assert content["comparisons"][0]["effect"] == {"estimate": -0.011, "low": -0.034, "high": 0.012}
    assert len(content["regressed"]) == 7


def test_conversations_show_their_last_message_and_long_texts_are_cut():
    asked = {"messages": [{"role": "user", "content": "first"}, {"role": "user", "content": "last " * 300}]}
    case = Case(id=CASES[0].id, inputs=asked, origin="trace:t", cluster="a", group="g")
    talk = EvalSet(name="core", version=4, app=APP, cases=(case,), population="x")
    text = markdown(benchmark(drops=2), talk, [])
    assert "asked      last last" in text
    assert f"{('last ' * 300)[:600]}…" in text
    assert "first" not in text
    assert text.count("<details>") == 1


def test_without_goals_there_are_drops_but_no_clusters():
    made = replace(benchmark(drops=3), clusters=())
    assert headline(made).endswith("The three largest drops are below.")
