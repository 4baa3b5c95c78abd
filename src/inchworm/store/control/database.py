"""The SQLite file: how it is opened, migrated, read and written. One transaction per block.

WAL, so that readers and the one writer do not wait for each other; ``synchronous=FULL``, so that what
was committed survives a power cut; ``BEGIN IMMEDIATE``, so that a writer waits at its beginning
(``busy_timeout``) and never fails in the middle because another process wrote first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, Select, Table, create_engine, event, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import ConnectionPoolEntry

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InchwormError, InputError, StoreError
from inchworm.store import codec
from inchworm.store.locks import file_lock, make_folder

T = TypeVar("T")
REVISIONS = (
    "0001_pre_foundation",
    "0002_pre_evidence_points",
    "0003_pre_api_keys",
    "0004_pre_audit_and_notices",
    "0005_pre_approvals",
    "0006_pre_key_apps",
    "0007_pre_forgettings",
)
"""Every migration, oldest first (held equal to the files by a test); the last is what we write."""
BUSY_TIMEOUT_S = 30
_WRITES = "inchworm_writes"
_AT_ONCE = 500


class Database:
    """A migrated SQLite file.

    Args:
        path: the file; it and its folder are made if they are not there.

    Attributes:
        changed: whether a transaction was committed since it was opened.

    Raises:
        StoreError: if it cannot be opened or written, is no database of ours, is damaged, or was
            written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed = False
        make_folder(path.parent)
        self._engine = _engine(path)
        try:
            # Several processes may meet an empty folder: one makes the tables, the others find them.
            with file_lock(path.with_name(path.name + ".lock")):
                self._prepare()
        except InchwormError:
            self._engine.dispose()
            raise
        self.changed = False

    def close(self) -> None:
        """Close every connection. The file stays usable by others."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot.

        Raises:
            StoreError: if the file cannot be read.
        """
        with self._said_clearly(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it at the end of the block, nothing of it if the block raises.

        Raises:
            StoreError: if the file cannot be written, or stays locked by others for too long.
        """
        with self._said_clearly(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
            self.changed = True

    def compact(self) -> None:
        """Write the file anew without what was deleted, and empty the log that lies beside it.

        Raises:
            StoreError: if it cannot be written, or somebody reads it for too long.
        """
        with self._said_clearly(), self._engine.connect() as connection:
            raw = connection.connection.driver_connection  # outside any transaction, as it has to be
            if not isinstance(raw, sqlite3.Connection):
                raise StoreError(f"{self.path} was opened by an unknown driver")
            raw.execute("VACUUM")
            if raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise StoreError(
                    f"{self.path} was read by another process for more than {BUSY_TIMEOUT_S} s",
                    hint="see which process holds it, and try again",
                )

    @contextmanager
    def _said_clearly(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            raise self._clear(error) from error
        except UnicodeEncodeError as error:
            raise InputError("text with a lone surrogate is no Unicode text and cannot be stored") from error
        except OverflowError as error:
            raise InputError("a whole number beyond 64 bits cannot be stored or found") from error

    def _clear(self, error: DatabaseError) -> StoreError:
        reason = str(error.orig)
        if "locked" in reason:
            message = f"{self.path} was locked by another process for more than {BUSY_TIMEOUT_S} s"
            return StoreError(message, hint="see which process holds it, and try again")
        if "not a database" in reason or "malformed" in reason:
            return StoreError(f"{self.path} is no intact SQLite database: {reason}", hint="restore a backup")
        if "full" in reason:
            return StoreError(f"{self.path} cannot grow: {reason}", hint="make room on the disk")
        return StoreError(
            f"{self.path} cannot be used: {reason}",
            hint="check that this user may read and write the file and its folder",
        )

    def _prepare(self) -> None:
        with self._said_clearly(), self._engine.connect() as connection:
            # Outside any transaction, where alone it works; it stays with the file.
            raw = connection.connection.driver_connection
            if not isinstance(raw, sqlite3.Connection):
                raise StoreError(f"{self.path} was opened by an unknown driver")
            mode = raw.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal":
                raise StoreError(
                    f"{self.path} cannot use a write-ahead log (journal mode {mode})",
                    hint="put the data directory on a local disk",
                )
        with self.write() as connection:
            revision = self._revision(connection)
            if revision == REVISIONS[-1]:
                return
            if revision is not None and revision not in REVISIONS:
                raise StoreError(
                    f"{self.path} was written by a newer version of Inchworm (revision {revision})",
                    hint="upgrade: pip install --upgrade 'inchworm[server]'",
                )
            # Alembic takes longer to import than an up-to-date file takes to open.
            from inchworm.store.control.migrate import upgrade  # noqa: PLC0415

            upgrade(connection)

    def _revision(self, connection: Connection) -> str | None:
        names = {
            row[0]
            for row in connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        }
        if not names:
            return None
        if "alembic_version" not in names:
            raise StoreError(
                f"{self.path} is a database, but not one of Inchworm's",
                hint="name another data directory",
            )
        return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_S}, pool_size=4, max_overflow=-1
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def parts(items: Collection[T]) -> Iterator[list[T]]:
    """Some items at a time: SQLite takes only so many parameters in one question."""
    rest = list(items)
    return (rest[start : start + _AT_ONCE] for start in range(0, len(rest), _AT_ONCE))


class Concern:
    """What the parts of the control store share: the database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def _first(self, kind: type[T], query: Select[str]) -> T | None:
        """The first value that a query for ``data`` finds."""
        with self._db.read() as connection:
            data = connection.execute(query).scalar()
        return None if data is None else codec.decode(kind, data)

    def _every(self, kind: type[T], query: Select[str]) -> list[T]:
        """All values that a query for ``data`` finds."""
        with self._db.read() as connection:
            return [codec.decode(kind, data) for data in connection.execute(query).scalars()]

    def _newest_first(self, kind: type[T], table: Table, app: AppRef) -> list[T]:
        """All values of an app."""
        query = select(table.c.data).where(table.c.app == codec.app_key(app))
        return self._every(kind, query.order_by(table.c.at.desc(), table.c.number.desc()))

    def _by_number(
        self, kind: type[T], table: Table, app: AppRef | None, states: Collection[Enum] | None
    ) -> list[T]:
        """Values in the order they came; of all apps and in every state unless said otherwise."""
        query = select(table.c.data).order_by(table.c.number)
        if app is not None:
            query = query.where(table.c.app == codec.app_key(app))
        if states is not None:
            query = query.where(table.c.state.in_([state.value for state in states]))
        return self._every(kind, query)
