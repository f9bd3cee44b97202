"""Ties between ids

Revision 0011, after 0010.

An index of the ties that lead to no order. There are few of them beside those of an interchange to
all its orders, and whoever walks from id to id wants just these.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_flow_link_between",
        "flow_link",
        ["home_key"],
        postgresql_where=sa.text("NOT to_root"),
    )
