"""What is known of the partners: their state, and the evidence that one of them is connected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Text, cast, func, or_, select

from db.reads.filters import within_scope
from db.tables import (
    checkpoint,
    dead_letter,
    document,
    event,
    exception_case,
    interpretation,
    partner,
    raw_message,
)
from tower.access import Scope
from tower.identity import partner_id
from tower.network import Partner
from tower.onboarding import Evidence, Seen
from tower.root_causes import KIND

MOST_READINGS = 2000  # looked through for codes that nobody understood


@dataclass(frozen=True, slots=True)
class PartnerRow:
    """One partner in a list. ``last_at`` is the newest word about any document of theirs."""

    key: str
    name: str
    template: str
    stage: str
    tier: str | None
    country: str | None
    channel: str | None
    feeds: tuple[str, ...]
    ids: Mapping[str, Any]
    open_documents: int
    last_at: datetime | None
    open_cases: int
    dead_letters: int


def partners(conn: Connection, scope: Scope) -> list[PartnerRow]:
    """All partners that were ever in the network, by stage and key."""
    documents = {
        row.partner_id: row
        for row in conn.execute(
            select(
                document.c.partner_id,
                func.count().filter(~document.c.closed).label("open"),
                func.max(document.c.last_event_at).label("last_at"),
            )
            .where(
                document.c.line == "",
                document.c.kind == "po",
                document.c.partner_id.is_not(None),
                *within_scope(document.c, scope),
            )
            .group_by(document.c.partner_id)
        )
    }
    c = exception_case.c
    cases = _count(conn, exception_case, (c.state != "resolved") & (c.kind != KIND), scope)
    letters = _count(conn, dead_letter, dead_letter.c.state == "open", scope)
    order = {"onboarding": 0, "live": 1, "paused": 2, "ended": 3}
    rows = conn.execute(select(partner).where(*within_scope(partner.c, scope)))
    found = [
        PartnerRow(
            key=row.key,
            name=row.name,
            template=row.template,
            stage=row.stage,
            tier=row.tier,
            country=row.country,
            channel=row.channel,
            feeds=tuple(row.profile.get("feeds") or ()),
            ids=row.profile.get("ids") or {},
            open_documents=documents[number].open if number in documents else 0,
            last_at=documents[number].last_at if number in documents else None,
            open_cases=cases.get(number, 0),
            dead_letters=letters.get(number, 0),
        )
        for row in rows
        for number in [row.partner_id]
    ]
    return sorted(found, key=lambda p: (order.get(p.stage, 9), p.key))


def _count(conn: Connection, table: Any, condition: Any, scope: Scope) -> dict[int, int]:
    rows = conn.execute(
        select(table.c.partner_id, func.count())
        .where(condition, table.c.partner_id.is_not(None), *within_scope(table.c, scope))
        .group_by(table.c.partner_id)
    )
    return {row[0]: row[1] for row in rows}


def evidence(
    conn: Connection, scope: Scope, key: str, profile: Partner, now: datetime, *, days: int = 90
) -> Evidence:
    """What was seen of a partner in the last ``days``."""
    number = partner_id(key)
    since = now - timedelta(days=days)
    return Evidence(
        feeds=_feeds(conn, profile.feeds),
        events=_events(conn, scope, number, since),
        unknown_codes=_unknown_codes(conn, scope, number, since),
        **_letters(conn, scope, number, profile),
    )


def _feeds(conn: Connection, names: Iterable[str]) -> dict[str, tuple[str, datetime | None]]:
    rows = conn.execute(
        select(checkpoint.c.source, checkpoint.c.state, checkpoint.c.complete_to).where(
            checkpoint.c.source.in_(list(names))
        )
    )
    return {row.source: (row.state, row.complete_to) for row in rows}


def _events(
    conn: Connection, scope: Scope, number: int, since: datetime
) -> dict[tuple[str, str], Seen]:
    e = event.c
    rows = conn.execute(
        select(e.type, e.source, func.count(), func.min(e.occurred_at), func.max(e.occurred_at))
        .where(e.partner_id == number, e.received_at >= since, *within_scope(e, scope))
        .group_by(e.type, e.source)
    )
    return {(row[0], row[1]): Seen(*row[2:]) for row in rows}


def _unknown_codes(conn: Connection, scope: Scope, number: int, since: datetime) -> dict[str, int]:
    """Codes told as findings, and answers that no code table knows."""
    r, i = raw_message.c, interpretation.c
    rows = conn.execute(
        select(i.findings)
        .join_from(
            raw_message,
            interpretation,
            (i.item_key == r.item_key) & (i.source == r.source) & (i.key == r.key),
        )
        .where(
            r.partner_id == number,
            r.received_at >= since,
            cast(i.findings, Text).contains("unknown_code"),
            *within_scope(r, scope),
        )
        .limit(MOST_READINGS)
    )
    found: dict[str, int] = {}
    for (findings,) in rows:
        for one in findings:
            if one.get("code") == "unknown_code":
                word = str(one.get("got") or one.get("message") or "?")[:60]
                found[word] = found.get(word, 0) + 1
    d = document.c
    unknown = conn.execute(
        select(func.count()).where(
            d.partner_id == number,
            d.kind == "po_line",
            d.answer == "unknown",
            *within_scope(d, scope),
        )
    ).scalar_one()
    if unknown and not found:
        found["answer unknown"] = unknown
    return found


def _letters(conn: Connection, scope: Scope, number: int, profile: Partner) -> dict[str, Any]:
    d = dead_letter.c
    mine = (d.state == "open", d.partner_id == number, *within_scope(d, scope))
    count = conn.execute(select(func.count()).where(*mine)).scalar_one()
    newest = conn.execute(
        select(d.cause).where(*mine).order_by(d.received_at.desc()).limit(1)
    ).scalar_one_or_none()
    ids = profile.ids
    words = {isa.partition(":")[2] for isa in ids.isa} | set(ids.gs)
    words |= {word for word in (ids.gln, ids.duns) if word} | set(ids.erp_vendor.values())
    nameless = 0
    if words and scope.sees_all:
        nameless = conn.execute(
            select(func.count()).where(
                d.state == "open",
                d.code == "unknown_partner",
                or_(*(d.cause.contains(word, autoescape=True) for word in sorted(words))),
            )
        ).scalar_one()
    return {"dead_letters": count, "newest_cause": newest or "", "nameless": nameless}
