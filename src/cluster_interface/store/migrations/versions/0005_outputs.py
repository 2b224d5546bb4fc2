"""Types of outputs, how long they are kept and where they were taken; links for those without an account."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEPT = sa.text("keep_until IS NOT NULL AND removed IS NULL")
_UNMEASURED = sa.text("ended IS NOT NULL AND size IS NULL")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("output") as table:
        table.add_column(sa.Column("type", sa.String(length=128), nullable=False, server_default=""))
    with op.batch_alter_table("output") as table:
        table.alter_column("type", server_default=None)
    with op.batch_alter_table("job") as table:  # added only: others refer to it, so SQLite cannot make it anew
        table.add_column(sa.Column("size", sa.BigInteger(), nullable=True))
        for name in ("keep_until", "warned", "removed"):
            table.add_column(sa.Column(name, sa.Float(), nullable=True))
        table.add_column(sa.Column("deliveries", sa.JSON(), nullable=False, server_default="[]"))
    op.create_index(op.f("ix_job_keep_until"), "job", ["keep_until"], sqlite_where=_KEPT, postgresql_where=_KEPT)
    op.create_index(op.f("ix_job_ended"), "job", ["ended"], sqlite_where=_UNMEASURED, postgresql_where=_UNMEASURED)
    _links()


def _links() -> None:
    op.create_table(
        "link",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("group", sa.String(length=128), nullable=False),
        sa.Column("path", sa.String(length=1100), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=True),
        sa.Column("downloads", sa.Integer(), nullable=False),
        sa.Column("used", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_link_job_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_link_token_sha256")),
    )
    op.create_index(op.f("ix_link_job"), "link", ["job"])
    op.create_table(
        "ticket",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("link", sa.String(length=32), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["link"], ["link.id"], name=op.f("fk_ticket_link_link"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_ticket")),
    )
    op.create_index(op.f("ix_ticket_link"), "ticket", ["link"])
