"""Subscriptions and their deliveries: rows written with the facts, leased, sent at least once.

What somebody subscribed to gets its row in the transaction that keeps it, so nothing that was kept
goes untold, and nothing that was rolled back is told. The bytes are made at the first try and then
frozen. A delivery that fails for good is dead, seen, and can be sent again.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection, and_, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from db import audit, leases, staging, switches, trips
from db.tables import exception_case, subscription, subscription_delivery
from db.trips import Statement
from tower.event import Event
from tower.identity import partner_id
from tower.subscriptions import CASE_TYPES, NotASubscription, Subscription

_s, _d = subscription.c, subscription_delivery.c
_COLUMNS = (
    _s.id, _s.name, _s.url, _s.types, _s.partner, _s.secret_variable, _s.networks, _s.made_by,
    _s.made_at, _s.failures, _s.not_before, _s.problem,
)  # fmt: skip
MOST_PROBLEM = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """A subscription and how its deliveries stand; instants None = there is none.

    delivered  of the last 24 hours
    """

    subscription: Subscription
    waiting: int
    oldest_waiting: datetime | None
    dead: int
    delivered: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery that is ours to send until the lease ends; ``body`` None = not made yet."""

    id: int
    message_id: str
    type: str
    home_key: int | None
    event_id: uuid.UUID | None
    case_id: int | None
    told: Mapping[str, Any]
    body: bytes | None
    attempts: int
    token: uuid.UUID
    created_at: datetime


# --- who is told ----------------------------------------------------------------------------------


def add(
    conn: Connection,
    *,
    name: str,
    url: str,
    types: Sequence[str],
    partner: str | None,
    secret_variable: str,
    networks: Sequence[str],
    by: str,
    now: datetime,
) -> Subscription:
    """A new subscription, told of everything that is kept from now on."""
    switches.check_writable(conn)
    made = conn.execute(
        insert(subscription)
        .values(
            name=name, url=url, types=list(types), partner=partner,
            partner_id=None if partner is None else partner_id(partner),
            secret_variable=secret_variable, networks=list(networks), made_by=by, made_at=now,
        )
        .on_conflict_do_nothing()
        .returning(*_COLUMNS)
    ).one_or_none()  # fmt: skip
    if made is None:
        raise NotASubscription(f'There is a subscription "{name}" already; remove it first.')
    detail = {"types": list(types), "partner": partner, "networks": list(networks)}
    audit.record(conn, by, "subscription.added", f"subscription:{name}", detail, now)
    return _subscription(made)


def remove(conn: Connection, name: str, *, by: str, now: datetime) -> Subscription:
    """End a subscription; what still waits is withdrawn."""
    switches.check_writable(conn)
    found = named(conn, name)
    end(conn, found.id, f"removed by {by}", now)
    audit.record(conn, by, "subscription.removed", f"subscription:{name}", {}, now)
    return found


def end(conn: Connection, number: int, why: str, now: datetime) -> None:
    """Tell it nothing any more."""
    conn.execute(
        update(subscription)
        .where(_s.id == number, _s.ended_at.is_(None))
        .values(ended_at=now, ended_why=why)
    )
    conn.execute(
        update(subscription_delivery)
        .where(_d.subscription_id == number, _d.state == "waiting")
        .values(state="withdrawn", done_at=now, token=None, lease_until=None)
    )


def named(conn: Connection, name: str) -> Subscription:
    """The one of this name that is in force. Raises NotASubscription."""
    row = conn.execute(
        select(*_COLUMNS).where(_s.name == name, _s.ended_at.is_(None))
    ).one_or_none()
    if row is None:
        known = [one.name for one in in_force(conn)]
        raise NotASubscription(
            f'There is no subscription "{name[:60]}". Known: {", ".join(known) or "none"}.'
        )
    return _subscription(row)


def in_force(conn: Connection) -> list[Subscription]:
    """All that are in force, by name."""
    return [_subscription(row) for row in trips.ask_one(conn, *IN_FORCE)]


_in_force = Statement(select(*_COLUMNS).where(_s.ended_at.is_(None)).order_by(_s.name), named=True)
IN_FORCE: trips.Asked = (_in_force, {})
"""The question for all that are in force; ``case_listeners`` reads the answer."""


def standings(conn: Connection, now: datetime) -> list[Standing]:
    """All in force with their deliveries, by name."""
    recent = and_(_d.done_at > now - timedelta(days=1), _d.state == "delivered")
    counts = {
        row.subscription_id: row
        for row in conn.execute(
            select(
                _d.subscription_id,
                func.count(case((_d.state == "waiting", 1))).label("waiting"),
                func.min(case((_d.state == "waiting", _d.created_at))).label("oldest"),
                func.count(case((_d.state == "dead", 1))).label("dead"),
                func.count(case((recent, 1))).label("delivered"),
                func.max(case((_d.state.in_(("waiting", "dead")), _d.error))).label("error"),
            )
            .where(or_(_d.done_at.is_(None), recent))
            .group_by(_d.subscription_id)
        )
    }
    found = []
    for one in in_force(conn):
        row = counts.get(one.id)
        found.append(
            Standing(one, 0, None, 0, 0, "")
            if row is None
            else Standing(one, row.waiting, row.oldest, row.dead, row.delivered, row.error or "")
        )
    return found


def _subscription(row: Any) -> Subscription:
    told = row._asdict()
    return Subscription(**told | {"types": tuple(row.types), "networks": tuple(row.networks)})


# --- what they are told of ------------------------------------------------------------------------

_IN_FORCE = (
    "SELECT id, name, url, types, partner, secret_variable, networks, made_by, made_at "
    "FROM subscription WHERE ended_at IS NULL"
)
_TELL = (
    "INSERT INTO subscription_delivery (subscription_id, message_id, type, home_key, event_id,"
    " created_at, state, next_at) SELECT s, e::text, t, h, e, %s, 'waiting', %s"
    " FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::uuid[]) AS n(s, t, h, e)"
    " ORDER BY n.s, n.e ON CONFLICT DO NOTHING"
)


def tell_events(cursor: Cursor[Any], events: Iterable[tuple[int, Event]], now: datetime) -> None:
    """Note for every subscription the new events it wants, each with its home. In ingest."""
    cursor.execute(_IN_FORCE)
    wanting = [
        Subscription(
            id=row[0], name=row[1], url=row[2], types=tuple(row[3]), partner=row[4],
            secret_variable=row[5], networks=tuple(row[6]), made_by=row[7], made_at=row[8],
        )
        for row in cursor.fetchall()
    ]  # fmt: skip
    if not wanting:
        return
    rows = [
        (one.id, event.type, home, event.id)
        for home, event in events
        for one in wanting
        if one.wants(event.type, event.partner)
    ]
    if rows:
        whose, types, homes, ids = zip(*rows, strict=True)
        cursor.execute(
            _TELL,
            (now, now, staging.numbers(whose), staging.literal(types), staging.numbers(homes),
             "{" + ",".join(map(str, ids)) + "}"),
        )  # fmt: skip


def case_listeners(rows: Sequence[Any]) -> list[Subscription]:
    """Those among the answers to ``IN_FORCE`` that hear of cases at all."""
    return [one for row in rows if (one := _subscription(row)).hears_of_cases]


def tell_notes(conn: Connection, wanting: Sequence[Subscription], notes: Sequence[Any]) -> None:
    """Note what happened to cases, for those that want it. ``notes``: rows of ``case_note``."""
    kinds = {kind: type_ for type_, kind in CASE_TYPES.items()}
    told = [note for note in notes if note.kind in kinds]
    if not told:
        return
    c = exception_case.c
    partners = dict(
        conn.execute(
            select(c.id, c.partner_id).where(c.id.in_(sorted({n.case_id for n in told})))
        ).all()
    )
    rows = []
    for note in told:
        type_ = kinds[note.kind]
        for one in wanting:
            ours = None if one.partner is None else partner_id(one.partner)
            whose = one.partner if ours is not None and partners.get(note.case_id) == ours else None
            if one.wants(type_, whose):
                said = {"at": note.at.isoformat()}
                if one.partner is None:
                    said |= {"by": note.author, "words": note.text}
                rows.append(
                    {
                        "subscription_id": one.id,
                        "message_id": f"case-{note.case_id}-{note.id}",
                        "type": type_,
                        "case_id": note.case_id,
                        "told": said,
                        "created_at": note.at,
                        "state": "waiting",
                        "next_at": note.at,
                    }
                )
    if rows:
        conn.execute(insert(subscription_delivery).on_conflict_do_nothing(), rows)


# --- sending --------------------------------------------------------------------------------------


def due(conn: Connection, now: datetime) -> list[Subscription]:
    """Subscriptions in force for which something is due."""
    waits = (
        select(1)
        .where(_d.subscription_id == _s.id, _d.state == "waiting", _d.next_at <= now)
        .exists()
    )
    rows = conn.execute(
        select(*_COLUMNS).where(
            _s.ended_at.is_(None), or_(_s.not_before.is_(None), _s.not_before <= now), waits
        )
    )
    return [_subscription(row) for row in rows]


def lease(
    conn: Connection, number: int, now: datetime, length: timedelta, limit: int
) -> list[Leased]:
    """Make up to ``limit`` due deliveries ours; commit before sending any of them."""
    rows = leases.take(
        conn, subscription_delivery, _d.subscription_id == number, now, length, limit,
        (
            _d.id, _d.message_id, _d.type, _d.home_key, _d.event_id, _d.case_id, _d.told, _d.body,
            _d.attempts, _d.token, _d.created_at,
        ),
    )  # fmt: skip
    return [Leased(*row) for row in rows]


def freeze(conn: Connection, one: Leased, body: bytes) -> None:
    """Keep the bytes as they go out, now and at each repeat."""
    conn.execute(update(subscription_delivery).where(_d.id == one.id).values(body=body))


def finish(
    conn: Connection,
    one: Leased,
    now: datetime,
    *,
    state: str,
    status: int | None = None,
    words: str = "",
    next_at: datetime | None = None,
) -> bool:
    """Write down what became of a try; False if the lease is no longer ours."""
    values: dict[str, Any] = {
        "state": state,
        "attempts": one.attempts + 1,
        "status": status,
        "error": words[:MOST_PROBLEM],
    }
    if next_at is not None:
        values["next_at"] = next_at
    if state == "dead":
        values["next_at"] = now
    elif state != "waiting":
        # Of what waits or is dead it stays empty: by its index those few are found among many.
        values["done_at"] = now
    return leases.settle(conn, subscription_delivery, one.id, one.token, values)


def release(conn: Connection, left: Collection[Leased]) -> None:
    """Give back leases of deliveries that were not tried."""
    if left:
        token = next(iter(left)).token
        leases.release(conn, subscription_delivery, token, [one.id for one in left])


def note_trouble(
    conn: Connection, number: int, problem: str, failures: int, not_before: datetime | None
) -> None:
    """What stands between us and a receiver; "" with no failures: nothing any more."""
    conn.execute(
        update(subscription)
        .where(_s.id == number)
        .values(problem=problem[:MOST_PROBLEM], failures=failures, not_before=not_before)
    )


def retry_dead(conn: Connection, name: str, *, by: str, now: datetime) -> int:
    """Have the dead deliveries of a subscription tried anew; how many."""
    switches.check_writable(conn)
    found = named(conn, name)
    count = conn.execute(
        update(subscription_delivery)
        .where(_d.done_at.is_(None), _d.subscription_id == found.id, _d.state == "dead")
        .values(state="waiting", attempts=0, next_at=now)
    ).rowcount
    note_trouble(conn, found.id, "", 0, None)
    audit.record(
        conn, by, "subscription.retried", f"subscription:{name}", {"deliveries": count}, now
    )
    return count


def forget(conn: Connection, now: datetime) -> int:
    """Drop what was delivered a month ago, and what died three months ago; how many rows."""
    return conn.execute(
        delete(subscription_delivery).where(
            or_(
                _d.done_at < now - timedelta(days=30),
                and_(
                    _d.done_at.is_(None), _d.state == "dead", _d.next_at < now - timedelta(days=90)
                ),
            )
        )
    ).rowcount
