"""What a server counts: classes instead of sentences, and what the rounds of the drain add up to."""

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.app.loop.spooled import KEY, called, rated, root, spool
from tests.unit.app.loop.world import NOW, World

from inchworm.app.loop.awaiting import PATIENCE_S
from inchworm.app.loop.draining import Draining
from inchworm.app.serve.metrics import REASONS, ServerMetrics, reason_class
from inchworm.capture.spool import closed_segments
from inchworm.domain.ids import DecisionId, RolloutId
from inchworm.domain.rollout import Decision, DecisionKind, RolloutState


@pytest.fixture
def world(tmp_path):
    made = World.build(tmp_path / "shop")
    yield made
    made.house.close()


def values(metrics):
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("it does not begin like a segment", "damaged"),
        ("frame 3 does not open: it was damaged or changed, and 2 more like it", "damaged"),
        ("Its probability is 7.0; it lies in [0, 1].", "refused"),
        ("This is a fault in Inchworm, not in the record: KeyError.", "fault"),
        ("", "refused"),
    ],
)
def test_a_reason_has_a_class(reason, expected):
    assert reason_class(reason) == expected
    assert expected in REASONS


def test_every_class_is_told_before_anything_happened():
    seen = values(ServerMetrics())
    assert [seen["inchworm_records_quarantined_total", name] for name in REASONS] == [0.0] * len(REASONS)
    assert seen["inchworm_controller_decisions_total", "rollback"] == 0.0


def test_a_decision_is_counted_by_its_kind():
    metrics = ServerMetrics()
    made = Decision(
        id=DecisionId("r-1/2"),
        rollout_id=RolloutId("r-1"),
        parent=1,
        kind=DecisionKind.ROLLBACK,
        state=RolloutState.ROLLED_BACK,
        stage=0,
        weight=0.0,
        because="harm.",
        actor="inchworm",
        at=NOW,
    )
    metrics.ticked([made], 0.01, NOW)
    seen = values(metrics)
    assert seen["inchworm_controller_decisions_total", "rollback"] == 1.0
    assert seen["inchworm_controller_last_success_timestamp_seconds",] == NOW
    assert seen["inchworm_controller_tick_seconds_count",] == 1.0


def test_two_servers_in_one_process_count_apart():
    one, other = ServerMetrics(), ServerMetrics()
    one.answered("GET", "/x", 404)
    assert values(one)["inchworm_http_requests_total", "GET", "/x", "4xx"] == 1.0
    assert ("inchworm_http_requests_total", "GET", "/x", "4xx") not in values(other)


def test_what_the_drain_says_is_counted_and_every_reason_finds_its_class(world):
    metrics = ServerMetrics()
    draining = Draining(world.house, KEY)
    mail = called("2", request=b'{"messages": [{"role": "user", "content": "ann.example@mailhost.net"}]}')
    spool(world, called("1"), called("1"), mail, b"no record", called("3", app="another/production"))
    spool(world, rated("nobody", 1.0), gateway="second")
    spool(world, called("4"), gateway="third")
    (path,) = [path for path in closed_segments(root(world)) if path.parent.name == "third"]
    path.write_bytes(b"x" * len(path.read_bytes()))
    metrics.drained(draining.round(), 0.2)
    world.clock.at += PATIENCE_S
    metrics.drained(draining.round(), 0.1)
    metrics.drained(draining.round(), 0.1)
    draining.close()
    seen = values(metrics)
    quarantined = {name: seen["inchworm_records_quarantined_total", name] for name in REASONS}
    assert quarantined == {
        "damaged": 1.0,
        "no_interaction": 1.0,
        "unreadable": 1.0,
        "other_app": 1.0,
        "fault": 0.0,
        "refused": 0.0,
    }
    assert seen["inchworm_traces_stored_total",] == 2.0
    assert seen["inchworm_traces_duplicate_total",] == 1.0
    assert seen["inchworm_sanitize_findings_total", "EMAIL"] == 1.0
    assert seen["inchworm_segments_drained_total",] == 3.0
    assert seen["inchworm_drain_seconds_count",] == 1.0, "rounds with nothing to do say nothing"
