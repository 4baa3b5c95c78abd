"""The spool's records are pinned: what an old gateway wrote, a new drain reads."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.records import (
    Assigned,
    Called,
    Exported,
    Exposed,
    Graded,
    Mirrored,
    Rated,
    Record,
    Shadowed,
    Traced,
    decode,
    encode,
)

GOLDEN: dict[str, tuple[Record, str]] = {
    "exposed": (
        Exposed(app="a/b", unit="u-1", assigned=Assigned("r-1", 0, "candidate", 0.05), at=1.5),
        "85a16ba96578706f7365642f31a3617070a3612f62a4756e6974a3752d31a861737369676e656494a3722d3100a963616e646964617465cb3fa999999999999aa26174cb3ff8000000000000",
    ),
    "called": (
        Called(
            id="t-1",
            app="a/b",
            at=1.5,
            unit="u-1",
            unit_from="stated",
            dialect="openai-chat",
            request=b"{}",
            status=200,
        ),
        "de0017a16ba863616c6c65642f31a26964a3742d31a3617070a3612f62a463616c6cc0a26174cb3ff8000000000000a4756e6974a3752d31a9756e69745f66726f6da6737461746564a76469616c656374ab6f70656e61692d63686174ad636f6e66696775726174696f6ec0a861737369676e6564c0a6696e70757473c0a97265666572656e6365c0a772657175657374c4027b7da473656e74c0a8726573706f6e7365c400a873747265616d6564c2a6737461747573ccc8a774726f75626c65c0ac74726f75626c655f73616964c0a7747466745f6d73c0aa6c6174656e63795f6d73c0a9756e6170706c69656490aa6174747269627574657380",
    ),
    "mirrored": (
        Mirrored(app="a/b", unit="u", rollout="r-1", stage=0, trace="t", shadow="s", probability=0.2, at=1.0),
        "89a16baa6d6972726f7265642f31a3617070a3612f62a4756e6974a175a7726f6c6c6f7574a3722d31a5737461676500a57472616365a174a6736861646f77a173ab70726f626162696c697479cb3fc999999999999aa26174cb3ff0000000000000",
    ),
    "shadowed": (
        Shadowed(
            id="s",
            app="a/b",
            at=1.0,
            unit="u",
            unit_from="stated",
            dialect="openai-chat",
            request=b"{}",
            shadow_of="t",
        ),
        "de0018a16baa736861646f7765642f31a26964a173a3617070a3612f62a463616c6cc0a26174cb3ff0000000000000a4756e6974a175a9756e69745f66726f6da6737461746564a76469616c656374ab6f70656e61692d63686174ad636f6e66696775726174696f6ec0a861737369676e6564c0a6696e70757473c0a97265666572656e6365c0a772657175657374c4027b7da473656e74c0a8726573706f6e7365c400a873747265616d6564c2a6737461747573c0a774726f75626c65c0ac74726f75626c655f73616964c0a7747466745f6d73c0aa6c6174656e63795f6d73c0a9756e6170706c69656490aa6174747269627574657380a9736861646f775f6f66a174",
    ),
    "traced": (
        Traced(app="a/b", line=b'{"id":"t"}', at=2.0),
        "84a16ba87472616365642f31a3617070a3612f62a46c696e65c40a7b226964223a2274227da26174cb4000000000000000",
    ),
    "rated": (
        Rated(app="a/b", trace="t-1", metric="helpful", value=1.0, source="user", at=2.0),
        "87a16ba772617465642f31a3617070a3612f62a57472616365a3742d31a66d6574726963a768656c7066756ca576616c7565cb3ff0000000000000a6736f75726365a475736572a26174cb4000000000000000",
    ),
    "graded": (
        Graded(
            app="a/b",
            id="i-1",
            unit="u-1",
            metric="stars",
            value=4.0,
            source="user",
            comment="ok",
            at=2.0,
            timed=False,
        ),
        "8ca16ba86772616465642f31a3617070a3612f62a26964a3692d31a57472616365c0a47370616ec0a4756e6974a3752d31a66d6574726963a57374617273a576616c7565cb4010000000000000a6736f75726365a475736572a7636f6d6d656e74a26f6ba26174cb4000000000000000a574696d6564c2",
    ),
    "exported": (
        Exported(app="a/b", dialect="otlp-protobuf", body=b"\n\0", at=2.0),
        "85a16baa6578706f727465642f31a3617070a3612f62a76469616c656374ad6f746c702d70726f746f627566a4626f6479c4020a00a26174cb4000000000000000",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_form_is_pinned(name):
    record, written = GOLDEN[name]
    assert encode(record).hex() == written
    assert decode(bytes.fromhex(written)) == record


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", msgspec.msgpack.encode({"k": "exposed/2"}), msgspec.msgpack.encode({"k": "rated/1"})],
)
def test_anything_else_is_refused(data):
    with pytest.raises(msgspec.DecodeError):
        decode(data)


FINITE = st.floats(allow_nan=False)
RECORDS = st.one_of(
    st.builds(Rated, value=FINITE, at=FINITE),
    st.builds(Traced, at=FINITE),
    st.builds(Exported, at=FINITE),
    st.builds(Graded, at=FINITE, value=st.booleans() | FINITE | st.text()),
    st.builds(Exposed, assigned=st.builds(Assigned, probability=FINITE), at=FINITE),
    st.builds(Mirrored, probability=FINITE, at=FINITE, stage=st.integers(0, 9)),
    st.builds(
        Called,
        at=FINITE,
        assigned=st.none() | st.builds(Assigned, probability=FINITE),
        inputs=st.none() | st.dictionaries(st.text(), st.text() | st.integers(0, 9)),
        ttft_ms=st.none() | FINITE,
        latency_ms=st.none() | FINITE,
        attributes=st.just({}),
    ),
)


@given(RECORDS)
def test_every_record_reads_back(record):
    assert decode(encode(record)) == record
