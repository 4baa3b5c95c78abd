"""Evidence over time: what a rollout's metrics said at some moments."""

import sqlalchemy as sa
from alembic import op

revision = "0002_pre_evidence_points"
down_revision = "0001_pre_foundation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evidence_points",
        sa.Column("rollout_id", sa.Text, nullable=False),
        sa.Column("consumed", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", "consumed"),
    )


def downgrade() -> None:
    op.drop_table("evidence_points")
