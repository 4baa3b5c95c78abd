"""The tables of the control plane, as SQLAlchemy Core sees them.

Columns exist for what is looked up, ordered or compared-and-set; the value itself is JSON in ``data``
(:mod:`inchworm.store.codec`). ``number`` counts up and breaks ties of time. The migrations make the
tables; a test holds the two equal.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from inchworm.domain.rollout import RolloutState

IN_FLIGHT = (
    RolloutState.BENCHMARKING,
    RolloutState.EXPOSING,
    RolloutState.PAUSED,
    RolloutState.HOLDING,
    RolloutState.SOAKING,
)
"""The states that hold the lock: at most one rollout per app is in one of them."""
OPEN = (RolloutState.QUEUED, *IN_FLIGHT)
"""The states before the end: at most one rollout of a plan's step is in one of them."""

APPEND_ONLY = ("ledger", "decisions", "audit", "approvals")
"""Tables whose rows triggers keep from being changed or removed."""

metadata = MetaData()


def _text(name: str, *, null: bool = False, key: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null, primary_key=key)


def _at() -> Column[float]:
    return Column("at", Float, nullable=False)


def _number() -> Column[int]:
    return Column("number", Integer, primary_key=True, autoincrement=True)


def _integer(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


configurations = Table(
    "configurations",
    metadata,
    _number(),
    _text("app"),
    _text("id"),
    _text("note"),
    _at(),
    _text("data"),
    UniqueConstraint("app", "id"),
    Index("ix_configurations_id", "id"),
    sqlite_autoincrement=True,
)
lineages = Table(
    "lineages", metadata, _text("app", key=True), _integer("generation"), _text("stable"), _text("data")
)
serving = Table("serving", metadata, _text("app", key=True), _integer("generation"), _text("data"))
plans = Table(
    "plans",
    metadata,
    _number(),
    _text("app"),
    Column("id", Text, nullable=False, unique=True),
    _at(),
    _text("data"),
    Index("ix_plans_app", "app"),
    sqlite_autoincrement=True,
)
counters = Table("counters", metadata, _text("name", key=True), _integer("value"))
rollouts = Table(
    "rollouts",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    _text("app"),
    _text("state"),
    _integer("generation"),
    _text("plan_id"),
    _integer("step"),
    _text("data"),
    Index("ix_rollouts_app_state", "app", "state"),
    Index(
        "ux_rollouts_open_step",
        "plan_id",
        "step",
        unique=True,
        sqlite_where=text("state IN (" + ", ".join(f"'{state}'" for state in OPEN) + ")"),
    ),
    Index(
        "ux_rollouts_in_flight",
        "app",
        unique=True,
        sqlite_where=text("state IN (" + ", ".join(f"'{state}'" for state in IN_FLIGHT) + ")"),
    ),
)
decisions = Table(
    "decisions",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    _text("rollout_id"),
    _integer("parent"),
    _at(),
    _text("data"),
    UniqueConstraint("rollout_id", "parent"),
    sqlite_autoincrement=True,
)
approvals = Table(
    "approvals",
    metadata,
    _number(),
    _text("rollout_id"),
    _integer("stage"),
    _text("actor"),
    _at(),
    _text("reason"),
    UniqueConstraint("rollout_id", "stage", "actor"),
    sqlite_autoincrement=True,
)
monitors = Table("monitors", metadata, _text("rollout_id", key=True), _integer("watermark"), _text("state"))
evidence_points = Table(
    "evidence_points",
    metadata,
    _text("rollout_id", key=True),
    Column("consumed", Integer, primary_key=True, autoincrement=False),
    _at(),
    _integer("stage"),
    _text("data"),
)
ledger = Table(
    "ledger",
    metadata,
    _number(),
    _text("app"),
    _at(),
    _text("data"),
    Index("ix_ledger_app_at", "app", "at"),
    sqlite_autoincrement=True,
)
audit = Table(
    "audit",
    metadata,
    _number(),
    _text("app"),
    _at(),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _text("because"),
    _text("pinned", null=True),
    _text("hash", null=True),
    Index("ix_audit_app_at", "app", "at"),
    sqlite_autoincrement=True,
)
eval_sets = Table(
    "eval_sets",
    metadata,
    _text("app", key=True),
    _text("name", key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    _at(),
    _integer("cases"),
    _text("population"),
    _text("data"),
)
proposals = Table(
    "proposals",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    _text("app"),
    _at(),
    _text("status"),
    _text("data"),
    _text("cases"),
    Index("ix_proposals_app_status", "app", "status"),
    sqlite_autoincrement=True,
)
benchmarks = Table(
    "benchmarks",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    _text("app"),
    _at(),
    _text("data"),
    Index("ix_benchmarks_app", "app"),
    sqlite_autoincrement=True,
)
trials = Table(
    "trials",
    metadata,
    _text("case_id", key=True),
    _text("configuration_id", key=True),
    Column("repetition", Integer, primary_key=True, autoincrement=False),
    _text("data"),
    Index("ix_trials_configuration", "configuration_id"),
)
attributions = Table(
    "attributions",
    metadata,
    _number(),
    Column("digest", Text, nullable=False, unique=True),
    _text("app"),
    _at(),
    _text("data"),
    Index("ix_attributions_app", "app"),
    sqlite_autoincrement=True,
)
work = Table(
    "work",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    _text("app"),
    _text("kind"),
    _text("state"),
    _text("owner", null=True),
    Column("lease_until", Float, nullable=True),
    _text("data"),
    Index("ix_work_state_kind", "state", "kind"),
    sqlite_autoincrement=True,
)
blobs = Table(
    "blobs",
    metadata,
    _text("app", key=True),
    _text("kind", key=True),
    _at(),
    Column("data", LargeBinary, nullable=False),
)
imports = Table(
    "imports",
    metadata,
    _number(),
    _text("app"),
    _text("digest"),
    _at(),
    _text("data"),
    UniqueConstraint("app", "digest"),
    sqlite_autoincrement=True,
)
notices = Table(
    "notices",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    _text("app"),
    _text("target"),
    _text("event"),
    _at(),
    _text("state"),
    _integer("attempts"),
    Column("due_at", Float, nullable=False),
    _text("owner", null=True),
    _text("error", null=True),
    _text("data"),
    Index("ix_notices_app_state_due", "app", "state", "due_at"),
    sqlite_autoincrement=True,
)
api_keys = Table(
    "api_keys",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    _text("digest"),
    _text("name"),
    _text("scope"),
    Column("created_at", Float, nullable=False),
    _text("created_by"),
    Column("expires_at", Float, nullable=True),
    Column("used_at", Float, nullable=True),
    Column("revoked_at", Float, nullable=True),
    Column("app", Text, nullable=True),
    sqlite_autoincrement=True,
)
forgettings = Table(
    "forgettings",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    _text("app"),
    _at(),
    _text("state"),
    Column("sealed", LargeBinary, nullable=True),
    _text("data"),
    sqlite_autoincrement=True,
)
forgotten_cases = Table("forgotten_cases", metadata, _text("case_id", key=True), _text("origin"))
