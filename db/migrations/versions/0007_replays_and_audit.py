"""Replays and audit

Revision 0007, after 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_audit_entry")),
        info={"place": "local"},
    )
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"], unique=False)
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject"], unique=False)
    op.create_table(
        "failure_note",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failure_note")),
        info={"place": "local"},
    )
    op.create_index("ix_failure_note_fingerprint", "failure_note", ["fingerprint"], unique=False)
    op.create_table(
        "replay",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("remark", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("n_items", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("form_token", sa.UUID(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("drafted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("needs_approval", sa.Text(), server_default="", nullable=False),
        sa.Column("canary", sa.Integer(), server_default="1", nullable=False),
        sa.Column("per_second", sa.Double(), nullable=False),
        sa.Column("stop_above", sa.Double(), nullable=False),
        sa.Column("effect_within_s", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("signed_by", sa.Text(), nullable=True),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state NOT IN ('running', 'paused', 'done') OR needs_approval = '' "
            "OR approved_by IS NOT NULL",
            name=op.f("ck_replay_approved"),
        ),
        sa.CheckConstraint("approved_by <> requested_by", name=op.f("ck_replay_second_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replay")),
        sa.UniqueConstraint("form_token", name=op.f("uq_replay_form_token")),
        info={"place": "local"},
    )
    op.create_index(
        "ix_replay_open",
        "replay",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state IN ('running', 'paused')"),
    )
    op.create_table(
        "replay_item",
        sa.Column("replay_id", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("position", sa.Text(), server_default="", nullable=False),
        sa.Column("message_key", sa.Text(), nullable=False),
        sa.Column("edited_key", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("queue", sa.Text(), server_default="", nullable=False),
        sa.Column("effect_type", sa.Text(), server_default="", nullable=False),
        sa.Column("new_attempt", sa.Integer(), nullable=True),
        sa.Column("publish_key", sa.Text(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effect_event", sa.UUID(), nullable=True),
        sa.Column("effect_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("replay_id", "n", name=op.f("pk_replay_item")),
        sa.UniqueConstraint("publish_key", name=op.f("uq_replay_item_publish_key")),
        info={"place": "local"},
    )
    op.create_index(
        "ix_replay_item_message", "replay_item", ["source", "message_key"], unique=False
    )
    op.create_index(
        "ix_replay_item_state", "replay_item", ["replay_id", "state", "n"], unique=False
    )
    op.create_index(
        "ux_replay_item_open",
        "replay_item",
        ["source", "message_key"],
        unique=True,
        postgresql_where=sa.text("state IN ('claimed', 'sending', 'awaiting_effect', 'uncertain')"),
    )
    op.add_column("dead_letter", sa.Column("message", sa.Text(), nullable=True))
    op.create_index("ix_dead_letter_fingerprint", "dead_letter", ["fingerprint"], unique=False)
    op.create_index(
        "ix_dead_letter_message",
        "dead_letter",
        ["message"],
        unique=False,
        postgresql_where=sa.text("message IS NOT NULL"),
    )
    op.create_foreign_key(
        "fk_replay_item_replay_id", "replay_item", "replay", ["replay_id"], ["id"], use_alter=True
    )
