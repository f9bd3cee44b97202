"""What messages tell: flows, events, documents, pegs, and what ties them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, UUID

from db.tables.ground import HOME, INSTANT, LOCAL, key, metadata, subject

flow = Table(
    "flow",
    metadata,
    key("home_key"),
    Column("anchor", Text, primary_key=True),  # "po:main:4500001234", the id itself, "source/key"
    Column("anchor_kind", Text, nullable=False),  # po, order, asn, id, item, ...
    # occurred_at of the events that live here, name this document or told of a tie to it
    Column("first_at", INSTANT, nullable=False),
    Column("last_at", INSTANT, nullable=False),
    Column("arrived_at", INSTANT, nullable=False),  # earliest receipt of these
    Column("n_events", Integer, nullable=False),  # events that live here
    # po, order: its creating event was seen; asn, invoice, receipt: tied to such an order;
    # id: leads to an order
    Column("matched", Boolean, nullable=False),
    Column("not_identifying", Boolean, nullable=False, server_default=text("false")),
    Column("partner_id", BigInteger),
    info=HOME,
)
Index(
    "ix_flow_unmatched",
    flow.c.first_at,
    postgresql_where=text("NOT matched"),
)

flow_link = Table(
    "flow_link",
    metadata,
    key("home_key"),
    Column("other_key", BigInteger, primary_key=True),
    Column("basis", Text, primary_key=True),  # correlation, answers, carries, causation, document
    Column("evidence", Text, nullable=False),  # the id or document that ties
    Column("to_root", Boolean, nullable=False),  # the other end is a purchase or customer order
    Column("since", INSTANT, nullable=False),  # earliest receipt that told it
    Index("ix_flow_link_between", "home_key", postgresql_where=text("NOT to_root")),
    info=HOME,
)

hand_tie = Table(
    # What people tied together, and why; never deleted, so that it can be judged and undone.
    "hand_tie",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("home_key", BigInteger, nullable=False),  # of the flow that matched nothing
    Column("anchor", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("to_home", BigInteger, nullable=False),
    Column("to_kind", Text, nullable=False),  # po, order
    Column("to_scope", Text, nullable=False),
    Column("to_number", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", INSTANT, nullable=False),
    Column("fulfilled_at", INSTANT),
    Column("undone_by", Text),
    Column("undone_at", INSTANT),
    Column("undone_why", Text),
    Column("unfulfilled_at", INSTANT),
    Column("partner_id", BigInteger),
    CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name="undone"),
    info=LOCAL,
)
Index(
    "uq_hand_tie_standing",
    hand_tie.c.home_key,
    unique=True,
    postgresql_where=text("undone_at IS NULL"),
)
Index("ix_hand_tie_to_home", hand_tie.c.to_home)

control_number = Table(
    # Numbers of interchanges that came: what is missing between them was lost.
    "control_number",
    metadata,
    Column("stream", Text, primary_key=True),  # from whom to whom
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),  # the message that brought it first
    Column("key", Text, nullable=False),
    Column("received_at", INSTANT, nullable=False),
    info=LOCAL,
)

event = Table(
    "event",
    metadata,
    key("home_key"),
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("raw_key", Text, nullable=False),
    Column("position", Text, nullable=False),
    Column("occurred_at", INSTANT, nullable=False),
    Column("recorded_at", INSTANT),
    Column("received_at", INSTANT, nullable=False),
    Column("time_quality", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("partner_id", BigInteger),
    Column("channel", Text),
    Column("anchor", Text, nullable=False),
    Column("basis", Text, nullable=False),  # document, correlation, answers, carries, own, item
    Column("correlation_id", Text),
    Column("causation_id", Text),
    Column("carries", ARRAY(Text), nullable=False, server_default="{}"),
    Column("answers", ARRAY(Text), nullable=False, server_default="{}"),
    Column("data", JSON, nullable=False),  # objects_of(type, data) says what it touches
    Index("ix_event_received_at", "received_at", postgresql_using="brin"),
    info=HOME,
)

event_object = Table(
    # What one event says about one document and its lines. Documents and clocks are folds over
    # these rows.
    "event_object",
    metadata,
    key("home_key"),  # the document's home
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    # an id or a shipment brought it here; else the event names the document
    Column("linked", Boolean, primary_key=True, server_default=text("false")),
    Column("event_home", BigInteger, nullable=False),
    Column("via", BigInteger),  # home of the id that tied it here; null = the event names it
    Column("occurred_at", INSTANT, nullable=False),
    Column("arrived_at", INSTANT, nullable=False),  # when this document could know it
    Column("applied_at", INSTANT),  # logical instant at which the document's clocks took it
    Column("type", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("kind", Text, nullable=False),  # of the header
    Column("scope", Text, nullable=False),
    Column("number", Text, nullable=False),
    # {line: facts}, the header under "": tower/touch.py names the facts
    Column("words", JSON, nullable=False),
    info=HOME,
    postgresql_with={"fillfactor": "80"},
)

document = Table(
    "document",
    metadata,
    key("home_key"),
    *subject(),
    Column("rev", BigInteger, nullable=False, server_default="0"),  # optimistic fence of ingest
    # parties and words
    Column("partner_id", BigInteger),
    Column("supplier", Text),
    Column("buyer", Text),
    Column("customer", Text),
    Column("customer_name", Text),
    Column("warehouse", Text),
    Column("channel", Text),
    Column("type", Text),
    Column("priority", Text),
    Column("item", Text),
    Column("description", Text),
    Column("category", Text),  # of lines: the category of goods the item belongs to
    Column("uom", Text),
    Column("currency", Text),
    Column("status", Text, nullable=False),
    Column("answer", Text),
    Column("fa_status", Text),
    Column("asn_status", Text),  # worst of its standing ASNs: invalid, announced, valid
    Column("known", Boolean, nullable=False),  # its creating event was seen; else only referred to
    Column("closed", Boolean, nullable=False),  # closed, cancelled or complete
    # milestones (earliest event of each kind)
    Column("first_seen_at", INSTANT, nullable=False),  # earliest occurred_at about it
    Column("released_at", INSTANT),
    Column("transmitted_at", INSTANT),
    Column("transport_acked_at", INSTANT),
    Column("func_acked_at", INSTANT),
    Column("acknowledged_at", INSTANT),
    Column("applied_at", INSTANT),
    Column("shipped_at", INSTANT),
    Column("goods_received_at", INSTANT),
    Column("invoiced_at", INSTANT),
    Column("closed_at", INSTANT),
    Column("cancelled_at", INSTANT),
    # latest asn.rejected, message.failed or refused functional acknowledgement without a later cure
    Column("failed_at", INSTANT),
    Column("last_event_at", INSTANT, nullable=False),
    # quantities in the unit ordered; null = nobody said, never zero
    Column("ordered_qty", Numeric),
    Column("confirmed_qty", Numeric),
    Column("shipped_qty", Numeric),
    Column("received_qty", Numeric),
    Column("rejected_qty", Numeric),
    Column("invoiced_qty", Numeric),
    # of lines, what figures count (tower/punctuality.py); customer lines: promised for confirmed
    Column("qty_by_first", Numeric),  # received by the first confirmed, else the requested date
    Column("qty_by_last", Numeric),  # by the last confirmed, else the requested date
    Column("qty_by_requested", Numeric),
    Column("first_shipped_qty", Numeric),  # on the shipment that left first
    Column("late_unit_days", Numeric),  # units received after that first date x days
    Column("first_answer", Text),  # kept, rejected, undecided, or what it changed: "quantity date"
    Column("discrepancies", Text),  # damaged, short, other_site ...: what receiving told
    # dates
    Column("acknowledge_by", INSTANT),
    Column("requested_date", Date),
    Column("first_confirmed_date", Date),
    Column("last_confirmed_date", Date),
    Column("confirmed_date_kind", Text),
    Column("ship_by", Date),
    Column("cancel_after", Date),
    Column("promised_date", Date),
    Column("first_promised_date", Date),
    Column("eta", Date),
    Column("actual_ship_date", Date),
    Column("actual_receipt_date", Date),  # when the ordered quantity was there, else latest receipt
    # money
    Column("price", Numeric),
    Column("value", Numeric),
    Column("open_value", Numeric),
    # counts on headers
    Column("n_lines", Integer),
    Column("n_rejected", Integer),
    Column("agrees", Boolean),  # ordered, answered and ERP agree line by line; null = cannot tell
    Column("reports", JSON, nullable=False, server_default="{}"),  # system -> field -> value, since
    # on headers the registers of the whole family (tower/registers.py), "{}" on lines
    Column("state", JSON, nullable=False),
    info=HOME,
    # Registers of a few kilobytes stay in the row: compressing them with each event costs more.
    postgresql_with={"fillfactor": "75", "toast_tuple_target": "8160"},
)
Index(
    "ix_document_open_po",
    document.c.released_at.desc(),
    postgresql_where=text("kind = 'po' AND NOT closed"),
)
Index("ix_document_kind_released_at", document.c.kind, document.c.released_at)
Index("ix_document_number", document.c.number, postgresql_where=text("line = ''"))
Index(
    "ix_document_unknown",
    document.c.first_seen_at,
    postgresql_where=text("NOT known AND kind IN ('po', 'order', 'asn')"),
)
Index(
    "ix_document_partner_id",
    document.c.partner_id,
    document.c.released_at.desc().nulls_last(),
    postgresql_where=text("kind = 'po'"),
)
Index(
    "ix_document_acknowledged_at",
    document.c.acknowledged_at,
    postgresql_where=text("kind = 'po'"),
)
Index(
    "ix_document_open_item",
    document.c.item,
    document.c.warehouse,
    postgresql_where=text("item IS NOT NULL AND NOT closed"),
)
Index(
    "ix_document_done_item",
    document.c.item,
    document.c.warehouse,
    document.c.last_event_at,
    postgresql_where=text("item IS NOT NULL AND closed"),
)

peg = Table(
    "peg",
    metadata,
    key("home_key"),  # home of the PO
    Column("scope", Text, primary_key=True),  # ERP
    Column("po", Text, primary_key=True),
    Column("po_line", Text, primary_key=True),
    Column("order", Text, primary_key=True),
    Column("order_line", Text, primary_key=True),
    Column("qty", Numeric),  # null once removed
    Column("at", INSTANT, nullable=False),
    Column("event_id", UUID(as_uuid=True), nullable=False),
    Index("ix_peg_order", "scope", "order", "order_line"),
    info=HOME,
)
