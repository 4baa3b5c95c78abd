"""The gateway as a process: put together, started, stopped."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable

import uvloop
from granian.server.embed import Server

from inchworm.capture.keyfile import master_key
from inchworm.capture.spool import Spool
from inchworm.domain.errors import ConflictError, InchwormError, InputError
from inchworm.domain.hosts import configured
from inchworm.domain.keys import Purpose, derive
from inchworm.gateway.asking import Asker
from inchworm.gateway.calls import Calls
from inchworm.gateway.exposing import Exposer
from inchworm.gateway.hosts import Hosts
from inchworm.gateway.identity import Ids
from inchworm.gateway.ingest import open_ingest
from inchworm.gateway.kept import Memory
from inchworm.gateway.logs import Log
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.mirroring import Mirrors
from inchworm.gateway.ofrep import Flags
from inchworm.gateway.passing import Passing
from inchworm.gateway.recording import Recorder
from inchworm.gateway.resolving import Serving
from inchworm.gateway.routes import Routes
from inchworm.gateway.sending import Sender
from inchworm.gateway.serving import FILE, Fetcher, Holder
from inchworm.gateway.sessions import Sessions
from inchworm.gateway.settings import Settings
from inchworm.gateway.upstream import Client, Target
from inchworm.providers.secrets import Secrets

_BACKLOG, _AT_ONCE = 1024, 8192
_LAST_WORDS_S = 2.0
_SILENCE_S = 10.0
"""What the server may be late with its word before new units are kept from a candidate."""


def run(settings: Settings) -> int:
    """Serve until a signal says to stop; the exit code."""
    log = Log(sys.stderr)
    try:
        uvloop.run(_serve(settings, log))
    except InchwormError as error:
        log.alarm("cannot_start", why=error.message, hint=error.hint)
        return 1
    return 0


async def _serve(settings: Settings, log: Log) -> None:
    _check_free(settings)
    for url in (settings.upstream, settings.anthropic):
        Target.of(url)  # better said now than with every call
    master = master_key(settings.data)
    metrics = Metrics()
    unit_key = derive(master, Purpose.UNIT)
    spool = Spool.open(
        settings.spool,
        derive(master, Purpose.SPOOL),
        clock=time.time,
        limit_bytes=settings.spool_limit,
    )
    sessions = Sessions(settings.folder, unit_key)
    holder = Holder(
        settings.folder / FILE,
        published_key=derive(master, Purpose.PUBLISHED),
        token_key=derive(master, Purpose.TOKEN),
        clock=time.time,
        patience_s=settings.poll_s + _SILENCE_S,
    )
    client = Client(os.environ)
    sender = Sender(client=client, random=random.random, metrics=metrics)
    recorder = Recorder(spool, sessions, clock=time.time, metrics=metrics, log=log)
    bearer = derive(master, Purpose.GATEWAY).hex()
    asker = Asker(settings=settings, sender=sender, secrets=Secrets(os.environ), metrics=metrics)
    memory = Memory(settings.kept_bytes)
    mirrors = Mirrors(
        settings=settings,
        asker=asker,
        recorder=recorder,
        attended=holder.attended,
        fresh=Ids(os.urandom),
        clock=time.time,
        metrics=metrics,
        log=log,
        memory=memory,
    )
    calls = Calls(
        settings=settings,
        holder=holder,
        recorder=recorder,
        asker=asker,
        mirrors=mirrors,
        unit_key=unit_key,
        clock=time.time,
        metrics=metrics,
        memory=memory,
    )
    routes = Routes(
        settings=settings,
        calls=calls,
        passing=Passing(settings=settings, holder=holder, asker=asker),
        flags=Flags(
            holder=holder,
            exposer=Exposer(holder=holder, recorder=recorder, metrics=metrics),
            unit_key=unit_key,
            clock=time.time,
        ),
        ingest=open_ingest(
            settings=settings,
            holder=holder,
            spool=spool,
            recorder=recorder,
            client=client,
            bearer=bearer,
            clock=time.time,
            metrics=metrics,
        ),
        holder=holder,
        recorder=recorder,
        spool=spool,
        hosts=Hosts(settings.host, configured(os.environ)),
        bearer=bearer,
        clock=time.time,
        metrics=metrics,
        log=log,
    )

    def taken(serving: Serving) -> None:
        sessions.only(serving.rollout_ids())

    _gauges(metrics, holder, spool, sessions, calls)
    metrics.gauge(
        "inchworm_gateway_held_bytes", "Bytes of the requests that are being answered.", lambda: routes.held
    )
    metrics.gauge(
        "inchworm_gateway_kept_bytes", "Bytes of answers that wait to be recorded.", lambda: memory.held
    )
    _sending_gauges(metrics, sender)
    try:
        if holder.recall() and holder.serving is not None:
            taken(holder.serving)
            log.info("recalled", version=holder.version)
    except InputError as error:
        log.alarm("last_known_good_unusable", why=error.message)
    fetcher = Fetcher(holder, client, settings, bearer=bearer, taken=taken, metrics=metrics, log=log)
    asking = asyncio.create_task(fetcher.run())
    # What is here now stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
    try:
        await _listen(routes, calls, settings, log, asking)
    finally:
        asking.cancel()
        await mirrors.close()
        client.close()
        sessions.close()
        await spool.close()
        log.info("stopped", records=spool.stats().records)


async def _listen(
    routes: Routes, calls: Calls, settings: Settings, log: Log, asking: asyncio.Task[None]
) -> None:
    """Serve until told to stop, or until nobody asks for news; then finish what is in flight, in the grace.

    A gateway that hears no news would not hear of a rollback either: it ends, and is started again.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(
        routes,
        address=settings.host,
        port=settings.port,
        backlog=_BACKLOG,
        backpressure=_AT_ONCE,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    log.info("listening", url=settings.url, name=settings.name, pid=os.getpid(), replay=settings.replay)
    await asyncio.wait((serving, stopping, asking), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    log.info("stopping", in_flight=len(calls.watches))
    routes.holder.release()
    server.stop()  # type: ignore[no-untyped-call]  # granian's
    _, late = await asyncio.wait((serving,), timeout=settings.grace_s)
    if late:
        for watch in tuple(calls.watches):
            watch.stop()
        _, late = await asyncio.wait((serving,), timeout=_LAST_WORDS_S)
    if late:
        serving.cancel()
        await asyncio.wait((serving,))
    elif (error := serving.exception()) is not None:
        raise error
    if asking.done():
        asking.result()


def _check_free(settings: Settings) -> None:
    """Two servers may share a port on Linux (granian asks for that); two gateways must not, unknowingly.

    Raises:
        ConflictError: if somebody listens there.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConflictError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
                hint="stop what listens there, or choose another port with --port",
            ) from error


def _gauges(metrics: Metrics, holder: Holder, spool: Spool, sessions: Sessions, calls: Calls) -> None:
    def age() -> float | None:
        return None if holder.confirmed_at is None else max(0.0, time.time() - holder.confirmed_at)

    gauges: tuple[tuple[str, str, Callable[[], float | None]], ...] = (
        ("inchworm_gateway_serving_age_seconds", "Since the server confirmed what is served.", age),
        ("inchworm_gateway_in_flight", "Calls that are being answered.", lambda: len(calls.watches)),
        ("inchworm_gateway_mirrors_in_flight", "Mirrored calls in flight.", lambda: calls.mirrors.in_flight),
        ("inchworm_gateway_kept_units", "Units whose arm is remembered.", lambda: sessions.stats().units),
        ("inchworm_gateway_spool_pending", "Records that wait for the disk.", lambda: spool.stats().pending),
        ("inchworm_gateway_spool_bytes", "Bytes in the spool.", lambda: spool.stats().segments_bytes),
        ("inchworm_gateway_spool_free_bytes", "Bytes free on its disk.", lambda: spool.stats().free_bytes),
    )
    for name, text, read in gauges:
        metrics.gauge(name, text, read)
    metrics.counter(
        "inchworm_gateway_spool_records_total", "Records made durable.", lambda: spool.stats().records
    )
    metrics.counter(
        "inchworm_gateway_spool_failed_total",
        "Records that could not be written.",
        lambda: spool.stats().failed,
    )


def _sending_gauges(metrics: Metrics, sender: Sender) -> None:
    metrics.gauges(
        "inchworm_gateway_upstream_in_flight",
        "Requests that a provider was sent and has not answered wholly.",
        ("upstream", "limit"),
        lambda: ((labels, gate.in_flight) for labels, gate in sender.gates()),
    )
    metrics.gauges(
        "inchworm_gateway_upstream_waiting",
        "Requests that wait for a place.",
        ("upstream", "limit"),
        lambda: ((labels, gate.waiting) for labels, gate in sender.gates()),
    )
    metrics.gauges(
        "inchworm_gateway_upstream_breaker",
        "How the breaker stands: 0 closed, 1 open, 2 half-open.",
        ("upstream", "configuration"),
        lambda: ((labels, breaker.state) for labels, breaker in sender.breakers()),
    )
