"""The outbox of rendered mails and chat messages: frozen bytes, leased, sent at least once.

A mail is told in the moment its row is in the outbox; whether it left is the mailer's affair. When
a row that did not leave is given up, what it told is taken back.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from db import leases
from db.mail import DIGEST_GROUP, GroupKey, Heard, Member, set_told
from db.tables import delivery, outbox, told
from tower.telling import Told

REPORT = "report"  # reason of mails by the calendar: they say what was true, and are not made anew
MAIL = "mail"  # the channel of mails; others are rooms of a chat in network.yaml
_ATTEMPTS = ("accepted", "retry", "refused", "unreachable")  # outcomes of trying to send


@dataclass(frozen=True, slots=True)
class Outbound:
    """A rendered mail. ``before`` is what its cases' recipients had heard until it.

    channel  where it goes; a message to a chat tells what a mail told, and takes back nothing
    """

    key: GroupKey
    address: str
    number: int
    reason: str
    subject: str
    dedup_key: str
    message_id: str
    message: bytes
    cases: tuple[int, ...]
    before: dict[int, Heard]
    created_at: datetime
    channel: str = MAIL


@dataclass(frozen=True, slots=True)
class Leased:
    """A mail that is ours to send until the lease ends."""

    id: int
    key: GroupKey
    address: str
    message: bytes
    cases: tuple[int, ...]
    attempts: int
    token: uuid.UUID
    created_at: datetime
    reason: str


def put_mail(conn: Connection, mail: Outbound) -> int | None:
    """The number of the new outbox row; None if this very mail is there already."""
    return conn.execute(
        insert(outbox)
        .values(
            dedup_key=mail.dedup_key,
            policy=mail.key.policy,
            recipient=mail.key.recipient,
            channel=mail.channel,
            address=mail.address,
            group_key=mail.key.group,
            number=mail.number,
            reason=mail.reason,
            subject=mail.subject,
            message_id=mail.message_id,
            message=mail.message,
            cases=list(mail.cases),
            told_before={
                str(case_id): [
                    h.said.what, h.said.severity, h.said.role, h.key.group,
                    h.at.isoformat(), h.outbox_id,
                ]
                for case_id, h in mail.before.items()
            },
            created_at=mail.created_at,
            state="waiting",
            next_at=mail.created_at,
        )
        .on_conflict_do_nothing(index_elements=[outbox.c.dedup_key])
        .returning(outbox.c.id)
    ).scalar_one_or_none()  # fmt: skip


def known(conn: Connection, dedup_key: str) -> bool:
    """Whether this very mail was made before, sent or not."""
    query = select(outbox.c.id).where(outbox.c.dedup_key == dedup_key)
    return conn.execute(query).first() is not None


def replace_waiting(conn: Connection, key: GroupKey, now: datetime) -> int:
    """Give up what waits of a report whose next one is made; how many. Leased ones are left."""
    o = outbox.c
    return conn.execute(
        update(outbox)
        .where(
            o.state == "waiting",
            o.channel == MAIL,
            o.reason == REPORT,
            o.policy == key.policy,
            o.recipient == key.recipient,
            o.group_key == key.group,
            or_(o.lease_until.is_(None), o.lease_until < now),
        )
        .values(state="superseded", token=None, lease_until=None)
    ).rowcount


def sent_since(conn: Connection, policy: str, recipient: str, since: datetime) -> int:
    """How many group mails this recipient was sent under a policy; summaries do not count."""
    o = outbox.c
    return int(
        conn.execute(
            select(func.count())
            .select_from(outbox)
            .where(
                o.recipient == recipient,
                o.created_at >= since,
                o.policy == policy,
                o.group_key != DIGEST_GROUP,
                o.channel == MAIL,
                o.state != "superseded",
            )
        ).scalar_one()
    )


def lease(
    conn: Connection, now: datetime, length: timedelta, limit: int, channel: str = MAIL
) -> list[Leased]:
    """Make up to ``limit`` waiting mails ours; commit before sending any of them."""
    o = outbox.c
    rows = leases.take(
        conn, outbox, o.channel == channel, now, length, limit,
        (
            o.id, o.policy, o.recipient, o.group_key, o.address, o.message, o.cases, o.attempts,
            o.token, o.created_at, o.reason,
        ),
    )  # fmt: skip
    return [
        Leased(
            id=row.id,
            key=GroupKey(row.policy, row.recipient, row.group_key),
            address=row.address,
            message=row.message,
            cases=tuple(row.cases),
            attempts=row.attempts,
            token=row.token,
            created_at=row.created_at,
            reason=row.reason,
        )
        for row in rows
    ]


def finish(
    conn: Connection,
    mail: Leased,
    now: datetime,
    *,
    state: str,
    outcome: str,
    code: int | None = None,
    words: str = "",
    next_at: datetime | None = None,
) -> bool:
    """Write down what became of an attempt; False if the lease is no longer ours."""
    values: dict[str, Any] = {
        "state": state,
        "attempts": mail.attempts + (outcome != "unreachable"),
        "error": words if outcome != "accepted" else "",
    }
    if state == "sent":
        values["sent_at"] = now
    if next_at is not None:
        values["next_at"] = next_at
    ours = leases.settle(conn, outbox, mail.id, mail.token, values)
    conn.execute(
        insert(delivery).values(
            outbox_id=mail.id, at=now, outcome=outcome, code=code, text=words[:500]
        )
    )
    return ours


def release(conn: Connection, mails: Sequence[Leased]) -> None:
    """Give back leases of mails that were not tried."""
    for token in {mail.token for mail in mails}:
        leases.release(conn, outbox, token, [mail.id for mail in mails if mail.token == token])


def last_outcomes(conn: Connection, n: int, channel: str = MAIL) -> list[tuple[str, datetime]]:
    """Outcome and time of the last attempts on a channel, newest first."""
    d = delivery.c
    rows = conn.execute(
        select(d.outcome, d.at)
        .join(outbox, outbox.c.id == d.outbox_id)
        .where(outbox.c.channel == channel, d.outcome.in_(_ATTEMPTS))
        .order_by(d.id.desc())
        .limit(n)
    )
    return [(row[0], row[1]) for row in rows]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail that waits for its server, as far as another channel tells of it."""

    key: GroupKey
    number: int
    subject: str
    dedup_key: str
    reason: str
    cases: tuple[int, ...]


def waiting_untold(conn: Connection, channel: str, limit: int) -> list[Waiting]:
    """Mails that wait and of which this channel was not told, oldest first."""
    o, other = outbox.c, outbox.alias("other")
    rows = conn.execute(
        select(o.policy, o.recipient, o.group_key, o.number, o.subject, o.dedup_key, o.reason,
               o.cases)
        .where(
            o.state == "waiting",
            o.channel == MAIL,
            ~select(1)
            .where(other.c.dedup_key == func.concat(o.dedup_key, "/", channel))
            .exists(),
        )
        .order_by(o.id)
        .limit(limit)
    )  # fmt: skip
    return [
        Waiting(GroupKey(*row[:3]), row.number, row.subject, row.dedup_key, row.reason,
                tuple(row.cases))
        for row in rows
    ]  # fmt: skip


def channels_waiting(conn: Connection, now: datetime) -> list[str]:
    """Channels other than mail for which something is due."""
    o = outbox.c
    rows = conn.execute(
        select(o.channel)
        .where(o.state == "waiting", o.channel != MAIL, o.next_at <= now)
        .distinct()
    )
    return sorted(rows.scalars())


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A mail that is not sent any more, and who must hear what it said from a new one."""

    key: GroupKey
    members: tuple[Member, ...]


def supersede(conn: Connection, older_than: datetime, now: datetime) -> list[GivenUp]:
    """Give up waiting mails made before an instant, and take back what they told.

    Newest first, so that each case ends where it was before the oldest of them.
    """
    o = outbox.c
    _one_at_a_time(conn)
    rows = conn.execute(
        select(o.id, o.policy, o.recipient, o.group_key, o.told_before)
        .where(
            o.state == "waiting",
            o.channel == MAIL,
            o.reason != REPORT,
            o.created_at < older_than,
            or_(o.lease_until.is_(None), o.lease_until < now),
        )
        .order_by(o.id.desc())
        .limit(200)
        .with_for_update(skip_locked=True)
    ).all()
    given_up = []
    for row in rows:
        conn.execute(
            update(outbox)
            .where(o.id == row.id)
            .values(state="superseded", token=None, lease_until=None)
        )
        key = GroupKey(row.policy, row.recipient, row.group_key)
        given_up.append(GivenUp(key, _take_back(conn, key, row.id, row.told_before, now)))
    return given_up


def taken_back(conn: Connection, mail: Leased, now: datetime) -> tuple[Member, ...]:
    """Untell what a mail told that its server refused for good."""
    _one_at_a_time(conn)
    before = conn.execute(select(outbox.c.told_before).where(outbox.c.id == mail.id)).scalar_one()
    return _take_back(conn, mail.key, mail.id, before, now)


def _one_at_a_time(conn: Connection) -> None:
    """Let nobody else take back until this transaction ends.

    Each looks whether the mails before its own were given up; two at once would not see each other,
    and leave a case told by a mail that never left.
    """
    conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("tower.taken_back", 0))))


def _take_back(
    conn: Connection, key: GroupKey, outbox_id: int, before: dict[str, Any], now: datetime
) -> tuple[Member, ...]:
    """What this mail told is untold; what was told before it, by a mail that left or may yet leave,
    stands again."""
    mine = conn.execute(
        delete(told)
        .where(told.c.recipient == key.recipient, told.c.outbox_id == outbox_id)
        .returning(
            told.c.case_id, told.c.policy, told.c.group_key, told.c.role, told.c.what,
            told.c.severity,
        )
    ).all()  # fmt: skip
    untold = {str(row.case_id) for row in mine}
    last = _last_heard(conn, {case: said for case, said in before.items() if case in untold})
    set_told(
        conn,
        [
            Heard(
                GroupKey(key.policy, key.recipient, group),
                int(case_id),
                Told(what, severity, role),
                datetime.fromisoformat(at),
                former,
            )
            for case_id, (what, severity, role, group, at, former) in last.items()
        ],
    )
    return tuple(
        Member(
            GroupKey(row.policy, key.recipient, row.group_key),
            row.case_id,
            row.role,
            now,
            # What said nothing new was a reminder.
            remind=last.get(str(row.case_id), ())[:2] == [row.what, row.severity],
        )
        for row in mine
    )


def _last_heard(conn: Connection, before: dict[str, Any]) -> dict[str, Any]:
    """What a recipient heard of cases before a mail, by mails that were not given up.

    A mail that waited together with an older one was made as if that had left. Where the older one
    was given up meanwhile, what was told before that counts.
    """
    o = outbox.c
    last = dict(before)
    asked = set(last)
    while asked:
        formers = {former for case in asked if (former := last[case][-1]) is not None}
        given_up = {
            row.id: row.told_before
            for row in conn.execute(
                select(o.id, o.told_before).where(
                    o.id.in_(sorted(formers)), o.state.in_(("superseded", "failed"))
                )
            )
        }
        asked = {case for case in asked if last[case][-1] in given_up}
        for case in sorted(asked):
            earlier = given_up[last.pop(case)[-1]].get(case)
            if earlier is None:
                asked.discard(case)
            else:
                last[case] = earlier
    return last
