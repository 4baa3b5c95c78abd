"""What goes to the provider, and what comes back."""

import base64
import gzip
import zlib

import pytest

from inchworm.domain.errors import ConfigError
from inchworm.gateway.forwarding import (
    Unpacker,
    returned_headers,
    said_headers,
    sent_headers,
    sent_path,
)
from inchworm.gateway.http1 import Head
from inchworm.gateway.upstream import Origin, Target, request_bytes

CHAT = "/v1/chat/completions"
OURS = f"iw_{'0' * 10}_{'1' * 64}"


def test_hop_by_hop_headers_and_ours_go_no_further() -> None:
    mine = [
        ("authorization", "Bearer a"),
        ("x-b", "1"),
        ("x-b", "2"),
        ("openai-project", "p"),
    ]
    theirs = [
        *(("host", "g"), ("content-length", "3"), ("accept-encoding", "br"), ("te", "trailers")),
        *(("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("expect", "100-continue")),
        *(("inchworm-app", "shop"), ("inchworm-token", "t1"), ("connection", "keep-alive"), ("cookie", "c")),
    ]
    assert sent_headers([*theirs, *mine], key=None, path=CHAT) == [*mine, ("accept-encoding", "identity")]


def test_what_connection_names_is_hop_by_hop_too() -> None:
    items = [("x-hop", "1"), ("connection", "close, X-Hop"), ("x-stays", "2")]
    assert sent_headers(items, key=None, path=CHAT)[:-1] == [("x-stays", "2")]


@pytest.mark.parametrize("own", ["authorization", "api-key", "x-api-key"])
def test_a_caller_s_own_key_wins(own: str) -> None:
    assert sent_headers([(own, "mine")], key="house", path=CHAT)[:-1] == [(own, "mine")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", f"Bearer {OURS}"),
        ("authorization", f"bearer  {OURS}"),
        ("authorization", OURS),
        ("authorization", "Basic " + base64.b64encode(f"public:{OURS}".encode()).decode()),
        ("authorization", "Basic " + base64.b64encode(f"{OURS}:".encode()).decode()),
        ("x-api-key", OURS),
        ("api-key", OURS),
        ("authorization", "Bearer iw_damaged"),
        ("authorization", f"Token {OURS}"),
        ("authorization", f"Bearer sk-mine, Bearer {OURS}"),
        ("authorization", "Basic " + base64.b64encode(f"ab:{OURS}".encode()).decode().rstrip("=")),
        ("authorization", "Basic " + base64.urlsafe_b64encode(f"???>>>:{OURS}".encode()).decode()),
        ("authorization", "Basic " + base64.b64encode("\xfc:".encode("latin-1") + OURS.encode()).decode()),
        ("x-goog-api-key", OURS),
        ("x-any", f"key={OURS}"),
        ("inchworm-key", OURS),
    ],
)
def test_a_key_of_ours_goes_no_further_and_the_house_s_takes_its_place(name: str, value: str) -> None:
    sent = sent_headers([(name, value)], key="house", path=CHAT)
    assert sent == [("accept-encoding", "identity"), ("authorization", "Bearer house")]
    assert sent_headers([(name, value)], key=None, path=CHAT) == [("accept-encoding", "identity")]


def test_a_key_of_ours_beside_the_caller_s_own_leaves_that_one() -> None:
    items = [("x-api-key", OURS), ("authorization", "Bearer sk-mine")]
    assert sent_headers(items, key="house", path=CHAT)[:-1] == [("authorization", "Bearer sk-mine")]


def test_a_house_s_key_is_written_as_the_path_wants_it() -> None:
    assert sent_headers([], key="k", path=CHAT)[-1] == ("authorization", "Bearer k")
    assert sent_headers([], key="k", path="/openai/v1/chat/completions")[-1] == ("api-key", "k")


@pytest.mark.parametrize(
    ("base", "path", "query", "sent"),
    [
        ("https://api.openai.com/v1", "/v1/chat/completions", "", "/v1/chat/completions"),
        ("http://h/proxy/v1/", "/v1/chat/completions", "a=1", "/proxy/v1/chat/completions?a=1"),
        ("http://h", "/v1/chat/completions", "", "/chat/completions"),
        ("http://h/v1?k=v", "/v1/chat/completions", "a=1", "/v1/chat/completions?k=v&a=1"),
        (
            "https://r.openai.azure.com",
            "/openai/deployments/d/x",
            "api-version=1",
            "/openai/deployments/d/x?api-version=1",
        ),
        ("https://r/openai/v1", "/openai/deployments/d/x", "", "/openai/deployments/d/x"),
        ("https://r/openai", "/openai/v1/x", "", "/openai/v1/x"),
        ("https://r/openai/v1", "/v1/chat/completions", "", "/openai/v1/chat/completions"),
        ("http://h/v1", "/openai/deployments/ü d/x", "", "/openai/deployments/%C3%BC%20d/x"),
    ],
)
def test_paths_are_put_behind_the_base(base: str, path: str, query: str, sent: str) -> None:
    assert sent_path(Target.of(base), path, query) == sent


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Api.Example.com/v1", Origin(True, "api.example.com", 443)),
        ("http://127.0.0.1:8000/v1", Origin(False, "127.0.0.1", 8000)),
        ("http://[::1]:8000", Origin(False, "::1", 8000)),
    ],
)
def test_a_base_url_says_where_connections_lead(url: str, origin: Origin) -> None:
    assert Target.of(url).origin == origin


@pytest.mark.parametrize(
    "url", ["", "api.openai.com", "ftp://h", "http://", "http://h:x", "http://a b/", "http://h/é"]
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is no URL"):
        Target.of(url)


def test_a_request_is_written_as_http_1_1_has_it() -> None:
    origin = Origin(False, "::1", 81)
    written = request_bytes("POST", origin, "/a?b", [("x-c", "d")], b"123")
    assert written == b"POST /a?b HTTP/1.1\r\nhost: [::1]:81\r\nx-c: d\r\ncontent-length: 3\r\n\r\n"
    assert b"content-length: 0" in request_bytes("POST", origin, "/", [], b"")
    assert b"content-length" not in request_bytes("GET", origin, "/", [], b"")
    assert Origin(True, "h", 443).authority == Origin(False, "h", 80).authority == "h"


def test_headers_on_which_clients_act_come_back() -> None:
    kept = [
        *(("content-type", "a/b"), ("retry-after", "7"), ("retry-after-ms", "70"), ("x-request-id", "r")),
        *(("x-ratelimit-limit-tokens", "9"), ("openai-version", "1"), ("x-should-retry", "true")),
    ]
    lost = [
        ("set-cookie", "a"),
        ("content-length", "3"),
        ("connection", "close"),
        ("server", "s"),
        ("x-bad", "é"),
    ]
    assert returned_headers(Head(200, [*lost, *kept])) == kept


def test_a_unit_that_no_header_can_hold_is_left_out() -> None:
    def said(unit: str) -> dict[str, str]:
        return dict(said_headers(trace="t", unit=unit, configuration=None, token=None))

    assert said("u-1") == {"inchworm-trace": "t", "inchworm-unit": "u-1"}
    for unit in ("a\r\nx: y", "ü", "a\x7f"):
        assert said(unit) == {"inchworm-trace": "t"}


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_what_is_packed_is_unpacked_piece_by_piece(pack) -> None:
    coding = "gzip" if pack is gzip.compress else "deflate"
    unpacker = Unpacker.of(Head(200, [("content-encoding", coding)]), 100)
    assert unpacker is not None
    packed = pack(b"hello" * 10)
    assert b"".join([unpacker.feed(packed[at : at + 1]) for at in range(len(packed))]) == b"hello" * 10


def test_a_bomb_is_not_unpacked() -> None:
    unpacker = Unpacker(1000)
    with pytest.raises(zlib.error, match="more than is taken"):
        unpacker.feed(gzip.compress(bytes(100_000)))
    assert Unpacker.of(Head(200, [("content-encoding", "br")]), 9) is None


def test_what_is_packed_in_parts_and_filled_up_is_unpacked_and_what_is_cut_off_is_told() -> None:
    packed = gzip.compress(b"hello ") + gzip.compress(b"world")
    whole = Unpacker(100)
    assert b"".join([whole.feed(packed[at : at + 1]) for at in range(len(packed))]) == b"hello world"
    assert whole.feed(bytes(8)) == b""
    whole.end()
    cut = Unpacker(100)
    assert cut.feed(packed[:-9]) == b"hello world"
    with pytest.raises(zlib.error, match="end is missing"):
        cut.end()
    Unpacker(100).end()  # nothing was packed at all


def test_how_an_answer_goes_on_packed_is_said() -> None:
    for coding, said in (("br", True), ("zstd", True), ("gzip", False), ("Deflate", False)):
        head = Head(200, [("content-encoding", coding)])
        assert (("content-encoding", coding) in returned_headers(head)) is said


@pytest.mark.parametrize("written", [OURS, OURS.replace("_", "%5F"), OURS.replace("iw", "%69w")])
def test_a_key_of_ours_in_the_query_stays_here(written: str) -> None:
    target = Target.of("https://api.example.com/v1")
    assert sent_path(target, CHAT, f"a=1&key={written}&b=2") == "/v1/chat/completions?a=1&b=2"
    assert sent_path(target, CHAT, f"key={written}") == "/v1/chat/completions"
