"""Lay down the tables

Revision 0001, after nothing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "active_config",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_active_config")),
        info={"place": "local"},
    )
    op.create_table(
        "calendar_version",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_calendar_version")),
        info={"place": "reference"},
    )
    op.create_table(
        "case_note",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_note")),
        info={"place": "local"},
    )
    op.create_index("ix_case_note_case_id", "case_note", ["case_id"], unique=False)
    op.create_table(
        "checkpoint",
        sa.Column("source_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("mark", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("complete_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_good_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="new", nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("source_key", "source", name=op.f("pk_checkpoint")),
        info={"place": "source_key"},
    )
    op.create_table(
        "clock",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), server_default="", nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("breached_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_by", sa.Text(), nullable=True),
        sa.Column("rule_hash", sa.Text(), nullable=False),
        sa.Column("calendar_hash", sa.Text(), nullable=True),
        sa.Column("profile_hash", sa.Text(), nullable=True),
        sa.Column("state", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint(
            "home_key", "rule", "kind", "scope", "number", "line", "cycle", name=op.f("pk_clock")
        ),
        info={"place": "home_key"},
        postgresql_with={"fillfactor": "75"},
    )
    op.create_index(
        "ix_clock_held_by",
        "clock",
        ["held_by"],
        unique=False,
        postgresql_where=sa.text("held_by IS NOT NULL"),
    )
    op.create_index("ix_clock_rule_due_at", "clock", ["rule", "due_at"], unique=False)
    op.create_table(
        "dead_letter",
        sa.Column("item_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("position", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("partner", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "item_key", "source", "key", "attempt", "position", name=op.f("pk_dead_letter")
        ),
        info={"place": "item_key"},
    )
    op.create_index(
        "ix_dead_letter_state_received_at", "dead_letter", ["state", "received_at"], unique=False
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        info={"place": "local"},
    )
    op.create_index("ix_delivery_outbox_id", "delivery", ["outbox_id"], unique=False)
    op.create_table(
        "document",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), server_default="", nullable=False),
        sa.Column("rev", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("supplier", sa.Text(), nullable=True),
        sa.Column("buyer", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("customer_name", sa.Text(), nullable=True),
        sa.Column("warehouse", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("priority", sa.Text(), nullable=True),
        sa.Column("item", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("uom", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("fa_status", sa.Text(), nullable=True),
        sa.Column("asn_status", sa.Text(), nullable=True),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("transmitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("transport_acked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("func_acked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("goods_received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("invoiced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ordered_qty", sa.Numeric(), nullable=True),
        sa.Column("confirmed_qty", sa.Numeric(), nullable=True),
        sa.Column("shipped_qty", sa.Numeric(), nullable=True),
        sa.Column("received_qty", sa.Numeric(), nullable=True),
        sa.Column("rejected_qty", sa.Numeric(), nullable=True),
        sa.Column("invoiced_qty", sa.Numeric(), nullable=True),
        sa.Column("acknowledge_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_date", sa.Date(), nullable=True),
        sa.Column("first_confirmed_date", sa.Date(), nullable=True),
        sa.Column("last_confirmed_date", sa.Date(), nullable=True),
        sa.Column("confirmed_date_kind", sa.Text(), nullable=True),
        sa.Column("ship_by", sa.Date(), nullable=True),
        sa.Column("cancel_after", sa.Date(), nullable=True),
        sa.Column("promised_date", sa.Date(), nullable=True),
        sa.Column("first_promised_date", sa.Date(), nullable=True),
        sa.Column("eta", sa.Date(), nullable=True),
        sa.Column("actual_ship_date", sa.Date(), nullable=True),
        sa.Column("actual_receipt_date", sa.Date(), nullable=True),
        sa.Column("price", sa.Numeric(), nullable=True),
        sa.Column("value", sa.Numeric(), nullable=True),
        sa.Column("open_value", sa.Numeric(), nullable=True),
        sa.Column("n_lines", sa.Integer(), nullable=True),
        sa.Column("n_rejected", sa.Integer(), nullable=True),
        sa.Column("agrees", sa.Boolean(), nullable=True),
        sa.Column(
            "reports", postgresql.JSON(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("state", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint(
            "home_key", "kind", "scope", "number", "line", name=op.f("pk_document")
        ),
        info={"place": "home_key"},
        postgresql_with={"fillfactor": "75", "toast_tuple_target": "8160"},
    )
    op.create_index(
        "ix_document_kind_released_at", "document", ["kind", "released_at"], unique=False
    )
    op.create_index(
        "ix_document_number",
        "document",
        ["number"],
        unique=False,
        postgresql_where=sa.text("line = ''"),
    )
    op.create_index(
        "ix_document_open_po",
        "document",
        [sa.literal_column("released_at DESC")],
        unique=False,
        postgresql_where=sa.text("kind = 'po' AND NOT closed"),
    )
    op.create_index(
        "ix_document_partner_id",
        "document",
        ["partner_id"],
        unique=False,
        postgresql_where=sa.text("kind = 'po'"),
    )
    op.create_index(
        "ix_document_unknown",
        "document",
        ["first_seen_at"],
        unique=False,
        postgresql_where=sa.text("NOT known AND kind IN ('po', 'order', 'asn')"),
    )
    op.create_table(
        "event",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("raw_key", sa.Text(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("time_quality", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("anchor", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.Column("causation_id", sa.Text(), nullable=True),
        sa.Column("carries", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("answers", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("data", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("home_key", "event_id", name=op.f("pk_event")),
        info={"place": "home_key"},
    )
    op.create_index(
        "ix_event_received_at", "event", ["received_at"], unique=False, postgresql_using="brin"
    )
    op.create_table(
        "event_object",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("linked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("event_home", sa.BigInteger(), nullable=False),
        sa.Column("via", sa.BigInteger(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("words", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("home_key", "event_id", "linked", name=op.f("pk_event_object")),
        info={"place": "home_key"},
        postgresql_with={"fillfactor": "80"},
    )
    op.create_table(
        "exception_case",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("base_severity", sa.Text(), server_default="medium", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("levels", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("home_key", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), server_default="", nullable=False),
        sa.Column("clock_cycle", sa.Integer(), nullable=False),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("supplier", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), server_default="", nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("owner_letter", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), server_default="unknown", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopened", sa.Integer(), server_default="0", nullable=False),
        sa.Column("held_subjects", sa.Integer(), server_default="0", nullable=False),
        sa.Column("value_at_risk", sa.Numeric(), nullable=True),
        sa.Column("document_value", sa.Numeric(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("orders_affected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lines_affected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("urgency", sa.Double(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("priority", sa.Double(), nullable=True),
        sa.Column("need_date", sa.Date(), nullable=True),
        sa.Column(
            "why", postgresql.JSON(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.CheckConstraint(
            "(state = 'resolved') = (resolution IS NOT NULL)",
            name=op.f("ck_exception_case_resolved"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exception_case")),
        sa.UniqueConstraint(
            "fingerprint", "cycle", name=op.f("uq_exception_case_fingerprint_cycle")
        ),
        info={"place": "local"},
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "ix_exception_case_open",
        "exception_case",
        [sa.literal_column("priority DESC NULLS LAST")],
        unique=False,
        postgresql_where=sa.text("state <> 'resolved'"),
    )
    op.create_index("ix_exception_case_opened_at", "exception_case", ["opened_at"], unique=False)
    op.create_index(
        "ix_exception_case_resolved_at", "exception_case", ["resolved_at"], unique=False
    )
    op.create_index("ix_exception_case_subject", "exception_case", ["home_key"], unique=False)
    op.create_table(
        "flow",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("anchor", sa.Text(), nullable=False),
        sa.Column("anchor_kind", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n_events", sa.Integer(), nullable=False),
        sa.Column("matched", sa.Boolean(), nullable=False),
        sa.Column("not_identifying", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("home_key", "anchor", name=op.f("pk_flow")),
        info={"place": "home_key"},
    )
    op.create_index(
        "ix_flow_unmatched",
        "flow",
        ["first_at"],
        unique=False,
        postgresql_where=sa.text("NOT matched"),
    )
    op.create_table(
        "flow_link",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("other_key", sa.BigInteger(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("to_root", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("home_key", "other_key", "basis", name=op.f("pk_flow_link")),
        info={"place": "home_key"},
    )
    op.create_table(
        "group_member",
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), server_default="owner", nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "policy", "recipient", "group_key", "case_id", name=op.f("pk_group_member")
        ),
        info={"place": "local"},
    )
    op.create_table(
        "hand_tie",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("home_key", sa.BigInteger(), nullable=False),
        sa.Column("anchor", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("to_home", sa.BigInteger(), nullable=False),
        sa.Column("to_kind", sa.Text(), nullable=False),
        sa.Column("to_scope", sa.Text(), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fulfilled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_why", sa.Text(), nullable=True),
        sa.Column("unfulfilled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(undone_at IS NULL) = (undone_by IS NULL)", name=op.f("ck_hand_tie_undone")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hand_tie")),
        info={"place": "local"},
    )
    op.create_index(
        "uq_hand_tie_standing",
        "hand_tie",
        ["home_key"],
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    op.create_index("ix_hand_tie_to_home", "hand_tie", ["to_home"], unique=False)
    op.create_table(
        "heartbeat",
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "detail", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.PrimaryKeyConstraint("process", "node", name=op.f("pk_heartbeat")),
        info={"place": "local"},
    )
    op.create_table(
        "ingest_ledger",
        sa.Column("item_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("n_events", sa.Integer(), server_default="0", nullable=False),
        sa.Column("n_known", sa.Integer(), server_default="0", nullable=False),
        sa.Column("homes", postgresql.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.Column("interpreter", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fields_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("item_key", "source", "key", name=op.f("pk_ingest_ledger")),
        info={"place": "item_key"},
    )
    op.create_table(
        "interpretation",
        sa.Column("item_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("interpreter", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("mapping", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("n_events", sa.Integer(), nullable=False),
        sa.Column(
            "findings", postgresql.JSON(astext_type=sa.Text()), server_default="[]", nullable=False
        ),
        sa.PrimaryKeyConstraint(
            "item_key", "source", "key", "interpreter", "version", name=op.f("pk_interpretation")
        ),
        info={"place": "item_key"},
    )
    op.create_table(
        "job_run",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job", "slot", name=op.f("pk_job_run")),
        info={"place": "local"},
    )
    op.create_table(
        "judged_unit",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("instant", sa.DateTime(timezone=True), nullable=False),
        sa.Column("impact_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("home_key", name=op.f("pk_judged_unit")),
        info={"place": "home_key"},
        postgresql_with={"fillfactor": "75"},
    )
    op.create_table(
        "mail_group",
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("dirty_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("number", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("policy", "recipient", "group_key", name=op.f("pk_mail_group")),
        info={"place": "local"},
    )
    op.create_table(
        "order_impact",
        sa.Column("order_home", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("order", sa.Text(), nullable=False),
        sa.Column("order_line", sa.Text(), nullable=False),
        sa.Column("po", sa.Text(), nullable=False),
        sa.Column("po_line", sa.Text(), nullable=False),
        sa.Column("po_home", sa.BigInteger(), nullable=False),
        sa.Column("supplier", sa.Text(), nullable=True),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("buyer", sa.Text(), nullable=True),
        sa.Column("warehouse", sa.Text(), nullable=True),
        sa.Column("item", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("customer_name", sa.Text(), nullable=True),
        sa.Column("promise_date", sa.Date(), nullable=False),
        sa.Column("projected_date", sa.Date(), nullable=True),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("days_late", sa.Integer(), nullable=False),
        sa.Column("uncovered_qty", sa.Numeric(), nullable=False),
        sa.Column("open_value", sa.Numeric(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "order_home",
            "scope",
            "order",
            "order_line",
            "po",
            "po_line",
            name=op.f("pk_order_impact"),
        ),
        info={"place": "local"},
    )
    op.create_index("ix_order_impact_po_home", "order_impact", ["po_home"], unique=False)
    op.create_table(
        "origin",
        sa.Column("item_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("fields", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("item_key", "source", "key", "event_id", name=op.f("pk_origin")),
        info={"place": "item_key"},
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("dedup_key", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("cases", postgresql.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.Column(
            "told_before",
            postgresql.JSON(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("token", sa.UUID(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("dedup_key", name=op.f("uq_outbox_dedup_key")),
        info={"place": "local"},
    )
    op.create_index(
        "ix_outbox_recipient_created_at", "outbox", ["recipient", "created_at"], unique=False
    )
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "partner",
        sa.Column("partner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("profile", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_partner")),
        info={"place": "reference"},
    )
    op.create_table(
        "peg",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("po", sa.Text(), nullable=False),
        sa.Column("po_line", sa.Text(), nullable=False),
        sa.Column("order", sa.Text(), nullable=False),
        sa.Column("order_line", sa.Text(), nullable=False),
        sa.Column("qty", sa.Numeric(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint(
            "home_key", "scope", "po", "po_line", "order", "order_line", name=op.f("pk_peg")
        ),
        info={"place": "home_key"},
    )
    op.create_index("ix_peg_order", "peg", ["scope", "order", "order_line"], unique=False)
    op.create_table(
        "profile_version",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_profile_version")),
        info={"place": "reference"},
    )
    op.create_table(
        "queue_sample",
        sa.Column("queue_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("broker", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready", sa.BigInteger(), nullable=True),
        sa.Column("in_flight", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("consumers", sa.Integer(), nullable=True),
        sa.Column("in_rate", sa.Double(), nullable=True),
        sa.Column("out_rate", sa.Double(), nullable=True),
        sa.Column("oldest_age_s", sa.Double(), nullable=True),
        sa.Column("dlq_of", sa.Text(), nullable=True),
        sa.Column("approximate", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("queue_key", "broker", "queue", "at", name=op.f("pk_queue_sample")),
        info={"place": "queue_key"},
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index(
        "ix_queue_sample_at", "queue_sample", ["at"], unique=False, postgresql_using="brin"
    )
    op.create_table(
        "raw_message",
        sa.Column("item_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "headers", postgresql.JSON(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("encoding", sa.Text(), server_default="plain", nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "item_key", "source", "key", "received_at", name=op.f("pk_raw_message")
        ),
        info={"place": "item_key"},
        postgresql_partition_by="RANGE (received_at)",
    )
    op.create_index(
        "ix_raw_message_received_at",
        "raw_message",
        ["received_at"],
        unique=False,
        postgresql_using="brin",
    )
    op.create_table(
        "rule_version",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_rule_version")),
        info={"place": "reference"},
    )
    op.create_table(
        "sighting",
        sa.Column("item_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("same_bytes", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.PrimaryKeyConstraint(
            "item_key", "source", "key", "seen_at", "name", name=op.f("pk_sighting")
        ),
        info={"place": "item_key"},
    )
    op.create_table(
        "source_spell",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("source", "from_at", name=op.f("pk_source_spell")),
        info={"place": "local"},
    )
    op.create_table(
        "suppression",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
        info={"place": "local"},
    )
    op.create_index("ix_suppression_case_id", "suppression", ["case_id"], unique=False)
    op.create_index("ix_suppression_recipient_at", "suppression", ["recipient", "at"], unique=False)
    op.create_table(
        "throttle",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttle")),
        info={"place": "local"},
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "timer",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_timer")),
        info={"place": "local"},
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_timer_due", "timer", ["due"], unique=False)
    op.create_table(
        "told",
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), server_default="owner", nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("recipient", "case_id", name=op.f("pk_told")),
        info={"place": "local"},
    )
    op.create_index("ix_told_case_id", "told", ["case_id"], unique=False)
    op.create_index(
        "ix_told_open",
        "told",
        ["recipient", "policy", "group_key"],
        unique=False,
        postgresql_where=sa.text("what = 'open'"),
    )
    op.create_table(
        "transition",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), server_default="", nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rule_hash", sa.Text(), nullable=False),
        sa.Column("why", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint(
            "home_key", "rule", "kind", "scope", "number", "line", "n", name=op.f("pk_transition")
        ),
        info={"place": "home_key"},
    )
    op.create_foreign_key(
        "fk_delivery_outbox_id", "delivery", "outbox", ["outbox_id"], ["id"], use_alter=True
    )
