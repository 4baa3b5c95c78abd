"""A Langfuse server read in over a real socket: pages, scores, patience, and going on after kill -9."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from tests.integration.loop.langfuse_server import PUBLIC, SECRET, Server, observation, score
from tests.unit.app.loop.world import World

from inchworm.app.langfuse import importing
from inchworm.app.langfuse.server import TRIES, Langfuse
from inchworm.app.loop.intake import Drain
from inchworm.domain.errors import StoreError, UsageError

OBSERVATIONS, SCORES = "/api/public/v2/observations", "/api/public/v3/scores"


@pytest.fixture
def world(tmp_path):
    made = World.build(tmp_path / "shop")
    yield made
    made.house.close()


def lists(count: int = 8):
    child = observation(1, id="c" * 16, parentObservationId=f"{1:016x}", type="TOOL", input='"find"')
    return {
        OBSERVATIONS: [*(observation(number) for number in range(1, count + 1)), child],
        SCORES: [
            score(1, {"kind": "trace", "id": f"{1:032x}"}, 0.5),
            score(2, {"kind": "observation", "id": f"{2:016x}", "traceId": f"{2:032x}"}, True),
            score(3, {"kind": "session", "id": "session-2"}, 1.0),
            score(4, {"kind": "trace", "id": "f" * 32}, 1.0),
            score(5, {"kind": "experiment", "id": "run-1"}, 1.0),
            score(6, {"kind": "trace", "id": f"{3:032x}"}, 7.0),
        ],
    }


def take(world, server, waits=None, **more):
    asked = Langfuse(
        url=more.pop("url", server.url),
        public_key=PUBLIC,
        secret_key=more.pop("secret", SECRET),
        wait=(waits if waits is not None else []).append,
        now=world.house.now,
    )
    return importing.take(world.house, Drain(world.house), asked, **more)


def stored(world):
    return {trace.id: trace for batch in world.house.traces.iterate(world.house.app) for trace in batch}


def test_observations_become_interactions_and_scores_join_them(world):
    with Server(lists()) as server:
        said = take(world, server)
    assert (said["lines"], said["accepted"], said["new"], said["spans"]) == (15, 15, 8, 9)
    assert (said["scores"], said["scores_known"]) == (3, 0)
    assert sum(said["refused"].values()) == 3
    assert any("not stored" in reason for reason in said["refused"])
    found = stored(world)
    one = found[f"{1:032x}"]
    assert one.inputs == {"messages": [{"role": "user", "content": "Where is parcel 1 of EMAIL_1?"}]}
    assert (one.output, one.unit_id, one.latency_ms) == ("On its way.", "session-0", 500.0)
    assert (one.usage.input_tokens, one.usage.output_tokens, one.usage.cost_usd) == (12, 3, 0.001)
    assert one.attributes.get("inchworm.incomplete") is None
    assert one.attributes["inchworm.spans"] == 2
    helpful = {
        id_[-1]: score.result.value
        for id_, trace in found.items()
        for score in trace.scores
        if score.metric == "helpful"
    }
    assert helpful == {"1": 0.5, "2": 1.0, "5": 1.0}


def test_read_again_it_adds_nothing_and_says_so(world):
    with Server(lists()) as server:
        take(world, server, until=world.house.now())
        before = stored(world)
        again = take(world, server, until=world.house.now())
    assert (again["new"], again["spans"], again["spans_known"]) == (0, 0, 9)
    assert (again["scores"], again["scores_known"], again["resumed"]) == (0, 3, 0)
    assert stored(world) == before


def test_a_busy_server_is_asked_again_when_it_says_so(world):
    waits: list[float] = []
    busy = [(429, {"Retry-After": "7"}), (503, {}), (500, {"Retry-After": "9999"})]
    with Server(lists(), first=busy) as server:
        said = take(world, server, waits)
    assert waits == [7.0, 2.0, 120.0]
    assert said["new"] == 8


def test_patience_ends_and_what_was_read_stays(world):
    with Server(lists(), size=2) as server:
        waits: list[float] = []
        real, answered = server.answer, []

        def fail_later(handler):
            answered.append(handler.path)
            if len(answered) > 2:
                server.say(handler, 502, {})
            else:
                real(handler)

        server.answer = fail_later
        with pytest.raises(StoreError, match=f"asked {TRIES} times, and it answered 502"):
            take(world, server, waits)
        assert len(waits) == TRIES - 1
        assert len(stored(world)) == 4
        server.answer = real
        server.asked.clear()
        said = take(world, server)
    assert server.asked[0][1]["cursor"] == "c2", "it goes on from the page that failed"
    assert (said["resumed"], said["new"], said["lines"]) == (4, 8, 15)


def test_keys_that_are_not_taken_are_said_at_once(world):
    with Server(lists()) as server, pytest.raises(UsageError, match="does not take the keys"):
        take(world, server, secret="sk-wrong")
    assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:3000", "http://u:p@127.0.0.1"])
def test_only_addresses_of_the_web_are_asked(world, url):
    with Server({}) as server, pytest.raises(UsageError, match="no address"):
        take(world, server, url=url)
    assert server.asked == []


def test_an_older_server_is_read_by_its_older_lists(world):
    older = {
        "/api/public/traces": [
            {
                "id": f"{1:032x}",
                "timestamp": "2026-09-20T10:00:00Z",
                "name": "shop",
                "sessionId": "session-9",
                "input": {"question": "Is it here?"},
                "output": "Yes.",
            }
        ],
        "/api/public/observations": [observation(1, sessionId=None, userId=None)],
        "/api/public/v2/scores": [
            {
                "id": "old-1",
                "name": "helpful",
                "value": 0.25,
                "dataType": "NUMERIC",
                "source": "ANNOTATION",
                "traceId": f"{1:032x}",
                "timestamp": "2026-09-21T08:00:00Z",
            }
        ],
    }
    with Server(older) as server:
        said = take(world, server)
    assert (said["new"], said["spans"], said["scores"]) == (1, 2, 1)
    (one,) = stored(world).values()
    assert (one.unit_id, one.inputs["question"], one.output) == ("session-9", "Is it here?", "Yes.")


def test_since_and_until_are_asked_of_the_server(world):
    with Server(lists()) as server:
        take(world, server, since=1_790_000_000.0, until=1_790_003_600.0)
    asked = dict(server.asked)
    assert asked[OBSERVATIONS]["fromStartTime"] == "2026-09-21T14:13:20.000Z"
    assert asked[OBSERVATIONS]["toStartTime"] == "2026-09-21T15:13:20.000Z"
    assert asked[SCORES]["fromTimestamp"] == "2026-09-21T14:13:20.000Z"


@contextmanager
def command(folder, url):
    words = [sys.executable, "-m", "inchworm.app.cli", "-f", str(folder / "inchworm.yaml"), "import"]
    environment = {**os.environ, "LANGFUSE_PUBLIC_KEY": PUBLIC, "LANGFUSE_SECRET_KEY": SECRET}
    process = subprocess.Popen(
        [*words, "langfuse", "--url", url, "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_killed_between_pages_it_goes_on_where_it_was(tmp_path):
    world = World.build(tmp_path / "shop")
    world.house.close()
    with Server(lists(), size=2, blocked=(OBSERVATIONS, 3)) as server:
        with command(world.folder, server.url) as process:
            assert server.waits.wait(60), process.stderr.read()
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        server.released.set()
        server.asked.clear()
        with command(world.folder, server.url) as process:
            out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    (said,) = json.loads(out)["files"]
    assert server.asked[0][1]["cursor"] == "c3"
    assert (said["resumed"], said["lines"], said["new"], said["duplicate"]) == (6, 15, 8, 0)
    assert err == b"", "with --json nothing is said beside it"
    world.reopen()
    assert len(stored(world)) == 8
    world.house.close()
