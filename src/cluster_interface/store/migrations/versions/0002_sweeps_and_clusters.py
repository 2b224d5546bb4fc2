"""Tasks with parameters, attempts of several native jobs, jobs that wait for others."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("task") as table:
        table.add_column(sa.Column("node", sa.String(length=256), nullable=True))
        table.add_column(sa.Column("parameters", sa.JSON(), nullable=False, server_default="{}"))
        table.create_index(op.f("ix_task_job_state"), ["job", "state"], unique=False)
    with op.batch_alter_table("task") as table:
        table.alter_column("parameters", server_default=None)
    with op.batch_alter_table("attempt") as table:
        table.add_column(sa.Column("account", sa.String(length=128), nullable=False, server_default=""))
        table.add_column(sa.Column("ask", sa.JSON(), nullable=True))
        table.add_column(sa.Column("tasks", sa.JSON(), nullable=True))
        table.add_column(sa.Column("pack", sa.Integer(), nullable=False, server_default="1"))
        table.add_column(sa.Column("orders", sa.JSON(), nullable=False, server_default="[]"))
        table.add_column(sa.Column("expected", sa.Float(), nullable=True))
        table.add_column(sa.Column("started", sa.Float(), nullable=True))
    _carry_over()
    with op.batch_alter_table("attempt") as table:
        for name in ("account", "pack", "orders"):
            table.alter_column(name, server_default=None)
        table.drop_column("native_id")
    op.create_table(
        "dependency",
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("on", sa.String(length=32), nullable=False),
        sa.Column("when", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_dependency_job_job")),
        sa.ForeignKeyConstraint(["on"], ["job.id"], name=op.f("fk_dependency_on_job")),
        sa.PrimaryKeyConstraint("job", "on", name=op.f("pk_dependency")),
    )
    op.create_index(op.f("ix_dependency_on"), "dependency", ["on"])


def _carry_over() -> None:
    """Write each attempt's one native job as its one order."""
    attempt = sa.table(
        "attempt",
        sa.column("job", sa.String),
        sa.column("number", sa.Integer),
        sa.column("mark", sa.String),
        sa.column("native_id", sa.String),
        sa.column("orders", sa.JSON),
    )
    db = op.get_bind()
    rows = db.execute(sa.select(attempt.c.job, attempt.c.number, attempt.c.mark, attempt.c.native_id)).all()
    for job, number, mark, native_id in rows:
        order = {"mark": mark, "offset": 0, "elements": 1, "native_id": native_id}
        same = sa.and_(attempt.c.job == job, attempt.c.number == number)
        db.execute(sa.update(attempt).where(same).values(orders=[order]))
