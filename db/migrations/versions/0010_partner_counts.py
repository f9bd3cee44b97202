"""Counts of what partners send, by steps of five minutes

Revision 0010, after 0009. Events that are kept already are counted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "partner_count",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "home_key", "type", "at", "known_at", name=op.f("pk_partner_count")
        ),
        info={"place": "home_key"},
        postgresql_with={"fillfactor": "85"},
    )
    op.execute(
        """
        INSERT INTO partner_count (home_key, type, at, known_at, n)
        SELECT partner_id, type,
               date_bin('5 minutes', occurred_at, timestamptz '2000-01-01 00:00:00+00'),
               date_bin('1 minute', received_at + interval '59.999999 seconds',
                        timestamptz '2000-01-01 00:00:00+00'),
               count(*)
        FROM event
        WHERE partner_id IS NOT NULL
        GROUP BY 1, 2, 3, 4
        """
    )
