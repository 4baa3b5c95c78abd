"""Recordings: what was written comes back, late is late, and a broken file is named with its line."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.errors import InputError, ProviderError
from inchworm.domain.rendering import Message, ModelRequest
from inchworm.domain.trace import Usage
from inchworm.providers.recorded import Header, Recording
from inchworm.providers.upstream import Completion, Late, outcome

HEADER = Header(model="tiny-1", recorded_at="2026-11-22T00:00:00Z", machine="2 cores", note="see scripts")
REQUEST = ModelRequest(
    target={"name": "tiny"},
    parameters={},
    messages=(Message(role="user", content="When do you open?"),),
    deadline_s=None,
)
HOT = replace(REQUEST, parameters={"temperature": 0.7})


def completion(text: str, latency_ms: float = 500.0) -> Completion:
    usage = Usage(input_tokens=9, output_tokens=3)
    return Completion(text=text, finish_reason="stop", latency_ms=latency_ms, usage=usage)


def recording(**answers: Completion) -> Recording:
    return Recording(
        header=HEADER, answers={request.digest(): tuple(answers.values()) for request in (REQUEST, HOT)}
    )


def ask(source: Recording, request: ModelRequest, sample: int = 0) -> Any:
    return asyncio.run(source.complete(request, sample=sample))


def test_samples_come_in_their_order():
    source = recording(a=completion("at 9"), b=completion("at 10"))
    assert [ask(source, HOT, sample).text for sample in (0, 1)] == ["at 9", "at 10"]


def test_a_deterministic_request_has_one_answer():
    source = recording(a=completion("at 9"))
    assert ask(source, REQUEST, 5).text == "at 9"
    cold = replace(REQUEST, parameters={"temperature": 0})
    assert ask(Recording(header=HEADER, answers={cold.digest(): [completion("x")]}), cold, 1).text == "x"


def test_a_sample_that_was_not_recorded_is_a_harness_fault():
    with pytest.raises(ProviderError, match="no recording of sample 1 of") as caught:
        ask(recording(a=completion("at 9")), HOT, 1)
    assert "record it with" in (caught.value.hint or "")


def test_a_request_that_was_not_recorded_is_a_harness_fault_that_quotes_nobody():
    with pytest.raises(ProviderError, match="no recording of the request") as caught:
        ask(Recording(header=HEADER, answers={}), REQUEST)
    assert "open" not in str(caught.value)


@pytest.mark.parametrize(("deadline_s", "late"), [(None, False), (0.5, False), (0.499, True)])
def test_the_deadline_applies_to_the_recorded_latency(deadline_s, late):
    reply = ask(recording(a=completion("at 9")), replace(REQUEST, deadline_s=deadline_s))
    assert isinstance(reply, Late) is late
    if late:
        assert outcome(reply).reason == "deadline of 0.499 s missed"  # type: ignore[union-attr]  # it is Failed
        assert reply.usage == Usage(input_tokens=9, output_tokens=3)


def test_what_is_written_comes_back_and_bytes_do_not_depend_on_order(tmp_path):
    answers = {"b" * 64: (completion("eins\u2028zwei\nünf"),), "a" * 64: (completion("x"), completion(""))}
    one, two = tmp_path / "one.gz", tmp_path / "two.gz"
    Recording(header=HEADER, answers=answers).write(one)
    Recording(header=HEADER, answers=dict(reversed(answers.items()))).write(two)
    assert one.read_bytes() == two.read_bytes()
    assert Recording.load(one) == Recording(header=HEADER, answers=answers)


@given(text=st.text(st.characters(exclude_categories=["Cs"])), latency=st.floats(0, 1e6))
def test_every_text_survives(tmp_path_factory, text, latency):
    path = tmp_path_factory.mktemp("recording") / "r.gz"
    source = Recording(header=HEADER, answers={"d": (completion(text, latency),)})
    source.write(path)
    assert Recording.load(path) == source


GOOD_HEADER = {"format": "recording/1", "model": "m", "recorded_at": "t", "machine": "x", "note": ""}
GOOD_SAMPLE = {"text": "a", "finish_reason": None, "latency_ms": 1, "input_tokens": None, "output_tokens": 2}


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([], "1: the recording is empty"),
        (["{"], "1: not JSON"),
        ([[]], "1: a JSON object is expected"),
        ([{**GOOD_HEADER, "format": "recording/2"}], "1: the recording has format 'recording/2'"),
        ([{"format": "recording/1", "model": "m"}], "1: the header needs recorded_at and machine and note"),
        ([GOOD_HEADER, "nope"], "2: not JSON"),
        ([GOOD_HEADER, {"digest": "d", "samples": []}], '2: a line needs "digest"'),
        (
            [GOOD_HEADER, {"digest": "d", "samples": [{**GOOD_SAMPLE, "latency_ms": -1}]}],
            "2: a sample has text",
        ),
        ([GOOD_HEADER, {"digest": "d", "samples": [{"text": "a"}]}], "2: a sample has text"),
        (
            [GOOD_HEADER, *[{"digest": "d", "samples": [GOOD_SAMPLE]}] * 2],
            "3: the request d is recorded twice",
        ),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, rows, place):
    path = tmp_path / "bad.jsonl.gz"
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(InputError) as caught:
        Recording.load(path)
    assert f"bad.jsonl.gz:{place}" in str(caught.value)


@pytest.mark.parametrize("cut", [slice(0, 0), slice(0, -12), slice(5, None)])
def test_a_file_that_is_cut_off_is_no_recording(tmp_path, cut):
    path = tmp_path / "r.gz"
    recording(a=completion("at 9")).write(path)
    path.write_bytes(path.read_bytes()[cut])
    with pytest.raises(InputError):
        Recording.load(path)
    with pytest.raises(InputError, match="there is no recording"):
        Recording.load(tmp_path / "missing.gz")
