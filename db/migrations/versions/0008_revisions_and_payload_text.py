"""Revisions of interpretations, and the words of payloads for search

Revision 0008, after 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "interpretation", sa.Column("revision", sa.Integer(), server_default="1", nullable=False)
    )
    op.add_column(
        "interpretation", sa.Column("read_by", sa.Text(), server_default="", nullable=False)
    )
    op.add_column(
        "interpretation",
        sa.Column(
            "taken_back",
            postgresql.JSON(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
        ),
    )
    op.drop_constraint("pk_interpretation", "interpretation", type_="primary")
    op.create_primary_key(
        "pk_interpretation",
        "interpretation",
        ["item_key", "source", "key", "interpreter", "version", "revision"],
    )
    op.create_table(
        "payload_text",
        sa.Column("item_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.Column("cut", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("item_key", "source", "key", name=op.f("pk_payload_text")),
        info={"place": "item_key"},
    )
    op.create_index("ix_payload_text_words", "payload_text", ["words"], postgresql_using="gin")
    op.create_index(
        "ix_payload_text_received_at", "payload_text", ["received_at"], postgresql_using="brin"
    )
    op.create_table(
        "text_mark",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("upto", sa.DateTime(timezone=True), nullable=False),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_text_mark")),
        info={"place": "local"},
    )
