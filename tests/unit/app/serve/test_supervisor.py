"""The supervisor keeps parts running: real processes that end, hang and do not want to stop."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from inchworm.app.serve import supervisor
from inchworm.app.serve.supervisor import Part, Running, StartError, back_off_s

PART = """
import os, signal, socket, sys, threading, time
name, port, folder = sys.stdin.readline().split()
with open(f"{folder}/started", "a") as file:
    file.write(f"{name} {os.getpid()}\\n")
if name == "fails":
    sys.exit(3)
if name == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
times = 1 if name == "hangs" and len(open(f"{folder}/started").readlines()) == 1 else 10**9
if name == "inherits":
    server = socket.socket(fileno=int(port))
else:
    server = socket.create_server(("127.0.0.1", int(port)))
with server:
    for _ in range(times):
        with server.accept()[0] as one:
            one.recv(4096)
            one.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(supervisor, "_LOOK_S", 0.05)
    monkeypatch.setattr(supervisor, "_BACK_OFF_S", (0.0,))


def part(folder: Path, name: str, *, patience_s: float = 30.0, spare: bool = False) -> Part:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Part(
        name="the part",
        command=(sys.executable, "-c", PART),
        host="127.0.0.1",
        port=port,
        orders=f"{name} {port} {folder}\n".encode(),
        patience_s=patience_s,
        spare=spare,
    )


def pids(folder: Path) -> list[int]:
    return [int(line.split()[1]) for line in (folder / "started").read_text().splitlines()]


def scenario(one: Part, act: Callable[[Running], Awaitable[None]]) -> None:
    """Keep a part running while something happens to it."""

    async def run() -> None:
        running = Running(one)
        keeping = asyncio.create_task(running.keep())
        acting = asyncio.ensure_future(act(running))
        await asyncio.wait([keeping, acting], return_when=asyncio.FIRST_COMPLETED)
        await running.stop()
        for task in (keeping, acting):
            if not task.done():
                task.cancel()
        await asyncio.gather(*[task for task in (keeping, acting) if not task.cancelling()])

    asyncio.run(run())


async def answers_anew(running: Running) -> None:
    """Wait until it has ended and answers again."""
    restarts = running.restarts
    await until(lambda: running.restarts > restarts)
    await running.answers.wait()


async def until(look: Callable[[], bool]) -> None:
    while True:
        if look():
            return
        await asyncio.sleep(0.01)


def test_a_part_that_is_killed_is_started_again_and_that_is_said(tmp_path, caplog):
    async def act(running: Running) -> None:
        for _ in range(2):
            await running.answers.wait()
            os.kill(pids(tmp_path)[-1], signal.SIGKILL)
            await answers_anew(running)

    with caplog.at_level(logging.INFO):
        scenario(part(tmp_path, "works"), act)
    assert len(set(pids(tmp_path))) == 3
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [
        "the part was ended by signal 9 (SIGKILL) and is started again at once (once since the start)",
        "the part was ended by signal 9 (SIGKILL) and is started again at once (2 times since the start)",
    ]
    for pid in pids(tmp_path):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_an_end_is_noticed_although_the_socket_that_it_inherited_stays_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "_SILENCE_S", 2400.0)  # so long may four questions take

    async def act(running: Running) -> None:
        for _ in range(5):
            await running.answers.wait()
            os.kill(pids(tmp_path)[-1], signal.SIGKILL)
            await answers_anew(running)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = part(tmp_path, "inherits")
        handle, port = listening.fileno(), listening.getsockname()[1]
        orders = f"inherits {handle} {tmp_path}\n".encode()
        scenario(replace(one, port=port, orders=orders, inherited=(handle,)), act)
    assert len(pids(tmp_path)) == 6


def test_a_spare_takes_over_without_being_started(tmp_path):
    async def act(running: Running) -> None:
        await running.answers.wait()
        await until(lambda: running._spare is not None)
        assert running._spare is not None
        spare = running._spare.pid
        assert pids(tmp_path) != [spare], "it has no orders yet"
        os.kill(pids(tmp_path)[-1], signal.SIGKILL)
        await answers_anew(running)
        assert pids(tmp_path)[-1] == spare
        await until(lambda: running._spare is not None and running._spare.pid != spare)

    scenario(part(tmp_path, "works", spare=True), act)


def test_a_part_that_does_not_answer_any_more_is_started_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(supervisor, "_SILENCE_S", 0.4)
    scenario(part(tmp_path, "hangs"), answers_anew)
    assert len(pids(tmp_path)) == 2
    assert "the part did not answer any more, was ended by signal 9" in caplog.text


def test_a_part_that_never_answered_is_not_tried_again(tmp_path):
    async def act(_running: Running) -> None:
        await asyncio.Event().wait()

    with pytest.raises(StartError, match="the part ended with exit code 3 before it answered"):
        scenario(part(tmp_path, "fails"), act)
    assert len(pids(tmp_path)) == 1


def test_a_part_that_does_not_stop_is_ended(tmp_path, caplog):
    async def act(running: Running) -> None:
        await running.answers.wait()

    scenario(part(tmp_path, "stubborn", patience_s=0.2), act)
    assert "did not stop within 0.2 s and is ended" in caplog.text
    with pytest.raises(ProcessLookupError):
        os.kill(pids(tmp_path)[0], 0)


def test_back_off_grows_to_an_end(monkeypatch):
    monkeypatch.undo()
    waits = [back_off_s(n) for n in range(20)]
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert waits == sorted(waits)
    assert waits[-1] == 10.0
