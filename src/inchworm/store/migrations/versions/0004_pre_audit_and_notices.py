"""The audit trail as a chain of hashes, which pins the rows that its entries tell of; and notices.

What stands there already is chained as it is: a decision is pinned by the entry that was written with it,
every other row by the latest entry about it. What was changed before this ran cannot be found.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from inchworm.domain.canonical import digest

revision = "0004_pre_audit_and_notices"
down_revision = "0003_pre_api_keys"
branch_labels = None
depends_on = None

_REFUSES = (
    "CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END"
)
_BEGINNING = "0" * 64
_Pins = list[list[str]]


def upgrade() -> None:
    _make_notices()
    _chain()


def _make_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("owner", sa.Text, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("data", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notices_app_state_due", "notices", ["app", "state", "due_at"])


def _chain() -> None:
    op.add_column("audit", sa.Column("pinned", sa.Text, nullable=True))
    op.add_column("audit", sa.Column("hash", sa.Text, nullable=True))
    connection = op.get_bind()
    entries = connection.exec_driver_sql(
        "SELECT number, app, at, actor, action, subject, because FROM audit ORDER BY number"
    ).all()
    pinned = _pinned(connection, entries)
    if pinned and not entries:
        _begin(connection, pinned)
        return
    op.execute("DROP TRIGGER audit_refuses_update")
    previous = _BEGINNING
    for entry in entries:
        pins = pinned.get(entry.number, [])
        previous = _hash(entry, pins, previous)
        connection.exec_driver_sql(
            "UPDATE audit SET pinned = ?, hash = ? WHERE number = ?", (_text(pins), previous, entry.number)
        )
    op.execute(_REFUSES)


def _begin(connection: sa.Connection, pinned: Mapping[int, _Pins]) -> None:
    """There are rows, and no entry that could name them."""
    connection.exec_driver_sql(
        "INSERT INTO audit (app, at, actor, action, subject, because) SELECT app, at, 'inchworm', "
        "'audit.begin', 'audit', 'the audit trail begins.' FROM ledger ORDER BY number LIMIT 1"
    )
    (entry,) = connection.exec_driver_sql(
        "SELECT number, app, at, actor, action, subject, because FROM audit"
    ).all()
    pins = [pin for some in pinned.values() for pin in some]
    op.execute("DROP TRIGGER audit_refuses_update")
    connection.exec_driver_sql(
        "UPDATE audit SET pinned = ?, hash = ?", (_text(pins), _hash(entry, pins, _BEGINNING))
    )
    op.execute(_REFUSES)


def _hash(entry: sa.Row[Any], pins: _Pins, previous: str) -> str:
    return digest(
        {
            "format": "audit/1",
            "previous": previous,
            "number": entry.number,
            "app": entry.app,
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "subject": entry.subject,
            "because": entry.because,
            "pinned": pins,
        }
    )


def _text(pins: _Pins) -> str:
    return json.dumps(pins, ensure_ascii=False, separators=(",", ":"))


def _pinned(connection: sa.Connection, entries: Sequence[sa.Row[Any]]) -> dict[int, _Pins]:
    """What each entry pins, by its number."""
    last = entries[-1].number if entries else 0
    by_app = {entry.app: entry.number for entry in entries}
    by_subject = {(entry.action.partition(".")[0], entry.subject): entry.number for entry in entries}
    taken = [
        entry
        for entry in entries
        if entry.action.startswith("rollout.") and entry.action != "rollout.enqueue"
    ]
    pins: dict[int, _Pins] = defaultdict(list)

    def rows(query: str) -> Sequence[sa.Row[Any]]:
        return connection.exec_driver_sql(query).all()

    def pin(table: str, row: sa.Row[Any], values: list[Any], number: int) -> None:
        pins[number].append([table, str(row[0]), digest(values)])

    decisions = rows("SELECT id, rollout_id, parent, at, data FROM decisions ORDER BY number")
    for place, row in enumerate(decisions):
        # Both were written in one transaction, one after the other.
        number = taken[place].number if place < len(taken) else last
        pin("decisions", row, list(row), number)
    for row in rows("SELECT number, app, at, data FROM ledger ORDER BY number"):
        pin("ledger", row, list(row), by_app.get(row.app, last))
    for row in rows(
        "SELECT id, number, id AS same, app, state, generation, plan_id, step, data FROM rollouts"
    ):
        pin("rollouts", row, list(row)[1:], by_subject.get(("rollout", row.id), last))
    for row in rows("SELECT app, generation, stable, data FROM lineages"):
        pin("lineages", row, list(row), by_app.get(row.app, last))
    for row in rows("SELECT app, generation, data FROM serving"):
        pin("serving", row, list(row), by_app.get(row.app, last))
    keys = rows(
        "SELECT id, digest, name, scope, created_at, created_by, expires_at, revoked_at FROM api_keys "
        "ORDER BY number"
    )
    for row in keys:
        pin("api_keys", row, list(row), by_subject.get(("key", row.id), last))
    for table in ("plans", "benchmarks"):
        for row in rows(f"SELECT id, number, id AS same, app, at, data FROM {table} ORDER BY number"):  # noqa: S608  # names of our own
            pin(table, row, list(row)[1:], by_app.get(row.app, last))
    sets = rows(
        "SELECT app || ' ' || name || '@' || version AS which, app, name, version, at, cases, population, "
        "data FROM eval_sets"
    )
    for row in sets:
        pin("eval_sets", row, list(row)[1:], by_app.get(row.app, last))
    return pins


def downgrade() -> None:
    op.drop_table("notices")
    op.drop_column("audit", "hash")
    op.drop_column("audit", "pinned")
