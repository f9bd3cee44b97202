"""Newest words first

Revision 0020, after 0019.

Search walks the newest messages for words that many have: an index in order instead of one by
ranges of pages.
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_payload_text_received_at", "payload_text")
    op.create_index("ix_payload_text_received_at", "payload_text", ["received_at"])
