"""Approvals: who agreed to a rollout going on, and to which stage."""

import sqlalchemy as sa
from alembic import op

revision = "0005_pre_approvals"
down_revision = "0004_pre_audit_and_notices"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("rollout_id", sa.Text, nullable=False),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.UniqueConstraint("rollout_id", "stage", "actor"),
        sqlite_autoincrement=True,
    )
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER approvals_refuses_{act.lower()} BEFORE {act} ON approvals "
            "BEGIN SELECT RAISE(ABORT, 'approvals is append-only'); END"
        )


def downgrade() -> None:
    op.drop_table("approvals")
