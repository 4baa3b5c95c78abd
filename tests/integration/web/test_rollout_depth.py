"""The Rollout page beyond one layer and two stages: pairs, clusters, approvals, freezes, joint, emergency."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.integration.web import scenes
from tests.integration.web.conftest import NARROW, WIDE, Seen, Site, served
from tests.integration.web.setting import Shop
from tests.integration.web.test_rollout import BEARER, post, state_of, words

from inchworm.app import keys
from inchworm.app.web.rollout import view
from inchworm.app.web.views.words import content
from inchworm.domain.access import Scope
from inchworm.domain.ids import RolloutId
from inchworm.domain.rollout import RolloutState

pytestmark = pytest.mark.xdist_group("web")
R1 = RolloutId("r-1")


def serving(shop: Shop) -> Iterator[Site]:
    yield from served(shop)
    shop.house.close()


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from serving(scenes.mirrored(tmp_path_factory.mktemp("mirrored")))


@pytest.fixture(scope="module")
def awaited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from serving(scenes.awaited(tmp_path_factory.mktemp("awaited")))


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from serving(scenes.joint(tmp_path_factory.mktemp("joint")))


@pytest.fixture(scope="module")
def emergency(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from serving(scenes.emergency(tmp_path_factory.mktemp("emergency")))


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from serving(scenes.frozen(tmp_path_factory.mktemp("frozen")))


def twin(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.get("/rollouts/r-1.json").data
    return found


def facts(page: Page, selector: str) -> dict[str, str]:
    """A list of names with what is known."""
    shown = page.locator(f"{selector} dt").all_inner_texts(), page.locator(f"{selector} dd").all_inner_texts()
    return dict(zip(*shown, strict=True))


def rung(page: Page, name: str) -> str:
    found = page.locator(".ladder li", has=page.locator("b", has_text=name)).first.inner_text()
    return " ".join(found.split())


# --- shadow


def test_a_shadow_stage_is_told_in_pairs_and_nobody_is_exposed(mirrored, looking):
    page = looking(mirrored).open("/rollouts/r-1")
    data = twin(mirrored)
    assert data == json.loads(json.dumps(content(view(mirrored.state, "r-1"))))
    evidence = mirrored.shop.house.control.monitor(R1)
    assert evidence is not None
    pairs = evidence[1]["shadow"]["consumed"]
    assert pairs > 50
    (row,) = data["exposures"]["rows"]
    assert (row["name"], row["paired"], row["units"]) == ("shadow 60 %", True, pairs)
    shown = words(page, "tbody tr")
    assert shown.startswith(f"shadow 60 %, now {pairs} pairs")
    assert words(page, "section .cap p").startswith(f"Nobody is exposed. {pairs} pairs")
    known = facts(page, ".kv:not(.facts)")
    assert known["mirrored"].startswith(f"{pairs} of at most 5,000 calls")
    assert known["served"].startswith("60 % mirrored, nobody gets it, read back from 1 of 1 gateway")
    assert "plan is internal or beta" in known["audience"]
    assert words(page, ".say").startswith("Holding in the shadow of 60 % because ")


def test_the_tiles_of_a_shadow_stage_rest_on_the_same_input(mirrored, looking):
    page = looking(mirrored).open("/rollouts/r-1")
    for tile in twin(mirrored)["tiles"]:
        shown = page.locator(".tile", has=page.get_by_role("heading", name=tile["name"], exact=True))
        said = shown.inner_text()
        assert tile["n"].endswith(" pairs")
        for part in (tile["estimate"], tile["interval"], tile["n"], "on the same input."):
            assert part in said
        assert shown.locator("svg.plot").get_attribute("aria-label") == tile["summary"]
        assert "new − old" in tile["summary"]
    assert "2,000 pairs" in words(page, "section:has(.ladder) .cap p")
    assert rung(page, "shadow 60 %").startswith("shadow 60 % 2 h so far, at least 1 h")
    assert "only where plan is internal or beta" in rung(page, "20 %")


def test_harm_in_pairs_names_the_gate_and_the_change_can_be_tried_again(tmp_path, looking):
    for site in serving(scenes.mirrored(tmp_path / "harmed", documents=2)):
        page = looking(site).open("/rollouts/r-1")
        assert words(page, ".say").endswith("pairs, and nobody was exposed.")
        expect(page.locator(".tile.harmed h3")).to_have_text("answered")
        page.keyboard.press("g")
        expect(page.get_by_role("dialog")).to_contain_text("become a new rollout")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".crumb")).to_contain_text("tries r-1 again")
        assert page.url.endswith("/rollouts/r-2")
        assert site.shop.house.control.rollout(RolloutId("r-2")).retries == R1
        page.goto(f"{site.url}/rollouts/r-1")
        expect(page.locator(".crumb")).to_contain_text("tried again as r-2")
        expect(page.get_by_role("button", name="Try again")).to_have_count(0)
        refused = post(site, "/rollouts/r-1/retry", b"{}", **BEARER)
        assert (refused.status, "is applied already" in refused.text) == (409, True)


# --- clusters and observed changes


def test_clusters_are_told_apart_with_their_intervals(awaited, looking):
    page = looking(awaited).open("/rollouts/r-1")
    (tile,) = twin(awaited)["clusters"]
    shown = page.locator(".tile", has=page.get_by_role("heading", name="answered, by cluster"))
    plot = shown.locator("svg.plot.clusters")
    assert plot.get_attribute("aria-label") == tile["summary"]
    assert (tile["found"], tile["of"]) == ("none named", "of 4 clusters")
    effects = [dot["effect"] for dot in tile["dots"]]
    assert effects == sorted(effects)
    assert all(dot["low"] <= dot["effect"] <= dot["high"] for dot in tile["dots"])
    assert plot.locator("line.iv").count() == len(tile["dots"])
    assert plot.locator("line.margin").count() == 1
    assert "Σ = " in shown.inner_text()
    page.keyboard.press(str(tile["key"]))
    expect(page).to_have_url(f"{awaited.url}{tile['href'].replace(' ', '%20')}")


def test_observed_changes_part_the_evidence(awaited, looking):
    page = looking(awaited).open("/rollouts/r-1")
    first, second = twin(awaited)["segments"]
    assert (first["because"], first["since"]) == ("From its start.", None)
    assert second["because"].startswith("The alias gpt-4.1-mini answers as ")
    rows = page.locator("section:has(#seg) tbody tr")
    expect(rows).to_have_count(2)
    assert [cell["metric"] for cell in second["cells"]] == ["answered", "complete", "latency"]
    for cell in second["cells"]:
        assert cell["n"] in rows.nth(1).inner_text()
    units = [sum(int(row["cells"][0]["n"].split(" of ")[1]) for row in (first, second))]
    assert units == [int(twin(awaited)["tiles"][0]["n"].split(" of ")[1])]


# --- approvals, freezes, jumps


def key_of(site: Site, name: str) -> dict[str, str]:
    """A deployer of this name, and what they send."""
    key, written = keys.make(name, Scope.DEPLOYER, by="ana", now=1.0, expires_at=None, random=os.urandom)
    site.shop.house.control.put_api_key(site.shop.house.app, key)
    return {"authorization": f"Bearer {written}"}


def test_it_says_who_is_awaited_and_why_it_cannot_be_promoted(awaited, looking):
    page = looking(awaited).open("/rollouts/r-1")
    assert facts(page, ".facts")["awaited"] == "2 for 50 % from ben, carla or dora"
    assert facts(page, ".facts")["loss budget"].startswith("3.0 points per 90 days against ")
    assert "needs 2 approvals: ben, carla or dora" in rung(page, "50 %")
    assert "2 % of the sessions, exposed to no rollout" in facts(page, ".kv:not(.facts)")["holdout"]
    page.keyboard.press("p")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("r-1 cannot be promoted: it has 0 of 2 approvals")
    expect(dialog.get_by_role("button", name="Promote to 50 %")).to_be_disabled()
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.keyboard.press("y")
    expect(page.get_by_role("dialog")).to_contain_text("is not among those who may approve r-1")
    assert state_of(awaited) is RolloutState.HOLDING


def test_with_every_word_given_it_is_promoted_past_a_rung_by_choice(tmp_path, looking):
    for site in serving(scenes.awaited(tmp_path / "agreed")):
        page = looking(site).open("/rollouts/r-1")
        first = post(site, "/rollouts/r-1/approve", b'{"reason": "read it"}', **key_of(site, "ben"))
        assert (first.status, first.data["before"]) == (200, "50 %")
        assert "1 of 2 approvals (ben)" in first.data["missing"]
        expect(page.locator(".facts")).to_contain_text("ben for 50 %")
        expect(page.locator(".log")).to_contain_text("Approved r-1 (prompt) for 50 %: read it.")
        assert post(site, "/rollouts/r-1/approve", b"{}", **key_of(site, "ana")).status >= 400
        assert post(site, "/rollouts/r-1/approve", b"{}", **key_of(site, "carla")).data["missing"] is None
        expect(page.locator(".ladder")).to_contain_text("approved by ben and carla")
        page.keyboard.press("p")
        choice = page.get_by_label("Up to")
        expect(choice).to_be_focused()
        assert choice.locator("option").all_inner_texts() == [
            "Promote to 50 %",
            "Promote to the soak, 95 %",
            "Promote to stable",
        ]
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("dialog")).to_contain_text(
            "It goes from 20 % to 95 %, ahead of the evidence, past 50 %."
        )
        page.keyboard.press("Control+Enter")
        expect(page.locator(".say")).to_contain_text("Soaking at 95 %")
        assert state_of(site) is RolloutState.SOAKING
        assert "passed over" in rung(page, "50 %")


def test_in_a_freeze_nothing_grows_and_all_else_can_be_done(frozen, looking):
    page = looking(frozen).open("/rollouts/r-1")
    assert "freeze until Fri 18:30" in rung(page, "50 %")
    assert "after the freeze ends Fri 18:30" in words(page, "section:has(.ladder) .cap p")
    page.keyboard.press("p")
    expect(page.get_by_role("dialog")).to_contain_text("nothing grows in the freeze")
    page.keyboard.press("Escape")
    answer = post(frozen, "/rollouts/r-1/promote", b'{"to": "stable"}', **BEARER)
    assert (answer.status, state_of(frozen)) == (409, RolloutState.EXPOSING)
    offers = {offer["act"]: offer["blocked"] for offer in twin(frozen)["acts"]}
    assert offers["promote"].startswith("r-1 cannot be promoted: nothing grows")
    assert (offers["pause"], offers["abort"]) == ("", "")


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("promote", b'{"to": "33%"}', "there is no stage"),
        ("pause", b'{"to": "soak"}', '"to" is a rung to promote to'),
        ("approve", b"{}", "needs nobody's approval"),
        ("retry", b"{}", "only what did not stay is tried again"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(frozen, path, body, said):
    answer = post(frozen, f"/rollouts/r-1/{path}", body, **BEARER)
    assert 400 <= answer.status < 500
    assert said in answer.data["error"]["message"]
    assert post(frozen, f"/rollouts/r-1/{path}", body).status == 401


# --- joint steps and emergencies


def test_a_joint_step_raises_all_its_layers_and_waits_for_somebody(joint, looking):
    page = looking(joint).open("/rollouts/r-1")
    assert words(page, "h1").startswith("context and prompt: ")
    assert page.locator("h1 svg.worm").get_attribute("aria-label") == "layers: context, prompt"
    assert page.locator("h1 svg.worm .up").count() == 2
    expect(page.locator(".chips")).to_contain_text("2 layers, approved as one")
    expect(page.locator("section:has(#cfg) tr.moved")).to_have_count(2)
    assert (
        words(page, ".head .mut")
        == "It goes on to 20 % by itself once approved by ben or carla. Nobody gets it until then."
    )


def test_the_first_page_says_whose_word_is_awaited_and_when_what_waits_begins(joint, looking):
    page = looking(joint).open("/")
    waits = page.locator("table.you tr")
    assert waits.locator(".chip.you").all_inner_texts() == ["approve", "approve", "plan"]
    expect(waits.first).to_contain_text("r-1 needs 1 approval for 20 %: ben or carla.")
    expect(waits.nth(1)).to_contain_text("r-2 needs 1 approval for 20 %: carla.")
    expect(page.locator("table.you")).to_contain_text("gpt-4.1-mini is retired on")
    queue = page.locator("section:has(#que)")
    assert joint.get("/now.json").data["queue"][0]["starts"] in queue.inner_text()
    page.get_by_role("link", name="Queue", exact=True).last.click()
    expect(page).to_have_url(f"{joint.url}/queue")


def test_an_emergency_says_so_and_what_it_passed_over(emergency, looking):
    page = looking(emergency).open("/rollouts/r-1")
    expect(page.locator(".chip.harm")).to_have_text("emergency")
    expect(page.locator(".chips")).to_contain_text("ben broke the glass: the provider’s incident")
    assert facts(page, ".facts")["approvals"] == "passed over: the glass was broken"
    assert "passed over" in rung(page, "20 %")
    now = looking(emergency).open("/")
    expect(now.locator("section:has(#fly) .chip.harm")).to_have_text("emergency")


# --- widths and themes


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (NARROW, "dark")], ids=["1280", "390"])
@pytest.mark.parametrize("scene", ["mirrored", "awaited", "emergency"])
def test_every_scene_fits_the_window(
    request: pytest.FixtureRequest, looking: Callable[..., Seen], scene: str, size: dict[str, int], theme: str
):
    site: Site = request.getfixturevalue(scene)
    page = looking(site, viewport=size, color_scheme=theme).open("/rollouts/r-1")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    hidden = page.evaluate(
        "[...document.querySelectorAll('svg.plot')].filter(one => !one.getAttribute('aria-label')).length"
    )
    assert hidden == 0
