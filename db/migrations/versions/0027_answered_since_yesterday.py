"""Answered since yesterday

Revision 0027, after 0025.

Purchase orders are found by the instant of their answer, and those of a supplier by their release,
the latest ahead: what a page tells of a day or a month is read without the year around it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0025"
branch_labels = None
depends_on = None

_ORDERS = sa.text("kind = 'po'")


def upgrade() -> None:
    op.create_index(
        "ix_document_acknowledged_at",
        "document",
        ["acknowledged_at"],
        postgresql_where=_ORDERS,
    )
    op.drop_index("ix_document_partner_id", "document")
    op.create_index(
        "ix_document_partner_id",
        "document",
        ["partner_id", sa.literal_column("released_at DESC NULLS LAST")],
        postgresql_where=_ORDERS,
    )
