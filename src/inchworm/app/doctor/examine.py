"""Everything that ``inchworm doctor`` finds: with a server, here or elsewhere, or without one."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from inchworm.app.asking import ask
from inchworm.app.config.load import AppSpec
from inchworm.app.config.schema import DEFAULT_DATA
from inchworm.app.doctor import checks, observe, seen, stored, traffic
from inchworm.app.doctor.findings import Finding, Level, Report, ok, problem, warning
from inchworm.app.doctor.server import of_provider, of_rows
from inchworm.app.house import House
from inchworm.app.remote.client import Client
from inchworm.app.remote.server import URL, Server, elsewhere
from inchworm.app.serve.files import ServeFile, running
from inchworm.domain.errors import InchwormError, UsageError

_OF_THE_MACHINE = "program"


def examine(file: Path, environ: Mapping[str, str] = os.environ, *, offline: bool = False) -> Report:
    """Look at everything, and change nothing.

    Args:
        file: where ``inchworm.yaml`` is, or would be.
        environ: the environment.
        offline: whether the provider is not to be tried.
    """
    program = observe.program()
    found = checks.program(program)
    try:
        far = elsewhere(environ)
    except UsageError as error:
        found.append(problem("server", f"{error.message}.", error.hint))
        return Report(version=program.version, findings=tuple(found))
    declared, spec = observe.declaration(file)
    if far is not None:
        found += checks.declaration(declared, data=True)
        found += _elsewhere(far, program.version, offline=offline)
    else:
        found += _here(declared, spec, file, environ, offline=offline)
    return Report(version=program.version, findings=tuple(found))


def _elsewhere(far: Server, version: str, *, offline: bool) -> list[Finding]:
    """What a server of another machine says, and whether it fits to this program."""
    said = ask(far.url, "/-/health")
    if said is None:
        return [
            problem(
                "server", f"{far.url}, which {URL} names, does not answer.", f"curl -v {far.url}/-/health"
            )
        ]
    found = [ok("server", f"{far.url} answers.")]
    offset = None if said.date is None else said.date - time.time()
    if offset is not None and abs(offset) > checks.CLOCKS_S:
        found.append(checks.clocks("server", "The server's clock", offset, "this machine's"))
    return found + _asked(far, version, offline=offline)


def _here(
    declared: seen.Declaration, spec: AppSpec | None, file: Path, environ: Mapping[str, str], *, offline: bool
) -> list[Finding]:
    data = file.parent / DEFAULT_DATA if spec is None else spec.data
    there = observe.folder(data)
    server = _server(data)
    found = checks.server(server)
    said = ServeFile.read(data)
    if server.answers and said is not None:
        return found + _asked(Server(url=said.url, token=said.token), None, offline=offline)
    found = [
        *checks.declaration(declared, data=there.there),
        *checks.folder(there),
        *checks.key(observe.key(data, environ)),
        *found,
    ]
    if not server.runs:
        found += checks.ports(observe.ports())
    control, traces = observe.control(data), observe.traces(data)
    found += [*checks.store(control), *checks.store(traces)]
    try:
        found += checks.spool(observe.spool(data), time.time(), runs=server.runs)
        if spec is not None:
            found += _of_house(spec, control, traces, offline=offline)
    except InchwormError as error:
        found.append(problem("stores", f"{error.message}.", error.hint))
    return found


def _of_house(spec: AppSpec, control: seen.Store, traces: seen.Store, *, offline: bool) -> list[Finding]:
    """What is found in the stores, as far as they can be opened without changing them.

    Raises:
        InchwormError: if they cannot.
    """
    found: list[Finding] = []
    with House(spec=spec) as house:
        found += of_provider(house, offline=offline)
        if control.usable:
            found += of_rows(house)
            if traces.usable:
                found += traffic.traffic(stored.traffic(house), house.now())
    return found


def _server(data: Path) -> seen.Server:
    said, runs = ServeFile.read(data), running(data)
    if said is None:
        return seen.Server(url=None, pid=None, runs=False)
    answers = runs is not None and ask(said.url, "/-/health") is not None
    return seen.Server(url=said.url, pid=said.pid, runs=runs is not None, answers=answers)


def _asked(server: Server, version: str | None, *, offline: bool) -> list[Finding]:
    """What a server finds itself.

    Args:
        server: which.
        version: of this program, to be compared; ``None`` if it is the same installation.
        offline: whether the provider is not to be tried.
    """
    try:
        with Client(server) as client:
            said = client.doctor(offline=offline)
        found, theirs = [Finding.read(one) for one in said["findings"]], str(said["inchworm"])
    except InchwormError as error:
        return [problem("server", f"It does not say how it is: {error.message}.", error.hint)]
    except (KeyError, TypeError, ValueError) as error:
        return [problem("server", f"It is of another version: its answer is not understood ({error}).")]
    mine = [one for one in found if one.part != _OF_THE_MACHINE or one.level is not Level.OK]
    if version is not None and theirs != version:
        said_so = f"The server is Inchworm {theirs}, and this is {version}."
        return [warning("server", said_so, "pip install --upgrade 'inchworm[server]'"), *mine]
    return mine
