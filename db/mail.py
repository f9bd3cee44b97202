"""What was told to whom, what waits to be told, and what a letter says about a case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Connection, any_, bindparam, delete, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert

from db import records, trips
from db.cases import of_row
from db.staging import literal
from db.tables import (
    case_note,
    exception_case,
    group_member,
    mail_group,
    order_impact,
    suppression,
    timer,
    told,
)
from db.timers import MAIL_GROUP
from db.trips import Statement
from tower.cases import Case
from tower.telling import CLOSED_UNTOLD, Told

DIGEST_GROUP = "digest"  # group_key of daily summaries


@dataclass(frozen=True, slots=True, order=True)
class GroupKey:
    """What goes into one mail: a policy's group for one recipient."""

    policy: str
    recipient: str
    group: str

    @property
    def timer_key(self) -> str:
        return records.as_json([self.policy, self.recipient, self.group])


@dataclass(frozen=True, slots=True)
class Member:
    """A case that waits to be told in a group.

    since   when that was seen to be needed
    remind  told once more even if nothing changed
    """

    key: GroupKey
    case_id: int
    role: str
    since: datetime
    remind: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recipient last heard of a case, and in which group."""

    key: GroupKey
    case_id: int
    said: Told
    at: datetime
    outbox_id: int | None


@dataclass(frozen=True, slots=True)
class CaseSheet:
    """A case with its figures and what its last notes say, for a letter."""

    case: Case
    value_at_risk: Decimal | None
    document_value: Decimal | None
    currency: str | None
    orders: int
    lines: int
    last_words: str


@dataclass(frozen=True, slots=True)
class HitRow:
    """An affected customer order line of a case."""

    order: str
    line: str
    customer: str
    promise_date: date
    projected_date: date | None
    basis: str
    open_value: Decimal | None
    currency: str | None


# --- groups ---------------------------------------------------------------------------------------


def add_members(conn: Connection, members: Sequence[Member]) -> None:
    """Have these cases told. Their groups' timers must be set before (db.timers)."""
    rows = {
        (m.key, m.case_id): {
            "policy": m.key.policy,
            "recipient": m.key.recipient,
            "group_key": m.key.group,
            "case_id": m.case_id,
            "role": m.role,
            "since": m.since,
            "remind": m.remind,
        }
        for m in sorted(members, key=lambda m: (m.key, m.case_id, m.remind, m.role))
    }
    # Two writes, so that a reminder is not lost in a case that waits already, nor undone by one.
    for remind in (False, True):
        records.put(
            conn,
            group_member,
            [row for row in rows.values() if row["remind"] is remind],
            conflict=("policy", "recipient", "group_key", "case_id"),
            changed=("remind",) if remind else (),
        )


def hearing(
    conn: Connection, case_ids: Iterable[int], keys: Iterable[GroupKey]
) -> tuple[list[Heard], dict[GroupKey, datetime]]:
    """``believers`` of these cases and ``last_sent`` of these groups, in one trip to the server."""
    heard, sent = trips.ask(
        conn, (_believers, {"cases": sorted(set(case_ids))}), asking_last_sent(keys)
    )
    return [_as_heard(row) for row in heard], sent_at(sent)


def last_sent(conn: Connection, keys: Iterable[GroupKey]) -> dict[GroupKey, datetime]:
    """When each of these groups was last told something; groups never told are left out."""
    wanted = set(keys)
    return sent_at(trips.ask_one(conn, *asking_last_sent(wanted))) if wanted else {}


def asking_last_sent(keys: Iterable[GroupKey]) -> trips.Asked:
    """The question of it; the answer goes to ``sent_at``."""
    return _last_sent, _groups(keys)


def sent_at(rows: Iterable[Any]) -> dict[GroupKey, datetime]:
    return {GroupKey(*row[:3]): row[3] for row in rows}


def _groups(keys: Iterable[GroupKey]) -> dict[str, str]:
    wanted = sorted(set(keys))
    return {
        "policies": literal(key.policy for key in wanted),
        "recipients": literal(key.recipient for key in wanted),
        "groups": literal(key.group for key in wanted),
    }


_last_sent = Statement(
    """
    SELECT policy, recipient, group_key, last_sent_at FROM mail_group
    JOIN unnest(%(policies)s::text[], %(recipients)s::text[], %(groups)s::text[])
         AS asked (policy, recipient, group_key) USING (policy, recipient, group_key)
    WHERE last_sent_at IS NOT NULL
    """
)


def members(conn: Connection, key: GroupKey) -> list[Member]:
    m = group_member.c
    rows = conn.execute(
        select(m.case_id, m.role, m.since, m.remind)
        .where(m.policy == key.policy, m.recipient == key.recipient, m.group_key == key.group)
        .order_by(m.case_id)
    )
    return [Member(key, *row) for row in rows]


def held_members(conn: Connection, policy: str, recipient: str) -> list[Member]:
    """Cases of this recipient that wait for the daily summary: their groups have no timer."""
    m = group_member.c
    rows = conn.execute(
        select(m.group_key, m.case_id, m.role, m.since, m.remind)
        .where(m.policy == policy, m.recipient == recipient)
        .order_by(m.case_id)
    )
    found = [Member(GroupKey(policy, recipient, row[0]), *row[1:]) for row in rows]
    keys = sorted({m.key.timer_key for m in found})
    ringing = set(
        conn.execute(
            select(timer.c.key).where(timer.c.kind == MAIL_GROUP, timer.c.key.in_(keys))
        ).scalars()
    )
    return [m for m in found if m.key.timer_key not in ringing]


def remove_members(conn: Connection, gone: Sequence[tuple[GroupKey, int]]) -> None:
    m = group_member.c
    if gone:
        conn.execute(
            delete(group_member).where(
                tuple_(m.policy, m.recipient, m.group_key, m.case_id).in_(
                    sorted((k.policy, k.recipient, k.group, case_id) for k, case_id in gone)
                )
            )
        )


def next_number(conn: Connection, key: GroupKey, now: datetime) -> int:
    """Count one more mail of this group, sent now; the number starts at 1."""
    statement = insert(mail_group).values(
        policy=key.policy, recipient=key.recipient, group_key=key.group, number=1, last_sent_at=now
    )
    return int(
        conn.execute(
            statement.on_conflict_do_update(
                constraint=mail_group.primary_key,
                set_={"number": mail_group.c.number + 1, "last_sent_at": now},
            ).returning(mail_group.c.number)
        ).scalar_one()
    )


# --- what was told --------------------------------------------------------------------------------

_heard = (
    told.c.policy,
    told.c.recipient,
    told.c.group_key,
    told.c.case_id,
    told.c.what,
    told.c.severity,
    told.c.role,
    told.c.at,
    told.c.outbox_id,
)


def _as_heard(row: Any) -> Heard:
    return Heard(
        GroupKey(row.policy, row.recipient, row.group_key),
        row.case_id,
        Told(row.what, row.severity, row.role),
        row.at,
        row.outbox_id,
    )


def heard(conn: Connection, recipient: str, case_ids: Iterable[int]) -> dict[int, Heard]:
    """What this recipient last heard of these cases."""
    ids = sorted(set(case_ids))
    if not ids:
        return {}
    rows = conn.execute(
        select(*_heard).where(told.c.recipient == recipient, told.c.case_id.in_(ids))
    )
    return {row.case_id: _as_heard(row) for row in rows}


def heard_open(
    conn: Connection, policy: str, recipient: str, group: str | None = None
) -> dict[int, Heard]:
    """Cases that this recipient believes open, of one group or of all groups of a policy."""
    query = select(*_heard).where(
        told.c.recipient == recipient, told.c.policy == policy, told.c.what == "open"
    )
    if group is not None:
        query = query.where(told.c.group_key == group)
    return {row.case_id: _as_heard(row) for row in conn.execute(query)}


def believers(conn: Connection, case_ids: Iterable[int]) -> list[Heard]:
    """Everybody who was told that one of these cases is open."""
    ids = sorted(set(case_ids))
    if not ids:
        return []
    return [_as_heard(row) for row in trips.ask_one(conn, _believers, {"cases": ids})]


_believers = Statement(
    select(*_heard)
    .where(
        told.c.case_id == any_(bindparam("cases", type_=ARRAY(BigInteger))), told.c.what == "open"
    )
    .order_by(told.c.recipient, told.c.case_id),
    named=True,
)


def set_told(conn: Connection, said: Sequence[Heard]) -> None:
    records.put(
        conn,
        told,
        [
            {
                "recipient": h.key.recipient,
                "case_id": h.case_id,
                "policy": h.key.policy,
                "group_key": h.key.group,
                "role": h.said.role,
                "what": h.said.what,
                "severity": h.said.severity,
                "at": h.at,
                "outbox_id": h.outbox_id,
            }
            for h in sorted(said, key=lambda h: (h.key.recipient, h.case_id))
        ],
        conflict=("recipient", "case_id"),
        changed=("policy", "group_key", "role", "what", "severity", "at", "outbox_id"),
    )


def suppress(conn: Connection, rows: Iterable[tuple[int, str, datetime, str]]) -> None:
    """Log why nobody was mailed: (case, recipient, when, reason)."""
    records.put(
        conn,
        suppression,
        [
            {"case_id": case_id, "recipient": recipient, "at": at, "reason": reason}
            for case_id, recipient, at, reason in rows
        ],
    )


def closed_untold(conn: Connection, recipient: str, since: datetime) -> list[int]:
    """Cases that opened and closed before this recipient's mail, since an instant."""
    s = suppression.c
    rows = conn.execute(
        select(s.case_id)
        .where(s.recipient == recipient, s.at > since, s.reason == CLOSED_UNTOLD)
        .order_by(s.case_id)
        .distinct()
    )
    return list(rows.scalars())


# --- what a letter says ---------------------------------------------------------------------------


def sheets(conn: Connection, case_ids: Iterable[int]) -> dict[int, CaseSheet]:
    """These cases with their figures and the last line of their history."""
    ids = sorted(set(case_ids))
    if not ids:
        return {}
    words = {
        row.case_id: row
        for row in conn.execute(
            select(case_note.c.case_id, case_note.c.text)
            .where(case_note.c.case_id.in_(ids))
            .order_by(case_note.c.case_id, case_note.c.id)
        )
    }
    rows = conn.execute(select(exception_case).where(exception_case.c.id.in_(ids)))
    found = {}
    for row in rows:
        last = words.get(row.id)
        found[row.id] = CaseSheet(
            case=of_row(row),
            value_at_risk=row.value_at_risk,
            document_value=row.document_value,
            currency=row.currency,
            orders=row.orders_affected,
            lines=row.lines_affected,
            last_words=last.text if last else "",
        )
    return found


def hits(conn: Connection, case_ids: Iterable[int]) -> dict[int, list[HitRow]]:
    """Affected customer order lines of these cases, the most valuable first."""
    ids = sorted(set(case_ids))
    if not ids:
        return {}
    i, c = order_impact.c, exception_case.c
    rows = conn.execute(
        select(
            c.id, i.order, i.order_line, i.customer, i.customer_name, i.promise_date,
            i.projected_date, i.basis, i.open_value, i.currency,
        )
        .select_from(exception_case)
        .join(
            order_impact,
            (i.po_home == c.home_key)
            & or_(c.kind == "po", (c.kind == "po_line") & (i.po_line == c.line))
            | (i.case_id == c.id) & (c.kind == "asn"),
        )
        .where(c.id.in_(ids))
        .order_by(c.id, i.open_value.desc().nulls_last(), i.order, i.order_line)
    )  # fmt: skip
    found: dict[int, list[HitRow]] = {}
    seen: set[tuple[int, str, str]] = set()
    for row in rows:
        key = (row[0], row[1], row[2])
        if key not in seen:
            seen.add(key)
            found.setdefault(row[0], []).append(
                HitRow(
                    order=row.order,
                    line=row.order_line,
                    customer=row.customer_name or row.customer or "",
                    promise_date=row.promise_date,
                    projected_date=row.projected_date,
                    basis=row.basis,
                    open_value=row.open_value,
                    currency=row.currency,
                )
            )
    return found
