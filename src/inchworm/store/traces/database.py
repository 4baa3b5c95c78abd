"""The DuckDB file: one process owns it. One thread writes at a time; whoever reads waits for nobody.

A page may look for words in everything that was ever said; what decides on rollouts reads beside it.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from inchworm.domain.errors import InputError, StoreError
from inchworm.store.locks import make_folder
from inchworm.store.traces import swapping
from inchworm.store.traces.schema import MIGRATIONS

_HOLDER = re.compile(r"PID (\d+)")
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # Nothing is fetched and no other file is read, whatever a query says.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_external_access": False,
}
# What the disk or the machine did; anything else that DuckDB raises is a fault of ours and stays one.
_BROKEN = (
    duckdb.IOException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.OutOfMemoryException,
    duckdb.SerializationException,
)
_open_here: set[Path] = set()
_guard = threading.Lock()

Arrays = dict[str, np.ndarray[Any, Any]]


class Database:
    """A migrated DuckDB file, owned until :meth:`close`.

    Args:
        path: the file; it and its folder are made if they are not there.

    Raises:
        StoreError: if another process owns it (with its process id), if it cannot be opened or
            written, is no DuckDB file of ours, or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing = threading.Lock()
        self._reading = threading.Condition()
        self._readers = 0
        self._swapping = False
        make_folder(path.parent)
        self._key = path.resolve()
        with _guard:
            # DuckDB would share the file within a process, and our counters would collide.
            if self._key in _open_here:
                raise self._held_by(os.getpid())
            _open_here.add(self._key)
        try:
            self._connection = self._connect()
        except StoreError:
            _open_here.discard(self._key)
            raise
        try:
            # Only now: before it was opened, somebody else could have been making it.
            swapping.discard(swapping.beside(path))
            swapping.discard_spilled(path)
            with self.write() as run:
                self._migrate(run)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file, once nobody reads or writes any more."""
        with self._writing, self._reading:
            self._reading.wait_for(lambda: not self._readers)
            self._connection.close()
        with _guard:
            _open_here.discard(self._key)

    @contextmanager
    def read(self) -> Iterator[Run]:
        """Queries that see one state of the file.

        Raises:
            StoreError: if the file cannot be read.
        """
        with self._said_clearly(), self._reader() as connection, self._transaction(connection) as run:
            yield run

    @contextmanager
    def write(self) -> Iterator[Run]:
        """One transaction: all of it, durable, at the end of the block, or nothing if the block raises.

        Raises:
            StoreError: if the file cannot be written.
        """
        with self._said_clearly(), self._writing, self._transaction(self._connection) as run:
            yield run

    def rebuild(self, fill: Callable[[duckdb.DuckDBPyConnection, Database], None]) -> None:
        """Put a new file in this one's place, in one step: what was deleted is in it no more.

        Who writes waits meanwhile, who reads only for the last step. Killed at any moment, the next start
        finds the file as it was, or the new one.

        Args:
            fill: copies from a connection to this file, which sees one state of it, into the new one.

        Raises:
            StoreError: if it cannot be written; then the file is as it was.
        """
        with self._said_clearly(), self._writing:
            path = swapping.beside(self.path)
            swapping.discard(path)
            try:
                fresh = Database(path)
                try:
                    with self._reader() as connection, self._transaction(connection):
                        fill(connection, fresh)
                finally:
                    fresh.close()
            except BaseException:
                swapping.discard(path)
                raise
            with self._reading:
                self._swapping = True
                try:
                    self._reading.wait_for(lambda: not self._readers)
                    self._connection.close()
                    try:
                        swapping.swap(path, self.path)
                    finally:
                        self._connection = self._connect()
                finally:
                    self._swapping = False
                    self._reading.notify_all()

    @contextmanager
    def _reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own: transactions on two connections do not wait for each other."""
        with self._reading:
            self._reading.wait_for(lambda: not self._swapping)
            connection = self._connection.cursor()
            self._readers += 1
        try:
            yield connection
        finally:
            connection.close()
            with self._reading:
                self._readers -= 1
                self._reading.notify_all()

    @contextmanager
    def _transaction(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Run]:
        run = Run(connection)
        connection.execute("BEGIN TRANSACTION")
        try:
            yield run
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        else:
            self._commit(connection)
        finally:
            run.forget()

    def _commit(self, connection: duckdb.DuckDBPyConnection) -> None:
        try:
            connection.execute("COMMIT")
        except duckdb.TransactionException as error:  # the transaction is over, and nothing of it is there
            reason = str(error).splitlines()[0]
            raise StoreError(
                f"{self.path} cannot be written: {reason}", hint="see whether there is room on the disk"
            ) from error

    def _connect(self) -> duckdb.DuckDBPyConnection:
        try:
            return duckdb.connect(str(self.path), config=_CONFIG)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            if holder := _HOLDER.search(reason):
                raise self._held_by(int(holder[1])) from error
            if "lock" in reason.lower():
                raise self._held_by(None) from error
            if "newer version" in reason:
                raise self._newer(reason) from error
            raise StoreError(
                f"{self.path} cannot be opened: {reason}",
                hint="check the file and its permissions, or restore a backup",
            ) from error

    def _migrate(self, run: Run) -> None:
        tables = {name for (name,) in run.rows("SELECT table_name FROM information_schema.tables")}
        if tables and "inchworm_schema" not in tables:
            raise StoreError(
                f"{self.path} is a database, but not one of Inchworm's", hint="name another data directory"
            )
        version = run.rows("SELECT max(version) FROM inchworm_schema")[0][0] if tables else 0
        if version > len(MIGRATIONS):
            raise self._newer(f"schema {version}, this version knows {len(MIGRATIONS)}")
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in statements:
                run(statement)
            run("INSERT INTO inchworm_schema VALUES (?)", [number])

    @contextmanager
    def _said_clearly(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            raise InputError("text with a lone surrogate is no Unicode text and cannot be stored") from error
        except duckdb.DataError as error:  # whose text repeats the value
            raise InputError("a value is beyond what the store holds, and nothing was stored") from error
        except _BROKEN as error:
            reason = str(error).splitlines()[0]
            raise StoreError(
                f"{self.path} cannot be used: {reason}", hint="check the disk, and restart"
            ) from error

    def _held_by(self, process: int | None) -> StoreError:
        who = "another process" if process is None else f"process {process}"
        if process == os.getpid():
            who = f"this process ({process})"
        return StoreError(
            f"{self.path} is in use by {who}, and one process at a time can own it",
            hint="stop that process, or wait until its command has ended",
        )

    def _newer(self, reason: str) -> StoreError:
        return StoreError(
            f"{self.path} was written by a newer version of Inchworm: {reason}",
            hint="upgrade: pip install --upgrade 'inchworm[server]'",
        )


class Run:
    """Runs statements in a transaction that is open."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._registered: set[str] = set()

    def __call__(self, statement: str, parameters: Sequence[Any] = (), **batches: pa.Table) -> None:
        """Run one statement; ``batches`` are Arrow tables that it may name."""
        self.rows(statement, parameters, **batches)

    def rows(self, statement: str, parameters: Sequence[Any] = (), **batches: pa.Table) -> list[Any]:
        """All rows of a query, as tuples."""
        _check(parameters)
        for name, batch in batches.items():
            self._connection.register(name, batch)
        self._registered |= batches.keys()
        return self._connection.execute(statement, list(parameters)).fetchall()

    def table(self, statement: str, parameters: Sequence[Any] = (), **batches: pa.Table) -> pa.Table:
        """All rows of a query, as an Arrow table."""
        _check(parameters)
        for name, batch in batches.items():
            self._connection.register(name, batch)
        self._registered |= batches.keys()
        return self._connection.sql(statement, params=list(parameters)).to_arrow_table()

    def one(self, statement: str, parameters: dict[str, Any]) -> tuple[Any, ...]:
        """The one row of a query with named parameters."""
        _check(parameters.values())
        row: tuple[Any, ...] = self._connection.execute(statement, parameters).fetchall()[0]
        return row

    def forget(self) -> None:
        """Let go of the batches, once the transaction is over: DuckDB refuses to inside a failed one."""
        for name in self._registered:
            self._connection.unregister(name)

    def named(self, statement: str, parameters: dict[str, Any]) -> Arrays:
        """The columns of a query with named parameters; masked where a value is null."""
        _check(parameters.values())
        return self._connection.execute(statement, parameters).fetchnumpy()


def _check(parameters: Iterable[Any]) -> None:
    """DuckDB's own error for text that is no Unicode names neither its kind nor ours."""
    for value in parameters:
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, list):
            _check(value)


class Concern:
    """What the parts of the trace store share: the database."""

    def __init__(self, database: Database) -> None:
        self._db = database
