"""The Traces page in a real browser, and its JSON twins."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.integration.web import agents
from tests.integration.web.conftest import NARROW, Site, served
from tests.integration.web.setting import GATEWAY, Shop

from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Ok
from inchworm.domain.trace import Trace

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture
def live_site(tmp_path: Path) -> Iterator[Site]:
    """A shop of its own, for tests that add to it."""
    shop = Shop.open(tmp_path / "live")
    shop.slot(60, 3_600)
    yield from served(shop)
    shop.house.close()


def rows(page: Page) -> list[str]:
    """Ids of the traces in the list."""
    found: list[str] = page.evaluate("[...document.querySelectorAll('.rows li')].map(one => one.id.slice(2))")
    return found


def number(text: str) -> int:
    """The first number in a text."""
    return int(re.findall(r"[\d,]+", text)[0].replace(",", ""))


def facet(page: Page, name: str, value: str) -> int:
    """The count beside a value of a facet."""
    link = page.get_by_role("list", name=name).get_by_role("link", name=value)
    return number(link.locator(".n").inner_text())


# --- facets, the address, and back ----------------------------------------------------------------------


def test_a_facet_changes_the_address_and_the_list_and_back_goes_back(seen):
    page = seen.open("/traces")
    everything, failed = number(page.locator("h1").inner_text()), facet(page, "outcome", "failed")
    page.get_by_role("list", name="outcome").get_by_role("link", name="failed").click()
    expect(page.locator("h1")).to_have_text(f"{failed} traces that failed")
    assert page.url.endswith("/traces?outcome=failed")
    assert page.title() == f"{failed} traces that failed · Inchworm"
    assert facet(page, "outcome", "ok") + failed + facet(page, "outcome", "errored") == everything
    page.get_by_role("list", name="arm").get_by_role("link", name="candidate").click()
    expect(page.locator("h1")).to_contain_text("of the candidate that failed")
    assert "outcome=failed" in page.url
    assert "arm=candidate" in page.url
    page.go_back()
    expect(page.locator("h1")).to_have_text(f"{failed} traces that failed")
    page.go_back()
    expect(page.locator("h1")).to_have_text(f"{everything:,} traces")
    assert page.url.endswith("/traces")


def test_a_chosen_value_is_taken_away_by_choosing_it_again(seen):
    page = seen.open("/traces?outcome=failed&arm=candidate")
    chosen = page.locator(".facets [aria-current=true]")
    expect(chosen).to_have_count(2)
    chosen.first.click()
    page.wait_for_url("**/traces?arm=candidate")
    page.keyboard.press("x")
    page.wait_for_url("**/traces")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?outcome=failed",
        "?arm=candidate&rollout=r-1",
        "?topic=size%20advice",
        "?below=answered%3D0.5",
        "?finish=length",
        "?outcome=ok&q=voucher",
        "?outcome=errored&since=2h",
    ],
)
def test_the_json_twin_says_the_numbers_of_the_page(seen, query):
    page = seen.open(f"/traces{query}")
    assert page.get_by_role("link", name=".json").get_attribute("href") == f"/traces.json{query}"
    data = seen.site.get(f"/traces.json{query}").data
    assert data["title"] == page.locator("h1").inner_text()
    assert data["total"] == number(page.locator("h1").inner_text())
    assert [one["id"] for one in data["traces"]] == rows(page)
    for name, values in data["facets"].items():
        shown = page.get_by_role("list", name=name).locator("a .n").all_inner_texts()
        assert [number(text) for text in shown] == [value["count"] for value in values]


def test_every_facet_that_is_shown_leads_to_as_many_traces_as_it_says(seen):
    page = seen.open("/traces?arm=candidate")
    links = page.locator(".facets a:has(.n)")
    said = [
        (one.get_attribute("href"), number(one.locator(".n").inner_text()))
        for one in links.all()
        if one.get_attribute("aria-current") is None
    ]
    assert len(said) > 10
    for href, count in said:
        assert seen.site.get(href.replace("/traces", "/traces.json", 1)).data["total"] == count, href


def test_words_are_found_and_facets_may_be_written_among_them(seen):
    page = seen.open("/traces")
    page.keyboard.press("/")
    page.keyboard.type('lieferung outcome:ok topic:"delivery date"')
    page.keyboard.press("Enter")
    page.wait_for_url("**/traces?outcome=ok&topic=delivery%20date&q=lieferung")
    expect(page.locator("h1")).to_contain_text(
        "about delivery date containing “lieferung” that were answered"
    )
    expect(page.locator("#q")).to_have_value('outcome:ok topic:"delivery date" lieferung')
    assert all("Lieferung" in text for text in page.locator(".rows .q").all_inner_texts())


def test_pages_follow_one_another_without_a_gap_or_a_repetition(seen):
    page = seen.open("/traces?topic=size%20advice")
    total, found = number(page.locator("h1").inner_text()), rows(page)
    while page.locator("[data-key=o]").count():
        last = found[-1]
        page.keyboard.press("o")
        expect(page.locator(f"[id='t-{last}']")).to_have_count(0)
        found += rows(page)
    assert len(found) == len(set(found)) == total
    page.keyboard.press("b")
    expect(page.locator(f"[id='t-{found[0]}']")).to_have_count(1)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("outcome=great", "outcome is ok, failed or errored"),
        ("arm=third", "arm is baseline or candidate"),
        ("since=yesterday", "is no time"),
        ("since=99999999999999999999h", "is no time"),
        ("below=answered", "below is METRIC=VALUE"),
        ("below=answered%3Dnan", "below is METRIC=VALUE"),
        ("after=nonsense", "no cursor"),
    ],
)
def test_an_address_that_means_nothing_is_answered_with_what_it_may_say(site, query, said):
    answer = site.get(f"/traces?{query}")
    assert answer.status == 400
    assert said in answer.text
    twin = site.get(f"/traces.json?{query}")
    assert twin.status in {400, 422}
    assert said in twin.data["error"]["message"]


# --- the list beside one trace --------------------------------------------------------------------------


def test_the_list_is_worked_through_with_the_keyboard_alone(seen):
    page = seen.open("/traces?outcome=ok")
    listed = rows(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    focused = page.locator("a[data-row]:focus")
    expect(focused).to_have_attribute("href", f"/traces?outcome=ok&peek={listed[1]}")
    page.keyboard.press("Enter")
    peek = page.get_by_role("complementary")
    expect(peek.get_by_role("heading", level=2)).to_contain_text(listed[1])
    assert f"peek={listed[1]}" in page.url
    page.keyboard.press("j")  # beside an open one, the next is looked at
    expect(peek.get_by_role("heading", level=2)).to_contain_text(listed[2])
    page.keyboard.press("k")
    expect(peek.get_by_role("heading", level=2)).to_contain_text(listed[1])
    page.keyboard.press("Escape")
    expect(peek).to_have_count(0)
    assert page.url.endswith("/traces?outcome=ok")
    expect(focused).to_have_attribute("href", f"/traces?outcome=ok&peek={listed[1]}")


def test_a_conversation_shows_its_turns_its_tools_its_marks_and_what_answered(seen):
    page = seen.open("/traces/tr-000980")  # 980 = 5 · 7 · 28: with a history and a tool
    turns = page.locator(".turn").all_inner_texts()
    assert [text.partition("\n")[0] for text in turns] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "tool: find_order",
        "assistant, the answer",
        "a right answer contains",
    ]
    expect(page.locator(".call code")).to_have_text('find_order({"order": "ORDER_1"})')
    mark = page.locator(".turn .san").first
    expect(mark).to_have_attribute("title", re.compile("surrogate: (order|email|name)"))
    assert "mono" in mark.evaluate("one => getComputedStyle(one).fontFamily").lower()
    expect(page.locator(".kv").first).to_contain_text("before storage")
    expect(page.locator(".scores")).to_contain_text("code:contains_reference/1")
    expect(page.get_by_role("link", name="r-2")).to_have_attribute("href", "/rollouts/r-2")
    content = page.content()
    assert "@example.com" not in content
    assert not re.search(r"A-\d{6}", content)


def test_a_trace_has_an_address_of_its_own_and_the_beginning_of_its_id_is_enough_for_it(seen):
    whole = seen.site.get("/traces/tr-000980.json").data["trace"]
    assert whole["id"] == "tr-000980"
    assert seen.site.get("/traces.json?since=30d").data["traces"][0].keys() < whole.keys()
    seen.open("/traces?peek=tr-000980")
    seen.page.get_by_role("complementary").get_by_role("link", name="tr-000980").click()
    seen.page.wait_for_url("**/traces/tr-000980")
    assert seen.site.get("/traces/nothing").status == 404
    assert "has no trace nothing" in seen.site.get("/traces/nothing").text
    assert seen.site.get("/traces/nothing.json").data["error"]["code"] == "not_found"
    assert "has no trace nothing" in seen.site.get("/traces?peek=nothing").text


def test_on_a_telephone_the_trace_comes_before_the_list(site, looking):
    seen = looking(site, viewport=NARROW)
    page = seen.open("/traces")
    page.locator("[data-row]").nth(20).click()
    peek = page.get_by_role("complementary")
    expect(peek).to_be_in_viewport()
    assert peek.bounding_box()["y"] < page.locator(".rows").bounding_box()["y"]


# --- what is odd, hostile or not there ------------------------------------------------------------------


def test_an_empty_shop_says_the_two_lines_that_record_the_first_call(empty_site, looking):
    seen = looking(empty_site)
    page = seen.open("/traces")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing was recorded yet")
    expect(page.locator("pre")).to_have_text(
        f'from openai import OpenAI\nclient = OpenAI(base_url="{GATEWAY}/v1")', use_inner_text=True
    )
    empty_site.shop.slot(1, 10)
    empty_site.state.pulse.beat()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 trace")


def test_filters_that_nothing_passes_lead_back_to_everything(seen):
    page = seen.open("/traces?q=zebra")
    expect(page.locator(".list")).to_contain_text("No trace passes these filters")
    page.locator(".list").get_by_role("link", name="all").click()
    page.wait_for_url("**/traces")


def odd(shop: Shop, name: str, **changes: object) -> Trace:
    """A trace that was stored as it is."""
    plain = Trace(
        id=TraceId(name), app=shop.house.app, at=shop.clock.at, unit_id=UnitId("s-odd"), outcome=Ok()
    )
    made = replace(plain, **changes)  # type: ignore[arg-type]
    shop.house.traces.add_traces([made])
    return made


def test_a_trace_without_content_says_so(live_site, looking):
    odd(live_site.shop, "tr-empty")
    page = looking(live_site).open("/traces?peek=tr-empty")
    expect(page.locator(".rows")).to_contain_text("without content")
    expect(page.get_by_role("complementary")).to_contain_text("It came without content")
    expect(page.locator(".kv").first).to_contain_text("in unknown, out unknown")


def test_what_people_wrote_stays_text(live_site, looking):
    evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>{{ 7 * 7 }}\u202egnp.exe'
    odd(
        live_site.shop,
        "<b>x/y?#.json&</b>",
        inputs={
            "messages": [{"role": evil, "content": evil}, 7, {"role": "user", "content": [evil]}],
            evil: evil,
        },
        output=evil,
        finish_reason=evil,
        attributes={
            evil: evil,
            "openai.response.tool_calls": [{"function": {"name": evil, "arguments": evil}}, 3],
        },
    )
    live_site.shop.house.traces.set_clusters(live_site.shop.house.app, {TraceId("<b>x/y?#.json&</b>"): evil})
    seen = looking(live_site)
    page = seen.open("/traces")
    page.locator("[data-row]").first.click()
    peek = page.get_by_role("complementary")
    expect(peek).to_contain_text("{{ 7 * 7 }}")
    assert page.locator("#live img, #live script, #live b").count() == 0
    assert "\u202e" not in page.content()
    peek.get_by_role("heading", level=2).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<b>x/y?#.json&</b>")


def test_new_traces_are_announced_and_what_one_reads_does_not_move(live_site, looking):
    seen = looking(live_site)
    page = seen.open("/traces")
    listed = rows(page)
    for _ in range(3):
        page.keyboard.press("j")
    page.keyboard.press("Enter")
    peek = page.get_by_role("complementary")
    expect(peek).to_contain_text(listed[2])
    peek.locator("summary").first.click()
    page.evaluate("window.stayed = document.querySelector('.peek'); scrollTo(0, 300)")
    top = page.evaluate("scrollY")
    live_site.shop.slot(5, 60)
    live_site.state.pulse.beat()
    expect(page.locator("h1")).to_have_text("65 traces")
    expect(page.get_by_role("link", name="5 newer")).to_be_visible()
    assert rows(page) == listed
    assert page.evaluate("window.stayed === document.querySelector('.peek')"), "no reload, the same element"
    expect(peek).to_contain_text(listed[2])
    assert page.locator("details[open]").count() == 1, "what was unfolded stays unfolded"
    assert page.evaluate("document.activeElement.textContent") == "system", "the focus stays where it was"
    assert page.evaluate("scrollY") == top
    page.locator("main").focus()
    page.keyboard.press("k")  # another one is looked at: the list still begins where it did
    expect(peek).to_contain_text(listed[1])
    assert rows(page) == listed
    page.keyboard.press("n")
    expect(page.get_by_role("link", name="newer")).to_have_count(0)
    assert rows(page)[5:] == listed[:45]
    expect(peek).to_contain_text(listed[1])


def test_a_list_of_other_filters_begins_with_its_newest(live_site, looking):
    page = looking(live_site).open("/traces")
    live_site.shop.slot(5, 60)
    live_site.state.pulse.beat()
    expect(page.get_by_role("link", name="5 newer")).to_be_visible()
    page.get_by_role("list", name="time").get_by_role("link", name="last 7 days").click()
    page.wait_for_url("**since=7d")
    expect(page.get_by_role("link", name="newer")).to_have_count(0)
    newest = live_site.shop.house.traces.traces(live_site.shop.house.app, limit=1).traces[0]
    assert rows(page)[0] == newest.id


def test_what_a_person_types_survives_a_change(live_site, looking):
    page = looking(live_site).open("/traces")
    page.keyboard.press("/")
    page.keyboard.type("refu")
    live_site.shop.slot(3, 60)
    live_site.state.pulse.beat()
    expect(page.locator("h1")).to_have_text("63 traces")
    page.keyboard.type("nd")
    expect(page.locator("#q")).to_have_value("refund")


# --- spans, and what a call may be made of ---------------------------------------------------------------


@pytest.fixture(scope="module")
def agent_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A shop with an agent's turn in eight spans, and calls of every sort. Not to be changed."""
    shop = Shop.open(tmp_path_factory.mktemp("agents") / "shop")
    shop.slot(10, 3_600)
    agents.agent(shop)
    agents.calls(shop)
    yield from served(shop)
    shop.house.close()


def test_spans_stand_as_a_tree_with_their_times_and_open_in_place(agent_site, looking):
    page = looking(agent_site).open(f"/traces?peek={agents.AGENT}")
    spans = page.locator(".spans > li > a")
    assert spans.locator(".what").all_inner_texts() == [
        *("support agent", "plan", "chat gpt-5-mini", "find_order", "search the handbook"),
        *("send_notice", "policy", "chat gpt-5-mini"),
    ]
    insets = spans.locator(".what").evaluate_all(
        "all => all.map(one => parseFloat(getComputedStyle(one).paddingLeft))"
    )
    assert [round(inset / insets[1]) for inset in insets] == [0, 1, 2, 1, 1, 1, 1, 1]
    bars = spans.locator("svg").evaluate_all(
        "all => all.map(one => { const whole = one.getBoundingClientRect();"
        " const bar = one.firstElementChild.getBoundingClientRect();"
        " return [(bar.left - whole.left) / whole.width, bar.width / whole.width]; })"
    )
    assert bars[0] == pytest.approx([0, 1], abs=0.02)
    assert bars[7] == pytest.approx([1.88 / 3.42, 1.52 / 3.42], abs=0.02)
    expect(spans.nth(5)).to_contain_text("■ errored")
    page.keyboard.press("s")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    opened = page.locator(".opened")
    expect(opened).to_contain_text("input order")
    expect(opened.locator("pre")).to_contain_text('"carrier": "DHL"')
    assert "span=a3" in page.url
    expect(page.locator(".spans [aria-expanded=true] .what")).to_have_text("find_order")
    page.keyboard.press("Enter")  # again, and it is closed
    expect(opened).to_have_count(0)
    assert "span=" not in page.url


def test_a_span_has_an_address_and_its_twin_has_all_of_it(agent_site, looking):
    seen = looking(agent_site)
    page = seen.open(f"/traces/{agents.AGENT}?span=a7#span-a7")
    expect(page.locator(".opened .turn.answer")).to_contain_text("arrives within two days")
    expect(page.locator(".spans [aria-expanded=true]")).to_be_in_viewport()
    page.locator(".opened summary", has_text="what it thought first").click()
    expect(page.locator(".opened")).to_contain_text("say when it comes")
    page.keyboard.press("k")
    expect(page.locator("a[data-row]:focus")).to_have_count(1)
    twin = seen.site.get(f"/traces/{agents.AGENT}.json").data["trace"]["spans"]
    assert len(twin) == 8
    assert twin[-1]["output"] == agents.ANSWER
    assert "has no span zz" in seen.site.get(f"/traces/{agents.AGENT}?span=zz").text


def test_what_has_not_come_and_what_is_no_longer_kept_is_said_in_words(agent_site, looking):
    page = looking(agent_site).open(f"/traces?peek={agents.PARTED}")
    peek = page.get_by_role("complementary")
    expect(peek).to_contain_text("Not all of it has come")
    expect(peek).to_contain_text("1 span names a parent that has not come")
    expect(page.locator(".rows")).to_contain_text("incomplete")
    page.goto(f"{agent_site.url}/traces?peek={agents.FADED}")
    expect(peek).to_contain_text("Its content is no longer kept")
    expect(page.locator(".rows")).to_contain_text("content no longer kept")


def test_pictures_thoughts_and_structured_answers_are_told_apart(agent_site, looking):
    page = looking(agent_site).open(f"/traces?peek={agents.TOOLED}")
    peek = page.get_by_role("complementary")
    expect(peek).to_contain_text("with 2 images, not kept")
    expect(peek).to_contain_text("tool: find_order")
    expect(peek).to_contain_text("Tools offered: find_order, refund")
    expect(peek.locator(".answer pre")).to_contain_text('  "verdict": "refund",')
    expect(peek).to_contain_text("gpt-5, call verdict")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("model=gpt-5-mini", [agents.AGENT]),
        ("call=verdict", [agents.TOOLED]),
        ("kind=retriever", [agents.AGENT]),
        ("step=find_order", [agents.AGENT]),
        ("incomplete=yes", [agents.PARTED]),
        ("slower=20s&incomplete=no", [agents.FADED, agents.BROKEN]),
        ("scored=no", [agents.FADED, agents.BROKEN, agents.TOOLED, agents.PARTED]),
        ("unit=s-17", [agents.TOOLED]),
        ("attribute=inchworm.name%3Dsupport%20agent", [agents.AGENT]),
        ("between=helpful%3D0.81..0.83&model=gpt-5-mini", []),
    ],
)
def test_every_filter_of_the_address_filters(agent_site, query, found):
    data = agent_site.get(f"/traces.json?{query}").data
    assert [one["id"] for one in data["traces"]] == found
    assert data["total"] == len(found)


@pytest.mark.parametrize("query", ["scored=perhaps", "kind=guess", "slower=soon", "attribute=x", "between=y"])
def test_a_filter_that_means_nothing_says_what_it_may_be(agent_site, query):
    assert agent_site.get(f"/traces?{query}").status == 400


def test_on_a_telephone_the_spans_fit(agent_site, looking):
    page = looking(agent_site, viewport=NARROW).open(f"/traces/{agents.AGENT}?span=a7")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator(".spans")).to_be_visible()
