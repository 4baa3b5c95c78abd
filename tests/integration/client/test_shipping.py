"""What is recorded arrives, and what cannot is counted; nothing is raised into the host program."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.client.stub import published, until

from inchworm.capture.client.shipping import Bounds, _seconds

ROOT = Path(__file__).resolve().parents[3]


def record(client, number, **inputs):
    with client.trace("shop", unit=f"u-{number}", inputs=inputs) as t:
        t.output(str(number))
    return t.id


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("inchworm.capture.client.shipping._LINGER_S", 0.01)
    monkeypatch.setattr("inchworm.capture.client.shipping._FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("inchworm.capture.client.shipping._LONGEST_WAIT_S", 0.02)


def test_everything_arrives_once_and_in_order(stub, client):
    gateway = stub(published())
    one = client(gateway.url)
    ids = [record(one, number) for number in range(1_200)]
    assert one.flush(10)
    assert [line["id"] for line in gateway.of("trace")] == ids
    assert max(gateway.batches) <= 500
    counts = one.counts()
    assert (counts.shipped, counts.waiting, counts.dropped, counts.refused) == (1_200, 0, 0, 0)


def test_an_exposure_goes_before_the_interaction_that_belongs_to_it(stub, client):
    gateway = stub(published(weight=0.5))
    one = client(gateway.url)
    gateway.gate.clear()  # all of it queues up behind the first batch
    for number in range(700):
        with one.trace("shop", unit=f"u-{number}"):
            one.resolve("shop", f"u-{number}")
    gateway.gate.set()
    gateway.wait_for_lines(1_400)
    exposed = set()
    for line in gateway.lines:
        if "exposed" in line:
            exposed.add(line["exposed"]["unit"])
        else:
            assert line["trace"]["unit"] in exposed


def test_a_gateway_that_is_killed_and_comes_back_gets_all_of_it(stub, client):
    gateway = stub(published())
    one = client(gateway.url)
    record(one, 0)
    gateway.wait_for_lines(1)
    gateway.kill()
    for number in range(1, 50):
        record(one, number)
    until(lambda: one.counts().retries > 0)
    gateway.start()
    gateway.wait_for_lines(50)
    assert [line["output"] for line in gateway.of("trace")] == [str(number) for number in range(50)]


@pytest.mark.parametrize("status", [429, 503, 500, 408])
def test_what_is_put_off_is_sent_again(stub, client, status):
    gateway = stub(published())
    gateway.answers = [(status, {"Retry-After": "0.01"})] * 2
    one = client(gateway.url)
    record(one, 0)
    gateway.wait_for_lines(1)
    until(lambda: one.counts().waiting == 0)
    assert (one.counts().retries, one.counts().shipped) == (2, 1)


def test_a_gateway_that_asks_for_time_gets_it(stub, client):
    gateway = stub(published())
    gateway.answers = [(429, {"Retry-After": "3600"})]
    one = client(gateway.url)
    record(one, 0)
    until(lambda: gateway.batches == [1])
    assert not one.flush(0.2)  # it would have been sent ten times by now
    assert gateway.batches == [1]
    assert one.counts().waiting == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("", None), ("2", 2.0), ("0.5", 0.5), ("1e9", None), ("99999", 60.0), ("²", None),
     ("Wed, 21 Oct 2026 07:28:00 GMT", None), (".", None)],
)  # fmt: skip
def test_how_long_a_gateway_may_ask_for(value, seconds):
    assert _seconds(value) == seconds


def test_a_line_that_the_gateway_cannot_read_costs_only_itself(stub, client):
    gateway = stub(published())
    gateway.poison = b"poison"
    gateway.gate.clear()
    one = client(gateway.url)
    for number in range(100):
        record(one, number, question="poison" if number == 37 else "fine")
    gateway.gate.set()
    assert one.flush(10)
    assert {line["output"] for line in gateway.of("trace")} == {str(n) for n in range(100) if n != 37}
    assert (one.counts().refused, one.counts().shipped) == (1, 99)


def test_what_the_gateway_does_not_take_at_all_is_counted_and_not_sent_again(stub, client):
    gateway = stub(published())
    gateway.answers = [(404, {})]
    one = client(gateway.url)
    record(one, 0)
    assert one.flush(10)
    assert (one.counts().refused, one.counts().retries) == (1, 0)


def test_memory_is_bounded_the_oldest_goes_and_is_counted(stub, client):
    gateway = stub(published())
    gateway.kill()
    one = client(gateway.url, bounds=Bounds(lines=20, bytes=1 << 20, exposures=5))
    for number in range(100):
        record(one, number)
    counts = one.counts()
    assert counts.waiting + counts.dropped == 100
    assert counts.dropped >= 59  # 20 wait, and at most 20 are in the batch that is being sent
    gateway.start()
    assert one.flush(10)
    outputs = [line["output"] for line in gateway.of("trace")]
    assert outputs[-20:] == [str(number) for number in range(80, 100)]


def test_memory_is_bounded_in_bytes_too(stub, client):
    gateway = stub(published())
    gateway.gate.clear()
    one = client(gateway.url, bounds=Bounds(bytes=200_000))
    for number in range(50):
        record(one, number, question="x" * 20_000)
    assert one._shipper._bytes <= 200_000
    assert one.counts().dropped >= 30
    record(one, 50, question="x" * 300_000)  # never fits
    gateway.gate.set()
    assert one.flush(10)
    assert "50" not in {line["output"] for line in gateway.of("trace")}


def test_a_slow_gateway_does_not_slow_the_program(stub, client):
    gateway = stub(published())
    gateway.gate.clear()
    one = client(gateway.url)
    for number in range(1_000):
        record(one, number)  # with a gateway that answers nothing at all, this comes to its end
    assert one.counts().waiting == 1_000
    assert not one.flush(0.01)
    gateway.gate.set()
    assert one.flush(10)


def test_after_its_end_a_client_counts_what_it_does_not_take(stub, client):
    gateway = stub(published())
    one = client(gateway.url)
    record(one, 0)
    one.close()
    assert len(gateway.of("trace")) == 1
    record(one, 1)
    one.close()
    assert (one.counts().shipped, one.counts().dropped) == (1, 1)


def test_a_gateway_that_never_answers_does_not_keep_the_program_from_ending(stub, client):
    gateway = stub(published())
    gateway.gate.clear()
    one = client(gateway.url)
    record(one, 0)
    one.close(0.05)
    until(lambda: one.counts().dropped == 1)
    assert not one._shipper._thread.is_alive()


def run(script, url):
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")}
    env |= {"INCHWORM_URL": url, "INCHWORM_APP": "shop"}
    # From Python 3.12 on a fork beside threads is warned of; that it works all the same is what is tested.
    command = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", script]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_program_that_ends_ships_what_it_recorded(stub):
    gateway = stub(published(weight=0.5))
    done = run(
        """
import inchworm
for number in range(300):
    with inchworm.trace(unit=f"u-{number}", inputs={"question": "q"}) as t:
        inchworm.resolve(unit=f"u-{number}")
        t.output("a")
    inchworm.feedback(t, "helpful", 1)
""",
        gateway.url,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(gateway.of("trace")) == 300
    assert len(gateway.of("exposed")) == 300
    assert [line["trace"] for line in gateway.of("score")] == [line["id"] for line in gateway.of("trace")]


def test_a_program_that_ends_in_an_error_ships_that_too(stub):
    gateway = stub(published())
    done = run("import inchworm\nwith inchworm.trace(unit='u'):\n    raise ValueError('no')", gateway.url)
    assert "ValueError: no" in done.stderr
    assert gateway.of("trace")[0]["outcome"] == {"is": "errored", "reason": "ValueError: no"}


def test_a_program_without_a_gateway_ends_in_silence():
    done = run(
        "import inchworm\ninchworm.configure('http://127.0.0.1:9', app='shop')\n"
        "with inchworm.trace(unit='u') as t: t.output('a')\nprint('done')",
        "http://127.0.0.1:9",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_killed_program_loses_only_what_it_had_not_shipped(stub):
    gateway = stub(published())
    done = run(
        """
import inchworm, os, signal
with inchworm.trace(unit="u") as t: t.output("a")
assert inchworm.flush()
os.kill(os.getpid(), signal.SIGKILL)
""",
        gateway.url,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(gateway.of("trace")) == 1


FORK = """
import inchworm, os, sys, threading
inchworm.resolve(unit="before")
with inchworm.trace(unit="parent-1") as t: t.output("a")   # waits in the queue, or is on its way
pid = os.fork()
if pid == 0:
    got = inchworm.resolve(unit="child")
    assert got.arm == "candidate", got
    assert inchworm.resolve(unit="before").arm == "candidate"
    with inchworm.trace(unit="child-1") as t: t.output("a")
    assert inchworm.flush()
    names = {one.name for one in threading.enumerate()}
    assert {"inchworm-watch", "inchworm-ship"} <= names, names
    os._exit(0)
_, status = os.waitpid(pid, 0)
with inchworm.trace(unit="parent-2") as t: t.output("a")
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_after_a_fork_parent_and_child_both_go_on_and_nothing_is_shipped_twice(stub):
    gateway = stub(published(weight=1.0))
    done = run(FORK, gateway.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(line["unit"] for line in gateway.of("trace")) == ["child-1", "parent-1", "parent-2"]
    assert sorted(line["unit"] for line in gateway.of("exposed")) == ["before", "child"]
