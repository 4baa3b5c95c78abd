"""Files of interactions over HTTP: sent in every form, and streamed out again."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = [{"id": f"row-{number}", "question": f"Where is {number}?", "answer": "Here."} for number in range(5)]


def test_a_table_is_read_in_by_its_type_its_name_or_its_beginning(api):
    table = b"id,question,answer\n" + b"".join(
        f"{one['id']},{one['question']},{one['answer']}\n".encode() for one in ROWS
    )
    first = api.post("/imports", raw=table, headers={"Content-Type": "text/csv"})
    assert (first["new"], first["form"]) == (5, "csv")
    again = api.post("/imports?name=a.csv&again=true", raw=table)
    assert (again["new"], again["duplicate"], again["form"]) == (0, 5, "csv")
    held = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), held)
    said = api.post("/imports", raw=held.getvalue())
    assert (said["form"], said["duplicate"]) == ("parquet", 5)
    assert api.post("/imports?format=csv&again=true", raw=table)["duplicate"] == 5
    assert api("POST", "/api/v1/imports?format=parquet", raw=b"no").error["code"] == "input"


@pytest.mark.parametrize(
    ("form", "media"),
    [
        ("jsonl", "application/x-ndjson"),
        ("csv", "text/csv; charset=utf-8"),
        ("parquet", "application/vnd.apache.parquet"),
        ("otlp-json", "application/x-ndjson"),
    ],
)
def test_interactions_are_streamed_out_and_known_when_they_come_back(api, form, media):
    answer = api("GET", f"/api/v1/traces/export?format={form}&outcome=ok")
    assert (answer.status, answer.headers["content-type"]) == (200, media)
    assert "attachment" in answer.headers["content-disposition"]
    total = api.get("/traces?outcome=ok")["total"]
    assert total > 0
    if form == "otlp-json":
        assert len(answer.body.splitlines()) == total
    else:
        assert api.post("/imports?again=true", raw=answer.body)["duplicate"] == total


def test_an_export_takes_a_key_that_may_look(api):
    assert api("GET", "/api/v1/traces/export", token=None).status == 401
    key = api.key("viewer")["key"]
    lines = api("GET", "/api/v1/traces/export", token=key).body
    assert {json.loads(line)["schema"] for line in lines.splitlines()} == {"trace/1"}
    assert api("GET", "/api/v1/traces/export?format=xml").status == 422
    assert api("GET", "/api/v1/traces/export?shadow=true").error["code"] == "usage"
