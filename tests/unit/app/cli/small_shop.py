"""A small shop made up here: its questions, what its configurations answer, and its inchworm.yaml."""

import gzip
import itertools
import json
import random
from pathlib import Path

from inchworm.app.config.load import load
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import render

TOPICS = {
    "parcel": "Where is my parcel with the blue {thing} that I ordered",
    "return": "How do I send the broken {thing} back and get a refund",
    "opening": "When does the shop in the {thing} street open on Sunday",
}
THINGS = "tent stove lamp rope boots jacket bottle map compass sleeping-bag kettle knife".split()
NOW = 1_790_000_000.0

GOOD, BETTER = "Answer from the information.", "Answer in one sentence from the information."


def yaml(*, documents=1, system=GOOD, temperature=0, stages="[5%, 25%, 50%]", extra=""):
    """An inchworm.yaml with one value per layer that the tests move."""
    return f"""\
app: small-shop/production
recording: answers.jsonl.gz
layers:
  infrastructure: {{upstream: recorded}}
  model: {{name: tiny}}
  parameters: {{temperature: {temperature}, max_tokens: 40}}
  context: {{documents: {documents}}}
  prompt:
    system: {json.dumps(system)}
    user: "Question: {{question}}\\nInformation: {{documents}}"
metrics:
  answered: {{check: contains_reference, goal: true, margin: 0.03}}
  complete: {{check: complete, guardrail: true, margin: 0.03}}
rollout:
  stages: {stages}
{extra}"""


def cases():
    """Inputs with their references, each once."""
    for topic, thing in itertools.product(TOPICS, THINGS):
        for number in range(3):
            question = f"{TOPICS[topic].format(thing=thing)} {number} days ago?"
            reference = f"{thing} {topic} {number}"
            documents = [f"The answer is {reference}.", f"Something else about {thing}."]
            yield {"question": question, "documents": documents}, reference


def answer(configuration, inputs, reference):
    """With two documents every other case is confused; everything else is right."""
    two = configuration.layer(Layer.CONTEXT)["documents"] == 2
    confused = two and sum(map(ord, inputs["question"])) % 2 == 0
    return "I do not know." if confused else f"It is {reference}."


def write_recording(folder: Path, configurations):
    """What ``upstream: recorded`` answers."""
    rows = {}
    for configuration in configurations:
        for inputs, reference in cases():
            text = answer(configuration, inputs, reference)
            sample = {
                "text": text,
                "finish_reason": "stop",
                "latency_ms": 90.0,
                "input_tokens": 50,
                "output_tokens": 9,
            }
            rows[render(configuration, inputs).digest()] = [sample]
    header = {
        "format": "recording/1",
        "model": "tiny",
        "recorded_at": "2026-11-22T00:00:00Z",
        "machine": "none",
        "note": "made by a test",
    }
    lines = [header, *({"digest": key, "samples": value} for key, value in sorted(rows.items()))]
    (folder / "answers.jsonl.gz").write_bytes(
        gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
    )


def write_traces(folder: Path, *, name="traffic.jsonl", count=400, now=NOW, seed=1):
    """Interactions of the last days as rows of question and answer, with an address in some answers."""
    dice = random.Random(seed)
    known = list(cases())
    lines = []
    for number in range(count):
        inputs, reference = dice.choice(known)
        said = f"It is {reference}." if dice.random() < 0.9 else "I do not know."
        if number % 40 == 0:
            said += " Write to ann.example@mailhost.net."
        lines.append(
            json.dumps(
                {
                    "question": inputs["question"],
                    "answer": said,
                    "reference": reference,
                    "documents": inputs["documents"],
                    "session_id": f"s-{seed}-{number}",
                    "latency_ms": round(50 + 100 * dice.random(), 1),
                    "finish_reason": "stop",
                    "at": now - 3 * 86_400 * (1 - number / count),
                }
            )
        )
    path = folder / name
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
    return path


def exposed(units, *, harm, now=NOW, seed=3):
    """What became of resolved units, as lines of trace/1; with harm the candidate is wrong half the time."""
    dice = random.Random(seed)
    known = list(cases())
    lines = []
    for number, unit in enumerate(units):
        inputs, reference = dice.choice(known)
        wrong = dice.random() < (0.5 if harm and unit["arm"] == "candidate" else 0.05)
        lines.append(
            json.dumps(
                {
                    "schema": "trace/1",
                    "id": f"exposed-{seed}-{number}",
                    "at": now,
                    "unit": unit["unit"],
                    **{key: unit[key] for key in ("configuration", "rollout", "stage", "arm", "probability")},
                    "inputs": inputs,
                    "output": "I do not know." if wrong else f"It is {reference}.",
                    "outcome": {"is": "ok"},
                    "finish_reason": "stop",
                    "latency_ms": 90.0,
                    "reference": reference,
                }
            )
        )
    return "".join(line + "\n" for line in lines)


def open_shop(folder: Path, **moved):
    """The folder with inchworm.yaml, a recording of everything that it may ask, and traffic."""
    configurations = []
    file = folder / "inchworm.yaml"
    for documents, system, temperature in itertools.product((1, 2), (GOOD, BETTER), (0,)):
        file.write_text(yaml(documents=documents, system=system, temperature=temperature), "utf-8")
        configurations.append(load(file).configuration)
    write_recording(folder, configurations)
    file.write_text(yaml(**moved), "utf-8")
    return file
