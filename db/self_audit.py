"""What would show that the tower keeps a promise badly: late timers, untold cases, old mails.

Each question is answered by an index or by the open cases alone, and asks for examples, not for
all.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, or_, select

from db.mail import GroupKey
from db.records import as_json
from db.tables import (
    exception_case,
    group_member,
    outbox,
    source_spell,
    suppression,
    timer,
    told,
)
from db.timers import DIGEST, MAIL_GROUP

EXAMPLES = 5
_MOST_GROUPS = 2000


def late_timers(conn: Connection, before: datetime) -> list[tuple[str, str, datetime]]:
    """Kind, key and due instant of timers that should have rung before an instant."""
    rows = conn.execute(
        select(timer.c.kind, timer.c.key, timer.c.due)
        .where(timer.c.due < before)
        .order_by(timer.c.due)
        .limit(EXAMPLES)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def untold_cases(conn: Connection, before: datetime) -> list[int]:
    """Open cases known since before an instant of which nobody was told, nobody waits to be told
    and no reason is written down why not. A case under another is told by that one.
    """
    c = exception_case.c
    silent = [
        ~select(1).where(column == c.id).exists()
        for column in (told.c.case_id, group_member.c.case_id, suppression.c.case_id)
    ]
    rows = conn.execute(
        select(c.id)
        .where(c.state != "resolved", c.parent_id.is_(None), c.detected_at < before, *silent)
        .order_by(c.id)
        .limit(EXAMPLES)
    )
    return list(rows.scalars())


def stranded_groups(conn: Connection) -> list[GroupKey]:
    """Groups in which cases wait to be told and that nothing will ever look at."""
    m = group_member.c
    rows = conn.execute(select(m.policy, m.recipient, m.group_key).distinct().limit(_MOST_GROUPS))
    groups = [GroupKey(*row) for row in rows]
    asked = {(MAIL_GROUP, g.timer_key) for g in groups}
    asked |= {(DIGEST, _summary(g)) for g in groups}
    rows_ringing = conn.execute(
        select(timer.c.kind, timer.c.key).where(
            timer.c.kind.in_((MAIL_GROUP, DIGEST)),
            timer.c.key.in_(sorted({key for _, key in asked})),
        )
    )
    ringing = {(row[0], row[1]) for row in rows_ringing}
    return [
        g
        for g in groups
        if (MAIL_GROUP, g.timer_key) not in ringing and (DIGEST, _summary(g)) not in ringing
    ][:EXAMPLES]


def _summary(group: GroupKey) -> str:
    return as_json([group.policy, group.recipient])


def old_messages(conn: Connection, before: datetime) -> list[tuple[int, str, datetime]]:
    """Number, channel and birth of mails and messages that wait since before an instant."""
    o = outbox.c
    rows = conn.execute(
        select(o.id, o.channel, o.created_at)
        .where(o.state == "waiting", o.created_at < before)
        .order_by(o.created_at)
        .limit(EXAMPLES)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def unaccused_sources(
    conn: Connection, sources: Iterable[str]
) -> list[tuple[str, datetime, datetime]]:
    """Sources that are blind without a case that says so: (source, since when, since when known).

    A case that a person closed during this silence counts: somebody has decided about it.
    """
    s, c = source_spell.c, exception_case.c
    said = (
        select(1)
        .where(
            c.kind == "source",
            c.number == s.source,
            or_(c.state != "resolved", c.resolved_at >= s.known_at),
        )
        .exists()
    )
    rows = conn.execute(
        select(s.source, s.from_at, s.known_at)
        .where(s.to_at.is_(None), s.source.in_(sorted(sources)), ~said)
        .order_by(s.source)
    )
    return [(row.source, row.from_at, row.known_at) for row in rows]
