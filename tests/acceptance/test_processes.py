"""Several processes at one data directory, readers that go away, and Ctrl-C."""

import json
import signal
import time

import pytest
from tests.unit.app.cli import small_shop

pytestmark = pytest.mark.slow

# Of a shop with 200 interactions nothing is decided in time.
ANYHOW = ("--undecided-because", "a test")


@pytest.fixture
def shop(inchworm, tmp_path):
    """A shop with something stable and 200 interactions."""
    small_shop.open_shop(tmp_path)
    inchworm("import", small_shop.write_traces(tmp_path, count=200, now=time.time()).name)
    inchworm("adopt")
    return inchworm


def test_of_two_applies_at_once_one_starts_and_the_other_is_queued(shop, tmp_path):
    plans = []
    for moved in ({"documents": 2}, {"system": small_shop.BETTER}):
        (tmp_path / "inchworm.yaml").write_text(small_shop.yaml(**moved))
        plans.append(json.loads(shop("plan", "--json"))["plan"]["id"])

    processes = [shop.start("apply", plan, *ANYHOW) for plan in plans]
    ended = [process.communicate() for process in processes]

    assert [process.returncode for process in processes] == [0, 0], ended
    said = [" ".join(stdout.split()) for stdout, _ in ended]
    assert sum("is benchmarking: started on stable" in text for text in said) == 1, said
    assert sum("is queued behind r-" in text for text in said) == 1, said
    assert all("Undo: inchworm rollout abort r-" in text for text in said)
    states = sorted(one["state"] for one in json.loads(shop("rollout", "ls", "--json"))["rollouts"])
    assert states == ["benchmarking", "queued"]


def test_the_same_plan_is_applied_once_by_two_processes(shop, tmp_path):
    (tmp_path / "inchworm.yaml").write_text(small_shop.yaml(documents=2))
    plan = json.loads(shop("plan", "--json"))["plan"]["id"]
    processes = [shop.start("apply", plan, *ANYHOW) for _ in range(2)]
    ended = [process.communicate() for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2], ended
    assert len(json.loads(shop("rollout", "ls", "--json"))["rollouts"]) == 1


def test_a_reader_that_goes_away_is_no_error(shop):
    process = shop.start("traces", "--limit", "200", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert said == ""
    assert process.returncode == 141


def test_ctrl_c_leaves_the_rollout_as_it_is(shop, tmp_path):
    (tmp_path / "inchworm.yaml").write_text(small_shop.yaml(documents=2, extra="  gate: false\n"))
    shop("apply", json.loads(shop("plan", "--json"))["plan"]["id"], *ANYHOW)
    process = shop.start("rollout", "watch", "--interval", "60")
    assert process.stdout is not None
    while "exposing" not in process.stdout.readline():  # until the first round is told
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stays as it is" in stderr
    assert "Traceback" not in stderr
    assert json.loads(shop("rollout", "show", "r-1", "--json"))["rollout"]["state"] == "exposing"
