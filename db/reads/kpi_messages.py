"""Subjects of the figures about messages, queues and feeds."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, case, exists, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on

from db.reads.counting import Counted, Question, Reference, subject, within
from db.reads.filters import of_supplier, within_scope
from db.tables import checkpoint, dead_letter, event, queue_sample, raw_message
from tower.kpis import HIT, MISS

INEXACT, NO_DEPTH, NEVER_READ = "inexact", "no_depth", "never_read"
STEPS = ("message.received", "message.transformed", "message.sent", "message.delivered")
RETRY = "message.retried"
LONGEST_HOP = timedelta(days=1)  # how long before its arrival a message may have left
OURS = ("crash", "no_mapping", "unknown_source", "unsupported_type", "no_receipt")
"""Codes of dead letters that tell of a failure of our own."""


def _messages(question: Question, *types: str) -> list[ColumnElement[bool]]:
    e = event.c
    return [
        e.type.in_(types),
        e.received_at >= question.span.start - LONGEST_HOP,
        e.received_at < question.span.end,
        *within_scope(e, question.scope),
        *of_supplier(e, question.narrowed.supplier),
    ]


def _document_kind() -> ColumnElement[str]:
    """What a message carries, as its events tell."""
    data = event.c.data
    return case(
        (data["asn"].as_string().is_not(None), "asn"),
        (data["order"].as_string().is_not(None), "order"),
        (data["po"].as_string().is_not(None), "po"),
        else_="other",
    )


def hop_latency(question: Question) -> Counted:
    """Hops of messages: from one told step of a message to its next."""
    e = event.c
    message = func.coalesce(e.data["message"].as_string(), e.correlation_id)
    in_order = (e.occurred_at, e.received_at, e.event_id)
    step = func.replace(e.type, "message.", "")
    one = (
        select(
            message.label("message"),
            e.partner_id,
            func.lag(e.occurred_at).over(partition_by=message, order_by=in_order).label("departed"),
            e.occurred_at.label("arrived"),
            func.concat(
                _document_kind(),
                ": ",
                func.lag(step).over(partition_by=message, order_by=in_order),
                " > ",
                step,
            ).label("hop"),
            e.time_quality,
        )
        .where(*_messages(question, *STEPS), message.is_not(None))
        .subquery()
        .c
    )
    columns = subject(
        question,
        Reference(literal("message"), literal(""), one.message, one.hop),
        one.arrived,
        case((one.time_quality != "exact", INEXACT), else_=HIT),
        amount=func.extract("epoch", one.arrived - one.departed),
        dimensions={"supplier": one.partner_id, "topic": one.hop},
        facts={"departed": one.departed, "arrived": one.arrived},
    )
    found = select(*columns).where(one.departed.is_not(None), *within(one.arrived, question.span))
    if question.narrowed.topic is not None:
        found = found.where(one.hop == question.narrowed.topic)
    return Counted(found, (INEXACT,))


def retry_count(question: Question) -> Counted:
    """Messages that were tried again, with how often."""
    e = event.c
    message = func.coalesce(e.data["message"].as_string(), e.correlation_id)
    columns = subject(
        question,
        Reference(literal("message"), literal(""), message),
        func.max(e.occurred_at),
        literal(HIT),
        amount=func.count(),
        unit=literal("attempts"),
        dimensions={"supplier": func.min(e.partner_id)},
        facts={"first": func.min(e.occurred_at), "last": func.max(e.occurred_at)},
    )
    return Counted(
        select(*columns)
        .where(*_messages(question, RETRY), *within(e.occurred_at, question.span))
        .group_by(message, e.occurred_at >= question.period.start)
    )


def partner_error_rate(question: Question) -> Counted:
    """Messages that partners sent; a hit is one that failed."""
    r, d = raw_message.c, dead_letter.c
    broken = exists().where(
        d.item_key == r.item_key,
        d.source == r.source,
        d.key == r.key,
        d.kind == "interpret",
        d.code.not_in(OURS),
    )
    again = exists().where(
        d.item_key == r.item_key, d.source == r.source, d.key == r.key, d.message.is_not(None)
    )
    columns = subject(
        question,
        Reference(literal("raw"), r.source, r.key),
        r.received_at,
        case((broken, HIT), else_=MISS),
        dimensions={"supplier": r.partner_id},
        facts={"received": r.received_at, "name": r.name},
    )
    return Counted(
        select(*columns).where(
            r.partner_id.is_not(None),
            *within(r.received_at, question.span),
            ~again,
            *within_scope(r, question.scope),
            *of_supplier(r, question.narrowed.supplier),
        )
    )


# --- our own systems: only viewers of all partners see them ---------------------------------------


def _ours(question: Question) -> list[ColumnElement[bool]]:
    return [] if question.scope.sees_all else [literal(False)]


def queue_depth(question: Question) -> Counted:
    """Queues with the depth of their newest sample of the last day."""
    q = queue_sample.c
    newest = (
        select(q.broker, q.queue, q.at, q.total, q.oldest_age_s)
        .where(q.at > question.now - timedelta(days=1), q.at <= question.now, *_ours(question))
        .ext(distinct_on(q.broker, q.queue))
        .order_by(q.broker, q.queue, q.at.desc())
        .subquery()
        .c
    )
    columns = subject(
        question,
        Reference(literal("queue"), newest.broker, newest.queue),
        newest.at,
        case((newest.total.is_(None), NO_DEPTH), else_=HIT),
        amount=newest.total,
        facts={"depth": newest.total, "oldest_age_s": newest.oldest_age_s},
        extras={"oldest_age_s": newest.oldest_age_s},
    )
    return Counted(select(*columns), (NO_DEPTH,))


def feed_freshness(question: Question) -> Counted:
    """Feeds with the minutes since their last good read."""
    c = checkpoint.c
    age = func.extract("epoch", literal(question.now) - c.last_good_at) / 60
    columns = subject(
        question,
        Reference(literal("source"), literal(""), c.source),
        func.coalesce(c.last_good_at, literal(question.now)),
        case((c.last_good_at.is_(None), NEVER_READ), else_=HIT),
        amount=func.greatest(age, 0),
        facts={"read": c.last_good_at, "newest_event": c.newest_at, "state": c.state},
    )
    return Counted(select(*columns).where(*_ours(question)), (NEVER_READ,))
