"""Who calls, by a key of ours."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.access import key_digest
from inchworm.domain.configuration import AppRef
from inchworm.domain.published import Published, PublishedApp, PublishedKey
from inchworm.gateway.access import ANYBODY, Caller, caller_of, ours
from inchworm.gateway.faults import FaultError
from inchworm.gateway.resolving import Serving, UnknownAppError
from inchworm.gateway.settings import Settings

SHOP, SEARCH = AppRef(app="shop", environment="production"), AppRef(app="search", environment="staging")
SECRET = "5" * 64
NOW = 1_000.0


def key(id_: str) -> str:
    return f"iw_{id_ * 10}_{SECRET}"


def published(id_: str, app: AppRef | None = None, expires_at: float | None = None) -> PublishedKey:
    return PublishedKey(id=id_ * 10, digest=key_digest(SECRET), app=app, expires_at=expires_at)


SERVING = Serving(
    Published(
        apps=(PublishedApp(app=SHOP), PublishedApp(app=SEARCH)),
        keys=(
            published("a"),
            published("b", SEARCH),
            published("c", expires_at=NOW),
            published("d", expires_at=NOW + 1),
        ),
    ),
    b"k" * 32,
    clock=lambda: NOW,
)
OPEN = Settings(data=Path("data"), control="http://127.0.0.1:1")
CLOSED = Settings(data=Path("data"), control="http://127.0.0.1:1", require_key=True)
FREE, BOUND = Caller(app=None, keyed=True), Caller(app=SEARCH, keyed=True)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("settings", [OPEN, CLOSED])
@pytest.mark.parametrize(
    ("headers", "who"),
    [
        ({"authorization": f"Bearer {key('a')}"}, FREE),
        ({"authorization": f"bearer {key('b')}"}, BOUND),
        ({"authorization": basic("pk-lf-1", key("b"))}, BOUND),
        ({"authorization": basic(key("b"), "")}, BOUND),
        ({"x-api-key": key("b")}, BOUND),
        ({"api-key": key("d")}, FREE),
        ({"inchworm-key": key("b"), "authorization": "Bearer sk-mine"}, BOUND),
        ({"inchworm-key": key("b"), "authorization": f"Bearer {key('a')}"}, BOUND),
    ],
)
def test_a_key_says_who_calls_wherever_it_stands(settings: Settings, headers: dict[str, str], who: Caller):
    assert caller_of(headers, SERVING, settings) == who


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer sk-mine"}, {"x-api-key": "sk-ant"}])
def test_without_a_key_anybody_calls_unless_one_is_needed(headers: dict[str, str]):
    assert caller_of(headers, SERVING, OPEN) == ANYBODY
    with pytest.raises(FaultError) as refused:
        caller_of(headers, SERVING, CLOSED)
    assert (refused.value.fault.status, refused.value.fault.code) == (401, "key_needed")


@pytest.mark.parametrize("settings", [OPEN, CLOSED])
@pytest.mark.parametrize(
    "written",
    [
        key("e"),
        key("c"),
        key("a")[:-1] + "0",
        key("a")[:-1],
        "iw_",
        "iw_aaaaaaaaaa",
        f"{key('a')} "[:-2] + "é",
    ],
)
def test_a_key_that_opens_nothing_is_refused_also_where_none_is_needed(settings: Settings, written: str):
    for headers in ({"authorization": f"Bearer {written}"}, {"inchworm-key": written}):
        with pytest.raises(FaultError) as refused:
            caller_of(headers, SERVING, settings)
        assert (refused.value.fault.status, refused.value.fault.code) == (401, "unknown_key")
        assert written not in refused.value.fault.message or written == "iw_"


@given(
    st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: "Basic " + base64.b64encode(raw).decode())
)
def test_no_header_breaks_it_and_what_is_ours_begins_as_ours(value: str):
    found = ours(value)
    assert found is None or found.startswith("iw_")


def test_the_key_s_app_is_meant_where_nothing_else_is_said():
    assert SERVING.route({}, {"model": "m"}, SEARCH).app.app == SEARCH
    assert SERVING.route({}, {"model": "m"}).app.app == SHOP
    for headers in ({"inchworm-app": "search"}, {"inchworm-app": "search/staging"}):
        assert SERVING.route(headers, {"model": "m"}, SEARCH).app.app == SEARCH
    assert SERVING.route({}, {"model": "app:search/rank"}, SEARCH).call == "rank"


@pytest.mark.parametrize(
    ("headers", "model"),
    [({"inchworm-app": "shop"}, "m"), ({"inchworm-app": "search/production"}, "m"), ({}, "app:shop")],
)
def test_a_bound_key_sends_for_no_other_app(headers: dict[str, str], model: str):
    with pytest.raises(UnknownAppError, match="sends for search/staging alone"):
        SERVING.route(headers, {"model": model}, SEARCH)


def test_a_key_of_an_app_that_is_not_served_is_for_nobody():
    with pytest.raises(UnknownAppError, match="other/production"):
        SERVING.route({}, {"model": "m"}, AppRef(app="other", environment="production"))
