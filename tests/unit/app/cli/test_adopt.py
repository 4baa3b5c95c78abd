"""``adopt`` from traffic: what is seen is written and declared, nothing is overwritten, all can be undone."""

import json

import pytest
import yaml
from tests.unit.app.cli.conftest import QUICK, UNGATED, Cli
from tests.unit.capture.observed.traffic import START, edited, support, system, trace, traces, user, words

from inchworm.app.config.load import load
from inchworm.domain.layers import Layer

TOOL = {"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}
RULES = "\n".join(f"Rule {number}: be sure of what you say." for number in range(20))


def line(one):
    """A request with its response, as a log keeps it."""
    said = {name.removeprefix("gen_ai.request."): value for name, value in one.attributes.items()}
    tools, stop = said.pop("gen_ai.tool.definitions", None), said.pop("stop_sequences", None)
    call = said.pop("inchworm.call", None)
    request = {
        **said,
        "messages": one.inputs["messages"],
        **({"tools": tools, "stop": stop} if tools else {}),
    }
    choice = {"message": {"role": "assistant", "content": one.output}, "finish_reason": "stop"}
    record = {
        "id": one.id,
        "session_id": one.unit_id,
        "timestamp": one.at,
        "latency_ms": 300,
        "request": request,
    }
    return json.dumps(
        {**record, "response": {"choices": [choice]}, **({"inchworm.call": call} if call else {})}
    )


def full(dice, number):
    """The support assistant with long rules, a tool, and more parameters than the file has keys for."""
    said = {
        "gen_ai.request.top_k": 40,
        "gen_ai.request.max_tokens": 300,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.request.seed": dice.randrange(10**6),
        "gen_ai.tool.definitions": [TOOL],
    }
    return trace(number, f"{system(dice, number)}\n{RULES}", user(dice), **said)


@pytest.fixture
def folder(tmp_path):
    """A folder that is observed: it has a data directory and no file."""
    shop = tmp_path / "my-shop"
    (shop / ".inchworm").mkdir(parents=True)
    return Cli(shop)


def read_in(cli, make, count=120):
    log = cli.folder / "log.jsonl"
    log.write_text("".join(line(one) + "\n" for one in traces(make, count)), "utf-8")
    cli("import", str(log))


def test_what_is_seen_is_written_down_as_it_is_and_declared(folder):
    read_in(folder, full)
    seen = folder.json("status")["observed"]["calls"][0]
    data = folder.json("adopt")
    assert data["adopted"] is True
    assert data["app"] == "my-shop/production"
    assert data["requests"] == 120
    assert data["stable"] == folder.json("status")["stable"]["configuration"]
    assert data["undo"] == "inchworm adopt --undo"
    assert [path.rpartition("my-shop/")[2] for path in data["files"]] == [
        "inchworm.yaml",
        "prompts/system.md",
        "tools.json",
    ]
    spec = load(folder.folder / "inchworm.yaml")
    layers = {str(layer): spec.configuration.layer(layer) for layer in Layer}
    assert layers["model"] == {"name": "small"}
    assert layers["parameters"] == {"temperature": 0, "max_tokens": 300, "stop": ["END"]}
    assert layers["tools"] == {"schemas": [TOOL]}
    assert layers["prompt"]["system"].endswith(RULES)
    assert layers["prompt"]["user"] == (
        "Question: {question}\nInformation:\n{information}\nAnswer in one sentence."
    )
    assert {"complete", "success", "latency"} == {metric.name for metric in spec.metrics}
    assert seen["requests"] == 120
    assert any("seed changes from request to request" in note for note in data["notes"])
    assert any("top_k is sent as well" in note for note in data["notes"])
    assert yaml.safe_load((folder.folder / "inchworm.yaml").read_text())["app"] == "my-shop/production"


def test_without_anything_that_a_file_cannot_say_stable_is_what_was_observed(folder):
    read_in(folder, support)
    seen = folder.json("status")["observed"]["calls"][0]["configuration"]
    assert folder.json("adopt")["stable"] == seen


def test_it_says_what_it_did_what_to_do_next_and_how_to_undo_it(folder):
    read_in(folder, support)
    assert "Next: inchworm adopt" in folder("status").stdout
    text = folder("adopt").stdout
    assert "told from 120 requests" in text
    assert "became 5 variables: date, information, name, question, " in " ".join(text.split())
    assert "Where personal data was taken out stands a variable: " in " ".join(text.split())
    assert "Undo:  inchworm adopt --undo" in text
    assert "then: inchworm plan" in text
    assert "nothing is stable any more" in folder("adopt", "--undo").stdout
    assert folder.json("status")["stable"] is None
    assert "nothing is stable" in folder("adopt", "--undo", exit_code=2).stderr
    assert folder.json("adopt")["adopted"] is True


def test_a_file_that_is_there_is_compared_and_never_overwritten(folder):
    read_in(folder, support)
    folder("adopt")
    file = folder.folder / "inchworm.yaml"
    assert "says what is seen" in folder("adopt", "--from-traffic").stdout
    mine = file.read_text().replace("temperature: 0", "temperature: 0.7")
    file.write_text(mine)
    text = folder("adopt", "--from-traffic").stdout
    assert "-    temperature: 0.7" in text
    assert "+    temperature: 0" in text
    assert "+    temperature: 0" in folder.json("adopt", "--from-traffic")["diff"]
    beside = folder.folder / "other" / "inchworm.yaml"
    data = folder.json("adopt", "--from-traffic", "--write", str(beside))
    assert (data["adopted"], data["files"]) == (False, [str(beside)])
    assert data["undo"] == f"rm {beside}"
    again = folder("adopt", "--write", str(beside), exit_code=2)
    assert "is there already" in again.stderr
    assert "Nothing was declared" in folder("adopt", "--write", str(beside.with_name("b.yaml"))).stdout
    assert file.read_text() == mine


def test_a_declaration_that_is_gone_is_not_replaced_by_what_is_seen(folder):
    read_in(folder, support)
    folder("adopt")
    (folder.folder / "inchworm.yaml").unlink()
    said = folder("adopt", exit_code=2).stderr
    assert "is stable for my-shop/production already" in said
    assert "--from-traffic --write" in said


def test_one_of_several_calls_is_adopted_by_its_name(folder):
    def make(dice, number):
        call = ("plan", "write")[number % 2]
        return trace(
            number,
            f"You {call} for the shop, and for nobody else.",
            words(dice, 9),
            **{"inchworm.call": call},
        )

    read_in(folder, make)
    assert 'inchworm adopt --call "plan"' in folder("adopt", exit_code=2).stderr
    text = folder("adopt", "--call", "write").stdout
    assert "told from 60 requests of the call write" in text
    assert "You write for the shop" in (folder.folder / "inchworm.yaml").read_text()


def test_too_little_traffic_is_said(folder):
    read_in(folder, support, 3)
    assert "not told from its traffic yet (3 requests seen)" in folder("status").stdout
    said = folder("adopt", exit_code=2).stderr
    assert "3 requests of it were seen" in said
    assert not (folder.folder / "inchworm.yaml").exists()


def test_the_ledger_and_the_status_say_what_changed(folder):
    make = edited(
        80, in_system=lambda text: text.replace("concise", "brief"), said={"gen_ai.request.temperature": 0.4}
    )
    read_in(folder, make)
    sentence = (
        "parameters and prompt changed: temperature 0 → 0.4; "
        'system prompt +1 −1 sentences ("concise" → "brief").'
    )
    for command in ("ledger", "status"):
        assert sentence in " ".join(folder(command).stdout.split())
    entry = next(one for one in folder.json("ledger")["entries"] if one["kind"] == "observed")
    assert (entry["at"], entry["what"]) == (START + 80 * 60, sentence)
    assert folder.json("status")["observed"]["last"]["what"] == sentence


def test_adopting_is_not_taken_back_after_a_rollout(shop):
    shop.declare(documents=2)
    shop("apply", shop.plan())
    said = shop("adopt", "--undo", exit_code=2).stderr
    assert "has had rollouts since" in said


def test_taking_back_what_a_file_declares_is_possible_too(empty):
    empty.declare(stages=QUICK, extra=UNGATED)
    assert "Undo:  inchworm adopt --undo" in empty("adopt").stdout
    assert empty.json("adopt", "--undo")["stable"] is None
    assert empty.json("adopt")["adopted"] is True


def test_a_folder_without_file_and_without_data_is_told_how_to_begin(tmp_path):
    assert "inchworm init" in Cli(tmp_path)("status", exit_code=2).stderr
