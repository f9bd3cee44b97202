"""Root causes, judgements of alerts, trials of rule books

Revision 0009, after 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "exception_case", sa.Column("shares", sa.Text(), server_default="", nullable=False)
    )
    op.add_column("exception_case", sa.Column("parent_id", sa.BigInteger(), nullable=True))
    op.add_column("exception_case", sa.Column("verdict", sa.Text(), nullable=True))
    op.add_column(
        "exception_case", sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index(
        "ix_exception_case_shares",
        "exception_case",
        ["shares", "opened_at"],
        unique=False,
        postgresql_where=sa.text("shares <> ''"),
    )
    op.create_index(
        "ix_exception_case_parent_id",
        "exception_case",
        ["parent_id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_table(
        "rule_trial",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("begin_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("total", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "answer", postgresql.JSON(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_trial")),
        info={"place": "local"},
    )
    op.create_index(
        "ix_rule_trial_waiting",
        "rule_trial",
        ["asked_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )
