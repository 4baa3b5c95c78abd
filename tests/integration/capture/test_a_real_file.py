import json

from inchworm.capture import LIMIT_BYTES, Rejected, read
from inchworm.domain.configuration import AppRef
from inchworm.domain.trace import Trace


def test_a_line_of_fifty_megabytes_in_a_real_file_is_refused_and_the_rest_imported(tmp_path):
    file = tmp_path / "traffic.jsonl"
    rows = [json.dumps({"question": f"Where is order {n}?", "answer": "There."}).encode() for n in range(200)]
    with file.open("wb") as out:
        out.write(b"\n".join(rows[:100]) + b'\n{"question": "')
        for _ in range(50):
            out.write(b"x" * 1_000_000)
        out.write(b'"}\n' + b"\n".join(rows[100:]))
    reading = read(file, app=AppRef(app="shop-support", environment="production"), default_at=0.0)
    found = list(reading)
    assert [type(one) for one in found] == [Trace] * 100 + [Rejected] + [Trace] * 100
    (refused,) = [one for one in found if isinstance(one, Rejected)]
    assert refused.line == 101
    assert refused.reason == f"the line is 50,000,016 bytes long, and at most {LIMIT_BYTES:,} are read"
    assert [one.inputs["question"] for one in found if isinstance(one, Trace)][-1] == "Where is order 199?"
    assert (reading.tally.lines, reading.tally.accepted, reading.tally.rejected) == (201, 200, 1)
