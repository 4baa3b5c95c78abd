"""The page of a rollout in every state: what it says, what it offers, and that its twin says the same."""

import json
from dataclasses import replace

import pytest
from tests.unit.app.web.story import BETTER, ONE, SAME, TERRIBLE, Story
from tests.unit.rollout.world import HOUR, Verdicts, metric, policy, rollout

from inchworm.app.web.views.ladder import ahead
from inchworm.app.web.views.stages import stage_starts
from inchworm.app.web.views.told import gate, lines
from inchworm.app.web.views.words import Told, content, evalue, moved, reworded, sentence
from inchworm.domain.benchmark import Benchmark, Comparison, Interval
from inchworm.domain.change import ValueDiff
from inchworm.domain.ids import BenchmarkId, EvalSetId, RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Absence, Clock, Role
from inchworm.domain.rollout import RolloutState
from inchworm.domain.verdict import Verdict
from inchworm.rollout.transitions import Act

WANTED = metric(margin=0.1)


def places(page):
    return {rung.name: rung.place for rung in page.ladder.rungs}


def offered(page):
    return [offer.act for offer in page.acts]


# --- states


def test_queued_it_says_what_it_waits_for():
    story = Story(rollout(1), rollout(2, layer=Layer.PROMPT, values={"system": "hi"}), rates=SAME).live(1)
    page = story.page(2)
    assert page.then == ("It waits for r-1 (model), exposing, stage 1 of 2 (20 %); one change at a time.",)
    assert page.exposures.said == ("Nobody is exposed.",)
    assert dict(page.exposures.facts)["served"].startswith("nothing of it, since r-1 is being exposed, ")
    assert set(places(page).values()) == {"next"}
    assert (page.tiles, page.decisions, offered(page)) == ((), (), ["abort"])
    assert page.acts[0].label == "Cancel"


def test_benchmarking_the_worm_is_at_the_benchmark():
    story = Story(rollout(policy=policy(gate=True)), rates=SAME, verdicts=Verdicts(verdict=None)).live(1)
    page = story.page()
    assert places(page) == {
        "benchmark": "here",
        "20 %": "next",
        "50 %": "next",
        "90 %": "next",
        "stable": "next",
    }
    assert page.then == ("If the benchmark passes, 20 % of the sessions get it; if it fails, nobody does.",)
    assert offered(page) == ["abort"]


def test_rejected_it_says_that_nobody_saw_it():
    story = Story(
        rollout(policy=policy(gate=True)), rates=SAME, verdicts=Verdicts(verdict=Verdict.FAIL)
    ).live(1)
    page = story.page()
    assert page.harmed
    assert page.say.startswith("Rejected because benchmark bench-r-1 failed: answered −0.2 points")
    assert page.then[0] == "Nobody saw it."
    assert places(page)["benchmark"] == "stopped"
    assert offered(page) == ["retry"]


def test_held_by_its_benchmark_a_person_may_expose_it_all_the_same():
    story = Story(
        rollout(policy=policy(gate=True)), rates=SAME, verdicts=Verdicts(verdict=Verdict.INCONCLUSIVE)
    ).live(1)
    page = story.page()
    assert page.then == ("A person decides: expose it all the same, or abort. Nobody gets it until then.",)
    assert [(offer.act, offer.label, offer.style) for offer in page.acts] == [
        ("promote", "Expose to 20 %", "go"),
        ("abort", "Abort", "stop"),
    ]


def test_exposing_before_anybody_came_it_says_why_it_was_exposed():
    story = Story(rollout(), rates=SAME)
    story.traffic.gap = 1e9
    page = story.live(0.5).page()
    assert page.exposures.said == ("Nobody yet: it waits for the first of the sessions.",)
    assert page.say.startswith("At 20 % of the sessions: ")
    assert page.exposures.rows == ()


def test_exposed_but_not_matured_nothing_is_counted_yet():
    story = Story(rollout(policy=policy(maturation_s=2 * HOUR)), rates=SAME).live(1)
    page = story.page()
    count = story.seen().exposed
    assert count > 0
    assert page.exposures.said == (f"{count:,} sessions exposed; each counts 2 h after its first exposure.",)


def test_exposing_it_says_what_it_lacks_and_when_it_is_settled():
    story = Story(rollout(metrics=(metric(margin=0.004, harm_margin=0.002),)), rates=SAME).live(6)
    page = story.page()
    assert page.say.startswith("Holding at 20 % because answered has evidence ")
    assert "(at the pace" not in page.say
    assert " (80 %: " in page.then[0]
    assert page.then[1].startswith("The deadline is ")
    assert places(page) == {"20 %": "here", "50 %": "next", "90 %": "next", "stable": "next"}
    assert page.ladder.opens == (
        "50 % opens when every gate has passed 20 % with evidence 20, "
        "after at least 1 h and 200 sessions there."
    )
    assert offered(page) == ["promote", "pause", "abort"]
    assert page.acts[0].label == "Promote to 50 %"


def test_a_stage_whose_gates_have_passed_waits_for_units_and_time_alone():
    stages = tuple(replace(one, min_units=5_000) for one in policy().stages)
    story = Story(rollout(policy=policy(stages=stages), metrics=(WANTED,)), rates=BETTER).live(4)
    page = story.page()
    assert page.say.startswith("Holding at 20 % because ")
    assert "of at least 5,000 sessions came at this stage" in page.say
    assert page.then[0].startswith(
        "Every gate has its evidence; at this pace the stage has its units and its time in"
    )


def test_paused_it_may_be_resumed_first_of_all():
    story = Story(rollout(metrics=(WANTED,)), rates=SAME).live(0.6).ask(Act.PAUSE, "the provider is down")
    page = story.page()
    assert page.say == "Paused at 20 % by jonas: the provider is down."
    assert [(offer.act, offer.style) for offer in page.acts] == [
        ("resume", "go"),
        ("promote", ""),
        ("abort", "stop"),
    ]
    newest = page.decisions[0]
    assert (newest.verb, newest.rest) == ("Paused", " at 20 % by jonas: the provider is down.")
    assert (newest.actor, newest.undo) == ("jonas", "inchworm rollout resume r-1")
    assert newest.replay == "inchworm rollout replay r-1/2"
    assert [line.undo for line in page.decisions[1:]] == [""], "only the newest can be taken back"


def test_holding_past_its_deadline_a_person_is_asked():
    stages = tuple(replace(one, max_bake_s=2 * HOUR) for one in policy().stages)
    wanted = metric(margin=0.01, harm_margin=0.005)
    story = Story(rollout(policy=policy(stages=stages), metrics=(wanted,)), rates=SAME)
    page = story.until(RolloutState.HOLDING).page()
    assert page.say.startswith("Holding at 20 % because 2 h passed and answered has evidence ")
    assert page.then == (
        (
            "A person decides: promote, resume or abort. It still expands when the evidence suffices. "
            "Guardrails run on."
        ),
    )
    assert offered(page) == ["promote", "resume", "pause", "abort"]


def test_soaking_it_says_when_it_becomes_stable():
    story = Story(rollout(metrics=(WANTED,)), rates=BETTER).until(RolloutState.SOAKING).live(0.5)
    page = story.page()
    assert page.say.startswith("Soaking at 90 %, because every gate passed") or page.say.startswith(
        "Soaking at 90 %, because answered is not worse"
    )
    assert page.then == ("If nothing is harmed it becomes stable in 1.5 h.",)
    assert places(page)["90 %"] == "here"
    assert [row.name for row in page.exposures.rows] == ["20 %", "50 %", "soak"]
    assert page.exposures.total is not None
    assert page.exposures.total.share == "", "shares of stages together say nothing"


def test_completed_it_can_be_undone_and_the_worm_has_arrived():
    story = Story(rollout(metrics=(WANTED,)), rates=BETTER).until(RolloutState.COMPLETED)
    page = story.page()
    assert places(page)["stable"] == "here"
    assert offered(page) == ["undo"]
    assert page.then == ("It can be undone while it is stable and nothing else is in flight.",)
    assert dict(page.exposures.facts)["served"].startswith("as stable, to everybody, ")
    assert page.decisions[0].undo == "inchworm rollout undo r-1"
    undone = story.ask(Act.UNDO, "colleagues asked").page()
    assert places(undone)["stable"] == "ended"
    assert offered(undone) == ["retry"]


def test_an_undo_is_not_offered_while_something_else_is_in_flight():
    story = Story(
        rollout(metrics=(WANTED,)),
        rollout(2, layer=Layer.PROMPT, values={"system": "hi"}, metrics=(WANTED,)),
        rates=BETTER,
    ).until(RolloutState.EXPOSING, 2)
    assert offered(story.page(1)) == []


def test_rolled_back_the_harm_is_named_everywhere():
    story = Story(rollout(metrics=(metric(harm_margin=0.0),)), rates=TERRIBLE).until(RolloutState.ROLLED_BACK)
    page = story.page()
    (tile,) = page.tiles
    assert page.harmed
    assert page.terminal
    assert page.say.startswith("Rolled back because answered fell by ")
    assert (page.decisions[0].verb, page.decisions[0].rest[:9]) == ("Rolled back", " because ")
    assert "sessions saw it; " in page.then[0]
    assert (tile.mark, tile.state, tile.told, tile.harmed) == ("■", "harmed", Told.HARM, True)
    assert [bar.passed for bar in tile.bars if bar.harm] == [True]
    assert "passed at the " in page.clocks[0]
    assert "by answered" in page.clocks[0]
    assert places(page)["20 %"] == "stopped"


def test_aborted_by_a_person_is_no_harm():
    story = Story(rollout(), rates=SAME).live(1).ask(Act.ABORT)
    page = story.page()
    assert not page.harmed
    assert places(page)["20 %"] == "ended"
    assert "saw it; " in page.then[0]


# --- exposures


def test_exposures_come_with_their_share_its_interval_and_the_sample_ratio():
    story = Story(rollout(metrics=(WANTED,)), rates=SAME).live(1)
    page = story.page()
    (row,) = page.exposures.rows
    assert row.units == row.baseline + row.candidate == story.seen().exposed
    assert row.share.endswith(" %")
    assert row.interval.startswith("(")
    assert page.exposures.said[0].startswith("Split as planned: sample ratio e = ")
    assert page.exposures.said[1:] == ("Nobody changed arm.", "Evidence counts.")
    assert page.exposures.split.startswith("split as planned, e = ")
    assert not page.exposures.void


def test_a_wrong_split_voids_the_evidence_and_says_since_when():
    story = Story(rollout(), rates=SAME).live(1)
    seen = story.seen()
    assert seen.evidence is not None
    void = replace(seen.evidence, ratio_void_at=128, log_e_ratio=9.0)
    page = story.page(evidence=void, changed_arms=3)
    assert page.exposures.void
    assert page.exposures.said == (
        (
            "Not split as planned since the 128th of the sessions: sample ratio e = 8,103, void at 100. "
            "All evidence is void."
        ),
        "3 sessions changed arm.",
    )


def test_what_is_served_is_read_back_from_the_gateways():
    story = Story(rollout(), rates=SAME).live(1)
    served = dict(story.page().exposures.facts)["served"]
    assert served.startswith("20 %, read back from 1 of 2 gateways, b not yet, ")
    alone = story.page(served=replace(story.seen().served, gateways=()))
    assert "no gateway has asked since the server started" in dict(alone.exposures.facts)["served"]


# --- gates


def test_a_tile_says_its_estimate_with_interval_n_margin_and_evidence():
    story = Story(rollout(metrics=(WANTED,)), rates=SAME).live(1)
    (tile,) = story.page().tiles
    seen = story.seen().evidence
    assert seen is not None
    effect = seen.metrics[0].effect
    assert effect is not None
    assert tile.estimate is not None
    assert tile.estimate in tile.summary
    assert tile.interval in tile.summary
    assert tile.n == f"n = {effect.units.candidate:,} of {effect.units.both:,}"
    assert tile.margin == "−27"
    assert [bar.label for bar in tile.bars] == ["to expand", "of harm"]
    assert [bar.of for bar in tile.bars] == ["of 20", "of 20"]
    assert tile.told is Told.NULL
    assert "Cannot be told from zero." in tile.rests
    assert all(bar.text.startswith("e ") for bar in tile.bars)


def test_the_newest_moment_of_a_tile_is_its_estimate():
    story = Story(rollout(metrics=(WANTED,)), rates=SAME).live(3)
    (tile,) = story.page().tiles
    evidence = story.seen().evidence
    assert evidence is not None
    effect = evidence.metrics[0].effect
    assert effect is not None
    assert tile.series[-1].effect == pytest.approx(100 * effect.effect, abs=1e-3)
    assert tile.series[-1].consumed == evidence.consumed
    assert [one.at for one in tile.series] == sorted(one.at for one in tile.series)


def test_the_margin_is_told_from_the_moment_each_stage_began():
    story = Story(rollout(metrics=(WANTED,)), rates=BETTER).until(RolloutState.SOAKING)
    (tile,) = story.page().tiles
    starts = stage_starts(story.seen().rollout, story.seen().decisions)
    assert [one.label for one in starts] == ["20 %", "50 %", "soak"]
    assert [margin for _, margin in tile.margins] == [-27.0, -17.0, -17.0]
    assert [at for at, _ in tile.margins] == [one.at for one in starts]


def test_a_signal_has_no_evidence_to_expand_and_never_waits():
    judged = metric("helpful", role=Role.SIGNAL, clock=Clock.JUDGED)
    story = Story(
        rollout(metrics=(WANTED, judged)), rates={"answered": (0.93, 0.93), "helpful": (0.8, 0.8)}
    ).live(1)
    _, tile = story.page().tiles
    assert (tile.role, tile.mark, tile.state) == ("signal, judged", "○", "signal")
    assert [bar.label for bar in tile.bars] == ["of harm"]
    assert not tile.waits


def test_a_metric_that_nobody_reports_is_not_measured_which_is_no_pass():
    silent = metric("silent", absence=Absence.VOID)
    story = Story(rollout(metrics=(WANTED, silent)), rates=SAME).live(1)
    _, tile = story.page().tiles
    assert (tile.estimate, tile.interval) == (None, "")
    assert (tile.mark, tile.state, tile.waits) == ("●", "not measured yet", True)
    assert "no estimate yet" in tile.summary


def test_told_from_zero_it_is_saturated():
    story = Story(rollout(metrics=(WANTED,)), rates={"answered": (0.5, 0.9)}).live(4)
    (tile,) = story.page().tiles
    assert tile.told is Told.CANDIDATE
    assert "Cannot be told from zero." not in tile.rests


def test_a_forecast_needs_some_looks():
    story = Story(rollout(metrics=(metric(margin=0.004, harm_margin=0.002),)), rates=SAME).live(1)
    assert ahead(story.seen()) is None
    found = ahead(story.live(6).seen())
    assert found is not None
    known = [one for one in (found.low, found.median, found.high) if one is not None]
    assert known == sorted(known)


# --- what differs, decisions, benchmark, words


def test_what_differs_names_all_six_layers_and_the_value():
    page = Story(rollout(), rates=SAME).live(1).page()
    assert [line.layer for line in page.differs] == [layer.value for layer in Layer]
    (moved_,) = [line for line in page.differs if line.candidate is not None]
    assert moved_.layer == "model"
    assert [(one.path, one.said) for one in moved_.values] == [("name", "old → new")]
    assert page.change == "old → new"


def test_a_long_text_is_shown_line_by_line_with_a_line_around():
    old = "\n".join(f"line {n}" for n in range(20))
    new = old.replace("line 10", "another line")
    assert lines(old, new) == (
        ("gap", ""),
        ("same", "line 9"),
        ("del", "line 10"),
        ("ins", "another line"),
        ("same", "line 11"),
    )
    many = lines("", "\n".join(str(n) for n in range(100)))
    assert len(many) == 61
    assert many[-1] == ("gap", "40 lines more")


def test_a_reworded_line_is_shortened_to_what_differs():
    one = ValueDiff(
        layer=Layer.PROMPT,
        path=("system",),
        old="You answer for a shop that sells tents. Be brief. Thank you.",
        new="You answer for a shop that sells tents. Name the number of days. Thank you.",
    )
    assert reworded(one) == "… Be brief. … → … Name the number of days. …"
    assert moved(Layer.PROMPT, [one]) == "system … Be brief. … → … Name the number of days. …"
    assert moved(Layer.PROMPT, []) == "nothing left to change"
    short = ValueDiff(layer=Layer.MODEL, path=("name",), old="a", new="b")
    assert moved(Layer.MODEL, [short]) == "a → b"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("paused at 5 %", "Paused at 5 %."),
        ("r-7 is held.", "r-7 is held."),
        ("c7f1 declared as stable", "c7f1 declared as stable."),
        ("`answered` fell", "Answered fell."),
        ("", ""),
    ],
)
def test_sentences_begin_with_a_capital_but_ids_stay_as_they_are(text, said):
    assert sentence(text) == said


@pytest.mark.parametrize(
    ("log_e", "said"), [(0.0, "e = 1.0"), (20.0, "e > 10⁶"), (-20.0, "e < 0.001"), (3.0, "e = 20")]
)
def test_evidence_is_never_naked(log_e, said):
    assert evalue(log_e) == said


def test_a_benchmark_is_told_metric_by_metric():
    def compared(verdict, effect, **changes):
        given = {
            "metric": "answered",
            "role": Role.GOAL,
            "margin": 0.03,
            "verdict": verdict,
            "because": "it is so",
            "effect": effect,
            "base": 0.9,
            "candidate": 0.8,
            "cases": 600,
            "unscored": 0,
            "errored": 0,
            "method": "m",
        }
        return Comparison(**(given | changes))

    made = Benchmark(
        id=BenchmarkId("bench-1"),
        app=rollout().app,
        base=Story(rollout(), rates=SAME).lineage.stable,
        candidate=Story(rollout(), rates=SAME).lineage.stable,
        eval_set=EvalSetId("main@2"),
        repetitions=3,
        trials=3_600,
        comparisons=(
            compared(Verdict.FAIL, Interval(estimate=-0.1, low=-0.2, high=-0.05)),
            compared(Verdict.INCONCLUSIVE, None, unscored=1, errored=2, cases_to_settle=900),
        ),
        clusters=(),
        regressed=(),
        verdict=Verdict.FAIL,
        cost_usd=1.2,
    )
    found = gate(made)
    assert found is not None
    assert (found.verdict, found.failed) == ("fail", True)
    assert found.said.startswith("main@2 × 3, 3,600 trials, 1.20 USD, ")
    first, second = found.rows
    assert (first.mark, first.estimate, first.interval) == ("■", "−10.0 points", "(−20.0 … −5.0)")
    assert (first.margin, first.n, first.rests) == ("−3", "n = 600", "Nothing was left out.")
    assert second.estimate is None
    assert second.rests == (
        "1 case without a value, left out; 2 trials errored, never a 0; about 900 cases would settle it."
    )
    assert gate(None) is None


@pytest.mark.parametrize("hours", [0.0, 0.6, 3.0, 40.0])
def test_the_twin_is_json_and_complete(hours):
    story = Story(rollout(metrics=(WANTED,)), rates=BETTER)
    if hours:
        story.live(hours)
    data = json.loads(json.dumps(content(story.page()), allow_nan=False))
    assert data["version"] == 1
    assert data["id"] == ONE == RolloutId("r-1")
    assert data["say"] == story.page().say
    assert len(data["tiles"]) == len(story.page().tiles)
