"""Who is let in: keys, scopes, sessions, links, and what stands before every route."""

import re

import pytest
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.api.serving import GATEWAY_TOKEN, MASTER, TOKEN

from inchworm.app.api.attempts import MOST, WITHIN_S
from inchworm.app.api.auth import Need, is_gateway
from inchworm.app.api.deps import HouseFor
from inchworm.app.api.login import safe_next
from inchworm.app.api.sessions import LINK_S, SESSION_S, cookie_name
from inchworm.app.remote.methods import METHODS
from inchworm.domain.access import Scope
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.published import WITNESS, witness

FILLED = {"act": "pause", "store": "control"}


def scopes_of(route):
    """The scopes that a route's dependencies ask for."""
    found, waiting = [], [route.dependant]
    while waiting:
        one = waiting.pop()
        waiting += one.dependencies
        if isinstance(one.call, Need | HouseFor):
            found.append(one.call.scope)
        elif one.call is is_gateway:  # or whoever may look
            found.append(Scope.VIEWER)
    return found


def api_routes(app):
    """Verb, path and dependant of every route of the API."""
    spec = app.openapi()
    found = []
    waiting = list(app.router.routes)
    while waiting:
        one = waiting.pop()
        inner = getattr(one, "original_router", None)
        if inner is not None:
            waiting += inner.routes
        if isinstance(one, APIRoute):
            found.append(one)
    assert len(spec["paths"]) > 25
    return found


@pytest.fixture(scope="module")
def keys(looking):
    return {scope: looking.key(scope.value)["key"] for scope in Scope}


def documented(app):
    """Every operation of the API that is documented: verb and path."""
    return [(verb.upper(), path) for path, verbs in app.openapi()["paths"].items() for verb in verbs]


def least(app):
    """The least scope per operation, read from the routes' dependencies."""
    table = {}
    for route in api_routes(app):
        found = scopes_of(route)
        for verb in route.methods:
            if found:
                table[verb, route.path.replace(":path}", "}")] = max(found, key=list(Scope).index)
    return table


def test_every_operation_takes_a_scope_and_lets_nobody_in_without_a_key(looking):
    table = least(looking.app)
    for verb, path in documented(looking.app):
        inner = path.removeprefix("/api/v1")
        if inner != "/serving":  # gateways; see below
            assert any(known.endswith(inner) and one == verb for one, known in table), (verb, path)
        answer = looking(verb, re.sub(r"\{(\w+)\}", lambda m: FILLED.get(m[1], "x"), path), token=None)
        assert answer.status == 401, (verb, path)
        assert answer.error["code"] == "unauthorized"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_each_scope_may_do_what_those_before_it_may_and_no_more(looking, keys):
    table = {
        (verb, path.removeprefix("/api/v1")): scope for (verb, path), scope in least(looking.app).items()
    }
    for verb, path in documented(looking.app):
        inner = path.removeprefix("/api/v1")
        if inner == "/serving":
            continue
        wanted = table[verb, inner]
        for scope, key in keys.items():
            if verb == "POST" and scope.includes(wanted):
                # What would act is stopped by its body, after the scope was looked at.
                answer = looking(
                    verb, _path(path), raw=b"[", token=key, headers={"Content-Type": "application/json"}
                )
                assert answer.status not in {401, 403, 500}, (verb, path, scope, answer.body)
                continue
            answer = looking(verb, _path(path), token=key)
            refused = not scope.includes(wanted)
            assert (answer.status == 403) == refused, (verb, path, scope, answer.body)
            assert answer.status != 500
            if refused:
                assert str(wanted) in answer.error["message"]


def _path(path):
    # things that do not exist, so that nothing is done
    return re.sub(r"\{(\w+)\}", lambda m: FILLED.get(m[1], "no-such-thing"), path)


@pytest.mark.parametrize("scope", list(Scope))
def test_methods_of_the_stores_take_their_scopes(looking, keys, scope):
    for store, methods in METHODS.items():
        for method, wanted in methods.items():
            answer = looking(
                "POST", f"/api/v1/stores/{store}/{method}", {"arguments": {"x": 1}}, token=keys[scope]
            )
            expected = 422 if scope.includes(wanted) else 403
            assert answer.status == expected, (store, method, answer.body)


@pytest.mark.parametrize("arguments", [{}, None])
def test_a_call_of_a_store_that_lacks_arguments_is_refused(looking, arguments):
    for store, methods in METHODS.items():
        for method in methods:
            answer = looking("POST", f"/api/v1/stores/{store}/{method}", {"arguments": arguments})
            assert answer.status in {200, 422}, (store, method, answer.body)


def test_gateways_are_told_what_to_serve_and_nothing_else(looking):
    answer = looking("GET", "/api/v1/serving?gateway=gw&url=http://127.0.0.1:1", token=GATEWAY_TOKEN)
    assert (answer.status, answer.body) == (200, looking.state.publisher.document)
    held = looking.state.publisher.version
    assert answer.headers["etag"] == f'"{held}"'
    assert looking("GET", f"/api/v1/serving?holds={held}&wait=0", token=GATEWAY_TOKEN).status == 304
    assert looking("GET", "/api/v1/status", token=GATEWAY_TOKEN).status == 401
    assert [one["name"] for one in looking.get("/gateways")["gateways"]] == ["gw"]


def test_the_server_vouches_for_its_answer_to_a_gateway_and_to_nobody_else(looking, keys):
    key, held = derive(MASTER, Purpose.PUBLISHED), looking.state.publisher.version
    for query in ("", f"&holds={held}&wait=0"):
        path = f"/api/v1/serving?nonce={'0' * 32}{query}"
        answer = looking("GET", path, token=GATEWAY_TOKEN)
        assert answer.headers[WITNESS] == witness(key, "0" * 32, held)
        assert WITNESS not in looking("GET", path, token=keys[Scope.VIEWER]).headers
    assert WITNESS not in looking("GET", "/api/v1/serving", token=GATEWAY_TOKEN).headers
    assert looking("GET", "/api/v1/serving?nonce=x", token=GATEWAY_TOKEN).status == 422


def test_only_a_gateway_is_listed_as_one(looking, keys):
    looking("GET", "/api/v1/serving?gateway=forged&url=http://x", token=keys[Scope.VIEWER])
    assert "forged" not in looking.state.publisher.seen


def test_a_key_is_shown_once_and_kept_as_a_hash(api):
    made = api.key("viewer", name="ci")
    assert re.fullmatch(r"iw_[0-9a-f]{10}_[0-9a-f]{64}", made["key"])
    secret = made["key"].rpartition("_")[2]
    listed = api("GET", "/api/v1/keys").body.decode()
    assert secret not in listed
    assert '"name":"ci"' in listed.replace('": "', '":"')
    assert secret not in api.state.house.spec.data.joinpath("control.sqlite3").read_bytes().decode("latin-1")
    assert api.get("/me", token=made["key"])["name"] == "ci"


def test_a_key_ends_when_it_is_revoked_and_when_it_expires(api):
    short, long = api.key("viewer", expires_s=60), api.key("viewer")
    assert api("GET", "/api/v1/me", token=short["key"]).status == 200
    api.clock.at += 61
    assert api("GET", "/api/v1/me", token=short["key"]).status == 401
    assert api("GET", "/api/v1/me", token=long["key"]).status == 200
    assert api.post(f"/keys/{long['about']['id']}/revoke")["revoked"]
    assert not api.post(f"/keys/{long['about']['id']}/revoke")["revoked"]
    assert api("GET", "/api/v1/me", token=long["key"]).status == 401
    assert api("POST", "/api/v1/keys/nope/revoke").status == 404


def test_a_key_that_only_sends_opens_nothing_of_the_server(looking, keys):
    key = keys[Scope.INGEST]
    for path in ("/api/v1/me", "/api/v1/serving", "/", "/traces", "/traces.json", "/events"):
        assert looking("GET", path, token=key).status == 403, path
    assert looking("POST", "/api/v1/stores/control/apps", raw=b"{}", token=key).status == 403
    assert looking("POST", "/api/v1/login-links", token=key).status == 403
    answer = looking("POST", "/login", form={"key": key}, token=None)
    assert answer.status == 403
    assert not answer.cookies
    assert "look at nothing" in answer.body.decode()


def test_when_a_key_was_used_is_kept_to_the_hour(api):
    made = api.key("viewer")
    used = []
    for later in (0, 60, 3_600):
        api.clock.at += later
        api.get("/me", token=made["key"])
        used.append(api.state.house.control.api_key(made["about"]["id"]).used_at)
    assert used == [1_790_000_000.0, 1_790_000_000.0, 1_790_003_660.0]


def test_a_wrong_secret_opens_nothing(api):
    made = api.key("admin")["key"]
    for wrong in (made[:-1] + ("0" if made[-1] != "0" else "1"), made[:13], "iw_", "", "Bearer", "é" * 9):
        token = wrong.encode("utf-8").decode("latin-1")
        assert api("GET", "/api/v1/me", token=token).status == 401, wrong


def test_what_keys_do_is_told_under_their_names(api):
    deployer = api.key("deployer", name="release train")["key"]
    api.state.house.control  # noqa: B018  # opened
    api.post("/evalsets", {"name": "extra", "size": 5}, status=201, token=deployer)
    assert api.get("/ledger?limit=1")["entries"][0]["actor"] == "release train"
    actions = [(one["action"], one["actor"]) for one in api.get("/audit")["entries"]]
    assert ("key.add", api.get("/me")["name"]) in actions


def test_a_session_lasts_twelve_hours_and_no_longer_than_its_key(api):
    made = api.key("viewer")
    cookies = [{"Cookie": api.log_in(one)} for one in (TOKEN, made["key"])]
    for cookie in cookies:
        assert api("GET", "/api/v1/me", token=None, headers=cookie).status == 200
    api.post(f"/keys/{made['about']['id']}/revoke")
    assert [api("GET", "/api/v1/me", token=None, headers=one).status for one in cookies] == [200, 401]
    api.clock.at += SESSION_S
    assert api("GET", "/api/v1/me", token=None, headers=cookies[0]).status == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(looking):
    answer = looking("POST", "/login", form={"key": TOKEN}, token=None)
    flags = {part.strip().lower() for part in answer.cookies[0].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", f"max-age={int(SESSION_S)}"} <= flags


def test_two_installations_on_one_machine_do_not_share_a_cookie(looking):
    name = looking.log_in().partition("=")[0]
    assert name == cookie_name(derive(MASTER, Purpose.SESSION))
    assert name != cookie_name(derive(bytes(32), Purpose.SESSION))


def test_a_cookie_that_was_changed_is_no_session(looking):
    cookie = looking.log_in()
    assert looking("GET", "/api/v1/me", token=None, headers={"Cookie": cookie}).status == 200
    for position in range(cookie.index("=") + 1, len(cookie), 7):
        other = "A" if cookie[position] != "A" else "B"
        forged = cookie[:position] + other + cookie[position + 1 :]
        assert looking("GET", "/api/v1/me", token=None, headers={"Cookie": forged}).status == 401


def test_a_session_is_over_after_logging_out_also_for_a_copy_of_its_cookie(api):
    cookie = api.log_in()
    token = csrf_of(api, cookie)
    answer = api("POST", "/logout", form={"csrf": token}, token=None, headers={"Cookie": cookie})
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    assert api("GET", "/api/v1/me", token=None, headers={"Cookie": cookie}).status == 401


def csrf_of(api, cookie):
    page = api("GET", "/", token=None, headers={"Cookie": cookie}).body.decode()
    (token,) = re.findall(r'name="csrf-token" content="([0-9a-f]{64})"', page)
    return token


def test_a_change_by_cookie_needs_the_token_of_its_session(api):
    cookie, other = api.log_in(), api.log_in()
    mine, foreign = csrf_of(api, cookie), csrf_of(api, other)
    assert mine != foreign
    for said, status in ((None, 403), ("", 403), (foreign, 403), (mine, 200)):
        headers = {"Cookie": cookie} | ({} if said is None else {"X-CSRF-Token": said})
        answer = api("POST", "/api/v1/wake", {}, token=None, headers=headers)
        assert answer.status == status
        assert status == 200 or answer.error["code"] == "csrf"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "{here}"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),  # a form, as our referrer policy has it
        ({"Sec-Fetch-Site": "same-origin", "Origin": "{here}"}, 200),
        ({"Origin": "{here}"}, 200),
        ({"Origin": "http://["}, 403),
    ],
)
def test_a_change_that_another_site_asks_for_is_refused_whatever_it_knows(looking, headers, status):
    cookie = looking.log_in()
    sent = {name: value.replace("{here}", looking.url) for name, value in headers.items()}
    sent |= {"Cookie": cookie, "X-CSRF-Token": csrf_of(looking, cookie)}
    assert looking("POST", "/api/v1/wake", {}, token=None, headers=sent).status == status


def test_another_site_cannot_log_a_browser_in_by_a_form(looking):
    answer = looking(
        "POST", "/login", form={"key": TOKEN}, token=None, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status == 403
    assert not answer.cookies


def test_a_link_logs_in_once(api):
    key = api.key("labeler", name="ben")["key"]
    path = api.post("/login-links", status=201, token=key)["path"]
    first, second = api("GET", path, token=None), api("GET", path, token=None)
    assert (first.status, first.headers["location"]) == (303, "/")
    me = api.get("/me", token=None, headers={"Cookie": first.cookies[0].partition(";")[0]})
    assert (me["name"], me["scope"]) == ("ben", "labeler")
    assert (second.status, second.cookies) == (401, [])


def test_a_link_is_good_for_five_minutes_and_only_while_its_key_is(api):
    late = api.post("/login-links", status=201)["path"]
    api.clock.at += LINK_S
    assert api("GET", late, token=None).status == 401
    made = api.key("viewer")
    revoked = api.post("/login-links", status=201, token=made["key"])["path"]
    api.post(f"/keys/{made['about']['id']}/revoke")
    assert api("GET", revoked, token=None).status == 401


def test_a_link_is_no_session_and_a_session_no_link(looking):
    link = looking.post("/login-links", status=201)["path"].partition("=")[2]
    name, _, session = looking.log_in().partition("=")
    assert looking("GET", "/api/v1/me", token=None, headers={"Cookie": f"{name}={link}"}).status == 401
    assert looking("GET", f"/login?key={session}", token=None).status == 401


def test_whoever_fails_too_often_waits(api):
    for _ in range(MOST):
        assert api("POST", "/login", form={"key": "wrong"}, token=None).status == 401
    answer = api("POST", "/login", form={"key": TOKEN}, token=None)
    assert (answer.status, answer.error["code"]) == (429, "too_many_requests")
    assert 0 < int(answer.headers["retry-after"]) <= WITHIN_S + 1
    assert api("GET", "/api/v1/me").status == 200
    api.clock.at += WITHIN_S
    assert api("POST", "/login", form={"key": TOKEN}, token=None).status == 303


def test_pages_send_to_the_login_and_back(looking):
    answer = looking("GET", "/traces?outcome=failed", token=None)
    assert answer.status == 303
    assert answer.headers["location"] == "/login?next=%2Ftraces%3Foutcome%3Dfailed"
    form = looking("GET", answer.headers["location"], token=None).body.decode()
    assert 'value="/traces?outcome=failed"' in form
    done = looking("POST", "/login", form={"key": TOKEN, "next": "/traces?outcome=failed"}, token=None)
    assert done.headers["location"] == "/traces?outcome=failed"


def test_twins_of_pages_are_for_keys_too_and_say_what_is_wrong_as_json(looking, keys):
    assert looking("GET", "/traces.json", token=keys[Scope.VIEWER]).status == 200
    assert looking("GET", "/traces.json", token=None).error["code"] == "unauthorized"


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/traces?x=1", "/traces?x=1"),
        ("//evil.example/x", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("http://[", "/"),
        ("", "/"),
        ("/login?next=/", "/"),
    ],
)
def test_after_logging_in_one_stays_here(wanted, goes):
    assert safe_next(wanted) == goes


@given(st.text())
def test_wherever_one_wanted_to_go_one_stays_here(wanted):
    goes = safe_next(wanted)
    assert goes.startswith("/")
    assert not goes.startswith(("//", "/\\"))
    assert goes.isprintable()


PATHS = ["/login", "/api/v1/status", "/api/v1/nothing", "/traces", "/api/openapi.json", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_headers(looking, path):
    headers = looking("GET", path).headers
    assert headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'self'; script-src 'self'"
    )
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_files_of_the_pages_are_kept_by_the_browser(looking):
    page = looking("GET", "/login", token=None).body.decode()
    path = re.findall(r'href="(/static/[^"]+\.css[^"]*)"', page)[0]
    answer = looking("GET", path, token=None)
    assert answer.status == 200
    assert "etag" in answer.headers
    assert "no-store" not in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("LOCALHOST:4140", 200),
        ("[::1]:4140", 200),
        ("inchworm.example.org", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:4140", 421),
        ("", 421),
    ],
)
def test_a_server_answers_to_its_own_names_only(looking, host, status):
    answer = looking("GET", "/api/v1/me", headers={"Host": host})
    assert answer.status == status
    assert "content-security-policy" in answer.headers


def test_a_fault_tells_nothing_of_the_inside_and_has_the_headers(folder, monkeypatch):
    from tests.integration.api.serving import serving

    with serving(folder, now=0.0) as api:

        def broken(*_args, **_more):
            raise RuntimeError("the secret inside")

        monkeypatch.setattr(type(api.state.house.control), "ledger_page", broken)
        answer = api("GET", "/api/v1/ledger")
        assert (answer.status, answer.error["code"]) == (500, "fault")
        assert b"secret" not in answer.body
        assert "content-security-policy" in answer.headers
