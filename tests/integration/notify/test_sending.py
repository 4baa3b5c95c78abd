"""Notifications: kept with the decision, signed, sent, tried again, given up; at least once with one id."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.notify.receiver import SECRET, WHSEC, Receiver

from inchworm.app.clock import SimulatedClock
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop.changing import apply
from inchworm.app.loop.planning import make_plan
from inchworm.app.notify.sending import DELAYS_S, JITTER, Sender
from inchworm.app.notify.writing import Around, slack
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import RolloutId
from inchworm.domain.notice import Notice, NoticeState
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import Act
from inchworm.store.control import AuditHead

ROOT = Path(__file__).resolve().parents[3]
NOW = 1_790_000_000.0
YAML = """\
app: shop/production
layers:
  model: {{name: tiny}}
  parameters: {{max_tokens: {max_tokens}}}
metrics:
  brief: {{check: {{max_words: 50}}, goal: true}}
rollout: {{gate: false}}
public_url: https://inchworm.example.org/
notify:
{notify}
"""
SIGNED = "  - {{url: env:HOOK, secret: env:HOOK_SECRET, events: [{events}]}}"


class Shop:
    """An app whose plan can be applied, told of by ``notify``."""

    def __init__(self, folder, notify):
        self.folder, self.notify = folder, notify
        self.clock = SimulatedClock(NOW)
        self.write(64)
        self.house = House(load(folder / "inchworm.yaml"), clock=self.clock, actor="ana")
        self.house.declare_stable()
        self.write(32)
        self.house.follow(load(folder / "inchworm.yaml"))
        self.plan = make_plan(self.house, self.house.spec.configuration)

    def write(self, max_tokens):
        (self.folder / "inchworm.yaml").write_text(YAML.format(max_tokens=max_tokens, notify=self.notify))

    def apply(self):
        return apply(self.house, self.plan.id)

    def abort(self):
        return self.act(Act.ABORT, "it is <late> & dark")

    def act(self, what, reason=""):
        return act(self.house.control, RolloutId("r-1"), what, actor="ben", reason=reason, now=self.clock.at)

    def round(self, url, **more):
        environ = {"HOOK": url, "HOOK_SECRET": WHSEC}
        sender = Sender(self.house, environ=environ, jitter=lambda: 0.5, **more)
        return dict(asyncio.run(sender.round()))

    def notices(self):
        return self.house.control.notices(self.house.app)


@contextmanager
def shop_in(folder, notify):
    made = Shop(folder, notify)
    try:
        yield made
    finally:
        made.house.close()


@pytest.fixture
def shop(tmp_path):
    with shop_in(tmp_path, SIGNED.format(events="queue, cancel")) as made:
        yield made


def test_what_is_decided_is_told_signed_and_with_all_that_a_receiver_needs(shop):
    shop.apply()
    acted = shop.abort()
    assert [one.event for one in shop.notices()] == ["cancel", "queue"]
    with Receiver() as receiver:
        assert shop.round(receiver.url) == {"sent": 2}
        assert shop.round(receiver.url) == {}
    queue, cancel = sorted(receiver.got, key=lambda one: one.json["data"]["event"], reverse=True)
    assert queue.signed_by(SECRET)
    assert cancel.signed_by(SECRET)
    assert not cancel.signed_by(b"x" * 32)
    assert queue.id != cancel.id
    assert "." not in cancel.id
    assert cancel.headers["webhook-timestamp"] == str(int(NOW))
    said = cancel.json
    assert (said["format"], said["type"], said["id"]) == ("notify/1", "rollout.cancel", cancel.id)
    assert said["timestamp"] == "2026-09-21T14:13:20.000+00:00"
    data = said["data"]
    assert data["sentence"] == f"r-1 parameters: {acted.decision.because}"
    assert data["decision"]["id"] == "r-1/1"
    assert data["decision"]["actor"] == "ben"
    assert (data["rollout"]["id"], data["rollout"]["layers"]) == ("r-1", ["parameters"])
    assert data["links"] == {
        "rollout": "https://inchworm.example.org/rollouts/r-1",
        "api": "https://inchworm.example.org/api/v1/rollouts/r-1",
    }
    assert data["undo"] == "inchworm plan"
    head = shop.house.control.audit_head()
    assert data["audit"] == {"number": head.number, "hash": head.hash}


def test_what_nobody_wants_to_hear_is_not_kept(tmp_path):
    with shop_in(tmp_path, SIGNED.format(events="rollback, queue")) as shop:
        shop.apply()
        shop.abort()
        assert [one.event for one in shop.notices()] == ["queue"]


def test_what_was_not_committed_is_told_to_nobody(shop):
    shop.apply()
    acted = shop.abort()
    rollout = shop.house.control.rollout(RolloutId("r-1"))
    assert not shop.house.control.commit(acted.decision, rollout), "somebody else moved first"
    assert len(shop.notices()) == 2


def test_a_receiver_that_fails_twice_gets_it_the_third_time_under_the_same_id(shop):
    shop.apply()
    with Receiver([500, (503, {"retry-after": "100"})]) as receiver:
        assert shop.round(receiver.url) == {"again": 1}
        (waiting,) = shop.notices()
        assert (waiting.state, waiting.due_at) == (NoticeState.WAITING, NOW + DELAYS_S[0])
        assert waiting.error == "it was answered with 500."
        assert shop.round(receiver.url) == {}, "not before its time"
        shop.clock.at = waiting.due_at
        assert shop.round(receiver.url) == {"again": 1}
        (waiting,) = shop.notices()
        assert waiting.due_at == shop.clock.at + 100, "as the receiver asked, and not 20 s"
        shop.clock.at = waiting.due_at
        assert shop.round(receiver.url) == {"sent": 1}
    assert len({one.id for one in receiver.got}) == 1
    assert [int(one.headers["webhook-timestamp"]) - NOW for one in receiver.got] == [0, 5, 105]
    assert all(one.signed_by(SECRET) for one in receiver.got)
    (sent,) = shop.notices()
    assert (sent.state, sent.error, sent.attempts) == (NoticeState.SENT, None, 3)


def test_after_a_day_of_attempts_it_is_given_up_and_can_be_tried_again(shop):
    shop.apply()
    with Receiver([404] * (len(DELAYS_S) + 1)) as receiver:
        for _ in DELAYS_S:
            assert shop.round(receiver.url) == {"again": 1}
            (waiting,) = shop.notices()
            shop.clock.at = waiting.due_at
        assert shop.round(receiver.url) == {"failed": 1}
        assert (1 - JITTER) * 86_400 < shop.clock.at - NOW + 14_400 < 86_400 * (1 + JITTER)
        (failed,) = shop.notices()
        assert (failed.state, failed.error) == (NoticeState.FAILED, "it was answered with 404.")
        shop.clock.at += 10 * 86_400
        assert shop.round(receiver.url) == {}
        assert shop.house.control.retry_notices(shop.house.app, now=shop.clock.at, id=failed.id) == 1
        assert shop.round(receiver.url) == {"sent": 1}
    assert len({one.id for one in receiver.got}) == 1


@pytest.mark.parametrize(
    ("answer", "said", "state"),
    [
        (410, "the receiver wants no more (410).", NoticeState.FAILED),
        (
            (302, {"location": "http://127.0.0.1:9/x"}),
            "it was answered with 302 and was not",
            NoticeState.WAITING,
        ),
        (None, "no answer within 0.2 s.", NoticeState.WAITING),
    ],
)
def test_what_is_no_2xx_is_not_taken(shop, answer, said, state):
    shop.apply()
    with Receiver([answer]) as receiver:
        shop.round(receiver.url, timeout_s=0.2)
        assert len(receiver.got) == 1
    (one,) = shop.notices()
    assert one.state is state
    assert one.error.startswith(said)


def test_nothing_of_a_secret_address_is_said_when_nobody_answers(shop, caplog):
    shop.apply()
    assert shop.round("http://127.0.0.1:1/T0P-S3CRET") == {"again": 1}
    (one,) = shop.notices()
    assert one.error == "the connection failed (ClientConnectorError)."
    assert "S3CRET" not in caplog.text


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "the variable HOOK is not set where this is sent from."),
        ({"HOOK": "gopher://shop"}, "the variable of its address holds no http or https URL."),
        ({"HOOK": "http://127.0.0.1:1"}, "the variable HOOK_SECRET is not set where this is sent from."),
        ({"HOOK": "http://127.0.0.1:1", "HOOK_SECRET": "hush"}, "a signing secret is whsec_ and base64 of"),
    ],
)
def test_what_is_missing_on_our_side_is_said_and_tried_again(shop, environ, said):
    shop.apply()
    assert asyncio.run(Sender(shop.house, environ=environ).round()) == {"again": 1}
    (one,) = shop.notices()
    assert one.error.startswith(said)
    assert "hush" not in one.error


def test_a_target_that_is_in_the_file_no_more_is_not_told(shop):
    shop.apply()
    shop.notify = "  - {url: env:OTHER}"
    shop.write(32)
    shop.house.follow(load(shop.folder / "inchworm.yaml"))
    assert shop.round("http://127.0.0.1:1") == {"failed": 1}
    assert shop.notices()[0].error == "its target is in inchworm.yaml no more."


def test_slack_gets_a_sentence_a_link_and_the_undo_and_no_colour(tmp_path):
    with shop_in(tmp_path, "  - {url: env:HOOK, format: slack, events: [cancel]}") as shop:
        shop.apply()
        shop.abort()
        with Receiver() as receiver:
            assert shop.round(receiver.url) == {"sent": 1}
        (got,) = receiver.got
        assert "webhook-signature" not in got.headers
        assert "&lt;late&gt; &amp; dark" in got.json["text"]
        assert "color" not in got.body.decode()
        section, context = got.json["blocks"]
        assert section["text"]["text"].startswith("*shop/production*: r-1 parameters: aborted")
        assert context["elements"][0]["text"] == (
            "<https://inchworm.example.org/rollouts/r-1|r-1> · Undo: `inchworm plan`"
        )


def test_a_sentence_that_slack_would_refuse_is_cut_between_signs():
    said = {"app": "shop/production", "sentence": "<" * 5_000, "rollout": None, "undo": None}
    notice = Notice(
        id="x", app=AppRef(app="shop", environment="production"), target="", event="hold", at=0.0, data=said
    )
    around = Around(url=None, head=AuditHead(number=0, hash="0" * 64))
    text = slack(notice, around)["blocks"][0]["text"]["text"]
    assert len(text) <= 3_000
    assert text.endswith("&lt;…")


@pytest.mark.slow
def test_killed_between_sending_and_settling_it_is_delivered_again_under_the_same_id(shop):
    shop.apply()
    with Receiver([None]) as receiver:
        env = os.environ | {
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            "HOOK": receiver.url,
            "HOOK_SECRET": WHSEC,
        }
        script = Path(__file__).with_name("sender.py")
        command = [sys.executable, str(script), str(shop.folder)]
        # The process has a clock of its own: by that one the notice has been due since long ago.
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert receiver.came.wait(60)
            finally:
                process.send_signal(signal.SIGKILL)
        (held,) = shop.notices()
        assert (held.state, held.attempts) == (NoticeState.WAITING, 1)
        # What a server does when it begins again.
        assert shop.house.control.release_notices(owner="notifications", now=NOW) == 1
        assert shop.round(receiver.url) == {"sent": 1}
    assert len(receiver.got) == 2
    assert len({one.id for one in receiver.got}) == 1
    assert shop.notices()[0].state is NoticeState.SENT


def test_two_senders_at_once_send_each_notice_once(shop):
    shop.apply()
    shop.abort()

    async def both(url):
        environ = {"HOOK": url, "HOOK_SECRET": WHSEC}
        rounds = [Sender(shop.house, environ=environ).round(owner=name) for name in ("one", "two")]
        return sum(await asyncio.gather(*rounds), Counter())

    with Receiver() as receiver:
        assert asyncio.run(both(receiver.url)) == {"sent": 2}
    assert len(receiver.got) == len({one.id for one in receiver.got}) == 2
