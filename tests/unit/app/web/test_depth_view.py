"""The page of a rollout beyond units of one population: clusters that were named, permits, late arrivals."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from tests.unit.app.web.story import BETTER, SAME, Story
from tests.unit.rollout.world import HOUR, metric, policy, rollout

from inchworm.app.web.svg_clusters import clusters
from inchworm.app.web.views.acts import offers
from inchworm.app.web.views.clustered import LOWEST
from inchworm.app.web.views.units import mirrored_said
from inchworm.app.web.views.words import Told, coming
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import (
    Approval,
    Approvals,
    LossBudget,
    RolloutState,
    Stage,
    StageKind,
    WatchedCluster,
)
from inchworm.domain.shadow import ShadowSpent
from inchworm.domain.verdict import Verdict
from inchworm.rollout.evidence.counts import Crossing, InCluster, Pair
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import empty
from inchworm.rollout.monitor.parts import ClusterState
from inchworm.rollout.permits import Budget, Permits

WANTED = metric(margin=0.1)
TOPICS = ("refunds", "delivery", "sizes", "vouchers", "returns", "gifts", "stock", "prices")


def clustered(named=()):
    """A rollout whose eight clusters have seen both arms; the first one lost most."""
    watched = tuple(WatchedCluster(id=f"k{n}", name=name, share=0.1) for n, name in enumerate(TOPICS))
    story = Story(rollout(metrics=(WANTED,)), rates=SAME).live(1)
    seen = story.seen()
    assert seen.state is not None
    subject = replace(seen.rollout, clusters=watched)
    blank = empty(subject).clusters
    states = tuple(
        ClusterState(
            id=one.id,
            units=Pair(baseline=80, candidate=20),
            metrics=(
                replace(
                    blank[n].metrics[0],
                    units=(Pair(baseline=80, candidate=20), Pair(), Pair()),
                    total=((76.0, 10.0 + n), (0.0, 0.0), (0.0, 0.0)),
                ),
            ),
        )
        for n, one in enumerate(watched)
    )
    clocks = {
        clock: replace(
            one,
            harm=Crossing(
                unit=90,
                candidate=20,
                log_e=5.0,
                culprits=(),
                leading="answered",
                in_clusters=tuple(InCluster(metric="answered", cluster=name) for name in named),
            )
            if named
            else None,
        )
        for clock, one in seen.state.clocks.items()
    }
    state = replace(seen.state, clusters=states, clocks=clocks)
    return story.page(rollout=subject, state=state, evidence=snapshot(subject, state))


def test_the_lowest_clusters_are_drawn_alone_and_the_others_together():
    (tile,) = clustered().clusters
    assert [dot.name for dot in tile.dots] == [*TOPICS[:LOWEST], "other, 3"]
    assert tile.dots[0].effect == pytest.approx(100 * (10 / 20 - 76 / 80))
    assert tile.dots[-1].n == "60 of 300"
    assert (tile.found, tile.of, tile.state) == ("none named", "of 8 clusters", "watched")
    assert tile.href == "/traces?rollout=r-1&arm=candidate&topic=refunds"
    assert tile.bar.text.startswith("Σ = ")
    drawn = ET.fromstring(str(clusters(tile)))  # noqa: S314  # our own markup
    assert drawn.get("aria-label") == tile.summary
    assert len([one for one in drawn.iter() if one.get("class", "").startswith("iv")]) == LOWEST + 1


def test_a_cluster_that_was_named_is_marked_and_its_metric_as_a_whole_is_not():
    page = clustered(named=("k1",))
    (whole,), (tile,) = page.tiles, page.clusters
    assert not whole.harmed
    assert (tile.mark, tile.state, tile.found) == ("■", "harmed", "delivery")
    assert (tile.dots[0].name, tile.dots[0].told) == ("delivery", Told.HARM)
    assert tile.bar.passed
    assert "delivery harmed, −40.0" in tile.summary
    assert "■ delivery" in str(clusters(tile))


def test_without_clusters_there_is_no_tile_for_them():
    assert Story(rollout(metrics=(WANTED,)), rates=SAME).live(1).page().clusters == ()


def awaited(**changes):
    rule = Approvals(count=2, by=("ana", "ben", "carla"), before=(1, 2))
    return Story(
        rollout(metrics=(WANTED,), policy=policy(approvals=rule, **changes), author="ana"), rates=SAME
    ).live(1)


@pytest.mark.parametrize(
    ("who", "blocked"),
    [
        (None, ""),
        ("ben", "ben has approved 50 % already. It is awaited from carla."),
        ("carla", ""),
        ("ana", "ana applied r-1, and one’s own word does not count. It is awaited from carla."),
        ("eve", "eve is not among those who may approve r-1. It is awaited from carla."),
    ],
)
def test_a_word_is_asked_of_those_whose_word_counts(who, blocked):
    story = awaited()
    said = Approval(rollout_id=story.seen().rollout.id, stage=1, actor="ben", at=story.now)
    seen = story.seen(permits=Permits(approvals=(said,)))
    first = offers(seen, story.lineage, who)[0]
    assert (first.act, first.label, first.blocked) == ("approve", "Approve 50 %", blocked)
    assert first.style == ("" if blocked else "go")


def test_every_rung_ahead_can_be_chosen_and_says_what_is_in_its_way():
    story = awaited()
    said = [
        Approval(rollout_id=story.seen().rollout.id, stage=1, actor=name, at=story.now)
        for name in ("ben", "carla")
    ]
    page = story.page(permits=Permits(approvals=tuple(said)))
    (promote,) = [offer for offer in page.acts if offer.act == "promote"]
    assert [choice.to for choice in promote.choices] == ["2", "soak", "stable"]
    assert [bool(choice.blocked) for choice in promote.choices] == [False, True, True]
    assert "approvals for the soak" in promote.choices[1].blocked
    assert promote.choices[2].does.endswith("past 50 % and the soak.")
    assert promote.choices[2].undo == "Undo: inchworm rollout undo r-1."
    assert dict(page.facts)["awaited"] == "2 for the soak from ben or carla"


def test_in_a_freeze_the_next_rung_says_until_when():
    story = Story(rollout(metrics=(WANTED,)), rates=SAME).live(1)
    until = story.now + 2 * HOUR
    page = story.page(permits=Permits(frozen="the freeze of the fair", frozen_until=until))
    lines = {rung.name: rung.lines for rung in page.ladder.rungs}
    assert lines["50 %"][-1] == f"freeze until {coming(until, story.now)}"
    assert all("freeze" not in line for name in ("20 %", "90 %") for line in lines[name])
    assert "nothing grows in the freeze of the fair" in page.ladder.needs
    (promote,) = [offer for offer in page.acts if offer.act == "promote"]
    assert promote.blocked.startswith("r-1 cannot be promoted: nothing grows in the freeze of the fair.")


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (None, "which it starts from: nothing was lost before"),
        ({}, ": not measured yet"),
        ({"verdict": Verdict.PASS, "because": "answered −0.2 points"}, ": kept: Answered −0.2 points."),
        ({"verdict": Verdict.FAIL, "because": "it lost 4"}, ": ■ spent: It lost 4."),
    ],
)
def test_the_loss_budget_says_where_it_stands(budget, said):
    limits = LossBudget(margin=0.03, per_s=90 * 86_400.0)
    anchor = ConfigurationId("a" * 64)
    story = Story(rollout(metrics=(WANTED,), policy=policy(loss_budget=limits)), rates=SAME).live(1)
    seen = story.seen()
    told = None if budget is None else Budget(anchor=anchor, since=0.0, **budget)
    page = story.page(rollout=replace(seen.rollout, anchor=anchor), permits=Permits(anchor=told))
    found = dict(page.facts)["loss budget"]
    assert found.startswith("3.0 points per 90 days against ")
    assert found.endswith(said)


def test_a_joint_step_names_all_its_layers():
    story = Story(rollout(metrics=(WANTED,), joint={Layer.PROMPT: {"system": "hi"}}), rates=SAME)
    page = story.page()
    assert page.layers == ("model", "prompt")
    assert page.acts[0].act == "approve", "somebody else has to agree to two layers at once"


def test_rungs_that_a_jump_went_past_say_so():
    story = Story(rollout(metrics=(WANTED,)), rates=BETTER).live(0.6)
    done = story.jump("soak")
    assert done.seen().rollout.state is RolloutState.SOAKING
    lines = {rung.name: rung.lines for rung in done.page().ladder.rungs}
    assert lines["50 %"][0] == "passed over"
    assert lines["20 %"][0] != "passed over"


def test_what_came_late_and_what_is_judged_is_said():
    story = Story(rollout(metrics=(WANTED,), policy=policy(holdout=0.02)), rates=SAME).live(1)
    seen = story.seen()
    assert seen.evidence is not None
    late = tuple(replace(one, late=Pair(baseline=3, candidate=1)) for one in seen.evidence.clocks)
    facts = dict(story.page(evidence=replace(seen.evidence, clocks=late)).exposures.facts)
    assert facts["late"] == "4 interactions behind the watermark (3 · 1), in no evidence"
    assert facts["holdout"] == "2 % of the sessions, exposed to no rollout"
    assert "judged" not in facts


@pytest.mark.parametrize(
    ("spent", "said"),
    [
        (
            ShadowSpent(calls=3),
            "3 of at most 500 calls, cost not known yet, of 5.00 USD; nobody saw an answer",
        ),
        (
            ShadowSpent(calls=40, priced=30, unpriced=10, usd=0.3),
            "40 of at most 500 calls, about 0.40 USD of 5.00 USD; nobody saw an answer",
        ),
    ],
)
def test_what_was_mirrored_is_said_with_its_budget(spent, said):
    stage = Stage(
        weight=0.2,
        min_units=1,
        min_bake_s=1.0,
        max_bake_s=2.0,
        margin_factor=1.0,
        kind=StageKind.SHADOW,
        max_calls=500,
        budget_usd=5.0,
    )
    assert mirrored_said(stage, spent) == said
