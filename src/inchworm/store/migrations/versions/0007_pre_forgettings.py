"""Requests to forget somebody, and the cases that were theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0007_pre_forgettings"
down_revision = "0006_pre_key_apps"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forgettings",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=True),
        sa.Column("data", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "forgotten_cases",
        sa.Column("case_id", sa.Text, primary_key=True, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("forgotten_cases")
    op.drop_table("forgettings")
