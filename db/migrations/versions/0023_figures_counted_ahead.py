"""Figures counted ahead

Revision 0023, after 0024.

What figures come to by day and week of release, and marks of weeks that have changed since.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "figure_count",
        sa.Column("figure", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("supplier", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("healed", sa.Boolean(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("each", sa.Numeric(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Numeric()),
        sa.Column("weight", sa.Numeric()),
        sa.PrimaryKeyConstraint(
            "figure", "by", "day", "supplier", "party", "verdict", "healed", "word", "each", "week",
            name="pk_figure_count",
        ),
    )  # fmt: skip
    op.create_index("ix_figure_count_week", "figure_count", ["week"])
    op.create_table(
        "figure_week",
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("week", name="pk_figure_week"),
    )
    op.create_table(
        "figure_mark",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_figure_mark"),
    )
