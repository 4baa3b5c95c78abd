"""API keys: kept as hashes, shown to nobody."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from inchworm.domain.access import Scope
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import ConflictError, NotFoundError
from inchworm.store.codec import app_key
from inchworm.store.control import tables
from inchworm.store.control.audit import append_audit
from inchworm.store.control.database import Concern
from inchworm.store.control.records import ApiKey, AuditEntry


class AccessStore(Concern):
    """Who may speak to the server."""

    def put_api_key(self, app: AppRef, key: ApiKey) -> None:
        """Keep a new key, and say so in the app's audit trail.

        Raises:
            ConflictError: if there is one with its id.
        """
        row: dict[str, Any] = asdict(key) | {"app": None if key.app is None else app_key(key.app)}
        bound = "" if key.app is None else f" for {key.app}"
        with self._db.write() as connection:
            try:
                connection.execute(insert(tables.api_keys).values(row))
            except IntegrityError as error:
                raise ConflictError(f"there is a key {key.id} already") from error
            append_audit(
                connection,
                AuditEntry(
                    app=app,
                    at=key.created_at,
                    actor=key.created_by,
                    action="key.add",
                    subject=key.id,
                    because=f'key "{key.name}" made with the scope {key.scope.value}{bound}',
                ),
                (tables.api_keys, key.id),
            )

    def api_key(self, id: str) -> ApiKey | None:  # noqa: A002  # the agreed name
        """The key with this id, also if it is revoked or has expired; ``None`` if there is none."""
        table = tables.api_keys
        with self._db.read() as connection:
            row = connection.execute(select(table).where(table.c.id == id)).mappings().one_or_none()
        return None if row is None else _key(row)

    def api_keys(self) -> list[ApiKey]:
        """Every key that was ever made, oldest first."""
        table = tables.api_keys
        with self._db.read() as connection:
            return [
                _key(row) for row in connection.execute(select(table).order_by(table.c.number)).mappings()
            ]

    def revoke_api_key(self, app: AppRef, id: str, *, actor: str, at: float) -> bool:  # noqa: A002  # as above
        """End a key for good, and say so in the app's audit trail.

        Returns:
            ``False``, and nothing is written, if it was revoked already.

        Raises:
            NotFoundError: if there is none.
        """
        table = tables.api_keys
        change = update(table).where(table.c.id == id, table.c.revoked_at.is_(None)).values(revoked_at=at)
        with self._db.write() as connection:
            name = connection.execute(select(table.c.name).where(table.c.id == id)).scalar()
            if name is None:
                raise NotFoundError(f"there is no key {id}", hint="inchworm keys ls")
            if connection.execute(change).rowcount == 0:
                return False
            append_audit(
                connection,
                AuditEntry(
                    app=app,
                    at=at,
                    actor=actor,
                    action="key.revoke",
                    subject=id,
                    because=f'key "{name}" revoked',
                ),
                (tables.api_keys, id),
            )
        return True

    def touch_api_key(self, id: str, *, at: float) -> None:  # noqa: A002  # as above
        """Say that a key was used."""
        table = tables.api_keys
        with self._db.write() as connection:
            connection.execute(update(table).where(table.c.id == id).values(used_at=at))


def _key(row: RowMapping) -> ApiKey:
    values = {name: value for name, value in row.items() if name != "number"}
    app = row["app"]
    bound = None if app is None else AppRef.parse(app)
    return ApiKey(**{**values, "scope": Scope(row["scope"]), "app": bound})
