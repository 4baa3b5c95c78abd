"""Forgetting, retention and quarantine over HTTP, and by the commands while a server runs."""

from dataclasses import replace

import pytest

from inchworm.app.config.retention import Retention
from inchworm.app.loop.draining import Draining
from inchworm.app.loop.forgetting import Forgetter
from inchworm.capture.keyfile import master_key
from inchworm.capture.places import SPOOL
from inchworm.capture.spool import quarantine_records, quarantined
from inchworm.domain.keys import Purpose, derive


@pytest.fixture
def work_off(api):
    """What the server does between two rounds of its drain."""
    house = api.state.house

    def act():
        draining = Draining(house, derive(master_key(house.spec.data), Purpose.SPOOL))
        try:
            draining.round()
            return Forgetter(house, renew=draining.renew, waiting=draining.waiting).round()
        finally:
            draining.close()

    return act


def refuse(api, *records, reason="It is of another app."):
    house = api.state.house
    key = derive(master_key(house.spec.data), Purpose.SPOOL)
    quarantine_records(house.spec.data / SPOOL, key, records, reason=reason, at=house.now())


def test_a_unit_is_forgotten(api, work_off):
    house = api.state.house
    unit = next(one.unit_id for batch in house.traces.iterate(house.app) for one in batch)
    count = house.traces.count(house.app)
    asked = api.post("/forgettings", {"units": [unit]}, status=202)["forgetting"]
    assert asked["state"] == "asked"
    assert unit not in str(asked)
    assert api.woken
    work_off()
    done = api.get(f"/forgettings/{asked['id']}")["forgetting"]
    assert done["state"] == "done"
    assert done["counts"]["traces"] == count - house.traces.count(house.app) > 0
    assert [one["id"] for one in api.get("/forgettings")["forgettings"]] == [asked["id"]]
    assert api("GET", "/api/v1/forgettings/forget-none").error["code"] == "not_found"
    assert api("POST", "/api/v1/forgettings", {"units": []}).status == 422


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", "/forgettings", {"units": ["ana"]}),
        ("GET", "/forgettings", None),
        ("POST", "/retention/run", {}),
        ("POST", "/quarantine/retry", {"ids": ["all"]}),
        ("POST", "/quarantine/discard", {"ids": ["all"]}),
        ("GET", "/quarantine/some", None),
    ],
)
def test_whoever_is_no_admin_deletes_nothing(looking, verb, path, body):
    answer = looking(verb, f"/api/v1{path}", body, token=looking.key("deployer")["key"])
    assert (answer.status, answer.error["code"]) == (403, "forbidden")


def test_what_is_too_old_is_told_and_deleted(api):
    house = api.state.house
    assert api.get("/retention")["kept_s"] == {"payloads": None, "traces": None, "quarantine": None}
    house.spec = replace(house.spec, retention=Retention(traces_s=3_600.0))
    old = api.get("/retention")["traces"]
    assert old > 0
    ran = api.post("/retention/run", {"compact": True})
    assert (ran["traces"], ran["rebuilt"]) == (old, True)
    assert api.get("/retention")["traces"] == 0


def test_the_quarantine_is_listed_shown_tried_again_and_emptied(api):
    root = api.state.house.spec.data / SPOOL
    refuse(api, b"nothing", b"else")
    refuse(api, b"other", reason="Another.")
    said = api.get("/quarantine")
    assert (said["count"], said["reasons"]) == (2, {"It is of another app.": 2, "Another.": 1})
    one = said["quarantine"][0]["id"]
    assert api.get(f"/quarantine/{one}")["shown"][0]["kind"] == "unreadable"
    assert api.post("/quarantine/retry", {"ids": [one]})["retried"] == [one]
    assert len(api.post("/quarantine/discard", {"ids": ["all"]})["discarded"]) == 1
    assert quarantined(root) == []
    assert api("POST", "/api/v1/quarantine/retry", {"ids": ["none"]}).error["code"] == "not_found"


def test_while_a_server_runs_the_commands_ask_it(served):
    api, cli = served
    refuse(api, b"nothing")
    (one,) = cli.json("quarantine", "list")["quarantine"]
    assert cli.json("quarantine", "show", one["id"])["shown"] == [{"kind": "unreadable", "bytes": 7}]
    assert cli.json("quarantine", "discard", one["id"], "--yes")["discarded"] == [one["id"]]
    assert cli.json("retention", "run", "--dry-run")["traces"] == 0
    assert cli.json("forget", "--list")["forgettings"] == []
