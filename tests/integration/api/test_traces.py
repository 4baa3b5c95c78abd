"""Interactions over the API: every filter, spans, and what arrives."""

import json
import threading
import time

import pytest
from tests.unit.app.cli.test_traces import spans_of

from inchworm.capture.telemetry import fold
from inchworm.domain.unitkind import UnitKind


def tell(api):
    """One interaction of five spans comes in."""
    house = api.state.house
    spans = spans_of(house.app)
    house.traces.put_spans(spans)
    house.traces.put_traces([fold(spans, unit=UnitKind.SESSION)])
    api.state.pulse.beat()


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("kind=tool", 1),
        ("kind=retriever", 0),
        ("span=find_order", 1),
        ("model=m-1", 1),
        ("incomplete=true", 1),
        ("incomplete=false", 400),
        ("slower=3s", 1),
        ("unit=agent-1", 1),
        ("attribute=inchworm.name%3Dsupport", 1),
        ("scored=false", 1),
        ("scored=true&not_ok=true", 0),
        ("between=answered%3D0..1", 400),
        ("call=none", 0),
        ("source=none", 0),
        ("finish=none", 0),
    ],
)
def test_every_filter_filters_and_facets_count_the_same(telling, query, total):
    assert telling.get(f"/traces?limit=1&{query}")["total"] == total
    assert telling.get(f"/traces/facets?{query}")["total"] == total


@pytest.fixture(scope="module")
def telling(looking):
    """The shop that is looked at, with one interaction of spans."""
    tell(looking)
    return looking


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("slower=soon", "2s or 800ms"),
        ("between=answered", "METRIC=LOW..HIGH"),
        ("attribute=region", "NAME=VALUE"),
        ("kind=guess", "retriever"),
    ],
)
def test_what_is_no_filter_is_refused_with_what_it_may_be(telling, query, said):
    answer = telling("GET", f"/api/v1/traces?{query}")
    assert answer.status in {400, 422}
    assert said in answer.error["message"]


def test_an_interaction_comes_with_its_spans(telling):
    whole = telling.get("/traces/agent-1")["trace"]
    spans = telling.get("/traces/agent-1/spans")["spans"]
    assert whole["spans"] == spans
    assert [(one["id"], one["parent"]) for one in spans] == [
        ("ask", "root"),
        ("root", None),
        ("look", "ask"),
        ("mail", "root"),
        ("lost", "nobody"),
    ]
    assert spans[2]["inputs"] == {"order": "ORDER_1"}
    one = telling.get("/traces?limit=1&scored=true")["traces"][0]["id"]
    assert telling.get(f"/traces/{one}/spans")["spans"] == []
    assert telling("GET", "/api/v1/traces/nobody/spans").error["code"] == "not_found"


def test_what_arrives_is_told_once_and_only_what_passes(api):
    began = api.get("/traces/follow")
    assert began["traces"] == []
    assert api.get(f"/traces/follow?after={began['after']}")["traces"] == []
    tell(api)
    came = api.get(f"/traces/follow?after={began['after']}&kind=tool")
    assert [one["id"] for one in came["traces"]] == ["agent-1"]
    assert api.get(f"/traces/follow?after={came['after']}")["traces"] == []
    assert api.get(f"/traces/follow?after={began['after']}&kind=retriever") == came | {"traces": []}
    assert api("GET", "/api/v1/traces/follow?after=-1").status == 422
    assert api("GET", "/api/v1/traces/follow?after=0&wait_s=31").status == 422


def test_a_request_that_waits_is_answered_when_something_arrives(api):
    after = api.get("/traces/follow")["after"]
    found = []
    asking = threading.Thread(
        target=lambda: found.append(api.get(f"/traces/follow?after={after}&wait_s=30")), daemon=True
    )
    asking.start()
    while not api.state.pulse._waiting:
        time.sleep(0.01)
    tell(api)
    asking.join(20)
    assert [one["id"] for one in found[0]["traces"]] == ["agent-1"]


def test_the_command_follows_what_a_server_takes_in(served, tmp_path):
    """As a process of its own: its lines come at once, and Ctrl-C ends it."""
    import signal
    import subprocess
    import sys

    api, cli = served
    command = [sys.executable, "-m", "inchworm.app.cli", "-f", str(cli.folder / "inchworm.yaml")]
    with subprocess.Popen(
        [*command, "traces", "--follow", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as running:
        assert running.stderr is not None
        assert running.stdout is not None
        assert "Ctrl-C" in running.stderr.readline()
        tell(api)
        assert json.loads(running.stdout.readline())["id"] == "agent-1"
        running.send_signal(signal.SIGINT)
        try:
            assert running.wait(20) == 130
        finally:
            running.kill()
        assert running.stderr.read() == ""
