"""Measured units, and when a queue sample arrived

Revision 0004, after 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "queue_sample", sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_table(
        "measured_unit",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), server_default="", nullable=False),
        sa.Column("new_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "footings", postgresql.JSON(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.PrimaryKeyConstraint(
            "home_key", "kind", "scope", "number", "line", name=op.f("pk_measured_unit")
        ),
        info={"place": "home_key"},
        postgresql_with={"fillfactor": "75"},
    )
