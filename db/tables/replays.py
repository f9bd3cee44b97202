"""Repairs, and the audit of what people do."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from db.tables.ground import INSTANT, LOCAL, metadata

replay = Table(
    # A frozen selection of dead letters that is sent, or interpreted, once more.
    "replay",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("action", Text, nullable=False),  # reinterpret, reprocess, retransmit, force
    # drafted, awaiting_approval, refused, running, paused, done, cancelled
    Column("state", Text, nullable=False),
    Column("target", Text, nullable=False),  # "tower", source of a broker, or an outlet
    Column("remark", Text, nullable=False, server_default=""),  # the filter it was chosen by
    Column("reason", Text, nullable=False, server_default=""),
    Column("n_items", Integer, nullable=False),
    Column("sha256", LargeBinary, nullable=False),  # of the sorted ids
    Column("form_token", UUID(as_uuid=True), unique=True),  # one request, however often clicked
    Column("requested_by", Text, nullable=False),
    Column("drafted_at", INSTANT, nullable=False),
    Column("checked_at", INSTANT),  # when the verdicts were given
    Column("confirmed_at", INSTANT),
    Column("approved_by", Text),
    Column("approved_at", INSTANT),
    Column("needs_approval", Text, nullable=False, server_default=""),  # why; "" = not
    Column("canary", Integer, nullable=False, server_default="1"),
    Column("per_second", Double, nullable=False),
    Column("stop_above", Double, nullable=False),  # share of failures that ends it
    Column("effect_within_s", Integer, nullable=False),
    Column("next_at", INSTANT),  # pace: nothing is claimed before
    Column("ended_at", INSTANT),
    Column("end_reason", Text, nullable=False, server_default=""),
    Column("signed_by", Text),
    Column("signed_at", INSTANT),
    CheckConstraint("approved_by <> requested_by", name="second_person"),
    CheckConstraint(
        "state NOT IN ('running', 'paused', 'done') OR needs_approval = '' "
        "OR approved_by IS NOT NULL",
        name="approved",
    ),
    CheckConstraint(
        "action NOT IN ('retransmit', 'force') OR state NOT IN ('running', 'paused', 'done') "
        "OR approved_by IS NOT NULL",
        name="leaves_by_two",
    ),
    info=LOCAL,
)
Index(
    "ix_replay_open",
    replay.c.id,
    postgresql_where=text("state IN ('running', 'paused')"),
)

replay_item = Table(
    "replay_item",
    metadata,
    Column("replay_id", BigInteger, primary_key=True),
    Column("n", Integer, primary_key=True),  # order of sending
    # the dead letter, or the message that was sent
    Column("source", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("attempt", Integer, nullable=False),  # 0 = a message that was sent
    Column("position", Text, nullable=False, server_default=""),
    Column("message_key", Text, nullable=False),
    Column("edited_key", Text),  # the raw message that goes out instead of the letter's bytes
    Column("verdict", Text, nullable=False, server_default=""),  # ready, duplicate, blocked
    # drafted, ready, duplicate, blocked, claimed, sending, awaiting_effect, resolved,
    # failed_again, returned, uncertain, skipped, cancelled
    Column("state", Text, nullable=False),
    Column("cause", Text, nullable=False, server_default=""),
    Column("queue", Text, nullable=False, server_default=""),  # where it goes
    Column("effect_type", Text, nullable=False, server_default=""),
    Column("new_attempt", Integer),
    Column("publish_key", Text, unique=True),
    Column("holder", Text),
    Column("lease_until", INSTANT),
    Column("sent_at", INSTANT),
    Column("published_at", INSTANT),
    Column("effect_event", UUID(as_uuid=True)),
    Column("effect_at", INSTANT),
    Column("state_at", INSTANT, nullable=False),
    # what its documents were told of it: nothing, replayed, took_effect
    Column("told", Text, nullable=False, server_default=""),
    ForeignKeyConstraint(
        ["replay_id"], ["replay.id"], name="fk_replay_item_replay_id", use_alter=True
    ),
    Index("ix_replay_item_message", "source", "message_key"),
    Index("ix_replay_item_state", "replay_id", "state", "n"),
    info=LOCAL,
)
Index(
    "ux_replay_item_open",
    replay_item.c.source,
    replay_item.c.message_key,
    unique=True,
    postgresql_where=text("state IN ('claimed', 'sending', 'awaiting_effect', 'uncertain')"),
)
Index(
    "ix_replay_item_untold",
    replay_item.c.replay_id,
    replay_item.c.n,
    postgresql_where=text(
        "publish_key IS NOT NULL AND ((told = '' AND state IN ('awaiting_effect', 'resolved')) "
        "OR (told = 'replayed' AND state = 'resolved'))"
    ),
)

failure_note = Table(
    # What people know of a kind of failure; it survives retry and resolution.
    "failure_note",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("author", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("ix_failure_note_fingerprint", "fingerprint"),
    info=LOCAL,
)

audit_entry = Table(
    # Who did what, in one chain: each hash covers the one before it. Rows are only added.
    "audit_entry",
    metadata,
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("at", INSTANT, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON, as it was hashed
    Column("hash", LargeBinary, nullable=False),
    Index("ix_audit_entry_subject", "subject"),
    Index("ix_audit_entry_at", "at"),
    info=LOCAL,
)
