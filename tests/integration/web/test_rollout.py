"""The Rollout page in a real browser: what the store says, live, and what a person does to it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from tests.integration.web.conftest import NARROW, WIDE, Answer, Seen, Site, served
from tests.integration.web.setting import HOUR, TOKEN, Shop

from inchworm.app import keys
from inchworm.app.web.formats import clock
from inchworm.app.web.rollout import view
from inchworm.app.web.views.words import content
from inchworm.domain.access import Scope
from inchworm.domain.ids import RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import RolloutState

pytestmark = pytest.mark.xdist_group("web")
R1 = RolloutId("r-1")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    """A shop of its own with a harmless change in flight, for tests that act on it."""
    shop = Shop.open(tmp_path / "own")
    shop.slot(30, HOUR)
    shop.change(Layer.PARAMETERS, {"temperature": 0, "max_tokens": 300})
    shop.slot(60, HOUR)
    yield from served(shop)
    shop.house.close()


def state_of(site: Site, rollout: RolloutId = R1) -> RolloutState:
    return site.shop.house.control.rollout(rollout).state


def post(site: Site, path: str, body: bytes, **headers: str) -> Answer:
    """Ask without a browser; ``content_type`` becomes ``content-type``, JSON unless it is said."""
    connection = HTTPConnection(site.url.removeprefix("http://"), timeout=10)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, body, {"content-type": "application/json", **sent})
    answer = connection.getresponse()
    said = {name.lower(): value for name, value in answer.getheaders()}
    got = Answer(status=answer.status, headers=said, content=answer.read())
    connection.close()
    return got


BEARER = {"authorization": f"Bearer {TOKEN}"}


def cookie_of(page: Page) -> str:
    """The session of a page, as a program would steal it."""
    return "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())


def words(page: Page, selector: str) -> str:
    return " ".join(page.locator(selector).first.inner_text().split())


# --- the page says what the store says


def test_the_page_the_twin_and_the_store_say_the_same(site, seen):
    page = seen.open("/rollouts/r-2")
    data = site.get("/rollouts/r-2.json").data
    assert data == json.loads(json.dumps(content(view(site.state, "r-2"))))
    assert words(page, ".say") == data["say"]
    assert words(page, "h1").endswith(f"{data['layer']}: {data['change']}")
    evidence = site.shop.house.control.monitor(RolloutId("r-2"))
    assert evidence is not None
    units = page.locator("tfoot td").first.inner_text()
    assert units.replace(",", "") == str(evidence[0])
    for tile in data["tiles"]:
        shown = page.locator(".tile", has=page.get_by_role("heading", name=tile["name"], exact=True))
        assert tile["estimate"] in shown.inner_text()
        assert tile["interval"] in shown.inner_text()
        assert tile["n"] in shown.inner_text()
        assert shown.locator("svg.plot").get_attribute("aria-label") == tile["summary"]
    decisions = site.shop.house.control.decisions(RolloutId("r-2"))
    assert page.locator(".log li").count() == len(decisions) + 1, "and that it was applied"
    assert decisions[-1].id in page.locator(".log li").first.inner_text()


def test_what_was_rolled_back_is_crimson_with_a_square_and_a_word(seen):
    page = seen.open("/rollouts/r-1")
    assert words(page, ".say").startswith("■ Rolled back because answered fell by ")
    tile = page.locator(".tile.harmed")
    expect(tile).to_have_count(1)
    assert "■ harmed" in tile.inner_text()
    harm = page.evaluate("getComputedStyle(document.querySelector('.tile.harmed .est .h')).color")
    assert harm == "rgb(171, 15, 59)"
    expect(page.locator(".acts button")).to_have_count(1)
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.locator(".ladder .halt")).to_contain_text("rolled back here")


def test_the_list_leads_to_each_rollout(site, seen):
    page = seen.open("/rollouts")
    data = site.get("/rollouts.json").data
    ids = [row["id"] for row in data["rows"]]
    assert page.locator("tbody [data-row]").all_inner_texts() == ids == ["r-2", "r-1"]
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".crumb")).to_contain_text("r-2")


def test_an_unknown_rollout_is_said_to_be_unknown(site):
    assert site.get("/rollouts/r-99.json").status == 404
    said = site.get("/rollouts/nothing")
    assert (said.status, said.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert 'href="/rollouts"' in said.text


# --- a gate over time


def test_the_number_of_a_tile_opens_it_over_time_and_escape_closes_it(seen):
    page = seen.open("/rollouts/r-2")
    page.keyboard.press("1")
    expect(page.locator("[data-drawn] canvas")).to_be_visible()
    assert page.url.endswith("/rollouts/r-2?gate=answered")
    legend = page.locator(".u-legend")
    expect(legend).to_contain_text("720")
    page.locator(".u-over").hover(position={"x": 1, "y": 100})
    expect(legend).to_contain_text("120")
    page.keyboard.press("Escape")
    expect(page.locator("[data-chart]")).to_have_count(0)
    assert page.url.endswith("/rollouts/r-2")


def test_a_chart_tells_its_times_in_the_zone_of_the_page(site, looking):
    page = looking(site, timezone_id="Asia/Kathmandu").open("/rollouts/r-2?gate=answered")
    expect(page.locator("[data-drawn] canvas")).to_be_visible()
    (tile,) = [one for one in site.get("/rollouts/r-2.json").data["tiles"] if one["name"] == "answered"]
    expect(page.locator(".u-legend")).to_contain_text(clock(tile["series"][-1]["at"]))


# --- live


def test_new_evidence_and_decisions_show_without_a_reload(own, looking):
    seen: Seen = looking(own)
    page = seen.open("/rollouts/r-1")
    page.evaluate("window.stayed = true")
    before = page.locator("tbody td").first.inner_text()
    own.shop.slot(60, HOUR)
    own.state.pulse.beat()
    expect(page.locator("tbody td").first).not_to_have_text(before)
    steps, made = page.locator(".log li").count(), len(own.shop.house.control.decisions(R1))
    while len(own.shop.house.control.decisions(R1)) == made:
        own.shop.slot(120, HOUR)
    own.state.pulse.beat()
    expect(page.locator(".log li")).to_have_count(steps + 1)
    assert page.evaluate("window.stayed"), "the document was never left"


def test_an_open_chart_grows_with_the_evidence(own, looking):
    seen: Seen = looking(own)
    page = seen.open("/rollouts/r-1?gate=answered")
    own.shop.slot(60, HOUR)
    own.state.pulse.beat()
    expect(page.locator(".u-legend")).to_contain_text("120")
    own.shop.slot(60, HOUR)
    own.state.pulse.beat()
    expect(page.locator(".u-legend")).to_contain_text("180")
    expect(page.locator("[data-chart] canvas")).to_have_count(1)


# --- acts


def test_abort_by_keyboard_asks_once_and_then_it_is_over(own, looking):
    page = looking(own).open("/rollouts/r-1")
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Everybody gets stable")
    assert state_of(own) is RolloutState.EXPOSING, "asking does nothing yet"
    page.keyboard.type("the shop is closed")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".say")).to_contain_text("Aborted at 20 % by ")
    assert state_of(own) is RolloutState.ABORTED
    (decision,) = own.shop.house.control.decisions(R1)[-1:]
    assert decision.because.endswith(": the shop is closed.")
    assert decision.actor != "inchworm"
    expect(page.locator(".acts button")).to_have_text(["Try again g"])


def test_pause_can_be_thought_better_of_and_taken_back(own, looking):
    page = looking(own).open("/rollouts/r-1")
    page.keyboard.press("s")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert state_of(own) is RolloutState.EXPOSING
    page.get_by_role("button", name="Pause").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".say")).to_contain_text("Paused at 20 % by ")
    assert state_of(own) is RolloutState.PAUSED
    assert "inchworm rollout resume r-1" in page.locator(".log li").first.inner_text()
    page.keyboard.press("r")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".say")).to_contain_text("20 %")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert state_of(own) is RolloutState.EXPOSING


def test_an_act_that_came_too_late_says_what_is_possible_instead(own, looking):
    seen = looking(own)
    page = seen.open("/rollouts/r-1")
    page.keyboard.press("s")
    done = post(own, "/rollouts/r-1/abort", b'{"reason": "first"}', **BEARER)
    assert (done.status, done.data["state"]) == (200, "aborted")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text('cannot take "pause"')
    assert state_of(own) is RolloutState.ABORTED
    # The browser takes the refusal for an error of the network; it is what was asked for here.
    (refused,) = seen.problems
    assert "409" in refused
    seen.problems.clear()


def test_without_the_pages_own_token_nothing_is_done(own, looking):
    cookie = cookie_of(looking(own).open("/rollouts/r-1"))
    for headers in ({}, {"x_csrf_token": "guessed"}, {"origin": "http://elsewhere.example"}):
        answer = post(own, "/rollouts/r-1/abort", b"{}", cookie=cookie, **headers)
        assert (answer.status, answer.data["error"]["code"]) == (403, "csrf")
    assert post(own, "/rollouts/r-1/abort", b"{}").status == 401
    assert state_of(own) is RolloutState.EXPOSING


def test_a_viewer_sees_no_buttons_and_may_not_act(own):
    key, written = keys.make("eve", Scope.VIEWER, by="ana", now=1.0, expires_at=None, random=os.urandom)
    own.shop.house.control.put_api_key(own.shop.house.app, key)
    shown = own.get("/rollouts/r-1", token=written).text
    assert "Exposures" in shown
    assert "data-act" not in shown
    assert "data-act" in own.get("/rollouts/r-1").text, "who may act does see them"
    answer = post(own, "/rollouts/r-1/abort", b"{}", authorization=f"Bearer {written}")
    assert (answer.status, answer.data["error"]["code"]) == (403, "forbidden")
    assert state_of(own) is RolloutState.EXPOSING


def test_a_form_does_the_same_as_the_buttons(own, looking):
    page = looking(own).open("/rollouts/r-1")
    token = page.locator("meta[name=csrf-token]").get_attribute("content")
    form = urlencode({"csrf": token, "reason": "by hand"}).encode()
    kind = "application/x-www-form-urlencoded"
    answer = post(own, "/rollouts/r-1/pause", form, cookie=cookie_of(page), content_type=kind)
    assert (answer.status, answer.headers["location"]) == (303, "/rollouts/r-1")
    assert own.shop.house.control.rollout(R1).because.endswith(": by hand.")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b"[]", "JSON object"),
        (b'{"reason": 3}', "a reason is text"),
        (json.dumps({"reason": "x" * 501}).encode(), "at most 500"),
    ],
)
def test_a_body_that_is_none_is_refused(own, body, said):
    answer = post(own, "/rollouts/r-1/abort", body, **BEARER)
    assert 400 <= answer.status < 500
    assert said in answer.data["error"]["message"]
    assert state_of(own) is RolloutState.EXPOSING


# --- widths and themes


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_an_open_gate_fits_in_both_themes_at_both_widths(
    site: Site, looking: Callable[..., Seen], size: dict[str, int], theme: str
):
    page = looking(site, viewport=size, color_scheme=theme).open("/rollouts/r-2?gate=answered")
    expect(page.locator("[data-drawn] canvas")).to_be_visible()
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    band = page.evaluate("getComputedStyle(document.querySelector('.plot .band')).fill")
    assert band == {"light": "rgb(228, 229, 222)", "dark": "rgb(49, 51, 46)"}[theme]
