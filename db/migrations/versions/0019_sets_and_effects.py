"""Sets of cases, effects of replays

Revision 0019, after 0015.

An index of open letters by the time of their last change, so that what was opened since a look is
found without reading the others; what leaves the company is approved by a second person in the
database too; what documents were told of each copy; frozen sets of cases.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_dead_letter_open",
        "dead_letter",
        ["state_at"],
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_check_constraint(
        op.f("ck_replay_leaves_by_two"),
        "replay",
        "action NOT IN ('retransmit', 'force') OR state NOT IN ('running', 'paused', 'done') "
        "OR approved_by IS NOT NULL",
    )
    op.add_column("replay_item", sa.Column("told", sa.Text(), server_default="", nullable=False))
    # Copies that were sent before this are not told any more: their time is long over.
    op.execute("UPDATE replay_item SET told = 'took_effect' WHERE publish_key IS NOT NULL")
    op.create_index(
        "ix_replay_item_untold",
        "replay_item",
        ["replay_id", "n"],
        postgresql_where=sa.text(
            "publish_key IS NOT NULL AND ((told = '' AND state IN ('awaiting_effect', 'resolved')) "
            "OR (told = 'replayed' AND state = 'resolved'))"
        ),
    )
    op.create_table(
        "case_set",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cases", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("remark", sa.Text(), server_default="", nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("action", sa.Text(), server_default="", nullable=False),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", postgresql.JSON(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_set")),
    )
