"""Golden vectors. Everything later rests on these: a failure here is a breaking change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inchworm.domain.assignment import (
    Token,
    arm_of,
    bucket,
    held_out,
    is_judged,
    is_mirrored,
    served_weight,
    stage_salt,
)
from inchworm.domain.canonical import canonical
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import InputError
from inchworm.domain.evalset import Case
from inchworm.domain.ids import ConfigurationId, RolloutId, UnitId, WorkId
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import (
    Errored,
    Failed,
    Ok,
    Outcome,
    Result,
    Scored,
    Unscored,
    decode_outcome,
    decode_result,
    encode,
)
from inchworm.domain.rendering import render
from inchworm.domain.serving import Candidate, ServingTable, resolve
from inchworm.domain.targeting import Condition
from inchworm.domain.trace import Arm, Assignment
from inchworm.domain.work import WorkItem, WorkState

APP = AppRef(app="shop-support", environment="production")
CONFIGURATION = Configuration.of(
    {
        Layer.INFRASTRUCTURE: {"timeout_s": 20},
        Layer.MODEL: {"name": "smollm2"},
        Layer.PARAMETERS: {"temperature": 0, "max_tokens": 64},
        Layer.CONTEXT: {"documents": 1},
        Layer.PROMPT: {"system": "Answer.", "user": "{question} {documents}"},
    }
)


def test_configuration_id() -> None:
    assert CONFIGURATION.id == "90a729b0d8a8956c0aecc5f8118c05a2988f863c868c76e5896db62f5cba153b"
    assert canonical(CONFIGURATION.content()) == (
        '{"layers":{"context":{"documents":1},"infrastructure":{"timeout_s":20},"model":{"name":"smollm2"},'
        '"parameters":{"max_tokens":64,"temperature":0},'
        '"prompt":{"system":"Answer.","user":"{question} {documents}"},"tools":{}},"schema":1}'
    )
    assert Configuration.from_content(CONFIGURATION.content()) == CONFIGURATION


def test_request_digest() -> None:
    request = render(CONFIGURATION, {"question": "When?", "documents": ["Now.", "Later."]})
    assert [message.content for message in request.messages] == ["Answer.", "When? Now."]
    assert request.digest() == "4034eea0c22e5989501574cd4f89605b23d052a36bad7a540eb9c456f3bdb15b"


def test_case_id() -> None:
    assert Case.identify({"question": "When?"}, ["Now"]) == "case-e30a14fd3387"


@pytest.mark.parametrize(
    ("salt", "unit", "expected"),
    [("r-1", "s-1", 1596), ("r-1", "s-2", 2462), ("", "", 1883), ("salz", "Zoë", 4102)],
)
def test_bucketing_version_1(salt: str, unit: str, expected: int) -> None:
    assert bucket(1, salt, unit) == expected


def test_bucketing_version_2() -> None:
    # growthbook's published vectors for hash version 2: hash("seed", "value", 2)
    published = {
        ("seed", "a"): 505,
        ("seed", "b"): 2696,
        ("foo", "ab"): 2575,
        ("foo", "def"): 2019,
        ("89123klj", "8952klfjas09ujkasdf"): 1240,
        ("90850943850283058242805", "123"): 7516,
        ("()**(%$##$%#$#", '___)((*":&'): 128,
    }
    assert {key: bucket(2, *key) for key in published} == published
    # As the SDKs' cases.json has them: a number in [0, 1) with four digits.
    assert [bucket(2, *key) / 10_000 for key in published] == [
        0.0505, 0.2696, 0.2575, 0.2019, 0.124, 0.7516, 0.0128,
    ]  # fmt: skip


def test_unknown_hash_version_is_refused() -> None:
    with pytest.raises(ValueError, match="hash version 3"):
        bucket(3, "s", "v")


def test_weights_are_served_in_whole_buckets() -> None:
    assert served_weight(0.05) == 0.05
    assert served_weight(1 / 3) == 0.3333
    inside = sum(arm_of(1, "salt", f"unit-{n}", 0.05) is Arm.CANDIDATE for n in range(20_000))
    assert inside == sum(bucket(1, "salt", f"unit-{n}") < 500 for n in range(20_000))
    assert 880 <= inside <= 1_120  # five standard deviations around 1,000


TABLE = ServingTable(
    app=APP,
    generation=7,
    stable=ConfigurationId("c7f1"),
    candidate=Candidate(
        rollout_id=RolloutId("r-1"),
        configuration_id=ConfigurationId("e0b4"),
        stage=1,
        weight=0.25,
        salt="s",
        hash_version=1,
    ),
)


def test_serving_table() -> None:
    assert canonical(TABLE.content()) == (
        '{"app":"shop-support/production","candidate":{"configuration":"e0b4","hash_version":1,"rollout":"r-1",'
        '"salt":"s","stage":1,"weight":0.25},"format":"serving/1","generation":7,"stable":"c7f1"}'
    )
    assert ServingTable.from_content(TABLE.content()) == TABLE
    bare = ServingTable(app=APP, generation=1, stable=ConfigurationId("c7f1"))
    assert ServingTable.from_content(bare.content()) == bare
    with pytest.raises(ValueError, match="serving/1"):
        ServingTable.from_content({**TABLE.content(), "format": "serving/2"})


def targeted(**more: Any) -> ServingTable:
    assert TABLE.candidate is not None
    return replace(TABLE, candidate=replace(TABLE.candidate, **more))


TARGETED = targeted(
    per_stage=True,
    audience=(Condition(attribute="tenant", values=("acme", "globex")),),
    holdout=0.01,
    shadow=0.5,
    shadow_calls=500,
    weight=0.0,
)


def test_a_serving_table_for_some_only_has_a_form_that_older_readers_refuse() -> None:
    assert canonical(TARGETED.content()) == (
        '{"app":"shop-support/production","candidate":{"audience":[["tenant",["acme","globex"]]],'
        '"configuration":"e0b4","hash_version":1,"holdout":0.01,"per_stage":true,"rollout":"r-1","salt":"s",'
        '"shadow":0.5,"shadow_calls":500,"stage":1,"weight":0},"format":"serving/2","generation":7,"stable":"c7f1"}'
    )
    assert ServingTable.from_content(TARGETED.content()) == TARGETED
    with pytest.raises(ValueError, match="serving/3"):
        ServingTable.from_content({**TARGETED.content(), "format": "serving/3"})


@pytest.mark.parametrize(
    "more",
    [
        {"per_stage": True},
        {"audience": (Condition(attribute="unit", values=("a",)),)},
        {"holdout": 0.0001},
        {"shadow": 1.0},
    ],
    ids=lambda more: next(iter(more)),
)
def test_whatever_an_older_reader_would_misread_takes_the_newer_form(more: dict[str, Any]) -> None:
    made = targeted(**more)
    assert made.content()["format"] == "serving/2"
    assert ServingTable.from_content(made.content()) == made


def test_draws_beside_the_arm() -> None:
    units = [f"u-{number}" for number in range(12)]
    assert [is_judged(1, "s", unit, 0.5) for unit in units] == [
        bucket(1, "s/judged", unit) < 5_000 for unit in units
    ]
    assert [is_mirrored(1, "s", unit, 0.5) for unit in units] == [
        bucket(1, "s/shadow", unit) < 5_000 for unit in units
    ]
    assert [held_out("shop/production", unit, 0.5) for unit in units] == [
        bucket(1, "holdout/shop/production", unit) < 5_000 for unit in units
    ]
    assert stage_salt("s", 2) == "s/2"
    assert (bucket(1, "s/judged", "u-1"), bucket(1, "s/shadow", "u-1"), bucket(1, "s/2", "u-1")) == (
        3325,
        2897,
        8973,
    )


def test_resolve_keeps_the_arm_of_a_unit_until_the_rollout_ends() -> None:
    kept = Assignment(rollout_id=RolloutId("r-1"), stage=0, arm=Arm.CANDIDATE, probability=0.05)
    for name in ("a", "b", "c", "d"):
        again = resolve(TABLE, UnitId(name), kept)
        assert (again.configuration_id, again.assignment) == ("e0b4", kept)
    other = Assignment(rollout_id=RolloutId("r-0"), stage=0, arm=Arm.CANDIDATE, probability=0.05)
    fresh = resolve(TABLE, UnitId("a"), other)
    assert fresh.assignment is not None
    assert fresh.assignment.rollout_id == "r-1"
    assert fresh.assignment.probability == 0.25
    assert fresh.configuration_id == ("e0b4" if fresh.assignment.arm is Arm.CANDIDATE else "c7f1")
    after = ServingTable(app=APP, generation=8, stable=ConfigurationId("c7f1"))
    assert resolve(after, UnitId("a"), kept).configuration_id == "c7f1"


def test_token() -> None:
    token = Token(
        unit_id="session 1\n2",
        assignment=Assignment(rollout_id=RolloutId("r-1"), stage=0, arm=Arm.BASELINE, probability=0.05),
    )
    text = token.sign(b"key")
    assert text == "t1.ci0xCjAKYmFzZWxpbmUKMC4wNQpzZXNzaW9uIDEKMg.KdYXL38S9SpEILluBWqIe0JukQYBKD9uRCWpfFpY1yI"
    assert Token.read(b"key", text) == token
    for broken in (text[:-1], text.replace("t1.", "t2."), "", "t1.a.b", text.upper()):
        with pytest.raises(InputError, match="not signed"):
            Token.read(b"key", broken)
    with pytest.raises(InputError, match="not signed"):
        Token.read(b"other", text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Ok(), '{"is":"ok"}'),
        (Failed(reason="deadline"), '{"is":"failed","reason":"deadline"}'),
        (Errored(reason="503"), '{"is":"errored","reason":"503"}'),
    ],
)
def test_outcome_taxonomy(value: Outcome, text: str) -> None:
    assert canonical(encode(value)) == text
    assert decode_outcome(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Scored(value=0.5), '{"is":"scored","value":0.5}'),
        (Unscored(reason="no reference"), '{"is":"unscored","reason":"no reference"}'),
        (Errored(reason="judge down"), '{"is":"errored","reason":"judge down"}'),
    ],
)
def test_result_taxonomy(value: Result, text: str) -> None:
    assert canonical(encode(value)) == text
    assert decode_result(encode(value)) == value


def test_unknown_tags_are_refused() -> None:
    with pytest.raises(ValueError, match="not an outcome"):
        decode_outcome({"is": "scored", "value": 1})
    with pytest.raises(ValueError, match="not a result"):
        decode_result({"is": "ok"})
    with pytest.raises(ValueError, match="a score lies in"):
        Scored(value=1.5)


def test_work_item() -> None:
    item = WorkItem(
        id=WorkId("benchmark:r-1"), kind="benchmark", app=APP, payload={"b": 1}, state=WorkState.READY
    )
    assert canonical(item.content()) == (
        '{"app":"shop-support/production","attempts":0,"error":null,"format":"work/1","id":"benchmark:r-1",'
        '"kind":"benchmark","lease_until":null,"payload":{"b":1},"result":null,"state":"ready"}'
    )
