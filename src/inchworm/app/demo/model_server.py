"""A model's answers behind OpenAI's chat completions, on a real socket: recorded ones, or the live model's.

``python -m inchworm.app.demo.model_server RECORDING TARGET`` prints its address and serves until its standard
input ends. Nobody waits: the time that the model took is said in ``openai-processing-ms``, as OpenAI says it,
and a gateway in replay mode goes by that.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

from granian.constants import Interfaces
from granian.server.embed import Server

from inchworm.domain.errors import InchwormError, ProviderError
from inchworm.domain.rendering import Message, ModelRequest
from inchworm.providers.recorded import Recording
from inchworm.providers.upstream import Completion, Upstream

_PATIENCE_S, _LOOK_S = 10.0, 0.005
_NO_PARAMETERS = frozenset({"model", "messages", "metadata", "user", "stream"})
"""Members of a body that are no sampling parameters."""


def asked(body: Mapping[str, Any], target: Mapping[str, Any]) -> ModelRequest:
    """The request that a body makes, as recordings know it.

    Args:
        body: of a chat completion.
        target: the model layer of what was recorded; a body says only its name.
    """
    return ModelRequest(
        target=dict(target),
        parameters={name: value for name, value in body.items() if name not in _NO_PARAMETERS},
        messages=tuple(Message(role=one["role"], content=one["content"]) for one in body["messages"]),
        deadline_s=None,
    )


async def answer(
    answers: Upstream, body: Mapping[str, Any], target: Mapping[str, Any]
) -> tuple[int, dict[str, Any], float]:
    """Status, body and the model's time in milliseconds."""
    try:
        reply = await answers.complete(asked(body, target), sample=0)
    except ProviderError as error:
        return 404, {"error": {"message": error.message, "type": "not_recorded"}}, 0.0
    if not isinstance(reply, Completion):  # without a deadline nothing is late, and neither refuses
        msg = f"the model answered with {type(reply).__name__}"
        raise TypeError(msg)
    said = {
        "id": f"chatcmpl-{asked(body, target).digest()[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": reply.text},
                "finish_reason": reply.finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": reply.usage.input_tokens,
            "completion_tokens": reply.usage.output_tokens,
            "total_tokens": (reply.usage.input_tokens or 0) + (reply.usage.output_tokens or 0),
        },
    }
    return 200, said, reply.latency_ms


class ModelServer:
    """The RSGI application."""

    def __init__(self, answers: Upstream, target: Mapping[str, Any]) -> None:
        self._answers = answers
        self._target = target

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        if scope.proto != "http" or scope.path != "/v1/chat/completions":
            protocol.response_empty(404, [])
            return
        status, said, took_ms = await answer(self._answers, json.loads(await protocol()), self._target)
        headers = [("content-type", "application/json"), ("openai-processing-ms", f"{took_ms:.3f}")]
        protocol.response_bytes(status, headers, json.dumps(said).encode())


def main() -> None:
    """Serve until standard input ends, so that no server outlives the demo that started it."""
    recording = Recording.load(Path(sys.argv[1]))
    asyncio.run(_serve(recording, json.loads(sys.argv[2])))


async def _serve(recording: Recording, target: Mapping[str, Any]) -> None:
    server, url = listening(recording, target)
    serving = asyncio.create_task(server.serve())
    print(url, flush=True)  # noqa: T201  # read by the process that started this one
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.stop()
    await serving


def listening(answers: Upstream, target: Mapping[str, Any]) -> tuple[Any, str]:
    """A server at a free port, to be awaited with ``serve()``, and its address up to ``/v1``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(
        ModelServer(answers, target),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        log_enabled=False,
        backlog=512,
    )
    return server, f"http://127.0.0.1:{port}/v1"


@contextmanager
def served(answers: Upstream, target: Mapping[str, Any]) -> Iterator[str]:
    """A server in a thread of this process; its address."""
    made: Queue[tuple[Any, str, asyncio.AbstractEventLoop]] = Queue()

    async def serve() -> None:
        server, url = listening(answers, target)
        made.put((server, url, asyncio.get_running_loop()))
        await server.serve()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="model", daemon=True)
    thread.start()
    server, url, loop = made.get()
    try:
        _wait_for(url)
        yield url
    finally:
        loop.call_soon_threadsafe(server.stop)
        thread.join(_PATIENCE_S)


@contextmanager
def started(recording: Path, target: Mapping[str, Any]) -> Iterator[str]:
    """A server of a recording in a process of its own; its address.

    Raises:
        InchwormError: if it does not start.
    """
    command = [sys.executable, "-m", "inchworm.app.demo.model_server", str(recording), json.dumps(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # this module
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise InchwormError("the model's server has no pipes")
        try:
            url = stdout.readline().strip()
            if not url:
                raise InchwormError("the model's server did not start")
            _wait_for(url)
            yield url
        finally:
            stdin.close()


def _wait_for(url: str) -> None:
    """Until somebody listens there.

    Raises:
        InchwormError: if nobody does for a while.
    """
    parts = urlsplit(url)
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        try:
            socket.create_connection((str(parts.hostname), parts.port or 80), timeout=_PATIENCE_S).close()
        except ConnectionRefusedError:
            time.sleep(_LOOK_S)
        else:
            return
    raise InchwormError(f"nobody listens at {url}")


if __name__ == "__main__":
    main()
