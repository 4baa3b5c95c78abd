"""Running it: what a real ``inchworm serve`` logs, counts, and says of itself."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.serve.running import Served, get, serve, until
from tests.integration.serve.upstream import upstream

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]
KEY = "sk-proj-Zq8vLw2Xn4Rt6Yb1Kd3Mf5Hs7Jp9"
PERSON, MAIL, CARD = "Philippa Featherstone", "philippa.f@mailhost.net", "4111 1111 1111 1111"
SAID = f"I am {PERSON}, {MAIL}, card {CARD}; my other key is {KEY}2"
UNIT = "unit-of-philippa.f@mailhost.net"
DOCS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server through which something went that must not be repeated, well and badly."""
    with (
        upstream() as provider,
        serve(tmp_path_factory.mktemp("operations") / "my-shop", provider) as running,
    ):
        speak(running)
        yield running


def speak(served: Served) -> None:
    headers = {"inchworm-unit": UNIT}
    with openai.OpenAI(
        base_url=served.base_url, api_key=KEY, max_retries=0, timeout=30.0, default_headers=headers
    ) as client:
        message: Any = {"role": "user", "content": SAID}
        client.chat.completions.create(model="tiny", messages=[message])
        with client.chat.completions.create(model="tiny", messages=[message], stream=True) as stream:
            assert any(stream)
        with contextlib.suppress(openai.APIStatusError):
            client.post("/chat/completions", cast_to=object, body={"messages": SAID, "model": SAID})
    until(lambda: len(served.get("/traces.json")[1]["traces"]) >= 2)
    # What is wrong in every place where somebody could have an idea to repeat it.
    bearer = {"Authorization": f"Bearer {KEY}"}
    for path in ("/api/v1/status", "/traces.json", "/api/v1/traces/" + KEY):
        assert get(served.said["url"], path, bearer)[0] == 401
    records = json.dumps({"trace": {"id": SAID, "app": "another/app", "inputs": {"q": SAID}, "output": SAID}})
    assert post(served.said["gateway_url"], "/inchworm/v1/records", records) == 200
    score = {"app": served.said["app"], "trace": SAID, "metric": SAID, "value": 1, "source": MAIL}
    assert post(served.said["gateway_url"], "/inchworm/v1/records", json.dumps({"score": score})) == 200
    assert post(served.said["gateway_url"], "/inchworm/v1/records", SAID) == 400
    until(lambda: _quarantined(served)["other_app"])


def _quarantined(served: Served) -> dict[str, float]:
    found = metrics_of(served.said["url"])["inchworm_records_quarantined"]
    return {one.labels["reason"]: one.value for one in found.samples}


def post(url: str, path: str, body: str) -> int:
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=30)) as connection:
        connection.request("POST", path, body.encode(), {"content-type": "application/x-ndjson"})
        answer = connection.getresponse()
        answer.read()
        return answer.status


def text_of(url: str, path: str) -> str:
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=30)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()


def metrics_of(url: str, path: str = "/-/metrics") -> dict[str, Any]:
    return {one.name: one for one in text_string_to_metric_families(text_of(url, path))}


def doctor(served: Served, **environment: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "inchworm.app.cli", "doctor", "--json"],
        cwd=served.folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_both_say_how_they_are_without_repeating_what_is_wrong(served):
    assert get(served.said["gateway_url"], "/-/health") == (200, {"status": "ok", "name": "local"})
    said = {"status": "degraded", "parts": {"quarantine": "Some records could not be taken in."}}
    until(lambda: get(served.said["url"], "/-/health") == (200, said))


def test_what_went_through_is_counted_on_both_sides(served):
    found = metrics_of(served.said["url"], "/metrics")
    stored = found["inchworm_traces_stored"].samples[0].value
    assert stored >= 2
    kinds = {one.labels["kind"]: one.value for one in found["inchworm_sanitize_findings"].samples}
    assert kinds["EMAIL"] >= 2
    assert kinds["CARD"] >= 2
    assert {one.labels["state"]: one.value for one in found["inchworm_gateways"].samples}["current"] == 1.0
    requests = metrics_of(served.said["gateway_url"])["inchworm_gateway_requests"]
    assert sum(one.value for one in requests.samples) >= 2


def test_every_metric_has_its_row_in_the_documentation(served):
    """Counters by the name that they are asked for by; histograms by their own."""
    rows = set(re.findall(r"^\| `([a-z_]+)", DOCS.read_text("utf-8"), re.MULTILINE))
    for url in (served.said["url"], served.said["gateway_url"]):
        names = {f"{name}_total" if one.type == "counter" else name for name, one in metrics_of(url).items()}
        assert {one for one in names if not one.startswith("process_")} <= rows
        assert len(names) > 10


def test_the_doctor_asks_the_server_that_runs(served):
    code, said = doctor(served)
    parts = {(one["part"], one["level"]): one["said"] for one in said["findings"]}
    assert code == 0, said
    assert f"It runs at {served.said['url']}" in parts["server", "ok"]
    assert "holds what is published" in parts["gateway", "ok"]
    assert ("provider", "ok") in parts
    assert parts["traffic", "ok"].startswith("Stored: ")
    assert parts["inchworm.yaml", "note"].startswith("There is no ")


def test_the_doctor_asks_a_server_elsewhere_with_a_key(served, tmp_path):
    token = json.loads((served.folder / ".inchworm" / "serve.json").read_text())["token"]
    there = {"INCHWORM_SERVER": served.said["url"], "INCHWORM_API_KEY": token}
    code, said = doctor(Served(tmp_path, served.process), **there)
    assert code == 0, said
    assert any(one["part"] == "gateway" and one["level"] == "ok" for one in said["findings"])
    assert list(tmp_path.iterdir()) == []
    code, said = doctor(Served(tmp_path, served.process), **{**there, "INCHWORM_API_KEY": "iw_none_ofours"})
    assert code == 1
    assert "none of ours" in str(said)


def test_nothing_that_went_through_is_in_any_log_and_every_line_has_the_one_shape(served):
    lines = [json.loads(line) for line in served.stderr().splitlines()]
    assert {line["part"] for line in lines} >= {"serve", "gateway"}
    for line in lines:
        assert list(line)[:4] == ["time", "level", "part", "event"]
        assert line["level"] in {"info", "warning", "error"}
    assert leaks(served.stderr()) == []


def test_nothing_that_went_through_is_in_metrics_health_or_the_doctor(served):
    said = [json.dumps(doctor(served)[1])]
    for url in (served.said["url"], served.said["gateway_url"]):
        said += [text_of(url, path) for path in ("/-/health", "/-/metrics")]
    assert [leaks(text) for text in said] == [[]] * len(said)


def leaks(text: str) -> list[str]:
    token = "mailhost"
    return [word for word in (KEY, KEY[8:], "Philippa", "Featherstone", token, CARD) if word in text]
