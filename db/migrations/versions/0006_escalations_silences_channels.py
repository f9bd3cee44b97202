"""Reminders and escalation, silences, the second channel, addresses that do not work

Revision 0006, after 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "group_member",
        sa.Column("remind", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("outbox", sa.Column("channel", sa.Text(), server_default="mail", nullable=False))
    op.create_index(op.f("ix_outbox_message_id"), "outbox", ["message_id"])
    op.create_table(
        "escalation",
        sa.Column("case_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("repeat", sa.Text(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("next_step", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_escalation")),
        info={"place": "local"},
        postgresql_with={"fillfactor": "75"},
    )
    op.create_table(
        "silence",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("rule", sa.Text()),
        sa.Column("category", sa.Text()),
        sa.Column("partner", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("po", sa.Text()),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("ended_by", sa.Text()),
        sa.CheckConstraint("to_at > from_at", name=op.f("ck_silence_bounded")),
        sa.CheckConstraint(
            "coalesce(rule, category, partner, source, po) IS NOT NULL",
            name=op.f("ck_silence_matches_something"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_silence")),
        info={"place": "local"},
    )
    op.create_index(op.f("ix_silence_to_at"), "silence", ["to_at"])
    op.create_table(
        "undeliverable",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.Column("outbox_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_undeliverable")),
        info={"place": "local"},
    )
