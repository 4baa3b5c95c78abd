"""``inchworm serve`` from the outside: real processes, the real SDK, real kills."""

import json
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.integration.serve.running import (
    GATEWAY,
    SERVER,
    Served,
    get,
    remaining,
    serve,
    start,
    stored,
    until,
)
from tests.integration.serve.upstream import upstream

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]
YAML = """\
app: declared-shop/production
layers:
  infrastructure: {{base_url: "{base_url}"}}
  model: {{name: tiny}}
metrics:
  brief: {{check: {{max_words: 50}}, goal: true}}
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with upstream() as base_url:
        yield base_url


@pytest.fixture
def served(tmp_path: Path, provider: str) -> Iterator[Served]:
    with serve(tmp_path / "my-shop", provider) as running:
        yield running


def ask(client: openai.OpenAI, text: str) -> str:
    """One call; the id by which it is recorded."""
    answer = client.chat.completions.with_raw_response.create(
        model="tiny", messages=[{"role": "user", "content": text}]
    )
    assert answer.parse().choices[0].message.content == f"You said: {text}"
    return str(answer.headers["inchworm-trace"])


def client_of(served: Served, *, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=served.base_url, api_key="sk-mine", max_retries=retries, timeout=30.0)


def test_a_call_in_an_empty_folder_is_answered_recorded_and_seen(served):
    assert served.said["app"] == "my-shop/production"
    assert served.said["observing"]
    with client_of(served) as client:
        trace_id = ask(client, "hello ann.example@mailhost.net")
        streamed = client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "and again"}], stream=True
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed)
    assert text == "You said: and again "
    assert_private(served.folder / ".inchworm")
    assert_refuses_another(served)
    seen = until(lambda: served.get(f"/traces/{trace_id}.json")[1] if len(_seen(served)) == 2 else None)
    assert "mailhost" not in json.dumps(seen)
    assert served.stop() == 0
    by_id = {trace.id: trace for trace in served.stored()}
    assert len(by_id) == 2
    assert by_id[trace_id].output == "You said: hello EMAIL_1"
    data = served.folder / ".inchworm"
    assert not (data / "serve.json").exists()
    assert not list((data / "spool").rglob("*.closed"))
    assert not list((data / "spool").rglob("*.open"))
    assert remaining(served.folder) == []


def _seen(served: Served) -> list[object]:
    status, found = served.get("/traces.json")
    assert status == 200
    rows: list[object] = found["traces"]
    return rows


def assert_private(data: Path) -> None:
    """Nobody but the owner reads it."""
    for path in (data, data / "serve.json", data / "secret.key"):
        assert path.stat().st_mode & 0o077 == 0, path


def assert_refuses_another(served: Served) -> None:
    """A second server of the same folder says who the first one is."""
    with start(served.folder, "") as second:
        assert second.wait(60) == 2
    assert f"runs already: it is process {served.process.pid}" in served.stderr()
    assert f"kill {served.process.pid}" in served.stderr()


def test_parts_that_are_killed_are_back_and_nothing_is_lost_or_there_twice(served):
    accepted: list[str] = []
    with client_of(served, retries=8) as client:
        for part in (GATEWAY, SERVER, SERVER, GATEWAY):
            accepted += [ask(client, f"before {len(accepted)} {n}") for n in range(5)]
            served.kill(part)
            accepted += [ask(client, f"after {len(accepted)} {n}") for n in range(5)]
            assert served.get("/traces.json")[0] == 200
    for part in (GATEWAY, SERVER):
        said = (
            f"{part} was ended by signal 9 (SIGKILL) and is started again at once (2 times since the start)"
        )
        assert said in served.stderr()
    assert served.stop(signal.SIGINT) == 0
    counted = Counter(trace.id for trace in served.stored())
    assert set(accepted) <= set(counted)
    assert set(counted.values()) == {1}
    assert remaining(served.folder) == []


def test_parts_do_not_outlive_a_supervisor_that_is_killed_and_the_next_one_takes_over(tmp_path, provider):
    folder = tmp_path / "shop"
    with serve(folder, provider) as first:
        with client_of(first) as client:
            accepted = ask(client, "the last one")
        first.process.kill()
        first.process.wait()
        with serve(folder, provider) as second:
            assert second.get("/traces.json")[0] == 200
            assert second.stop() == 0
    assert accepted in {trace.id for trace in stored(folder)}
    assert remaining(folder) == []


@pytest.mark.parametrize("option", ["--port", "--gateway-port"])
def test_a_port_that_is_taken_is_named_with_its_option(tmp_path, option):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with start(tmp_path, "", option, str(port)) as process:
            assert process.wait(60) == 2
    said = (tmp_path / "stderr").read_text()
    assert f"port {port} of 127.0.0.1 is taken by another program" in said
    assert f"inchworm serve {option} {port + 10}" in said
    assert remaining(tmp_path) == []


def test_a_wrong_file_is_said_before_anything_starts(tmp_path):
    (tmp_path / "inchworm.yaml").write_text("app: shop\nmetrics: 1\n")
    with start(tmp_path, "") as process:
        assert process.wait(60) == 2
    assert "inchworm.yaml:2" in (tmp_path / "stderr").read_text()


def test_a_file_that_changes_is_followed_and_a_wrong_one_is_said(served, provider):
    file = served.folder / "inchworm.yaml"
    file.write_text(YAML.format(base_url=provider))
    until(lambda: "was read again: it declares declared-shop/production" in served.stderr())
    with client_of(served) as client:
        old = ask(client, "one")
        until(lambda: _app_at_gateway(served) == ["declared-shop/production"])
        new = ask(client, "two")
    file.write_text("app: [\n")
    until(lambda: "still holds" in served.stderr())
    file.write_text(YAML.format(base_url=provider))
    assert served.stop() == 0
    by_id = {trace.id: trace for trace in served.stored()}
    assert "brief" in {score.metric for score in by_id[new].scores}
    assert old is not None


def _app_at_gateway(served: Served) -> list[str]:
    return list(get(served.said["gateway_url"], "/-/ready")[1]["apps"])
