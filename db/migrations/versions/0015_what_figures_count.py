"""What figures count of a line: how much came by which day, and what the first answer kept

Revision 0015, after 0013. Lines that are kept already get it when they are folded anew: by their
next event, or all at once by `tower rebuild`. Until then figures take the day of completion.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in (
        "qty_by_first",
        "qty_by_last",
        "qty_by_requested",
        "first_shipped_qty",
        "late_unit_days",
    ):
        op.add_column("document", sa.Column(name, sa.Numeric(), nullable=True))
    for name in ("first_answer", "discrepancies"):
        op.add_column("document", sa.Column(name, sa.Text(), nullable=True))
