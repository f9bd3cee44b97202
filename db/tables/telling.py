"""What people and programs are told: mails, silences, subscriptions."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, UUID

from db.tables.ground import INSTANT, LOCAL, metadata

mail_group = Table(
    "mail_group",
    metadata,
    Column("policy", Text, primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("group_key", Text, primary_key=True),
    Column("dirty_since", INSTANT),
    Column("last_sent_at", INSTANT),
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
    Column("at", INSTANT, nullable=False),
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
    Column("since", INSTANT, nullable=False),
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
    Column("started_at", INSTANT, nullable=False),
    Column("reminded_at", INSTANT, nullable=False),
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
    Column("from_at", INSTANT, nullable=False),
    Column("to_at", INSTANT, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False),
    Column("ended_at", INSTANT),  # ended by hand before its time
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
    Column("at", INSTANT, nullable=False),
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
    Column("created_at", INSTANT, nullable=False),
    Column("state", Text, nullable=False),  # waiting, sent, failed, superseded
    Column("next_at", INSTANT, nullable=False),
    Column("lease_until", INSTANT),
    Column("token", UUID(as_uuid=True)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("sent_at", INSTANT),
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
    Column("at", INSTANT, nullable=False),
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
    Column("at", INSTANT, nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_suppression_case_id", "case_id"),
    Index("ix_suppression_recipient_at", "recipient", "at"),
    info=LOCAL,
)

subscription = Table(
    # Who is told of events and cases by signed webhook. Never deleted: deliveries name it.
    "subscription",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("types", ARRAY(Text), nullable=False),  # "po.released", "po.*", "*"
    Column("partner_id", BigInteger),  # only what belongs to this partner; null = all
    Column("partner", Text),
    Column("secret_variable", Text, nullable=False),  # of the worker's environment
    Column("networks", ARRAY(Text), nullable=False, server_default="{}"),  # inner ones it may reach
    Column("made_by", Text, nullable=False),
    Column("made_at", INSTANT, nullable=False),
    Column("ended_at", INSTANT),  # removed by hand, or its receiver said 410 Gone
    Column("ended_why", Text, nullable=False, server_default=""),
    # its receiver cannot be reached: nothing is tried before this instant
    Column("not_before", INSTANT),
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("problem", Text, nullable=False, server_default=""),
    info=LOCAL,
)
Index(
    "uq_subscription_name",
    subscription.c.name,
    unique=True,
    postgresql_where=text("ended_at IS NULL"),
)

subscription_delivery = Table(
    # One thing for one subscription: written in the transaction that keeps the thing.
    "subscription_delivery",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("subscription_id", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),  # the same however often it is sent
    Column("type", Text, nullable=False),
    Column("home_key", BigInteger),  # of an event
    Column("event_id", UUID(as_uuid=True)),
    Column("case_id", BigInteger),
    Column("told", JSON, nullable=False, server_default="{}"),  # what happened to the case
    Column("created_at", INSTANT, nullable=False),
    Column("body", LargeBinary),  # frozen at the first try
    Column("state", Text, nullable=False),  # waiting, delivered, dead, withdrawn
    Column("next_at", INSTANT, nullable=False),
    Column("lease_until", INSTANT),
    Column("token", UUID(as_uuid=True)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("status", Integer),  # HTTP status of the last answer
    Column("error", Text, nullable=False, server_default=""),
    Column("done_at", INSTANT),
    UniqueConstraint("subscription_id", "message_id"),
    ForeignKeyConstraint(
        ["subscription_id"],
        ["subscription.id"],
        name="fk_subscription_delivery_subscription_id",
        use_alter=True,
    ),
    info=LOCAL,
)
Index(
    "ix_subscription_delivery_waiting",
    subscription_delivery.c.subscription_id,
    subscription_delivery.c.next_at,
    postgresql_where=text("state = 'waiting'"),
)
Index("ix_subscription_delivery_done_at", subscription_delivery.c.done_at)
