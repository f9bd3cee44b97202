"""What came in: messages, how they were read, what could not be, and how far sources are read."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB, TSVECTOR, UUID

from db.tables.ground import INSTANT, ITEM, LOCAL, key, metadata

ingest_ledger = Table(
    "ingest_ledger",
    metadata,
    key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("sha256", LargeBinary, nullable=False),
    Column("received_at", INSTANT, nullable=False),
    Column("outcome", Text, nullable=False),  # pending, interpreted, quarantined
    Column("n_events", Integer, nullable=False, server_default="0"),
    Column("n_known", Integer, nullable=False, server_default="0"),
    Column("homes", ARRAY(BigInteger), nullable=False, server_default="{}"),
    # the reading in force
    Column("interpreter", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("read_at", INSTANT, nullable=False),
    # Element below which all fields of its events stand under their own names ("$.data.*"); null =
    # `origin` tells where each stands.
    Column("fields_at", Text),
    info=ITEM,
)

raw_message = Table(
    "raw_message",
    metadata,
    key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("received_at", INSTANT, primary_key=True),
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
    key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("seen_at", INSTANT, primary_key=True),
    Column("name", Text, primary_key=True, server_default=""),
    Column("same_bytes", Boolean, nullable=False, server_default=text("true")),
    info=ITEM,
)

interpretation = Table(
    # Readings that left findings, and all readings of a message that was read again. A first one
    # without findings stands in the ledger alone.
    "interpretation",
    metadata,
    key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("interpreter", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    # 1 for the first reading by this version; another network or mapping makes the next
    Column("revision", Integer, primary_key=True, server_default="1"),
    Column("mapping", Text, nullable=False, server_default=""),
    Column("at", INSTANT, nullable=False),
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
    key("item_key"),
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
    key("item_key"),
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
    Column("received_at", INSTANT, nullable=False),
    Column("state_at", INSTANT, nullable=False),
    Index("ix_dead_letter_state_received_at", "state", "received_at"),
    Index("ix_dead_letter_fingerprint", "fingerprint"),
    Index("ix_dead_letter_message", "message", postgresql_where=text("message IS NOT NULL")),
    Index("ix_dead_letter_open", "state_at", postgresql_where=text("state = 'open'")),
    info=ITEM,
)

payload_text = Table(
    # The words of a raw message (its name, headers and bytes), written by the worker after ingest.
    # A hit is only a candidate: search looks at the bytes themselves.
    "payload_text",
    metadata,
    key("item_key"),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("received_at", INSTANT, nullable=False),
    Column("partner_id", BigInteger),
    Column("words", TSVECTOR, nullable=False),
    Column("cut", Boolean, nullable=False, server_default=text("false")),  # has more words
    Index("ix_payload_text_words", "words", postgresql_using="gin"),
    Index("ix_payload_text_received_at", "received_at"),  # the newest are walked for common words
    info=ITEM,
)

text_mark = Table(
    # How far what comes in was followed: by the words of payloads, by what heals dead letters.
    "text_mark",
    metadata,
    Column("name", Text, primary_key=True),
    Column("upto", INSTANT, nullable=False),  # receipt of the newest message looked at
    Column("swept_at", INSTANT, nullable=False),  # when latecomers were last looked for
    info=LOCAL,
)

checkpoint = Table(
    "checkpoint",
    metadata,
    key("source_key"),
    Column("source", Text, primary_key=True),
    Column("mark", JSONB),
    Column("holder", Text),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("lease_until", INSTANT),
    Column("complete_to", INSTANT),  # start of the last good read, or time of the last beat
    Column("last_good_at", INSTANT),
    Column("last_tried_at", INSTANT),
    Column("newest_at", INSTANT),  # newest occurred_at it brought
    Column("next_at", INSTANT),  # not before this instant (rhythm, back-off, Retry-After)
    Column("failures", Integer, nullable=False, server_default="0"),
    # new, up, down, stopped, throttled
    Column("state", Text, nullable=False, server_default="new"),
    Column("message", Text, nullable=False, server_default=""),
    info={"place": "source_key"},
)

queue_sample = Table(
    "queue_sample",
    metadata,
    key("queue_key"),
    Column("broker", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("at", INSTANT, primary_key=True),
    Column("ready", BigInteger),
    Column("in_flight", BigInteger),
    Column("total", BigInteger),
    Column("consumers", Integer),
    Column("in_rate", Double),
    Column("out_rate", Double),
    Column("oldest_age_s", Double),
    Column("dlq_of", Text),
    Column("approximate", Boolean, nullable=False, server_default=text("false")),
    Column("arrived_at", INSTANT),  # when it reached us; null = before that was kept
    Index("ix_queue_sample_at", "at", postgresql_using="brin"),
    info={"place": "queue_key"},
    postgresql_partition_by="RANGE (at)",
)

gateway_minute = Table(
    # Calls of one route and partner in one minute, as one part of an access log tells them.
    "gateway_minute",
    metadata,
    key("source_key"),
    Column("source", Text, primary_key=True),
    Column("part", Text, primary_key=True),
    Column("minute", INSTANT, primary_key=True),
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
