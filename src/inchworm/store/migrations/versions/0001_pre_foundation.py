"""The foundation: every table of the control plane.

A migration called ``pre`` runs before the new code does and is safe under the old code; one called
``post`` runs when no old code is left.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001_pre_foundation"
down_revision = None
branch_labels = None
depends_on = None

_IN_FLIGHT = "state IN ('benchmarking', 'exposing', 'paused', 'holding', 'soaking')"
_OPEN = "state IN ('queued', 'benchmarking', 'exposing', 'paused', 'holding', 'soaking')"
_APPEND_ONLY = ("ledger", "decisions", "audit")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _float(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float, nullable=False)


def _number() -> sa.Column[int]:
    return sa.Column("number", sa.Integer, primary_key=True, autoincrement=True)


def _unique(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, unique=True)


def upgrade() -> None:
    _make_lineage()
    _make_rollouts()
    _make_benchmarks()
    _make_work()
    for table in _APPEND_ONLY:
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{act.lower()} BEFORE {act} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _make_lineage() -> None:
    op.create_table(
        "configurations",
        _number(),
        _text("app"),
        _text("id"),
        _text("note"),
        _float("at"),
        _text("data"),
        sa.UniqueConstraint("app", "id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_configurations_id", "configurations", ["id"])
    op.create_table(
        "lineages",
        _text("app"),
        _integer("generation"),
        _text("stable"),
        _text("data"),
        sa.PrimaryKeyConstraint("app"),
    )
    op.create_table(
        "serving", _text("app"), _integer("generation"), _text("data"), sa.PrimaryKeyConstraint("app")
    )
    op.create_table(
        "plans",
        _number(),
        _text("app"),
        _unique("id"),
        _float("at"),
        _text("data"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_plans_app", "plans", ["app"])
    op.create_table("ledger", _number(), _text("app"), _float("at"), _text("data"), sqlite_autoincrement=True)
    op.create_index("ix_ledger_app_at", "ledger", ["app", "at"])
    op.create_table(
        "audit",
        _number(),
        _text("app"),
        _float("at"),
        _text("actor"),
        _text("action"),
        _text("subject"),
        _text("because"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_app_at", "audit", ["app", "at"])


def _make_rollouts() -> None:
    op.create_table("counters", _text("name"), _integer("value"), sa.PrimaryKeyConstraint("name"))
    op.create_table(
        "rollouts",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _unique("id"),
        _text("app"),
        _text("state"),
        _integer("generation"),
        _text("plan_id"),
        _integer("step"),
        _text("data"),
    )
    op.create_index(
        "ux_rollouts_open_step", "rollouts", ["plan_id", "step"], unique=True, sqlite_where=sa.text(_OPEN)
    )
    op.create_index("ix_rollouts_app_state", "rollouts", ["app", "state"])
    op.create_index(
        "ux_rollouts_in_flight", "rollouts", ["app"], unique=True, sqlite_where=sa.text(_IN_FLIGHT)
    )
    op.create_table(
        "decisions",
        _number(),
        _unique("id"),
        _text("rollout_id"),
        _integer("parent"),
        _float("at"),
        _text("data"),
        sa.UniqueConstraint("rollout_id", "parent"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "monitors",
        _text("rollout_id"),
        _integer("watermark"),
        _text("state"),
        sa.PrimaryKeyConstraint("rollout_id"),
    )


def _make_benchmarks() -> None:
    op.create_table(
        "eval_sets",
        _text("app"),
        _text("name"),
        _integer("version"),
        _float("at"),
        _integer("cases"),
        _text("population"),
        _text("data"),
        sa.PrimaryKeyConstraint("app", "name", "version"),
    )
    op.create_table(
        "proposals",
        _number(),
        _unique("id"),
        _text("app"),
        _float("at"),
        _text("status"),
        _text("data"),
        _text("cases"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_proposals_app_status", "proposals", ["app", "status"])
    op.create_table(
        "benchmarks",
        _number(),
        _unique("id"),
        _text("app"),
        _float("at"),
        _text("data"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_benchmarks_app", "benchmarks", ["app"])
    op.create_table(
        "trials",
        _text("case_id"),
        _text("configuration_id"),
        _integer("repetition"),
        _text("data"),
        sa.PrimaryKeyConstraint("case_id", "configuration_id", "repetition"),
    )
    op.create_index("ix_trials_configuration", "trials", ["configuration_id"])
    op.create_table(
        "attributions",
        _number(),
        _unique("digest"),
        _text("app"),
        _float("at"),
        _text("data"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_attributions_app", "attributions", ["app"])


def _make_work() -> None:
    op.create_table(
        "work",
        _number(),
        _unique("id"),
        _text("app"),
        _text("kind"),
        _text("state"),
        sa.Column("owner", sa.Text, nullable=True),
        sa.Column("lease_until", sa.Float, nullable=True),
        _text("data"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_work_state_kind", "work", ["state", "kind"])
    op.create_table(
        "blobs",
        _text("app"),
        _text("kind"),
        _float("at"),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("app", "kind"),
    )
    op.create_table(
        "imports",
        _number(),
        _text("app"),
        _text("digest"),
        _float("at"),
        _text("data"),
        sa.UniqueConstraint("app", "digest"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    for table in (
        "imports blobs work attributions trials benchmarks proposals eval_sets monitors decisions rollouts "
        "counters audit ledger plans serving lineages configurations"
    ).split():
        op.drop_table(table)
