"""Indexes of the jobs that are alive, which ended ones cost nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LIVE = sa.text("state NOT IN ('canceled', 'completed', 'failed', 'rejected')")
_LEASED = sa.text("lease_until > 0")


def upgrade() -> None:
    """Apply."""
    op.drop_index(op.f("ix_job_state_due"), "job")
    op.create_index(op.f("ix_job_state"), "job", ["state"])
    op.create_index(op.f("ix_job_due"), "job", ["due"], sqlite_where=_LIVE, postgresql_where=_LIVE)
    op.create_index(op.f("ix_job_lease_until"), "job", ["lease_until"], sqlite_where=_LEASED, postgresql_where=_LEASED)
