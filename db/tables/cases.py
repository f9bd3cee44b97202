"""Exception cases, whom they hurt, and the stock by which that is known."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, UUID

from db.tables.ground import INSTANT, LOCAL, key, metadata

exception_case = Table(
    "exception_case",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("fingerprint", Text, nullable=False),  # category + rule + subject
    Column("cycle", Integer, nullable=False),
    Column("category", Text, nullable=False),
    Column("severity", Text, nullable=False),
    # of its levels, before the rule's raise
    Column("base_severity", Text, nullable=False, server_default="medium"),
    Column("state", Text, nullable=False),  # new, taken, waiting, snoozed, resolved
    Column("resolution", Text),
    Column("rule", Text, nullable=False),
    Column("level", Text, nullable=False),  # the highest that opened or raised it
    Column("levels", ARRAY(Text), nullable=False, server_default="{}"),  # standing, telling ones
    Column("home_key", BigInteger),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("line", Text, nullable=False, server_default=""),
    Column("clock_cycle", Integer, nullable=False),
    Column("partner_id", BigInteger),
    Column("supplier", Text),
    Column("title", Text, nullable=False),
    Column("advice", Text, nullable=False, server_default=""),
    Column("owner", Text, nullable=False),
    Column("owner_letter", Text, nullable=False),
    Column("policy", Text, nullable=False),  # notify policy
    Column("cause", Text, nullable=False, server_default="unknown"),
    Column("opened_at", INSTANT, nullable=False),  # effective instant of the fact
    Column("detected_at", INSTANT, nullable=False),
    Column("due_at", INSTANT),
    Column("first_taken_at", INSTANT),
    Column("taken_until", INSTANT),
    Column("snoozed_until", INSTANT),
    Column("resolved_at", INSTANT),
    Column("reopened", Integer, nullable=False, server_default="0"),
    Column("held_subjects", Integer, nullable=False, server_default="0"),
    Column("value_at_risk", Numeric),
    Column("document_value", Numeric),
    Column("currency", Text),
    Column("orders_affected", Integer, nullable=False, server_default="0"),
    Column("lines_affected", Integer, nullable=False, server_default="0"),
    Column("urgency", Double),
    Column("confidence", Double),
    Column("priority", Double),
    Column("need_date", Date),
    Column("why", JSON, nullable=False, server_default="{}"),
    # what it shares with other cases of the same root cause, "" for nothing
    Column("shares", Text, nullable=False, server_default=""),
    Column("parent_id", BigInteger),  # the case of that root cause
    Column("verdict", Text),  # of a person: useful, false_alarm
    Column("judged_at", INSTANT),
    UniqueConstraint("fingerprint", "cycle"),
    CheckConstraint("(state = 'resolved') = (resolution IS NOT NULL)", name="resolved"),
    info=LOCAL,
    postgresql_with={"fillfactor": "80"},
)
Index(
    "ix_exception_case_open",
    exception_case.c.priority.desc().nulls_last(),
    postgresql_where=text("state <> 'resolved'"),
)
Index("ix_exception_case_subject", exception_case.c.home_key)
Index("ix_exception_case_opened_at", exception_case.c.opened_at)
Index("ix_exception_case_resolved_at", exception_case.c.resolved_at)
Index(
    "ix_exception_case_shares",
    exception_case.c.shares,
    exception_case.c.opened_at,
    postgresql_where=text("shares <> ''"),
)
Index(
    "ix_exception_case_parent_id",
    exception_case.c.parent_id,
    postgresql_where=text("parent_id IS NOT NULL"),
)

case_note = Table(
    "case_note",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("case_id", BigInteger, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("author", Text, nullable=False),
    Column("kind", Text, nullable=False),  # note, opened, severity, taken, resolved, reopened, ...
    Column("text", Text, nullable=False),
    Index("ix_case_note_case_id", "case_id"),
    info=LOCAL,
)

case_set = Table(
    # Cases that somebody picked to act on together: the numbers are frozen, whatever the filter
    # would find later.
    "case_set",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("cases", ARRAY(BigInteger), nullable=False),
    Column("sha256", LargeBinary, nullable=False),  # of the sorted numbers
    Column("remark", Text, nullable=False, server_default=""),  # the filter they were picked by
    Column("made_by", Text, nullable=False),
    Column("made_at", INSTANT, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),  # open, done, dropped
    Column("action", Text, nullable=False, server_default=""),
    Column("done_by", Text),
    Column("done_at", INSTANT),
    # case number -> "done", or why nothing was done to it
    Column("outcome", JSON, nullable=False, server_default="{}"),
    info=LOCAL,
)

rule_trial = Table(
    # Wishes to see what an edited rule book would say, and what came of them.
    "rule_trial",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", INSTANT, nullable=False),
    Column("body", Text, nullable=False),  # the rule book as edited
    Column("begin_at", INSTANT, nullable=False),
    Column("end_at", INSTANT, nullable=False),
    Column("state", Text, nullable=False),  # waiting, running, done, failed, cancelled
    Column("lease_until", INSTANT),
    Column("started_at", INSTANT),
    Column("finished_at", INSTANT),
    Column("done", Integer, nullable=False, server_default="0"),  # documents judged so far
    Column("total", Integer, nullable=False, server_default="0"),
    Column("answer", JSON, nullable=False, server_default="{}"),
    Column("problem", Text, nullable=False, server_default=""),
    info=LOCAL,
)
Index(
    "ix_rule_trial_waiting",
    rule_trial.c.asked_at,
    postgresql_where=text("state IN ('waiting', 'running')"),
)

stock_level = Table(
    # What a warehouse last said that it has of an item: the report with the latest as_of.
    "stock_level",
    metadata,
    Column("warehouse", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("on_hand", Numeric),  # null = it told no quantity that can be used
    Column("uom", Text),
    Column("as_of", INSTANT, nullable=False),
    Column("event_id", UUID(as_uuid=True), nullable=False),
    Column("source", Text, nullable=False),
    info=LOCAL,
    postgresql_with={"fillfactor": "80"},
)

stock_change = Table(
    # Counts and losses told between two reports.
    "stock_change",
    metadata,
    Column("warehouse", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    Column("at", INSTANT, nullable=False),
    Column("delta", Numeric, nullable=False),
    info=LOCAL,
)

order_impact = Table(
    # Customer order lines that their supply does not cover, and what is to blame.
    "order_impact",
    metadata,
    key("order_home"),
    Column("scope", Text, primary_key=True),
    Column("order", Text, primary_key=True),
    Column("order_line", Text, primary_key=True),
    # the purchase order line to blame; "" and home 0 = nothing is on order
    Column("po", Text, primary_key=True),
    Column("po_line", Text, primary_key=True),
    # peg, netting: how the order line got its supply; each is computed by itself
    Column("matched_by", Text, primary_key=True, server_default="peg"),
    Column("po_scope", Text, nullable=False, server_default=""),  # "" = as the order's
    Column("po_home", BigInteger, nullable=False),
    Column("supplier", Text),
    Column("partner_id", BigInteger),
    Column("buyer", Text),
    Column("warehouse", Text),
    Column("item", Text),
    Column("customer", Text),
    Column("customer_name", Text),
    Column("promise_date", Date, nullable=False),
    Column("projected_date", Date),
    # first working day that keeps the promise anew; null = nothing says when
    Column("proposed_date", Date),
    Column("basis", Text, nullable=False),  # stock, receipt, asn, confirmed, assumed
    Column("days_late", Integer, nullable=False),
    Column("uncovered_qty", Numeric, nullable=False),
    Column("open_value", Numeric),
    Column("currency", Text),
    Column("confidence", Double, nullable=False),
    Column("cause", Text, nullable=False),  # category of the case or of the delay
    Column("told_at", INSTANT),  # when the customer was told of a delay; null = nobody said so
    Column("told_date", Date),  # the day told
    Column("case_id", BigInteger),
    Column("since", INSTANT, nullable=False),
    Index("ix_order_impact_po_home", "po_home"),
    Index(
        "ix_order_impact_bucket",
        "warehouse",
        "item",
        postgresql_where=text("matched_by = 'netting'"),
    ),
    info=LOCAL,
)
