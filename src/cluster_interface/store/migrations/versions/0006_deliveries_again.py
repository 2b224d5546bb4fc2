"""Deliveries that are asked for again, and which outputs can be executed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ASKED = sa.text("deliver_asked IS NOT NULL")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("output") as table:
        table.add_column(sa.Column("executable", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("output") as table:
        table.alter_column("executable", server_default=None)
    with op.batch_alter_table("job") as table:
        table.add_column(sa.Column("deliver_asked", sa.Float(), nullable=True))
    op.create_index(
        op.f("ix_job_deliver_asked"), "job", ["deliver_asked"], sqlite_where=_ASKED, postgresql_where=_ASKED
    )
