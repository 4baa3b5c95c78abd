"""Everything that the command does, over HTTP; and what comes of what cannot be read."""

import gzip
import json
import time
from base64 import urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.app.cli import small_shop
from tests.unit.app.cli.conftest import Cli

from inchworm.app.config.load import load


def say_otherwise(api, folder):
    """Another inchworm.yaml, which the server follows."""
    Cli(folder).declare(documents=2)
    api.state.house.follow(load(folder / "inchworm.yaml"))


@pytest.fixture
def flying(api, folder):
    """A server whose r-1 is in flight."""
    from inchworm.app.loop.changing import advance

    say_otherwise(api, folder)
    plan = api.post("/plans", {}, status=201)["plan"]["id"]
    api.post(f"/plans/{plan}/apply", status=201)
    advance(api.state.house, owner="test")
    return api


def test_where_the_app_stands(looking):
    said = looking.get("/status")
    assert said["app"] == "small-shop/production"
    assert said["traces"] > 0
    assert said["health"] == {}
    assert looking.get("/apps")["apps"] == ["small-shop/production"]
    stable = looking.get("/configurations/stable")["configuration"]["id"]
    assert said["stable"]["configuration"] == stable
    assert [one["id"] for one in looking.get("/configurations")["configurations"]] == [stable]


def test_interactions_page_by_page_are_all_of_them_once(looking):
    seen, after = [], ""
    while after is not None:
        page = looking.get(f"/traces?limit=100{after and '&after=' + after}")
        seen += [one["id"] for one in page["traces"]]
        after = page["after"]
    assert len(seen) == len(set(seen)) == page["total"] == looking.get("/status")["traces"]


def test_filters_and_facets_agree(looking):
    facets = looking.get("/traces/facets")["facets"]
    for one in facets["cluster"]:
        assert looking.get(f"/traces?limit=1&cluster={quote(one['value'])}")["total"] == one["n"]
    assert (
        looking.get("/traces?limit=1&below=answered=0.5")["total"] < looking.get("/traces?limit=1")["total"]
    )
    assert looking("GET", "/api/v1/traces?since=yesterdayish").error["code"] == "usage"
    assert looking("GET", "/api/v1/traces?after=nonsense").error["code"] == "input"


def test_one_interaction_by_the_beginning_of_its_id(looking):
    row = looking.get("/traces?limit=1")["traces"][0]
    whole = looking.get(f"/traces/{row['id']}")["trace"]
    assert whole["inputs"]
    assert {key: whole[key] for key in row} == row
    assert looking("GET", "/api/v1/traces/zzzz").error["hint"] == "inchworm traces list"


def test_what_changed_page_by_page(looking):
    first = looking.get("/ledger?limit=1")
    rest = looking.get(f"/ledger?after={first['after']}")
    assert rest["after"] is None
    assert first["entries"] + rest["entries"] == looking.get("/ledger")["entries"]
    assert looking.get("/audit?limit=1")["entries"][0]["subject"]
    by_action = looking.get("/audit?action=lineage&since=90d")["entries"]
    assert [one["action"] for one in by_action] == ["lineage.start"]
    assert looking.get("/audit?actor=nobody")["entries"] == []
    head = looking.get("/audit/verify")
    assert (head["whole"], head["breaks"]) == (True, [])
    assert looking.get(f"/audit/verify?expect={head['head']['hash']}")["whole"]
    assert not looking.get(f"/audit/verify?expect={'ab' * 32}")["whole"]
    assert looking("GET", "/api/v1/audit/verify?expect=what").status == 422
    assert looking("GET", "/api/v1/ledger?after=nonsense").status == 422


def test_a_file_is_read_in_once(api, folder):
    body = "\n".join(
        json.dumps({"question": f"Where is parcel {number}?", "answer": "It is there."})
        for number in range(7)
    ).encode()
    packed = gzip.compress(body)
    first = api.post("/imports?name=more.jsonl.gz", raw=packed)
    assert (first["new"], first["known"], first["file"]) == (7, False, "more.jsonl.gz")
    assert api.post("/imports?name=again", raw=packed)["known"]
    again = api.post("/imports?name=again&again=true", raw=packed)
    assert (again["new"], again["duplicate"]) == (0, 7)
    assert api.get("/imports")["imports"][0]["file"] == "again"
    assert "7 interactions imported" in api.get("/ledger")["entries"][0]["what"]
    assert api("POST", "/api/v1/imports?dialect=klingon", raw=b"{}").error["code"] == "input"
    assert not [one for one in (folder / ".inchworm").iterdir() if one.name.startswith("inchworm-import")]


def test_feedback_reaches_its_interaction_and_counts_once(api):
    ids = [one["id"] for one in api.get("/traces?limit=2")["traces"]]
    score = {"trace": ids[0], "metric": "helpful", "value": 0.5, "source": "human:ana", "at": 5.0}
    assert api.post("/scores", score) == {"version": 1, "stored": 1, "duplicate": 0, "unknown": []}
    assert api.post("/scores", score)["stored"] == 0
    several = [score | {"trace": id_, "at": 6.0} for id_ in [*ids, "unheard-of"]]
    found = api.post("/scores", {"scores": several})
    assert found == {"version": 1, "stored": 2, "duplicate": 0, "unknown": ["unheard-of"]}
    given = [one for one in api.get(f"/traces/{ids[0]}")["trace"]["scores"] if one["metric"] == "helpful"]
    assert given == [
        {
            "metric": "helpful",
            "result": {"is": "scored", "value": 0.5},
            "source": "human:ana",
            "at": 6.0,
            "id": None,
            "comment": None,
        }
    ]
    assert api("POST", "/api/v1/scores", several[-1]).error["code"] == "not_found"
    assert "value" in api("POST", "/api/v1/scores", score | {"value": 1.5}).error["message"]


def test_feedback_is_of_a_session_a_span_or_nothing(api):
    newest = api.get("/traces?limit=1")["traces"][0]
    score = {"unit": newest["unit"], "metric": "helpful", "value": True, "at": newest["at"] + 1.0}
    assert api.post("/scores", score)["stored"] == 1
    again = {"session": newest["unit"], "metric": "helpful", "value": 0, "id": "mine", "comment": "no"}
    assert api.post("/scores", again)["stored"] == 1
    assert api.post("/scores", again)["stored"] == 0  # said again by who does not say when

    def refused(**sent):
        return api("POST", "/api/v1/scores", {"metric": "helpful", "value": 1} | sent).error

    assert refused(span="none")["code"] == "not_found"
    assert "trace, span, session" in refused()["message"]
    assert "nothing says what it is worth" in refused(unit="u", value="good")["message"]


def test_an_eval_set_is_a_dataset_to_who_reads_langfuse_s(api):
    assert api("POST", "/api/v1/evalsets", {"name": "wanted", "size": 7, "seed": 1}).status == 201
    found = api.get("/datasets/wanted@1")["dataset"]
    assert (found["id"], found["name"], found["metadata"]["cases"]) == ("wanted@1", "wanted@1", 7)
    first, last = (api.get(f"/datasets/wanted/items?page={page}&limit=5") for page in (1, 2))
    assert first["meta"] == {"page": 1, "limit": 5, "totalItems": 7, "totalPages": 2}
    items = [*first["data"], *last["data"]]
    assert len({one["id"] for one in items}) == 7
    assert all(one["mediaReferences"] == [] and one["datasetName"] == "wanted" for one in items)
    assert items[0]["input"]
    assert api("GET", "/api/v1/datasets/unheard-of").error["code"] == "not_found"


def test_topics_and_eval_sets(api):
    assert api.post("/label?odd=1")["topics"]
    made = api.post("/evalsets", {"name": "more", "size": 10, "seed": 3}, status=201)["eval_set"]
    assert made["id"] == "more@1"
    assert {"main@1", "more@1"} == {one["id"] for one in api.get("/evalsets")["eval_sets"]}
    first = api.get("/evalsets/more?limit=4")
    rest = api.get(f"/evalsets/more?limit=1000&after={first['after']}")
    assert len(first["eval_set"]["cases"] + rest["eval_set"]["cases"]) == first["eval_set"]["count"]
    assert api("POST", "/api/v1/evalsets", {"name": "a@b"}).error["code"] == "usage"


def test_a_benchmark_and_an_attribution_propose_cases_that_are_accepted(api, folder):
    say_otherwise(api, folder)
    made = api.post("/benchmarks", {"repetitions": 1}, status=201)["benchmark"]
    assert made["verdict"] == "fail"
    assert api.get(f"/benchmarks/{made['id']}")["benchmark"] == made
    assert api.get("/benchmarks")["benchmarks"] == [made]
    api.post("/evalsets", {"name": "more", "size": 40, "seed": 5}, status=201)
    found = api.post("/attributions", {"evalset": "more"}, status=201)
    assert api.get("/attributions")["attributions"] == [found["attribution"]]
    for proposal in api.get("/proposals")["proposals"]:
        accepted = api.post(f"/proposals/{proposal['id']}/accept")
        assert accepted["proposal"] == proposal["id"]
    assert api.get("/proposals")["proposals"] == []
    assert api("POST", "/api/v1/proposals/none/accept").status == 404
    assert api("POST", "/api/v1/benchmarks", {"candidate": "stable"}).error["code"] == "usage"


def test_a_change_from_plan_to_abort(api, folder):
    from inchworm.app.loop.changing import advance

    assert api.post("/adopt")["adopted"] is False
    say_otherwise(api, folder)
    deployer = api.key("deployer", name="ana")["key"]
    plan = api.post("/plans", {"reason": "more to read"}, status=201, token=deployer)
    name = plan["plan"]["id"]
    assert (plan["plan"]["layers"], plan["plan"]["author"]) == (["context"], "ana")
    assert api.get(f"/plans/{name}")["plan"] == plan["plan"] == api.get("/plans")["plans"][0]
    before = len(api.woken)
    applied = api.post(f"/plans/{name}/apply", status=201, token=deployer)
    assert [one["id"] for one in applied["rollouts"]] == ["r-1"]
    assert len(api.woken) == before + 1
    assert api("POST", f"/api/v1/plans/{name}/apply").error["code"] == "conflict"
    advance(api.state.house, owner="test")
    assert api.get("/rollouts")["rollouts"][0]["state"] == "exposing"
    units = api.post("/units", {"units": ["s-1", "s-2"]})["units"]
    assert {one["rollout"] for one in units} == {"r-1"}
    assert api.post("/units", {"units": ["s-1", "s-2"]})["units"] == units
    for act, state in (("pause", "paused"), ("resume", "exposing"), ("abort", "aborted")):
        acted = api.post(f"/rollouts/1/{act}", {"reason": "trying"}, token=deployer)
        assert (acted["state"], acted["rollout"]) == (state, "r-1")
    assert api("POST", "/api/v1/rollouts/r-1/pause").error["code"] == "transition"
    seen = api.get("/rollouts/r-1")
    assert (seen["rollout"]["state"], seen["may"]) == ("aborted", [])
    full = api.get("/rollouts/r-1/decisions")["decisions"]
    assert [one["kind"] for one in full][::-1] == [one["kind"] for one in seen["decisions"]]
    assert full[-1]["actor"] == "ana"
    assert api.get("/rollouts/r-1/replay")["identical"]


def test_what_was_adopted_is_taken_back_while_nothing_was_rolled_out(api):
    stable = api.get("/status")["stable"]["configuration"]
    assert api.post("/adopt/undo")["was"] == stable
    assert api.get("/status")["stable"] is None
    assert api("POST", "/api/v1/adopt/undo").error["code"] == "not_found"
    assert api.post("/adopt")["adopted"] is True


def test_a_configuration_is_told_from_traffic_or_it_is_said_why_not(looking):
    answer = looking("GET", "/api/v1/adopt/draft")
    assert answer.status in {404, 409, 422}, answer.body  # what was imported shows no requests
    assert answer.error["hint"]


def test_an_act_that_nobody_knows_names_those_that_are(looking):
    answer = looking("POST", "/api/v1/rollouts/r-1/explode", {})
    assert answer.status == 422
    assert "'pause', 'resume', 'promote', 'abort' or 'undo'" in answer.error["message"]


def test_what_is_wrong_with_a_request_names_the_member(looking):
    answer = looking("GET", "/api/v1/traces?limit=0")
    assert (answer.status, answer.error["code"]) == (422, "invalid")
    assert answer.error["message"].startswith("limit: ")
    answer = looking("POST", "/api/v1/evalsets", {"sise": 3})
    assert "sise: Extra inputs are not permitted" in answer.error["message"]


def test_wrong_verbs_paths_and_sizes_have_the_one_shape(looking):
    assert looking("DELETE", "/api/v1/status").error["code"] == "method_not_allowed"
    assert looking("GET", "/api/v1/nothing").error["code"] == "not_found"
    big = looking("POST", "/api/v1/evalsets", {"name": "x" * (1 << 20)})
    assert (big.status, big.error["code"]) == (413, "too_large")


def cursor(*place):
    return urlsafe_b64encode(json.dumps(place).encode()).decode()


@pytest.mark.parametrize(
    "path",
    [
        f"/ledger?after={cursor(1, 1e99)}",
        f"/audit?after={cursor(1, 10**40)}",
        f"/evalsets/main@{10**30}",
        f"/traces?since={10**30}h",
    ],
)
def test_numbers_beyond_everything_are_refused(looking, path):
    answer = looking("GET", f"/api/v1{path}")
    assert 400 <= answer.status < 500, answer.body
    assert answer.error["message"]


def test_a_seed_is_no_negative_number(looking):
    answer = looking("POST", "/api/v1/evalsets", {"seed": -1})
    assert (answer.status, answer.error["message"].partition(":")[0]) == (422, "seed")


def test_the_description_names_every_operation(looking):
    described = looking("GET", "/api/openapi.json", token=None).json()
    for path, verbs in described["paths"].items():
        for verb, operation in verbs.items():
            assert operation["summary"], (verb, path)
            assert operation["tags"], (verb, path)
    assert "HTTPBearer" in described["components"]["securitySchemes"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = (
    "name size seed base candidate evalset metric to reason units trace value source at scores scope".split()
)
BODIES = st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=4), JSON, max_size=4) | JSON
# Those that, whatever is in their body, do nothing that lasts longer than a moment.
ACTING = ["/scores", "/plans", "/units", "/rollouts/r-9/abort", "/keys", "/stores/control/commit",
          "/stores/traces/traces", "/stores/traces/units"]  # fmt: skip


@settings(max_examples=25)
@given(path=st.sampled_from(ACTING), body=BODIES)
def test_no_body_makes_a_fault(looking, path, body):
    answer = looking("POST", f"/api/v1{path}", body)
    assert answer.status in {200, 201, 400, 404, 409, 422}, answer.body
    if answer.status >= 400:
        assert answer.error["message"]


def test_a_rollout_moves_under_load_of_questions(flying):
    """Reads and acts at once, from several threads, each with an answer."""
    from concurrent.futures import ThreadPoolExecutor

    units = flying.post("/units", {"units": [f"s{number}" for number in range(60)]})["units"]
    lines = small_shop.exposed(units, harm=False, now=time.time())
    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(flying, "GET", path) for path in ("/api/v1/rollouts/r-1", "/api/v1/traces") * 8]
        imported = pool.submit(
            flying.post, "/imports", raw=lines.encode() if isinstance(lines, str) else lines
        )
        assert {one.result().status for one in done} == {200}
        assert imported.result()["accepted"] > 0
