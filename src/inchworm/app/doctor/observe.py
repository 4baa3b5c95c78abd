"""Looks at this machine: files, ports, connections. Makes nothing, changes nothing, sends no key."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sqlite3
import ssl
import stat
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import duckdb

from inchworm import __version__
from inchworm.app.config.load import AppSpec, load
from inchworm.app.config.observed import observed
from inchworm.app.doctor import seen
from inchworm.app.house import CONTROL, TRACES
from inchworm.app.serve.files import PORT
from inchworm.app.web import assets
from inchworm.capture.keyfile import KEY, VARIABLE
from inchworm.capture.places import GATEWAY_PORT, SPOOL
from inchworm.capture.spool import Quarantined, closed_segments, oldest_at, quarantined, spool_size
from inchworm.capture.spool.folders import QUARANTINE
from inchworm.domain.errors import InchwormError
from inchworm.domain.keys import KEY_BYTES
from inchworm.domain.layers import Layer
from inchworm.gateway.settings import DEFAULT_BASE_URL
from inchworm.providers.secrets import Secrets
from inchworm.store.control.database import REVISIONS
from inchworm.store.traces.schema import MIGRATIONS

_CONNECT_S = 3.0


def program() -> seen.Program:
    """Inchworm and what it runs on."""
    return seen.Program(
        version=__version__,
        python=platform.python_version(),
        system=platform.system(),
        unfetched=assets.missing(),
    )


def declaration(file: Path) -> tuple[seen.Declaration, AppSpec | None]:
    """``inchworm.yaml``, and what it declares, or what is assumed without it; ``None`` if it is wrong."""
    there = file.exists()
    try:
        spec = load(file) if there else observed(file)
    except InchwormError as error:
        wrong = seen.Declaration(file=str(file), there=there, app=None, error=error.message, hint=error.hint)
        return wrong, None
    return seen.Declaration(file=str(file), there=there, app=str(spec.app)), spec


def folder(data: Path) -> seen.Folder:
    """The data directory."""
    if not data.is_dir():
        return seen.Folder(path=str(data), there=False)
    sizes = {name: size for name in (CONTROL, TRACES, SPOOL) if (size := _size(data / name)) is not None}
    return seen.Folder(
        path=str(data),
        there=True,
        writable=os.access(data, os.W_OK | os.X_OK),
        mode=stat.S_IMODE(data.stat().st_mode),
        free=shutil.disk_usage(data).free,
        sizes=sizes,
    )


def _size(path: Path) -> int | None:
    """Of a file with what SQLite and DuckDB put beside it, or of all files in a folder."""
    if path.is_dir():
        return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
    if not path.exists():
        return None
    beside = (path.with_name(path.name + ending) for ending in ("-wal", ".wal"))
    return path.stat().st_size + sum(one.stat().st_size for one in beside if one.exists())


def key(data: Path, environ: Mapping[str, str]) -> seen.Key:
    """The installation's key: whether it is there, never what it is."""
    path, given = data / KEY, environ.get(VARIABLE)
    status = path.stat() if path.exists() else None
    return seen.Key(
        path=str(path),
        given=False if given is None else True if _is_key(given) else None,
        size=None if status is None else status.st_size,
        mode=0 if status is None else stat.S_IMODE(status.st_mode),
        needed=(data / CONTROL).exists() or (data / SPOOL).exists(),
    )


def _is_key(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) == KEY_BYTES and len(text) == 2 * KEY_BYTES
    except ValueError:
        return False


def control(data: Path) -> seen.Store:
    """The control store's file; it is not migrated."""
    path = data / CONTROL
    revision = error = None
    if path.exists():
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
                (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except (sqlite3.Error, TypeError) as problem:
            error = str(problem)
    return seen.Store(path=str(path), revision=revision, known=REVISIONS, error=error)


def traces(data: Path) -> seen.Store:
    """The trace store's file, where no process owns it; it is not migrated."""
    path = data / TRACES
    revision = error = None
    held = False
    if path.exists():
        try:
            with closing(duckdb.connect(str(path), read_only=True)) as connection:
                row = connection.execute("SELECT max(version) FROM inchworm_schema").fetchone()
            revision = None if row is None else str(row[0])
        except duckdb.Error as problem:
            error = str(problem).splitlines()[0]
            held = "lock" in error.lower()
    known = tuple(str(number) for number in range(1, len(MIGRATIONS) + 1))
    return seen.Store(path=str(path), revision=revision, known=known, error=error, held=held)


def spool(data: Path) -> seen.Spool:
    """What waits, and what lies in quarantine.

    Raises:
        StoreError: if the spool cannot be read.
    """
    root = data / SPOOL
    by_reason: dict[str, list[Quarantined]] = defaultdict(list)
    for one in quarantined(root):
        by_reason[one.reason].append(one)
    refused = [
        seen.Refused(
            reason=reason,
            records=sum(1 if one.records is None else one.records for one in every),
            since=min(one.at for one in every),
        )
        for reason, every in by_reason.items()
    ]
    return seen.Spool(
        segments=len(closed_segments(root)),
        bytes=spool_size(root),
        oldest_at=oldest_at(root),
        refused=tuple(sorted(refused, key=lambda one: -one.records)),
        folder=str(root / QUARANTINE),
    )


def ports() -> tuple[seen.Port, ...]:
    """The ports that a server would use."""
    return tuple(
        seen.Port(number=number, option=option, taken=_listens(number))
        for number, option in ((PORT, "--port"), (GATEWAY_PORT, "--gateway-port"))
    )


def _listens(number: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", number), timeout=1.0):
            return True
    except OSError:
        return False


def upstream(spec: AppSpec, environ: Mapping[str, str], *, offline: bool) -> seen.Upstream | None:
    """Where calls are forwarded to; ``None`` if a recording answers them.

    Args:
        spec: what is declared.
        environ: where its key would be.
        offline: whether no connection is to be made.
    """
    infrastructure = spec.configuration.layer(Layer.INFRASTRUCTURE)
    if infrastructure.get("upstream") == "recorded":
        return None
    url = str(infrastructure.get("base_url") or DEFAULT_BASE_URL)
    named = str(infrastructure.get("api_key") or "")
    scheme, _, place = named.partition(":")
    return seen.Upstream(
        url=_shown(url),
        error=None if offline else _connect(url),
        tried=not offline,
        reference=place if scheme in {"env", "file"} else None,
        given=Secrets(environ)(named) is not None,
        shared=scheme == "file" and _shared(Path(place)),
    )


def _shared(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IRWXO)
    except OSError:  # that it cannot be read is said already
        return False


def _shown(url: str) -> str:
    """Without a user and a password: ``OPENAI_BASE_URL`` may hold them."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _connect(url: str) -> str | None:
    """Why no connection, TLS included, can be made; ``None`` if it can."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    try:
        with socket.create_connection((host, parts.port or (443 if secure else 80)), _CONNECT_S) as plain:
            if secure:
                with ssl.create_default_context().wrap_socket(plain, server_hostname=host):
                    pass
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: no such name can be
        return str(error)
    return None
