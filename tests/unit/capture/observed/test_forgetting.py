"""What was learned from traffic, without somebody: forms that only they had lose their words, others stay."""

import json

from inchworm.capture.observed import Observer
from inchworm.capture.observed.forgetting import GONE, without
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Ok
from inchworm.domain.trace import Trace

APP = AppRef(app="shop", environment="production")
SYSTEM = "You answer questions about parcels of the shop Fernhill."


def trace(number, unit, said, *, system=SYSTEM, parameters=None):
    messages = [{"role": "system", "content": system}, {"role": "user", "content": said}]
    return Trace(
        id=TraceId(f"t-{number}"),
        app=APP,
        at=1000.0 + number,
        unit_id=UnitId(unit),
        inputs={"messages": messages},
        output="so",
        outcome=Ok(),
        attributes={"gen_ai.request.model": "tiny", **(parameters or {})},
    )


def learned():
    observer = Observer()
    observer.take([trace(n, f"u{n}", f"Question {n}: where is parcel {n}?") for n in range(30)])
    odd = "My name is Zwrblfx and nobody writes like this at all, does one?"
    observer.take([trace(99, "ana", odd, system="Quite another prompt of the Qwzrtpl kind, used once.")])
    return observer.state(), odd


def common(words):
    return [word for word in words if word in {"prompt", "nobody", "name", "where", "parcel", "tiny"}]


def test_a_form_that_only_they_had_loses_its_words_and_keeps_its_id():
    state, odd = learned()
    said = [("ana", odd), ("ana", "Quite another prompt of the Qwzrtpl kind, used once.")]
    assert b"Qwzrtpl" in state
    left = without(state, units={"ana"}, said=said, is_common=common)
    assert not [word for word in ("Qwzrtpl", "Zwrblfx", "nobody writes", '"ana"') if word.encode() in left]
    before, after = json.loads(state), json.loads(left)
    assert [call for call, _ in after["calls"]] == [call for call, _ in before["calls"]]
    ids = [[one["id"] for one in call["system"]["known"]] for _, call in before["calls"]]
    assert [[one["id"] for one in call["system"]["known"]] for _, call in after["calls"]] == ids
    assert SYSTEM.encode() in left, "what others were told stays"


def test_what_answers_is_known_as_before_and_goes_on():
    state, odd = learned()
    left = Observer.of(without(state, units={"ana"}, said=[("ana", odd)], is_common=common))
    known = Observer.of(state)
    assert left.lift("") == known.lift("")
    seen = left.take([trace(200, "u200", "Question 200: where is parcel 200?")])
    assert (
        seen.configurations
        == known.take([trace(200, "u200", "Question 200: where is parcel 200?")]).configurations
    )
    assert seen.configurations != (None,)


def test_a_form_that_others_share_stays():
    state, _ = learned()
    said = [("u1", "Question 1: where is parcel 1?"), ("u1", SYSTEM)]
    left = without(state, units={"u1"}, said=said, is_common=lambda words: [w for w in words if w != "u1"])
    assert SYSTEM.encode() in left
    assert b'"u1"' not in left


def test_a_word_that_nobody_else_said_is_replaced_wherever_it_stands():
    state, _ = learned()
    left = without(state, units=set(), said=[("ana", "Qwzrtpl")], is_common=lambda _: [])
    assert b"Qwzrtpl" not in left
    assert GONE.encode() in left


def test_another_form_of_the_state_is_left_alone():
    assert without(b'{"format": "x"}', units={"ana"}, said=[], is_common=common) == b'{"format": "x"}'


def test_however_much_is_gone_the_state_can_be_read_and_says_what_it_is_made_of():
    observer = Observer()
    parameters = {"gen_ai.request.temperature": 0.5, "openai.request.tool_choice": "auto"}
    observer.take(
        [trace(n, "ana", f"model system units pieces {n}", parameters=parameters) for n in range(3)]
    )
    texts = "model tiny system user pieces known units parameters lately names tools temperature gap auto"
    left = without(observer.state(), units={"ana"}, said=[("ana", texts)], is_common=lambda _: [])
    again = Observer.of(left)
    again.take([trace(9, "bob", "model system units pieces 9", parameters=parameters)])
    assert [known.fingerprint.model for known in again.calls[""]._known.values()] == ["tiny"] * len(
        again.calls[""]._known
    )
