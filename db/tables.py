"""The tables, and where each of them lives when the database grows to many machines.

``Table.info["place"]`` is data, read by one listener that acts only where Citus is installed:

home_key    rows of one business story together (flow, event, document, peg, clock, transition ...)
item_key    rows of one raw message together
source_key, queue_key   bookmarks, queue samples
reference   a copy on every node
local       on the coordinator only

``home_key`` leads every primary and unique key of a flow table and is never updated. Foreign keys
are named and added last. No triggers, no EXCLUDE, no database clock in updates.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB, TSVECTOR, UUID

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

HOME = {"place": "home_key"}
ITEM = {"place": "item_key"}
REFERENCE = {"place": "reference"}
LOCAL = {"place": "local"}

_Instant = DateTime(timezone=True)


def _key(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


def _subject() -> list[Column[str]]:
    """(kind, scope, number, line): the identity of a business document inside its home."""
    return [
        Column("kind", Text, primary_key=True),
        Column("scope", Text, primary_key=True),
        Column("number", Text, primary_key=True),
        Column("line", Text, primary_key=True, server_default=""),
    ]


# --- what came in -------------------------------------------------------------------------------

ingest_ledger = Table(
    "ingest_ledger",
    metadata,
    _key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("sha256", LargeBinary, nullable=False),
    Column("received_at", _Instant, nullable=False),
    Column("outcome", Text, nullable=False),  # pending, interpreted, quarantined
    Column("n_events", Integer, nullable=False, server_default="0"),
    Column("n_known", Integer, nullable=False, server_default="0"),
    Column("homes", ARRAY(BigInteger), nullable=False, server_default="{}"),
    # the reading in force
    Column("interpreter", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("read_at", _Instant, nullable=False),
    # Element below which all fields of its events stand under their own names ("$.data.*"); null =
    # `origin` tells where each stands.
    Column("fields_at", Text),
    info=ITEM,
)

raw_message = Table(
    "raw_message",
    metadata,
    _key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("received_at", _Instant, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("headers", JSON, nullable=False, server_default="{}"),
    Column("partner_id", BigInteger),
    Column("encoding", Text, nullable=False, server_default="plain"),  # plain, zlib
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_raw_message_received_at", "received_at", postgresql_using="brin"),
    info=ITEM,
    postgresql_partition_by="RANGE (received_at)",
)

sighting = Table(
    "sighting",
    metadata,
    _key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("seen_at", _Instant, primary_key=True),
    Column("name", Text, primary_key=True, server_default=""),
    Column("same_bytes", Boolean, nullable=False, server_default=text("true")),
    info=ITEM,
)

interpretation = Table(
    # Readings that left findings, and all readings of a message that was read again. A first one
    # without findings stands in the ledger alone.
    "interpretation",
    metadata,
    _key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("interpreter", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    # 1 for the first reading by this version; another network or mapping makes the next
    Column("revision", Integer, primary_key=True, server_default="1"),
    Column("mapping", Text, nullable=False, server_default=""),
    Column("at", _Instant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("n_events", Integer, nullable=False),
    Column("findings", JSON, nullable=False, server_default="[]"),
    Column("read_by", Text, nullable=False, server_default=""),  # who asked for it to be read again
    # events it told that the reading after it did not tell, or told otherwise
    Column("taken_back", JSON, nullable=False, server_default="[]"),
    info=ITEM,
)

origin = Table(
    # Events whose fields do not all stand where the ledger says (fields_at).
    "origin",
    metadata,
    _key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    # [[field, element, offset, length, how, rule], ...]: read whole, never searched
    Column("fields", JSON, nullable=False),
    info=ITEM,
)

dead_letter = Table(
    "dead_letter",
    metadata,
    _key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True, server_default="1"),
    Column("position", Text, primary_key=True, server_default=""),
    # key of the first attempt of this message, where this is a later one
    Column("message", Text),
    Column("kind", Text, nullable=False),  # interpret, deliver, apply
    Column("code", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("advice", Text, nullable=False),
    Column("byte_offset", BigInteger),
    Column("fingerprint", Text, nullable=False),
    # open, in_replay, resolved, superseded, archived, expired
    Column("state", Text, nullable=False, server_default="open"),
    Column("partner_id", BigInteger),
    Column("partner", Text),
    Column("received_at", _Instant, nullable=False),
    Column("state_at", _Instant, nullable=False),
    Index("ix_dead_letter_state_received_at", "state", "received_at"),
    Index("ix_dead_letter_fingerprint", "fingerprint"),
    Index("ix_dead_letter_message", "message", postgresql_where=text("message IS NOT NULL")),
    info=ITEM,
)

payload_text = Table(
    # The words of a raw message (its name, headers and bytes), written by the worker after ingest.
    # A hit is only a candidate: search looks at the bytes themselves.
    "payload_text",
    metadata,
    _key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("received_at", _Instant, nullable=False),
    Column("partner_id", BigInteger),
    Column("words", TSVECTOR, nullable=False),
    Column("cut", Boolean, nullable=False, server_default=text("false")),  # has more words
    Index("ix_payload_text_words", "words", postgresql_using="gin"),
    Index("ix_payload_text_received_at", "received_at", postgresql_using="brin"),
    info=ITEM,
)

text_mark = Table(
    # How far the words of payloads are written.
    "text_mark",
    metadata,
    Column("name", Text, primary_key=True),
    Column("upto", _Instant, nullable=False),  # receipt of the newest message looked at
    Column("swept_at", _Instant, nullable=False),  # when latecomers were last looked for
    info=LOCAL,
)

checkpoint = Table(
    "checkpoint",
    metadata,
    _key("source_key"),
    Column("source", Text, primary_key=True),
    Column("mark", JSONB),
    Column("holder", Text),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("lease_until", _Instant),
    Column("complete_to", _Instant),  # start of the last good read, or time of the last beat
    Column("last_good_at", _Instant),
    Column("last_tried_at", _Instant),
    Column("newest_at", _Instant),  # newest occurred_at it brought
    Column("next_at", _Instant),  # not before this instant (rhythm, back-off, Retry-After)
    Column("failures", Integer, nullable=False, server_default="0"),
    # new, up, down, stopped, throttled
    Column("state", Text, nullable=False, server_default="new"),
    Column("message", Text, nullable=False, server_default=""),
    info={"place": "source_key"},
)

queue_sample = Table(
    "queue_sample",
    metadata,
    _key("queue_key"),
    Column("broker", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("at", _Instant, primary_key=True),
    Column("ready", BigInteger),
    Column("in_flight", BigInteger),
    Column("total", BigInteger),
    Column("consumers", Integer),
    Column("in_rate", Double),
    Column("out_rate", Double),
    Column("oldest_age_s", Double),
    Column("dlq_of", Text),
    Column("approximate", Boolean, nullable=False, server_default=text("false")),
    Column("arrived_at", _Instant),  # when it reached us; null = before that was kept
    Index("ix_queue_sample_at", "at", postgresql_using="brin"),
    info={"place": "queue_key"},
    postgresql_partition_by="RANGE (at)",
)

gateway_minute = Table(
    # Calls of one route and partner in one minute, as one part of an access log tells them.
    "gateway_minute",
    metadata,
    _key("source_key"),
    Column("source", Text, primary_key=True),
    Column("part", Text, primary_key=True),
    Column("minute", _Instant, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("partner", Text, primary_key=True, server_default=""),  # "" = no partner of ours
    Column("upto", BigInteger, nullable=False),  # how far the part was read
    Column("n_1xx", BigInteger, nullable=False),
    Column("n_2xx", BigInteger, nullable=False),
    Column("n_3xx", BigInteger, nullable=False),
    Column("n_4xx", BigInteger, nullable=False),
    Column("n_5xx", BigInteger, nullable=False),
    Column("throttled", BigInteger, nullable=False),
    Column("latency", ARRAY(BigInteger), nullable=False),  # tower/gateway.py has the bounds
    Column("rate_limit", BigInteger),
    Column("remaining", BigInteger),
    Index("ix_gateway_minute_minute", "minute", postgresql_using="brin"),
    info={"place": "source_key"},
)

# --- stories ------------------------------------------------------------------------------------

flow = Table(
    "flow",
    metadata,
    _key("home_key"),
    Column("anchor", Text, primary_key=True),  # "po:main:4500001234", the id itself, "source/key"
    Column("anchor_kind", Text, nullable=False),  # po, order, asn, id, item, ...
    # occurred_at of the events that live here, name this document or told of a tie to it
    Column("first_at", _Instant, nullable=False),
    Column("last_at", _Instant, nullable=False),
    Column("arrived_at", _Instant, nullable=False),  # earliest receipt of these
    Column("n_events", Integer, nullable=False),  # events that live here
    # po, order: its creating event was seen; asn, invoice, receipt: tied to such an order;
    # id: leads to an order
    Column("matched", Boolean, nullable=False),
    Column("not_identifying", Boolean, nullable=False, server_default=text("false")),
    Column("partner_id", BigInteger),
    info=HOME,
)
# On a column that hardly moves: with last_at every update of a flow would write all its indexes.
Index(
    "ix_flow_unmatched",
    flow.c.first_at,
    postgresql_where=text("NOT matched"),
)

flow_link = Table(
    "flow_link",
    metadata,
    _key("home_key"),
    Column("other_key", BigInteger, primary_key=True),
    Column("basis", Text, primary_key=True),  # correlation, answers, carries, causation, document
    Column("evidence", Text, nullable=False),  # the id or document that ties
    Column("to_root", Boolean, nullable=False),  # the other end is a purchase or customer order
    Column("since", _Instant, nullable=False),  # earliest receipt that told it
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
    Column("made_at", _Instant, nullable=False),
    Column("fulfilled_at", _Instant),
    Column("undone_by", Text),
    Column("undone_at", _Instant),
    Column("undone_why", Text),
    Column("unfulfilled_at", _Instant),
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
    Column("received_at", _Instant, nullable=False),
    info=LOCAL,
)

event = Table(
    "event",
    metadata,
    _key("home_key"),
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("raw_key", Text, nullable=False),
    Column("position", Text, nullable=False),
    Column("occurred_at", _Instant, nullable=False),
    Column("recorded_at", _Instant),
    Column("received_at", _Instant, nullable=False),
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
    _key("home_key"),  # the document's home
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    # an id or a shipment brought it here; else the event names the document
    Column("linked", Boolean, primary_key=True, server_default=text("false")),
    Column("event_home", BigInteger, nullable=False),
    Column("via", BigInteger),  # home of the id that tied it here; null = the event names it
    Column("occurred_at", _Instant, nullable=False),
    Column("arrived_at", _Instant, nullable=False),  # when this document could know it
    Column("applied_at", _Instant),  # logical instant at which the document's clocks took it
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
    _key("home_key"),
    *_subject(),
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
    Column("uom", Text),
    Column("currency", Text),
    Column("status", Text, nullable=False),
    Column("answer", Text),
    Column("fa_status", Text),
    Column("asn_status", Text),  # worst of its standing ASNs: invalid, announced, valid
    Column("known", Boolean, nullable=False),  # its creating event was seen; else only referred to
    Column("closed", Boolean, nullable=False),  # closed, cancelled or complete
    # milestones (earliest event of each kind)
    Column("first_seen_at", _Instant, nullable=False),  # earliest occurred_at about it
    Column("released_at", _Instant),
    Column("transmitted_at", _Instant),
    Column("transport_acked_at", _Instant),
    Column("func_acked_at", _Instant),
    Column("acknowledged_at", _Instant),
    Column("applied_at", _Instant),
    Column("shipped_at", _Instant),
    Column("goods_received_at", _Instant),
    Column("invoiced_at", _Instant),
    Column("closed_at", _Instant),
    Column("cancelled_at", _Instant),
    # latest asn.rejected, message.failed or refused functional acknowledgement without a later cure
    Column("failed_at", _Instant),
    Column("last_event_at", _Instant, nullable=False),
    # quantities in the unit ordered; null = nobody said, never zero
    Column("ordered_qty", Numeric),
    Column("confirmed_qty", Numeric),
    Column("shipped_qty", Numeric),
    Column("received_qty", Numeric),
    Column("rejected_qty", Numeric),
    Column("invoiced_qty", Numeric),
    # dates
    Column("acknowledge_by", _Instant),
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
Index("ix_document_partner_id", document.c.partner_id, postgresql_where=text("kind = 'po'"))

peg = Table(
    "peg",
    metadata,
    _key("home_key"),  # home of the PO
    Column("scope", Text, primary_key=True),  # ERP
    Column("po", Text, primary_key=True),
    Column("po_line", Text, primary_key=True),
    Column("order", Text, primary_key=True),
    Column("order_line", Text, primary_key=True),
    Column("qty", Numeric),  # null once removed
    Column("at", _Instant, nullable=False),
    Column("event_id", UUID(as_uuid=True), nullable=False),
    Index("ix_peg_order", "scope", "order", "order_line"),
    info=HOME,
)

# --- clocks -------------------------------------------------------------------------------------

clock = Table(
    "clock",
    metadata,
    _key("home_key"),
    Column("rule", Text, primary_key=True),
    *_subject(),
    Column("cycle", Integer, primary_key=True),
    Column("partner_id", BigInteger),
    Column("verdict", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("started_at", _Instant),
    Column("due_at", _Instant),
    Column("breached_at", _Instant),  # effective instant of the standing breach
    Column("ended_at", _Instant),
    Column("next_at", _Instant),  # next instant at which time alone changes it
    Column("held_by", Text),  # evidence source that is silent
    Column("rule_hash", Text, nullable=False),
    Column("calendar_hash", Text),
    Column("profile_hash", Text),
    Column("state", JSON, nullable=False),  # standing facts and receipt (tower/clocks.py)
    info=HOME,
    postgresql_with={"fillfactor": "75"},
)
Index("ix_clock_rule_due_at", clock.c.rule, clock.c.due_at)
Index("ix_clock_held_by", clock.c.held_by, postgresql_where=text("held_by IS NOT NULL"))

transition = Table(
    "transition",
    metadata,
    _key("home_key"),
    Column("rule", Text, primary_key=True),
    *_subject(),
    Column("n", Integer, primary_key=True),
    Column("cycle", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("effective_at", _Instant, nullable=False),
    Column("detected_at", _Instant, nullable=False),  # logical instant
    Column("handled_at", _Instant, nullable=False),  # the worker's wall clock
    Column("rule_hash", Text, nullable=False),
    Column("why", JSON, nullable=False),
    info=HOME,
)

judged_unit = Table(
    # The last logical instant of a unit: logical time never goes back.
    "judged_unit",
    metadata,
    _key("home_key"),
    Column("instant", _Instant, nullable=False),
    # when the mere passing of days moves what is expected of its lines, or how urgent its cases
    # are; null = never
    Column("impact_at", _Instant),
    Column("failed_at", _Instant),  # the last visit crashed then
    info=HOME,
    postgresql_with={"fillfactor": "75"},
)

measured_unit = Table(
    # Something that rules judge by measuring or counting (a queue, a partner), and where judging
    # goes on from.
    "measured_unit",
    metadata,
    _key("home_key"),
    *_subject(),
    Column("new_from", _Instant),  # earliest reading since the last visit; null = none is new
    # rule -> version and states of its fold, oldest first (tower/overruns.py)
    Column("footings", JSON, nullable=False, server_default="{}"),
    info=HOME,
    postgresql_with={"fillfactor": "75"},
)

partner_count = Table(
    # Events of a partner by type, five minutes in which they occurred, and minute by whose end we
    # knew them: counted once, in the transaction that keeps the event.
    "partner_count",
    metadata,
    _key("home_key"),  # tower.identity.partner_id
    Column("type", Text, primary_key=True),
    Column("at", _Instant, primary_key=True),
    Column("known_at", _Instant, primary_key=True),
    Column("n", Integer, nullable=False),
    info=HOME,
    postgresql_with={"fillfactor": "85"},
)

timer = Table(
    # The only queue: units of clocks, mail groups, snoozes, all that waits.
    "timer",
    metadata,
    Column("kind", Text, primary_key=True),  # unit, queue, source, case, mail_group, digest
    Column("key", Text, primary_key=True),
    Column("due", _Instant, nullable=False),
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Index("ix_timer_due", "due"),
    info=LOCAL,
    postgresql_with={"fillfactor": "70"},
)

source_spell = Table(
    "source_spell",
    metadata,
    Column("source", Text, primary_key=True),
    Column("from_at", _Instant, primary_key=True),  # complete up to here
    Column("known_at", _Instant, nullable=False),
    Column("to_at", _Instant),  # recovered; null = still blind
    Column("cause", Text, nullable=False, server_default=""),
    info=LOCAL,
)

_version_columns = (
    ("rule_version", "rule"),
    ("calendar_version", "calendar"),
    ("profile_version", "partner"),
)
rule_version, calendar_version, profile_version = (
    Table(
        name,
        metadata,
        Column("hash", Text, primary_key=True),
        Column("name", Text, nullable=False),
        Column("body", JSON, nullable=False),
        Column("first_used_at", _Instant, nullable=False),
        info=REFERENCE,
    )
    for name, _ in _version_columns
)

partner = Table(
    "partner",
    metadata,
    _key("partner_id"),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("tier", Text),
    Column("template", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("country", Text),
    Column("zone", Text, nullable=False),
    Column("channel", Text),
    Column("profile", JSON, nullable=False),
    info=REFERENCE,
)

active_config = Table(
    # The bytes in force of network.yaml and sla_rules.yaml; screens read these, never the files.
    "active_config",
    metadata,
    Column("name", Text, primary_key=True),  # network, rules
    Column("hash", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("activated_at", _Instant, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),  # why a newer file was refused
    info=LOCAL,
)

# --- cases and mail -----------------------------------------------------------------------------

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
    Column("opened_at", _Instant, nullable=False),  # effective instant of the fact
    Column("detected_at", _Instant, nullable=False),
    Column("due_at", _Instant),
    Column("first_taken_at", _Instant),
    Column("taken_until", _Instant),
    Column("snoozed_until", _Instant),
    Column("resolved_at", _Instant),
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
    Column("judged_at", _Instant),
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
    Column("at", _Instant, nullable=False),
    Column("author", Text, nullable=False),
    Column("kind", Text, nullable=False),  # note, opened, severity, taken, resolved, reopened, ...
    Column("text", Text, nullable=False),
    Index("ix_case_note_case_id", "case_id"),
    info=LOCAL,
)

rule_trial = Table(
    # Wishes to see what an edited rule book would say, and what came of them.
    "rule_trial",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", _Instant, nullable=False),
    Column("body", Text, nullable=False),  # the rule book as edited
    Column("begin_at", _Instant, nullable=False),
    Column("end_at", _Instant, nullable=False),
    Column("state", Text, nullable=False),  # waiting, running, done, failed, cancelled
    Column("lease_until", _Instant),
    Column("started_at", _Instant),
    Column("finished_at", _Instant),
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

order_impact = Table(
    # Customer order lines that their pegged supply does not cover, and what is to blame.
    "order_impact",
    metadata,
    _key("order_home"),
    Column("scope", Text, primary_key=True),
    Column("order", Text, primary_key=True),
    Column("order_line", Text, primary_key=True),
    Column("po", Text, primary_key=True),
    Column("po_line", Text, primary_key=True),
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
    Column("basis", Text, nullable=False),  # receipt, asn, confirmed, assumed
    Column("days_late", Integer, nullable=False),
    Column("uncovered_qty", Numeric, nullable=False),
    Column("open_value", Numeric),
    Column("currency", Text),
    Column("confidence", Double, nullable=False),
    Column("cause", Text, nullable=False),  # category of the case or of the delay
    Column("case_id", BigInteger),
    Column("since", _Instant, nullable=False),
    Index("ix_order_impact_po_home", "po_home"),
    info=LOCAL,
)

mail_group = Table(
    "mail_group",
    metadata,
    Column("policy", Text, primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("group_key", Text, primary_key=True),
    Column("dirty_since", _Instant),
    Column("last_sent_at", _Instant),
    Column("number", Integer, nullable=False, server_default="0"),
    info=LOCAL,
)

told = Table(
    # What a recipient last heard about a case: told open is told closed.
    "told",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("case_id", BigInteger, primary_key=True),
    Column("policy", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    # why this recipient hears of it: owner, also, step, fallback
    Column("role", Text, nullable=False, server_default="owner"),
    Column("what", Text, nullable=False),  # open, closed
    Column("severity", Text, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("outbox_id", BigInteger),  # the mail that said so
    Index("ix_told_case_id", "case_id"),
    info=LOCAL,
)
Index(
    "ix_told_open",
    told.c.recipient,
    told.c.policy,
    told.c.group_key,
    postgresql_where=text("what = 'open'"),
)

group_member = Table(
    # Cases that wait to be told in a dirty group.
    "group_member",
    metadata,
    Column("policy", Text, primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("group_key", Text, primary_key=True),
    Column("case_id", BigInteger, primary_key=True),
    Column("role", Text, nullable=False, server_default="owner"),
    Column("since", _Instant, nullable=False),
    # told once more although nothing changed
    Column("remind", Boolean, nullable=False, server_default=text("false")),
    info=LOCAL,
)

escalation = Table(
    # The reminders and steps that wait for one open case, as its policy stood when it was told.
    "escalation",
    metadata,
    Column("case_id", BigInteger, primary_key=True, autoincrement=False),
    Column("policy", Text, nullable=False),
    Column("repeat", Text, nullable=False),  # "4h"; "" = no reminders
    Column("steps", JSON, nullable=False),  # [[after, to], ...]
    Column("next_step", Integer, nullable=False),
    # fences timers: one of an older generation does nothing
    Column("generation", BigInteger, nullable=False),
    Column("started_at", _Instant, nullable=False),
    Column("reminded_at", _Instant, nullable=False),
    Column("stopped", Boolean, nullable=False, server_default=text("false")),
    info=LOCAL,
    postgresql_with={"fillfactor": "75"},
)

silence = Table(
    # Mails that people asked not to get, for a time; clocks and cases go on. Never deleted.
    "silence",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("rule", Text),
    Column("category", Text),
    Column("partner", Text),
    Column("source", Text),
    Column("po", Text),
    Column("from_at", _Instant, nullable=False),
    Column("to_at", _Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", _Instant, nullable=False),
    Column("ended_at", _Instant),  # ended by hand before its time
    Column("ended_by", Text),
    CheckConstraint("to_at > from_at", name="bounded"),
    CheckConstraint(
        "coalesce(rule, category, partner, source, po) IS NOT NULL", name="matches_something"
    ),
    Index("ix_silence_to_at", "to_at"),
    info=LOCAL,
)

undeliverable = Table(
    # Addresses that a mail came back from for good; who is meant hears through the fallback.
    "undeliverable",
    metadata,
    Column("address", Text, primary_key=True),
    Column("recipient", Text, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("status", Text, nullable=False),  # RFC 3463: "5.1.1"
    Column("words", Text, nullable=False, server_default=""),
    Column("outbox_id", BigInteger),
    info=LOCAL,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("dedup_key", Text, nullable=False, unique=True),
    Column("policy", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    # mail, or a channel of network.yaml that takes messages by webhook
    Column("channel", Text, nullable=False, server_default="mail"),
    Column("address", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("reason", Text, nullable=False),  # new, worse, closed, digest, ...
    Column("subject", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),  # the mail as it goes out, frozen
    Column("cases", ARRAY(BigInteger), nullable=False, server_default="{}"),
    # case id -> what was told of it before this mail; restored when the mail is superseded
    Column("told_before", JSON, nullable=False, server_default="{}"),
    Column("created_at", _Instant, nullable=False),
    Column("state", Text, nullable=False),  # waiting, sent, failed, superseded
    Column("next_at", _Instant, nullable=False),
    Column("lease_until", _Instant),
    Column("token", UUID(as_uuid=True)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("sent_at", _Instant),
    Column("error", Text, nullable=False, server_default=""),
    info=LOCAL,
)
Index("ix_outbox_waiting", outbox.c.next_at, postgresql_where=text("state = 'waiting'"))
Index("ix_outbox_message_id", outbox.c.message_id)
Index("ix_outbox_recipient_created_at", outbox.c.recipient, outbox.c.created_at)

delivery = Table(
    "delivery",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("outbox_id", BigInteger, nullable=False),
    Column("at", _Instant, nullable=False),
    # accepted, retry, refused, unreachable; later bounced, delayed
    Column("outcome", Text, nullable=False),
    Column("code", Integer),
    Column("text", Text, nullable=False, server_default=""),
    ForeignKeyConstraint(
        ["outbox_id"], ["outbox.id"], name="fk_delivery_outbox_id", use_alter=True
    ),
    Index("ix_delivery_outbox_id", "outbox_id"),
    info=LOCAL,
)

suppression = Table(
    # Why nobody was mailed: inhibition, silence, a closed case before its flush, not measured.
    "suppression",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("case_id", BigInteger, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_suppression_case_id", "case_id"),
    Index("ix_suppression_recipient_at", "recipient", "at"),
    info=LOCAL,
)

throttle = Table(
    # Tokens that one sender has left at the machine door; all its processes take from one row.
    "throttle",
    metadata,
    Column("key", Text, primary_key=True),  # "partner/ACME"
    Column("tokens", Double, nullable=False),
    Column("at", _Instant, nullable=False),
    info=LOCAL,
    postgresql_with={"fillfactor": "50"},
)

# --- repairs ------------------------------------------------------------------------------------

replay = Table(
    # A frozen selection of dead letters that is sent, or interpreted, once more.
    "replay",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("action", Text, nullable=False),  # reinterpret, reprocess, retransmit, force
    # drafted, awaiting_approval, refused, running, paused, done, cancelled
    Column("state", Text, nullable=False),
    Column("target", Text, nullable=False),  # "tower", or source/queue of a broker
    Column("remark", Text, nullable=False, server_default=""),  # the filter it was chosen by
    Column("reason", Text, nullable=False, server_default=""),
    Column("n_items", Integer, nullable=False),
    Column("sha256", LargeBinary, nullable=False),  # of the sorted ids
    Column("form_token", UUID(as_uuid=True), unique=True),  # one request, however often clicked
    Column("requested_by", Text, nullable=False),
    Column("drafted_at", _Instant, nullable=False),
    Column("checked_at", _Instant),  # when the verdicts were given
    Column("confirmed_at", _Instant),
    Column("approved_by", Text),
    Column("approved_at", _Instant),
    Column("needs_approval", Text, nullable=False, server_default=""),  # why; "" = not
    Column("canary", Integer, nullable=False, server_default="1"),
    Column("per_second", Double, nullable=False),
    Column("stop_above", Double, nullable=False),  # share of failures that ends it
    Column("effect_within_s", Integer, nullable=False),
    Column("next_at", _Instant),  # pace: nothing is claimed before
    Column("ended_at", _Instant),
    Column("end_reason", Text, nullable=False, server_default=""),
    Column("signed_by", Text),
    Column("signed_at", _Instant),
    CheckConstraint("approved_by <> requested_by", name="second_person"),
    CheckConstraint(
        "state NOT IN ('running', 'paused', 'done') OR needs_approval = '' "
        "OR approved_by IS NOT NULL",
        name="approved",
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
    # the dead letter
    Column("source", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
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
    Column("lease_until", _Instant),
    Column("sent_at", _Instant),
    Column("published_at", _Instant),
    Column("effect_event", UUID(as_uuid=True)),
    Column("effect_at", _Instant),
    Column("state_at", _Instant, nullable=False),
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

failure_note = Table(
    # What people know of a kind of failure; it survives retry and resolution.
    "failure_note",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("at", _Instant, nullable=False),
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
    Column("at", _Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON, as it was hashed
    Column("hash", LargeBinary, nullable=False),
    Index("ix_audit_entry_subject", "subject"),
    Index("ix_audit_entry_at", "at"),
    info=LOCAL,
)

# --- the tower about itself ---------------------------------------------------------------------

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("process", Text, primary_key=True),
    Column("node", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", _Instant, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("detail", JSONB, nullable=False, server_default="{}"),
    info=LOCAL,
)

job_run = Table(
    "job_run",
    metadata,
    Column("job", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("lease_until", _Instant, nullable=False),
    Column("state", Text, nullable=False),  # running, done
    info=LOCAL,
)

__all__ = ["metadata"]
