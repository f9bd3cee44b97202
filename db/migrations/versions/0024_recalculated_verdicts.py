"""Recalculated verdicts

Revision 0024, after 0020.

A unit remembers that events which its clocks had taken were taken back: a message was read again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("judged_unit", sa.Column("reread_at", sa.DateTime(timezone=True)))
