"""Who is told of decisions, from the command line."""

import json

from tests.integration.notify.receiver import SECRET, WHSEC, Receiver

NOTIFY = "notify:\n  - {url: env:HOOK, secret: env:HOOK_SECRET, events: [queue]}\n"


def told(cli, **moved):
    cli.declare(**moved)
    file = cli.folder / "inchworm.yaml"
    file.write_text(file.read_text("utf-8") + NOTIFY, "utf-8")


def test_nobody_is_told_where_nobody_is_named(empty):
    assert "has no notify" in empty("notify").stdout
    assert "names nobody to tell" in empty("notify", "test", exit_code=2).stderr


def test_a_test_says_what_came_back(empty, monkeypatch):
    told(empty)
    with Receiver([204, 500]) as receiver:
        monkeypatch.setenv("HOOK", receiver.url)
        monkeypatch.setenv("HOOK_SECRET", WHSEC)
        assert "taken (204)." in empty("notify", "test").stdout
        (attempt,) = empty.json("notify", "test", exit_code=1)["attempts"]
    assert (attempt["taken"], attempt["status"], attempt["url"]) == (False, 500, "env:HOOK")
    assert [one.json["type"] for one in receiver.got] == ["inchworm.test"] * 2
    assert receiver.got[0].signed_by(SECRET)
    assert receiver.got[0].id != receiver.got[1].id
    assert empty.json("notify")["notifications"] == [], "a test is kept by nobody"
    assert "no target 12345678" in empty("notify", "test", "--target", "12345678", exit_code=2).stderr


def test_what_waits_is_listed_sent_given_up_and_sent_again(shop, monkeypatch):
    told(shop, documents=2)
    shop("apply", shop.plan())
    (waiting,) = shop.json("notify")["notifications"]
    assert (waiting["event"], waiting["state"]) == ("queue", "waiting")
    assert "r-1 (context) queued by ana" in waiting["sentence"]
    with Receiver([410]) as receiver:
        monkeypatch.setenv("HOOK", receiver.url)
        monkeypatch.setenv("HOOK_SECRET", WHSEC)
        assert json.loads(shop("notify", "send", "--json").stdout)["failed"] == 1
        listed = shop("notify")
        assert "the receiver wants no more (410)." in listed.stdout
        assert "inchworm notify retry" in listed.stderr
        assert "1 given up: inchworm notify" in shop("status").stdout
        assert shop.json("status")["notifications_given_up"] == 1
        parts = {one["part"]: one["said"] for one in shop.json("doctor", "--offline")["findings"]}
        assert parts["notifications"].startswith("Given up after a day")
        assert shop.json("notify", "retry", waiting["id"])["waiting"] == 1
        assert shop.json("notify", "retry")["waiting"] == 0
        assert "1 sent, 0 again, 0 failed." in shop("notify", "send").stdout
    assert shop.json("notify")["notifications"] == []
    assert [one["state"] for one in shop.json("notify", "ls", "--all")["notifications"]] == ["sent"]
