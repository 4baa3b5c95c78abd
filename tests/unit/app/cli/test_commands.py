"""Every command does what it says, as text and as JSON."""

import json
import re

import pytest
from tests.unit.app.cli import small_shop

from inchworm.app.names import moment
from scripts import docs


def documented(command):
    """The keys that docs/cli.md promises for ``inchworm COMMAND --json``."""
    text = (docs.DOCS / "cli.md").read_text("utf-8")
    row = re.search(rf"^\| `{re.escape(command)}` \| (.*) \|$", text, re.MULTILINE)
    assert row is not None, f"docs/cli.md says nothing of {command} --json"
    return set(re.findall(r"`(\w+)`", row[1]))


def check(command, data):
    assert set(data) - {"version"} == documented(command)


def test_init_writes_a_file_that_can_be_used(empty, tmp_path):
    traffic = small_shop.write_traces(tmp_path, count=50)
    (tmp_path / "inchworm.yaml").unlink()
    data = empty.json("init", "--from", str(traffic), "--app", "other-shop")
    check("init", data)
    assert data["app"] == "other-shop/production"
    assert "answered" in data["metrics"]
    assert json.loads((tmp_path / ".inchworm" / "schema.json").read_text())
    assert empty.json("status")["app"] == "other-shop/production"
    assert "is there already" in empty("init", exit_code=2).stderr
    assert "inchworm import" in empty("init", "--force", "--from", str(traffic)).stdout
    assert empty.json("status")["app"] == "other-shop/production"


def test_init_looks_at_what_is_stored(shop):
    data = shop.json("init", "--force")
    assert data["traces"] == 400
    assert data["next"] == "inchworm label"


def test_import_says_what_was_found_and_reads_a_file_once(empty, tmp_path):
    traffic = small_shop.write_traces(tmp_path, count=80)
    with traffic.open("a") as file:
        file.write('\nno json\n{"a": 1}\n')
    text = empty("import", str(traffic)).stdout
    assert "80   stored" in text
    assert "2   rejected" in text
    assert "EMAIL 2" in text
    assert re.search(r"line 82\s+it is no JSON", text)
    assert "ann.example" not in text
    assert "nothing to do" in empty("import", str(traffic)).stdout
    data = empty.json("import", "--again", str(traffic))
    check("import", data)
    (one,) = data["files"]
    assert (one["new"], one["duplicate"], one["rejected"], one["known"]) == (0, 80, 2, False)
    assert [bad["line"] for bad in one["first_rejected"]] == [82, 83]
    assert empty.json("import", str(traffic))["files"][0]["known"] is True


def test_import_reads_standard_input(empty, tmp_path):
    text = small_shop.write_traces(tmp_path, count=20).read_text()
    assert empty.json("import", "-", stdin=text)["files"][0]["new"] == 20
    assert empty.json("import", "-", stdin=text)["files"][0]["duplicate"] == 20


def test_only_the_first_ten_reasons_are_listed(empty):
    result = empty("import", "-", stdin="nonsense\n" * 25, exit_code=2)
    assert result.stdout.count("it is no JSON") == 10
    assert "and 15 more" in result.stdout


def test_label(shop):
    text = shop("label").stdout
    assert "3 topics in 400 interactions" in text
    assert "pass rate" in text
    assert re.search(r"\d+\.\d %\s+\(\d+\.\d … \d+\.\d\)", text)
    data = shop.json("label")
    check("label", data)
    assert sum(topic["interactions"] for topic in data["topics"]) + data["unclustered"] == 400


def test_traces(shop):
    text = shop("traces", "--limit", "3").stdout
    assert "3 of 400" in text
    data = shop.json("traces", "list", "--limit", "3")
    check("traces list", data)
    rest = shop.json("traces", "--limit", "3", "--after", data["after"])
    assert not {one["id"] for one in data["traces"]} & {one["id"] for one in rest["traces"]}
    id_ = data["traces"][0]["id"]
    whole = shop.json("traces", "show", id_[:12])
    check("traces show", whole)
    assert whole["trace"]["id"] == id_
    assert "question" in shop("traces", "show", id_).stdout


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--outcome", "ok"], 400),
        (["--outcome", "failed"], 0),
        (["--text", "parcel"], None),
        (["--below", "answered=0.5"], None),
        (["--since", "1d"], None),
        (["--arm", "candidate"], 0),
        (["--rollout", "r-1"], 0),
        (["--configuration", "stable"], 0),
    ],
)
def test_traces_are_filtered(shop, words, count):
    total = shop.json("traces", *words)["total"]
    assert total == count if count is not None else 0 < total < 400
    if count == 0:
        assert "No interaction passes" in shop("traces", *words).stdout


def test_moments():
    assert moment("2h", 10_000) == 2_800
    assert moment("1970-01-02T00:00:00+00:00", 0) == 86_400


def test_evalset(shop):
    assert "main@1" in shop("evalset").stdout
    assert shop("evalset", "list").stdout == shop("evalset", "ls").stdout
    check("evalset ls", shop.json("evalset", "ls"))
    built = shop.json("evalset", "build", "--size", "30")
    check("evalset build", built)
    assert built["eval_set"]["id"] == "main@2"
    shown = shop.json("evalset", "show", "main@1", "--cases", "2")
    check("evalset show", shown)
    assert len(shown["eval_set"]["cases"]) == 2
    assert "share of production" in shop("evalset", "show").stdout
    proposals = shop.json("evalset", "proposals")
    check("evalset proposals", proposals)
    assert proposals["proposals"] == []
    assert "No proposal is open" in shop("evalset", "proposals").stdout


def test_adopt_happens_once(empty):
    first = empty.json("adopt")
    check("adopt", first)
    assert first["adopted"] is True
    assert empty.json("adopt")["adopted"] is False
    empty.declare(documents=2)
    assert "inchworm plan" in empty("adopt").stdout


def test_benchmark_passes_and_fails_by_its_exit_code(shop, tmp_path):
    shop.declare(documents=2)
    assert "Fail" in shop("benchmark", "stable", "declared").stdout
    text = shop("benchmark", "stable", "declared", "--gate", exit_code=1).stdout
    assert re.search(r"answered +goal +Fail +−\d+\.\d +\(−\d+\.\d … −\d+\.\d\)", text)
    data = shop.json("benchmark", "stable", "declared", "--gate", exit_code=1)
    check("benchmark", data)
    assert data["benchmark"]["verdict"] == "fail"
    markdown = shop(
        "benchmark", "stable", "declared", "--markdown", "--junit", str(tmp_path / "j.xml")
    ).stdout
    assert markdown.startswith("**Fail**")
    assert "<details>" in markdown
    assert 'failures="1"' in (tmp_path / "j.xml").read_text()
    shop.declare(system=small_shop.BETTER)
    shop("benchmark", "stable", "declared", "--gate", exit_code=3)


def test_plan_says_what_moves_and_in_which_order(shop):
    shop.declare(documents=2, system=small_shop.BETTER)
    text = shop("plan", "--reason", "more context").stdout
    assert "moves 2 layers" in text
    assert re.search(r"context +documents +1 → 2", text)
    assert re.search(r"1 +context +default order", text)
    assert "Validated: 1 of 1" in text
    assert "Nothing else is in flight or queued." in text
    data = shop.json("plan")
    check("plan", data)
    assert [step["layer"] for step in data["plan"]["steps"]] == ["context", "prompt"]
    assert data["next"] in text
    assert shop("plan", "--markdown").stdout.startswith(f"**{data['plan']['id']}**")
    assert shop.json("plan", "--to", data["plan"]["candidate"][:10])["plan"]["id"] == data["plan"]["id"]


def test_apply_starts_and_prints_its_undo(shop):
    shop.declare(documents=2)
    data = shop.json("apply", shop.plan())
    check("apply", data)
    assert data["started"] is True
    shop("apply", data["plan"], exit_code=2)
    undo = data["undo"].split()[1:]
    assert "aborted" in shop(*undo).stdout
    assert shop.json("rollout", "show", "r-1")["rollout"]["state"] == "aborted"


def test_the_undo_of_apply_takes_every_step_back(shop):
    shop.declare(documents=2, system=small_shop.BETTER)
    data = shop.json("apply", shop.plan())
    assert data["undo"] == "inchworm rollout abort r-2 && inchworm rollout abort r-1"
    for command in data["undo"].split(" && "):
        shop(*command.split()[1:])
    states = [shop.json("rollout", "show", name)["rollout"]["state"] for name in ("r-1", "r-2")]
    assert states == ["aborted", "cancelled"]


def test_apply_waits_behind_what_is_in_flight(flying):
    flying.declare(system=small_shop.BETTER)
    text = flying("apply", flying.plan()).stdout
    assert (
        "is queued behind r-1 (context, exposing, stage 1 of 1 (50 %), applied by ana): one change is in "
        "flight at a time. See: inchworm queue" in " ".join(text.split())
    )
    assert "Undo:  inchworm rollout abort r-2" in text
    status = flying.json("status")
    check("status", status)
    assert status["in_flight"]["id"] == "r-1"
    assert [one["id"] for one in status["queued"]] == ["r-2"]


def test_apply_may_leave_the_start_to_watch(shop):
    shop.declare(documents=2)
    data = shop.json("apply", shop.plan(), "--no-start")
    assert data["started"] is False
    assert shop.json("rollout", "watch", "--once")["rollout"]["state"] == "exposing"


def test_a_stale_plan_is_refused(shop):
    stable = shop.json("status")["stable"]["configuration"]
    shop.declare(system=small_shop.BETTER)
    first = shop.plan()
    shop.declare(documents=2)
    second = shop.plan()
    shop("apply", first)
    shop("rollout", "promote", "r-1")
    shop("rollout", "promote", "r-1", "--reason", "sure")
    said = shop("apply", second, exit_code=2).stderr
    assert "stable has moved since" in said
    assert "inchworm plan" in said
    undone = shop.json("rollout", "undo", "r-1")
    check("rollout undo", undone)
    assert shop.json("status")["stable"]["configuration"] == stable


def test_resolve_gives_the_same_answer_twice(flying):
    first = flying.json("rollout", "resolve", "a", "b", "c")
    check("rollout resolve", first)
    assert flying.json("rollout", "resolve", "a", "b", "c") == first
    assert {one["probability"] for one in first["units"]} == {0.5}
    assert "r-1, stage 1" in flying("rollout", "resolve", "a").stdout


def test_resolve_without_a_rollout_gives_stable(shop):
    (unit,) = shop.json("rollout", "resolve", "a")["units"]
    assert unit["arm"] is None
    assert "nothing is being exposed" in shop("rollout", "resolve", "a").stdout


def test_people_act_and_every_act_prints_its_undo(flying):
    for act, undo in (("pause", "inchworm rollout resume r-1"), ("resume", "inchworm rollout pause r-1")):
        text = flying("rollout", act, "r-1", "--reason", "lunch").stdout
        assert undo in text
        assert "by ana: lunch" in text
    data = flying.json("rollout", "pause", "1")
    check("rollout pause", data)
    refused = flying("rollout", "pause", "r-1", exit_code=2).stderr
    assert "possible are" in refused


def test_harm_rolls_back_and_every_decision_replays(harmed):
    text = harmed("rollout", "watch", "--once", exit_code=1).stdout
    assert "Rolled back because answered fell by" in text
    assert re.search(r"answered +−\d+\.\d +\(−\d+\.\d … −\d+\.\d\)", text)
    assert "sessions saw it." in text
    shown = harmed.json("rollout", "show", "r-1")
    check("rollout show", shown)
    assert shown["rollout"]["state"] == "rolled_back"
    assert shown["evidence"]["consumed"] == 300
    listed = harmed.json("rollout", "ls")
    check("rollout ls", listed)
    assert "rolled back" in harmed("rollout").stdout
    replayed = harmed.json("rollout", "replay", "r-1")
    check("rollout replay", replayed)
    assert replayed["identical"] is True
    assert len(replayed["decisions"]) == 2
    assert "identical" in harmed("rollout", "replay", "r-1/2").stdout
    assert "r-1/1" in harmed("rollout", "replay", "r-1/9", exit_code=2).stderr


def test_a_decision_that_does_not_replay_is_exit_code_1(harmed, monkeypatch):
    monkeypatch.setattr("inchworm.rollout.decide.replay", lambda _decision: None)
    harmed("rollout", "watch", "--once", exit_code=1)
    text = harmed("rollout", "replay", "1", exit_code=1).stdout
    assert "DIFFERENT" in text
    assert "not identical" in text


def test_watch_goes_on_until_the_end(harmed, monkeypatch):
    monkeypatch.setattr("inchworm.app.cli.rollout_watch.time.sleep", lambda _seconds: None)
    data = harmed.json("rollout", "watch", "r-1", exit_code=1)
    check("rollout watch", data)
    assert data["rollout"]["terminal"] is True


def test_watch_tells_only_what_is_new_and_ctrl_c_leaves_it(flying, monkeypatch):
    rounds: list[float] = []

    def sleep(seconds):
        rounds.append(seconds)
        if len(rounds) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("inchworm.app.cli.rollout_watch.time.sleep", sleep)
    result = flying("rollout", "watch", "--interval", "5", exit_code=130)
    decision, state = result.stdout.splitlines()  # each once, however many rounds
    assert "started on stable" in decision
    assert state.endswith("r-1 (exposing, stage 1 of 1 (50 %))")
    assert rounds == [5, 5, 5]
    assert "stays as it is" in result.stderr
    assert flying.json("rollout", "show", "1")["rollout"]["state"] == "exposing"


def test_attribute_names_the_layer(shop):
    shop.declare(documents=2, system=small_shop.BETTER)
    shop("evalset", "build", "--size", "30")
    text = shop("attribute", "stable", "declared", "--evalset", "main@1").stdout
    assert re.search(r"context +−\d+\.\d +\(−\d+\.\d … −\d+\.\d\) +named", text)
    assert re.search(r"prompt +0\.0 .*nothing measurable", text)
    assert "Ship today" in text
    data = shop.json("attribute", "stable", "declared", "--evalset", "main@1")
    check("attribute", data)
    (proposal,) = data["proposals"]
    assert f"inchworm evalset accept {proposal['id']}" in " ".join(text.split())
    assert proposal["id"] in shop("evalset", "proposals").stdout
    accepted = shop.json("evalset", "accept", proposal["id"])
    check("evalset accept", accepted)
    assert accepted["eval_set"] == "main@3"
    assert accepted["added"] == len(proposal["cases"])


def test_what_a_rollback_failed_on_is_proposed(harmed):
    harmed("evalset", "build", "--size", "15")
    text = harmed("rollout", "watch", "--once", exit_code=1).stdout
    (proposal,) = harmed.json("evalset", "proposals")["proposals"]
    assert f"inchworm evalset accept {proposal['id']}" in " ".join(text.split())
    assert "main@3" in harmed("evalset", "accept", proposal["id"]).stdout


def test_ledger_and_status(shop):
    text = shop("ledger").stdout
    assert "declared as stable" in text
    assert "400 interactions imported" in text
    data = shop.json("ledger", "--since", "1h")
    check("ledger", data)
    assert all(set(entry) == {"at", "kind", "actor", "what", "data"} for entry in data["entries"])
    assert "small-shop/production   stable" in shop("status").stdout


def test_status_says_what_comes_next(empty, tmp_path):
    def following():
        return empty.json("status")["next"]

    assert following() == "Next: inchworm import FILE.jsonl"
    empty("import", str(small_shop.write_traces(tmp_path, count=60)))
    assert following() == "Next: inchworm label"
    empty("label")
    assert following() == "Next: inchworm evalset build"
    empty("evalset", "build")
    assert following() == "Next: inchworm adopt"
    empty("adopt")
    assert following() is None
    empty.declare(documents=2)
    assert "inchworm plan" in following()
