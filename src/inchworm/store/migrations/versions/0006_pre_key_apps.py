"""Keys may be bound to an app."""

import sqlalchemy as sa
from alembic import op

revision = "0006_pre_key_apps"
down_revision = "0005_pre_approvals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("app", sa.Text, nullable=True))


def downgrade() -> None:
    op.drop_column("api_keys", "app")
