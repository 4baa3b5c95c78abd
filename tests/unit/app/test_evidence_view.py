"""Evidence by parts, as a terminal shows it."""

from dataclasses import replace

from tests.unit.rollout.test_clusters import WATCHING, within
from tests.unit.rollout.test_shadow_evidence import MIRRORING, PAIRS
from tests.unit.rollout.world import draw, exposing, metric

from inchworm.app.cli.evidence_view import parts
from inchworm.rollout import wording
from inchworm.rollout.evidence import Crossing, InCluster, Pair
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import consume, consume_pairs, empty


def test_evidence_without_parts_shows_none():
    one = exposing()
    found = snapshot(one, consume(one, empty(one), draw(1, 50, rates={"answered": (0.9, 0.9)})))
    assert parts(found) == []


def test_clusters_are_shown_with_what_each_lost():
    found = snapshot(WATCHING, consume(WATCHING, empty(WATCHING), within(2, 800, broken="refunds")))
    text = "\n".join(parts(found))
    rows = [line.split() for line in parts(found) if line.split()]
    assert "in cluster" in text
    (refunds,) = [row for row in rows if row[0] == "refunds"]
    assert refunds[2] == "answered"
    assert float(refunds[3].replace("−", "-")) < -80
    # Three goals and guardrails in each of three clusters; a signal has no part in it.
    assert sum(name in row for row in rows for name in ("answered", "polite", "helpful")) == 9
    assert "void" not in text


def test_pairs_are_shown_with_their_line():
    found = snapshot(MIRRORING, consume_pairs(MIRRORING, empty(MIRRORING), PAIRS))
    lines = parts(found)
    assert lines[1].startswith("Mirrored: 343 pairs, seen by nobody; evidence of harm ")
    assert any(line.split()[:1] == ["helpful"] for line in lines if line.strip())


def test_segments_and_what_came_late_are_said():
    one = exposing(metrics=(metric(),))
    units = draw(1, 400, rates={"answered": (0.9, 0.9)})
    state = consume(one, empty(one), units, changes=((200.0, "the index was rebuilt."),))
    found = snapshot(one, state)
    (clock,) = found.clocks
    found = replace(found, clocks=(replace(clock, late=Pair(baseline=3, candidate=1)),))
    text = " ".join(" ".join(parts(found)).split())
    assert "From the start: answered " in text
    assert "(the index was rebuilt): answered " in text
    assert "4 outcomes of the fast clock came too late (1 of the candidate's units, 3 of" in text


def test_who_is_named_in_short():
    plain = Crossing(unit=9, candidate=3, log_e=4.0, culprits=("answered",), leading="answered")
    assert wording.named(plain) == "answered"
    inside = replace(plain, in_clusters=(InCluster(metric="helpful", cluster="refunds"),))
    assert wording.named(inside) == "answered and helpful in refunds"
    nobody = replace(plain, culprits=(), leading_cluster="refunds")
    assert wording.named(nobody) == "answered in refunds"
