"""What every page has, in a real browser: keys, themes, widths, labels, the stream of changes, the policy."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.integration.web.conftest import NARROW, WIDE, Seen, Site
from tests.integration.web.setting import TOKEN

from inchworm.app.web import assets

pytestmark = pytest.mark.xdist_group("web")
PAGES = (
    "/",
    "/rollouts",
    "/rollouts/r-1",
    "/rollouts/r-2",
    "/traces",
    "/traces?peek=tr-000980",
    "/traces/tr-000980",
)
TOKENS = Path(assets.__file__).parent / "static" / "tokens.css"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_every_page_fits_its_width_in_both_themes_and_the_browser_has_nothing_to_say(
    site, looking, size, theme
):
    seen = looking(site, viewport=size, color_scheme=theme)
    for path in PAGES:
        page = seen.open(path)
        too_wide = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide == 0, f"{path} overflows by {too_wide} px"
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(19, 20, 18)") == (theme == "dark"), path


@pytest.mark.parametrize("path", PAGES)
def test_everything_has_a_name_and_headings_follow_one_another(seen, path):
    page = seen.open(path)
    assert page.evaluate(NAMELESS) == []
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(one => +one.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels
    assert page.evaluate("document.querySelectorAll('main').length") == 1
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    assert page.title().endswith(" · Inchworm")
    expect(page.locator("nav [aria-current=page]")).to_have_count(1)


NAMELESS = """() => {
  const byId = (ids) => (ids || "").split(" ").map((id) => document.getElementById(id)?.textContent).join("");
  const name = (one) => one.getAttribute("aria-label") || one.textContent.trim() || one.title
    || byId(one.getAttribute("aria-labelledby"))
    || [...(one.labels || [])].map((label) => label.textContent.trim()).join("");
  const wanted = "a[href], button, input:not([type=hidden]), select, textarea, nav, aside, dialog, "
    + "svg[role=img], [role=search] input, table th";
  return [...document.querySelectorAll(wanted)].filter((one) => !name(one)).map((one) => one.outerHTML);
}"""


def test_the_footer_and_the_help_say_the_same_keys(seen):
    page = seen.open("/traces?peek=tr-000980")
    footer = page.locator("#keys span").all_inner_texts()
    assert {"j k move", "Enter open", "/ search", "Esc close", "? all keys"} <= set(footer)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys of this page")
    expect(dialog).to_be_visible()
    helped = dialog.locator("dt").all_inner_texts()
    assert "t" in helped
    assert {text.rpartition(" ")[0] for text in footer if " " in text} & set(helped)
    assert (
        len(helped) == dialog.locator("dd").count() == len(footer) + 1
    )  # the theme's key is in the help alone
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert "peek=" in page.url, "Esc closed the dialog, and nothing beneath it"


def test_typing_into_a_field_presses_no_keys(seen):
    page = seen.open("/traces")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("jk?t")
    expect(page.locator("#q")).to_have_value("jk?t")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("#q")).not_to_be_focused()


def test_the_theme_is_chosen_and_remembered_without_a_flash(seen):
    page = seen.open("/traces")
    button = page.get_by_role("button", name=re.compile("Theme"))
    for name in ("light", "dark"):
        page.keyboard.press("t")
        expect(button).to_contain_text(name)
    page.reload()
    assert page.content().startswith('<!DOCTYPE html><html lang="en" data-theme="dark">')
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 18)"
    button.click()
    expect(button).to_contain_text("system")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") is None


def test_a_page_says_when_it_is_not_live_any_more_and_goes_on_by_itself(seen):
    page = seen.open("/traces")
    pulse = page.locator("#pulse")
    expect(pulse).to_have_text("live")
    page.route("**/events", lambda route: route.abort())
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('pageshow'))")
    expect(pulse).to_contain_text("because the server does not answer")
    page.unroute("**/events")
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('pageshow'))")
    expect(pulse).to_have_text("live")
    seen.problems[:] = [one for one in seen.problems if "ERR_FAILED" not in one and "ERR_INTERNET" not in one]


def test_a_page_whose_session_is_over_asks_to_log_in_when_something_changes(seen, site):
    page = seen.open("/traces?outcome=failed")
    page.context.clear_cookies()
    site.state.pulse.beat()
    page.wait_for_url(f"{site.url}/login?next=%2Ftraces%3Foutcome%3Dfailed")


def test_whoever_is_not_logged_in_gets_the_page_that_asks_and_comes_back(site, browser):
    context = browser.new_context(viewport=NARROW)
    page = context.new_page()
    page.goto(f"{site.url}/traces?outcome=failed")
    assert page.url == f"{site.url}/login?next=%2Ftraces%3Foutcome%3Dfailed"
    page.get_by_label("Key").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("This key opens nothing")
    page.get_by_label("Key").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.url}/traces?outcome=failed")
    page.get_by_role("button", name=re.compile("Log out")).click()
    page.wait_for_url(f"{site.url}/login")
    context.close()


def test_a_source_tree_without_its_scripts_says_what_to_do(site, monkeypatch):
    monkeypatch.setattr(assets, "missing", lambda: ("vendor/htmx.min.js",))
    text = site.get("/traces").text
    assert "<code>make setup</code>" in text
    assert "<script" not in text


def test_scripts_and_styles_are_kept_by_their_content_and_say_their_type(site):
    for name, asset in assets.assets().items():
        answer = site.get(assets.url(name), token=None)
        assert answer.content == asset.content
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"] == asset.kind
        assert site.get(f"/static/{name}", token=None).headers["cache-control"] == "no-cache"
    for outside in ("/static/../frame.py", "/static/%2e%2e/frame.py", "/static/nothing.js", "/static/"):
        assert site.get(outside).status == 404


def test_nothing_but_scripts_and_the_log_in_is_there_for_strangers(site):
    for path in (*PAGES, "/events", "/traces.json", "/traces/tr-000980.json"):
        answer = site.get(path, token=None)
        assert answer.status in {303, 401}, path
        assert "ORDER_1" not in answer.text
        assert site.get(path, token=None, hx_request="true").status in {303, 401}


def test_a_fragment_is_the_live_part_of_the_same_page(site):
    for path in PAGES:
        whole, part = site.get(path), site.get(path, hx_request="true")
        title, _, live = part.text.partition("\n")
        assert title in whole.text
        assert live.strip() in whole.text
        assert "<html" not in part.text
        assert part.headers["vary"] == "HX-Request"
        assert part.headers["cache-control"] == "no-store"


# --- the tokens ---------------------------------------------------------------------------------------


def colours() -> dict[str, tuple[str, str]]:
    """Every token that is a colour, in the light and the dark theme."""
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", TOKENS.read_text("utf-8"))
    return {name: (light, dark) for name, light, dark in found}


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2, from 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("surface", ["bg", "raised", "sunken"])
@pytest.mark.parametrize("ink", ["ink", "ink-2", "ink-3", "base-ink", "cand-ink", "harm", "focus"])
def test_every_ink_can_be_read_on_every_surface(theme, surface, ink):
    tokens = colours()
    assert contrast(tokens[ink][theme], tokens[surface][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_surrogates_and_solid_buttons_can_be_read(theme):
    tokens = colours()
    assert contrast(tokens["ink"][theme], tokens["mark"][theme]) >= 4.5
    assert contrast(tokens["bg"][theme], tokens["ink"][theme]) >= 7


def contrast_on(page: Page) -> list[str]:
    """Texts of a page whose contrast is below what WCAG 2.2 AA asks for, as the browser computed it."""
    found: list[str] = page.evaluate(TOO_FAINT)
    return found


TOO_FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => v / 255 <= .04045 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const says = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const faint = (one) => {
    const sides = [light(rgba(getComputedStyle(one).color)), light(behind(one))];
    const ratio = (Math.max(...sides) + .05) / (Math.min(...sides) + .05);
    return ratio < 4.5 ? [`${ratio.toFixed(2)} ${one.outerHTML.slice(0, 90)}`] : [];
  };
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.offsetParent && !one.disabled && says(one)).flatMap(faint);
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_text_is_too_faint_as_the_browser_computes_it(site, looking: Callable[..., Seen], theme):
    seen = looking(site, color_scheme=theme)
    assert {path: faint for path in PAGES if (faint := contrast_on(seen.open(path)))} == {}


def test_a_thing_that_moves_a_person_asks_once_and_says_why_it_was_not_done(seen, site: Site):
    page = seen.open("/traces")
    page.evaluate(
        """() => { document.querySelector("#live").insertAdjacentHTML("afterbegin",
        '<button class="btn" type="button" data-act="/rollouts/r-999/pause" data-say="It stops growing." '
        + 'data-ask="Why" data-key="s">Pause <kbd>s</kbd></button>') }"""
    )
    page.keyboard.press("s")
    dialog = page.get_by_role("dialog", name="Pause?")
    expect(dialog).to_contain_text("It stops growing.")
    expect(dialog.get_by_label("Why")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("r-999")
    seen.problems[:] = [one for one in seen.problems if "404" not in one]
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert [one.state for one in site.shop.rollouts()] == ["rolled_back", "exposing"]
