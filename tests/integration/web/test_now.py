"""The first page in a real browser: what is in flight, what waits, what changed; live; and observing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.integration.web.conftest import NARROW, WIDE, Seen, Site, served
from tests.integration.web.setting import BEGAN, GATEWAY, HOUR, YAML, Shop

from inchworm.app.clock import SimulatedClock
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.web.views.now import now_page
from inchworm.app.web.views.words import content
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import LedgerEntry
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import Act

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    """A shop of its own, for tests that change it."""
    shop = Shop.open(tmp_path / "own")
    shop.slot(30, HOUR)
    yield from served(shop)
    shop.house.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Site]:
    """An app that nothing was declared for: it is only observed."""
    (tmp_path / "inchworm.yaml").write_text(YAML, "utf-8")
    house = House(load(tmp_path / "inchworm.yaml"), clock=SimulatedClock(BEGAN), actor="ana")
    yield from served(Shop(house=house, clock=SimulatedClock(BEGAN)))
    house.close()


def test_the_page_and_its_twin_say_the_same(site, seen):
    page = seen.open("/")
    data = site.get("/now.json").data
    assert data == json.loads(json.dumps(content(now_page(site.state))))
    assert (
        page.locator("h1").inner_text()
        == data["title"]
        == ("One change in flight, one thing waits for a person")
    )
    (row,) = data["in_flight"]
    shown = page.locator("section", has=page.get_by_role("heading", name="In flight")).inner_text()
    for said in (row["id"], row["exposed"], row["split"], row["goal"]["interval"], row["say"]):
        assert said in shown
    sentences = page.locator(".log.one li").all_inner_texts()
    assert len(sentences) == len(data["told"])
    assert any("r-1 rolled back because answered fell by " in one for one in sentences)


def test_changes_over_quality_say_their_numbers(seen):
    page = seen.open("/")
    above, below = (
        page.locator("figure svg.plot.wide").nth(n).get_attribute("aria-label") or "" for n in range(2)
    )
    assert above.startswith("answered: ")
    assert "95 % band" in above
    assert below == "Changes by layer: r-1 context rolled back, r-2 prompt exposing; none observed."
    expect(page.locator("figure svg.plot.narrow").first).to_be_hidden()


def test_what_waits_appears_while_one_looks_and_its_number_takes_it(own, looking):
    page = looking(own).open("/")
    # Its model is retired in two months, which waits for somebody all along.
    assert page.locator("h1").inner_text() == "Nothing is in flight, one thing waits for a person"
    page.evaluate("window.stayed = true")
    own.shop.change(Layer.PARAMETERS, {"temperature": 0, "max_tokens": 300})
    own.state.pulse.beat()
    expect(page.locator("h1")).to_have_text("One change in flight, one thing waits for a person")
    house = own.shop.house
    act(house.control, RolloutId("r-1"), Act.PAUSE, actor="jonas", reason="lunch", now=house.now())
    own.state.pulse.beat()
    expect(page.locator("h1")).to_have_text("One change in flight, two things wait for a person")
    expect(page.locator("table.you")).to_contain_text("r-1 is paused at 20 % by jonas: lunch.")
    assert page.evaluate("window.stayed")
    page.keyboard.press("1")
    expect(page.locator(".crumb")).to_contain_text("Rollouts / r-1")


def test_the_queue_says_what_each_step_waits_for(own, looking):
    own.shop.change(Layer.PARAMETERS, {"temperature": 0, "max_tokens": 300})
    own.shop.change(Layer.CONTEXT, {"documents": 3})
    page = looking(own).open("/")
    queue = page.locator("section", has=page.get_by_role("heading", name="Queue"))
    expect(queue.locator("tbody tr")).to_have_count(1)
    assert "documents 1 → 3" in queue.inner_text()
    assert "after r-1" in queue.inner_text()


def test_before_the_first_request_it_says_where_to_point_the_client(watched, looking):
    page = looking(watched).open("/")
    assert page.locator("h1").inner_text() == "Observing shop-support/production"
    assert f"{GATEWAY}/v1" in page.locator(".say").inner_text()


def test_observing_it_says_what_changed_and_that_adopting_is_next(watched, looking):
    shop = watched.shop
    configuration = shop.house.spec.configuration
    shop.house.control.put_configuration(shop.house.app, configuration, note="seen", at=BEGAN)
    page = looking(watched).open("/")
    shop.take([shop.trace(n, UnitId(f"s-{n}"), BEGAN - HOUR + n, configuration, None) for n in range(20)])
    said = "parameters and prompt changed: temperature 0 → 0.4."
    shop.house.control.append_ledger(
        LedgerEntry(app=shop.house.app, at=BEGAN - 60, kind="observed", actor="gateway", what=said)
    )
    watched.state.pulse.beat()
    expect(page.locator(".say")).to_contain_text("20 requests seen")
    expect(page.locator(".log.one")).to_contain_text("Parameters and prompt changed: temperature 0 → 0.4.")
    expect(page.locator("table.you")).to_contain_text("inchworm adopt")
    expect(page.locator("section:has(#see) tbody tr")).to_contain_text("20")
    assert "1 change observed" in (
        page.locator("figure svg.plot.wide").last.get_attribute("aria-label") or ""
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_what_waits_and_what_is_queued_fit_in_both_themes(
    own: Site, looking: Callable[..., Seen], size: dict[str, int], theme: str
):
    own.shop.change(Layer.PARAMETERS, {"temperature": 0, "max_tokens": 300})
    own.shop.change(Layer.CONTEXT, {"documents": 3})
    house = own.shop.house
    act(house.control, RolloutId("r-1"), Act.PAUSE, actor="jonas", reason="lunch " * 30, now=house.now())
    page = looking(own, viewport=size, color_scheme=theme).open("/")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    chip = page.evaluate("getComputedStyle(document.querySelector('.chip.you')).backgroundColor")
    assert chip == {"light": "rgb(26, 27, 24)", "dark": "rgb(236, 237, 231)"}[theme]
