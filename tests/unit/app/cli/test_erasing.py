"""forget, retention and quarantine, as they are typed where no server runs."""

from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.capture.keyfile import master_key
from inchworm.capture.places import SPOOL
from inchworm.capture.spool import quarantine_records
from inchworm.domain.keys import Purpose, derive


def a_unit(cli):
    return cli.json("traces", "list", "--limit", "1")["traces"][0]["unit"]


def refuse(cli, *records):
    data = load(cli.folder / "inchworm.yaml").data
    key = derive(master_key(data), Purpose.SPOOL)
    quarantine_records(data / SPOOL, key, records, reason="It is of another app.", at=1e9)


def test_a_unit_is_forgotten_and_the_rest_stays(shop):
    unit, count = a_unit(shop), shop.json("status")["traces"]
    said = shop.json("forget", unit, "--yes")["forgetting"]
    assert said["state"] == "done"
    assert said["counts"]["traces"] == count - shop.json("status")["traces"] > 0
    assert unit not in str(said)
    listed = shop.json("forget", "--list")["forgettings"]
    assert [one["id"] for one in listed] == [said["id"]]
    assert said["digests"][0] in shop("forget", "--list").stdout
    assert shop.json("audit", "verify")["breaks"] == []


def test_it_is_not_done_unless_it_is_meant(shop):
    unit = a_unit(shop)
    assert "--yes" in shop("forget", unit, exit_code=2).stderr
    assert "--yes" in shop("forget", unit, "--json", exit_code=2).stderr
    assert "at least one" in shop("forget", exit_code=2).stderr
    assert shop("forget", "--list").stdout == "Nothing was forgotten yet.\n"


def test_units_come_from_a_file_too(shop, tmp_path):
    path = tmp_path / "units.txt"
    path.write_text(f"nobody-1\n\n  {a_unit(shop)}  \n")
    said = shop("forget", "--file", str(path), "--yes")
    assert "interaction" in said.stdout
    assert len(shop.json("forget", "--list")["forgettings"][0]["digests"]) == 2


def test_how_long_things_are_kept_is_said(shop):
    said = shop("retention")
    assert "for ever" in said.stdout
    assert "retention in inchworm.yaml" in said.stderr
    shop.declare(extra="  soak: 0s\n  gate: false\nretention: {payloads: 1h, quarantine: 1d}\n")
    refuse(shop, b"nothing")
    assert shop.json("retention")["quarantined"] == 1
    dry = shop.json("retention", "run", "--dry-run")
    assert shop.json("retention", "run", "--compact") == {**dry, "dry_run": False, "rebuilt": True}
    assert shop.json("retention")["quarantined"] == 0


def test_the_quarantine_is_looked_at_and_emptied(shop):
    assert shop("quarantine").stdout == "Nothing lies in quarantine.\n"
    refuse(shop, b"nothing", b"else")
    (one,) = shop.json("quarantine", "list")["quarantine"]
    assert one["id"] in shop("quarantine").stdout
    assert "unreadable" in shop("quarantine", "show", one["id"]).stdout
    assert "nobody is there" in shop("quarantine", "discard", one["id"], exit_code=2).stderr
    assert shop.json("quarantine", "retry", one["id"])["retried"] == [one["id"]]
    refuse(shop, b"other")
    assert shop("quarantine", "discard", "all", "--yes").stdout == "1 file deleted.\n"


def test_no_name_of_a_unit_is_told_to_the_ledger(shop):
    unit = a_unit(shop)
    shop("forget", unit, "--yes")
    with House(load(shop.folder / "inchworm.yaml")) as house:
        assert house.control.mentions([unit]) == {}
        kinds = [one.kind for one in house.control.ledger(house.app, limit=2)]
    assert kinds == ["forget", "forget"]
