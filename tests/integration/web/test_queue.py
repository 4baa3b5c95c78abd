"""The queue in a real browser: what runs and waits, the calendar with its freezes, live; and its twin."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.integration.web.conftest import NARROW, WIDE, Seen, Site, served
from tests.integration.web.setting import HOUR, YAML, Shop

from inchworm.app.config.load import load
from inchworm.app.loop.changing import apply
from inchworm.app.loop.planning import make_plan
from inchworm.app.web.views.queueing import queue_page, summary
from inchworm.app.web.views.words import content
from inchworm.domain.layers import Layer

pytestmark = pytest.mark.xdist_group("web")

FREEZES = """\
rollout:
  freeze:
    - "Fri 16:00 – Mon 08:00 Europe/Berlin"
    - {from: 2026-12-01T22:00, for: 8h, zone: Europe/Berlin, reason: stocktaking}
"""


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Site]:
    """A shop with a change in flight, one behind it, one plan that nobody applied, and freezes ahead."""
    shop = Shop.open(tmp_path / "busy")
    file = tmp_path / "busy" / "inchworm.yaml"
    file.write_text(YAML.replace("rollout:\n", FREEZES), "utf-8")
    shop.house.follow(load(file))
    shop.slot(60, 4 * HOUR)
    shop.change(Layer.PARAMETERS, {"temperature": 0, "max_tokens": 300})
    stable = shop.house.control.configuration(shop.house.lineage().stable)
    other = make_plan(
        shop.house.acting("ben"), stable.with_layer(Layer.PARAMETERS, {"temperature": 1}), reason="livelier"
    )
    apply(shop.house.acting("ben"), other.id, undecided_because="a page shows it")
    make_plan(shop.house.acting("carla"), stable.with_layer(Layer.MODEL, {"name": "gpt-4.1"}))
    yield from served(shop)
    shop.house.close()


def test_the_page_and_its_twin_say_the_same(busy, looking):
    page = looking(busy).open("/queue")
    data = busy.get("/queue.json").data
    assert data == json.loads(json.dumps(content(queue_page(busy.state))))
    assert page.locator("h1").inner_text() == data["title"] == "r-1 in flight, 1 waiting"
    shown = page.locator("main").inner_text()
    running, waiting = data["rows"]
    for row in (running, waiting):
        for said in (row["id"], row["standing"] if row is running else row["waits"][0], row["ends_said"]):
            assert said in shown
    assert waiting["clashes"] == ["r-1 moves parameters, too: it is compared anew with what stays of that"]
    assert waiting["clashes"][0] in shown
    (planned,) = data["planned"]
    assert planned["command"] in shown
    assert planned["author"] == "carla"


def test_the_calendar_says_what_it_shows(busy, looking):
    page = looking(busy).open("/queue")
    view = queue_page(busy.state)
    drawn = page.locator("svg.calendar.wide")
    assert drawn.get_attribute("aria-label") == summary(view)
    assert "r-2 parameters" in summary(view)
    assert drawn.locator("path.frozen").count() == len(view.freezes) == 3
    assert [one.reason for one in view.freezes] == ["", "", "stocktaking"]
    expect(page.locator("svg.calendar.narrow")).to_be_hidden()


def test_what_is_applied_appears_while_one_looks(empty_site, looking):
    page = looking(empty_site).open("/queue")
    assert page.locator("h1").inner_text() == "Nothing in flight, nothing waits"
    assert "Whatever is applied next starts at once." in page.locator(".say").inner_text()
    page.evaluate("window.stayed = true")
    empty_site.shop.slot(60, HOUR)
    empty_site.shop.change(Layer.PARAMETERS, {"temperature": 0, "max_tokens": 300})
    empty_site.state.pulse.beat()
    expect(page.locator("h1")).to_have_text("r-1 in flight, nothing waits")
    assert page.evaluate("window.stayed")


def test_a_freeze_that_is_on_is_said_first(busy, looking):
    view = queue_page(busy.state)
    busy.shop.clock.at = view.freezes[0].start + HOUR
    page = looking(busy).open("/queue")
    assert page.locator("h1").inner_text().endswith(", frozen")
    assert (
        "Nothing starts and nothing grows because of the freeze Fri 16:00"
        in page.locator(".say").inner_text()
    )
    assert queue_page(busy.state).freezes[0].now


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_is_wider_than_the_window(busy, looking: Callable[..., Seen], viewport, scheme):
    page = looking(busy, viewport=viewport, color_scheme=scheme).open("/queue")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
