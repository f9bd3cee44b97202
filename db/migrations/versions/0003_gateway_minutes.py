"""Gateway minutes

Revision 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gateway_minute",
        sa.Column("source_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), server_default="", nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.Column("n_1xx", sa.BigInteger(), nullable=False),
        sa.Column("n_2xx", sa.BigInteger(), nullable=False),
        sa.Column("n_3xx", sa.BigInteger(), nullable=False),
        sa.Column("n_4xx", sa.BigInteger(), nullable=False),
        sa.Column("n_5xx", sa.BigInteger(), nullable=False),
        sa.Column("throttled", sa.BigInteger(), nullable=False),
        sa.Column("latency", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("rate_limit", sa.BigInteger(), nullable=True),
        sa.Column("remaining", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint(
            "source_key", "source", "part", "minute", "route", "partner",
            name=op.f("pk_gateway_minute"),
        ),
        info={"place": "source_key"},
    )  # fmt: skip
    op.create_index(
        "ix_gateway_minute_minute",
        "gateway_minute",
        ["minute"],
        unique=False,
        postgresql_using="brin",
    )
