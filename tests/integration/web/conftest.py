"""A real server with data, and Debian's Chromium looking at it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from tests.integration.web.setting import TOKEN, Shop

from inchworm.app.api.build import build
from inchworm.app.serve.state import ServerState
from inchworm.app.web import assets

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request came to, redirects not followed; header names in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def data(self) -> Any:
        return json.loads(self.content)


@dataclass(slots=True)
class Site:
    """A server that runs.

    Attributes:
        url: where it listens, without a slash at the end.
        shop: what it shows.
        state: what its routes share.
    """

    url: str
    shop: Shop
    state: ServerState

    def get(self, path: str, *, token: str | None = TOKEN, **headers: str) -> Answer:
        """Ask without a browser; ``hx_request="true"`` becomes ``hx-request: true``."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        said = {name.lower(): value for name, value in answer.getheaders()}
        got = Answer(status=answer.status, headers=said, content=answer.read())
        connection.close()
        return got

    def session(self) -> str:
        """A new session of the user of this machine, as ``NAME=VALUE`` of its cookie."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        form = urllib.parse.urlencode({"key": TOKEN, "next": "/"})
        connection.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        cookie = answer.getheader("set-cookie", "")
        connection.close()
        assert answer.status == 303
        return cookie.partition(";")[0]


@dataclass(slots=True)
class Seen:
    """A page, and what the browser complained of while it was looked at.

    Attributes:
        page: the page.
        site: the server.
        problems: errors of the console, exceptions of scripts, and what the content policy refused.
    """

    page: Page
    site: Site
    problems: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to a path of the site, and wait until its script has drawn the keys."""
        self.page.goto(self.site.url + path)
        self.page.wait_for_selector("#keys kbd")
        return self.page


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop with its history; every test of the session looks at the same one."""
    made = Shop.with_history(tmp_path_factory.mktemp("shop"))
    yield made
    made.house.close()


def served(shop: Shop) -> Iterator[Site]:
    """Serve a shop on a free port, in a thread, until the generator is closed."""
    state = shop.state()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(build(state), log_level="warning", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Site(url=f"http://127.0.0.1:{listening.getsockname()[1]}", shop=shop, state=state)
        finally:
            state.pulse.stop()
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def site(shop: Shop) -> Iterator[Site]:
    """The shop, served."""
    yield from served(shop)


@pytest.fixture
def empty_site(tmp_path: Path) -> Iterator[Site]:
    """A shop on its first day, served: nothing was recorded yet."""
    shop = Shop.open(tmp_path / "empty")
    yield from served(shop)
    shop.house.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Where it is missing the tests are skipped, and say what to do; where CI runs they fail.

    Closed with each module: while it is open, playwright's event loop runs in this thread, and no other test
    could run one.
    """
    if CHROMIUM is None:
        said = "Chromium is missing: as root on Debian `apt-get install -y chromium`, then `make test`"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    if missing := assets.missing():
        pytest.fail(f"the pages' scripts were not built ({', '.join(missing)}): make setup")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


def look_at(site: Site, context: BrowserContext, seen_by: list[Seen]) -> Seen:
    """A page of a context, logged in by the token of this run."""
    page = context.new_page()
    seen = Seen(page=page, site=site)

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            seen.problems.append(f"{message.type}: {message.text}")

    page.on("console", said)
    page.on("pageerror", lambda error: seen.problems.append(f"exception: {error}"))
    page.set_default_timeout(10_000)
    name, value = site.session().split("=", 1)
    context.add_cookies([{"name": name, "value": value, "url": site.url}])
    seen_by.append(seen)
    return seen


@pytest.fixture
def looking(browser: Browser) -> Iterator[Callable[..., Seen]]:
    """Opens logged-in pages: ``looking(site, viewport=NARROW, color_scheme="dark")``.

    At the end of the test every page must have been silent: no error, no warning, no refusal of the policy.
    """
    contexts: list[BrowserContext] = []
    every: list[Seen] = []

    def look(site: Site, **wanted: Any) -> Seen:
        context = browser.new_context(**{"viewport": WIDE, "color_scheme": "light", **wanted})
        contexts.append(context)
        return look_at(site, context, every)

    yield look
    for context in contexts:
        context.close()
    assert [problem for seen in every for problem in seen.problems] == []


@pytest.fixture
def seen(site: Site, looking: Callable[..., Seen]) -> Seen:
    """A logged-in page of 1280 px in the light theme."""
    return looking(site)
