"""Dead letters: kinds of failure, single letters, what hangs on them, and what people do to them.

A letter is one failed attempt of one message. What people know of a kind of failure hangs on its
fingerprint and survives retry and resolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, text, tuple_, update

from db import audit, switches
from db.reads.filters import within_scope
from db.records import as_json
from db.tables import dead_letter, failure_note
from tower.access import Scope
from tower.errors import TowerError
from tower.identity import item_key
from tower.replays import LetterRef

STATES = ("open", "in_replay", "resolved", "superseded", "archived", "expired")
TREND_DAYS = 14
LONGEST_WORDS = 4000

_d = dead_letter.c


class LetterRefused(TowerError):
    """A dead letter cannot be changed like this; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Group:
    """Letters of one kind of failure.

    trend        letters per UTC day of receipt, oldest first, ``TREND_DAYS`` days up to today
    orders       purchase orders they speak of; ``customer_orders`` that those do not cover
    value        open value of those purchase orders, None if unknown or of several currencies
    """

    fingerprint: str
    kind: str
    source: str
    partner: str | None
    code: str
    cause: str
    advice: str
    letters: int
    trend: tuple[int, ...]
    first_at: datetime
    last_at: datetime
    orders: int
    customer_orders: int
    value: Decimal | None
    currency: str | None
    notes: int


@dataclass(frozen=True, slots=True)
class Letter:
    """One failed attempt. ``message_key`` is the key of the message's first attempt."""

    ref: LetterRef
    message_key: str
    kind: str
    code: str
    cause: str
    advice: str
    offset: int | None
    fingerprint: str
    state: str
    partner: str | None
    received_at: datetime
    state_at: datetime
    homes: tuple[int, ...]
    sha256: bytes


@dataclass(frozen=True, slots=True)
class FailureNote:
    at: datetime
    author: str
    text: str


_GROUPS = text(
    """
    WITH d AS (
        SELECT d.*, l.homes FROM dead_letter d
        LEFT JOIN ingest_ledger l ON l.item_key = d.item_key AND l.source = d.source
            AND l.key = d.key
        WHERE d.state = ANY(:states) AND (:all_partners OR d.partner_id = ANY(:partners))
            AND (CAST(:fingerprint AS text) IS NULL OR d.fingerprint = :fingerprint)
    ), h AS (
        SELECT DISTINCT d.fingerprint, home FROM d, unnest(d.homes) AS home
    ), r AS (
        SELECT fingerprint, home FROM h
        UNION SELECT h.fingerprint, f.other_key FROM h JOIN flow_link f ON f.home_key = h.home
    ), po AS (
        SELECT r.fingerprint, count(*) AS orders, sum(o.open_value) AS value,
               min(o.currency) AS currency, count(DISTINCT o.currency) AS currencies
        FROM r JOIN document o ON o.home_key = r.home AND o.kind = 'po' AND o.line = ''
        GROUP BY 1
    ), hit AS (
        SELECT r.fingerprint, count(DISTINCT (i.scope, i."order")) AS orders
        FROM r JOIN order_impact i ON i.po_home = r.home GROUP BY 1
    ), day AS (
        SELECT fingerprint, (:today - (received_at AT TIME ZONE 'UTC')::date) AS ago, count(*) AS n
        FROM d WHERE received_at >= :since GROUP BY 1, 2
    ), trend AS (
        SELECT fingerprint, json_object_agg(ago, n) AS days FROM day GROUP BY 1
    ), noted AS (
        SELECT fingerprint, count(*) AS n FROM failure_note GROUP BY 1
    ), grouped AS (
        SELECT fingerprint, count(*) AS letters, min(received_at) AS first_at,
               max(received_at) AS last_at, min(source) AS source, min(kind) AS kind,
               min(partner) AS partner, min(code) AS code,
               (array_agg(cause ORDER BY received_at DESC))[1] AS cause,
               (array_agg(advice ORDER BY received_at DESC))[1] AS advice
        FROM d GROUP BY 1
    )
    SELECT g.*, coalesce(po.orders, 0) AS orders, coalesce(hit.orders, 0) AS customer_orders,
           CASE WHEN po.currencies <= 1 THEN po.value END AS value, po.currency,
           coalesce(trend.days, '{}') AS days, coalesce(noted.n, 0) AS notes
    FROM grouped g
    LEFT JOIN po USING (fingerprint) LEFT JOIN hit USING (fingerprint)
    LEFT JOIN trend USING (fingerprint) LEFT JOIN noted USING (fingerprint)
    ORDER BY coalesce(po.value, 0) DESC, customer_orders DESC, letters DESC, g.fingerprint
    LIMIT :limit
    """
)


def groups(
    conn: Connection,
    scope: Scope,
    now: datetime,
    *,
    states: Sequence[str] = ("open", "in_replay"),
    fingerprint: str | None = None,
    limit: int = 200,
) -> list[Group]:
    """Kinds of failure, by the value and the orders that hang on them, not by their count.

    ``fingerprint``: of this kind alone.
    """
    allowed = scope.partner_ids
    today = now.date()
    rows = conn.execute(
        _GROUPS,
        {
            "states": list(states),
            "all_partners": allowed is None,
            "partners": allowed or [],
            "today": today,
            "since": now - timedelta(days=TREND_DAYS),
            "fingerprint": fingerprint,
            "limit": limit,
        },
    )
    return [
        Group(
            fingerprint=row.fingerprint,
            kind=row.kind,
            source=row.source,
            partner=row.partner,
            code=row.code,
            cause=row.cause,
            advice=row.advice,
            letters=row.letters,
            trend=tuple(row.days.get(str(ago), 0) for ago in range(TREND_DAYS - 1, -1, -1)),
            first_at=row.first_at,
            last_at=row.last_at,
            orders=row.orders,
            customer_orders=row.customer_orders,
            value=row.value,
            currency=row.currency,
            notes=row.notes,
        )
        for row in rows
    ]


_LETTERS = """
    SELECT d.*, coalesce(l.homes, '{}') AS homes, coalesce(l.sha256, ''::bytea) AS sha256
    FROM dead_letter d LEFT JOIN ingest_ledger l
        ON l.item_key = d.item_key AND l.source = d.source AND l.key = d.key
"""


def letters(
    conn: Connection,
    scope: Scope,
    *,
    fingerprint: str | None = None,
    states: Sequence[str] = ("open", "in_replay"),
    before: Letter | None = None,
    limit: int = 100,
) -> list[Letter]:
    """Letters, the newest first; ``before`` is the last one of the page before."""
    allowed = scope.partner_ids
    rows = conn.execute(
        text(
            _LETTERS
            + " WHERE d.state = ANY(:states) AND (:all_partners OR d.partner_id = ANY(:partners))"
            " AND (CAST(:fingerprint AS text) IS NULL OR d.fingerprint = :fingerprint)"
            " AND (CAST(:at AS timestamptz) IS NULL"
            " OR (d.received_at, d.key, d.position) < (:at, :key, :position))"
            " ORDER BY d.received_at DESC, d.key DESC, d.position DESC LIMIT :limit"
        ),
        {
            "states": list(states),
            "all_partners": allowed is None,
            "partners": allowed or [],
            "fingerprint": fingerprint,
            "at": None if before is None else before.received_at,
            "key": "" if before is None else before.ref.key,
            "position": "" if before is None else before.ref.position,
            "limit": limit,
        },
    )
    return [_letter(row) for row in rows]


def by_refs(conn: Connection, scope: Scope, refs: Sequence[LetterRef]) -> list[Letter]:
    """These letters, in the order asked for; one that is not there, or not theirs to see, lacks."""
    if not refs:
        return []
    allowed = scope.partner_ids
    rows = conn.execute(
        text(
            _LETTERS
            + """ JOIN json_to_recordset(CAST(:asked AS json))
                AS asked (item_key bigint, source text, key text, attempt int, position text)
                ON asked.item_key = d.item_key AND asked.source = d.source AND asked.key = d.key
                AND asked.attempt = d.attempt AND asked.position = d.position
            WHERE (:all_partners OR d.partner_id = ANY(:partners))"""
        ),
        {
            "asked": _asked(refs),
            "all_partners": allowed is None,
            "partners": allowed or [],
        },
    )
    found = {one.ref: one for one in map(_letter, rows)}
    return [found[ref] for ref in dict.fromkeys(refs) if ref in found]


def _asked(refs: Sequence[LetterRef]) -> str:
    return as_json(
        [
            {
                "item_key": item_key(one.source, one.key),
                "source": one.source,
                "key": one.key,
                "attempt": one.attempt,
                "position": one.position,
            }
            for one in dict.fromkeys(refs)
        ]
    )


def _letter(row: Any) -> Letter:
    return Letter(
        ref=LetterRef(row.source, row.key, row.attempt, row.position),
        message_key=row.message or row.key,
        kind=row.kind,
        code=row.code,
        cause=row.cause,
        advice=row.advice,
        offset=row.byte_offset,
        fingerprint=row.fingerprint,
        state=row.state,
        partner=row.partner,
        received_at=row.received_at,
        state_at=row.state_at,
        homes=tuple(row.homes),
        sha256=bytes(row.sha256),
    )


def attempts(conn: Connection, scope: Scope, source: str, message_key: str) -> list[Letter]:
    """Every failed attempt of one message, the first one first."""
    allowed = scope.partner_ids
    rows = conn.execute(
        text(
            _LETTERS + " WHERE d.source = :source AND (d.message = :message"
            " OR (d.item_key = :item_key AND d.key = :message))"
            " AND (:all_partners OR d.partner_id = ANY(:partners)) ORDER BY d.attempt, d.position"
        ),
        {
            "source": source,
            "message": message_key,
            "item_key": item_key(source, message_key),
            "all_partners": allowed is None,
            "partners": allowed or [],
        },
    )
    return [_letter(row) for row in rows]


# --- what people do -------------------------------------------------------------------------------


def set_state(
    conn: Connection, refs: Sequence[LetterRef], state: str, now: datetime, *, only: Sequence[str]
) -> int:
    """Put letters that are in one of the states ``only`` into another; how many changed."""
    if not refs:
        return 0
    keys = [(item_key(r.source, r.key), r.source, r.key, r.attempt, r.position) for r in refs]
    return conn.execute(
        update(dead_letter)
        .where(
            tuple_(_d.item_key, _d.source, _d.key, _d.attempt, _d.position).in_(sorted(keys)),
            _d.state.in_(only),
        )
        .values(state=state, state_at=now)
    ).rowcount


def recovered(conn: Connection, refs: Sequence[LetterRef], now: datetime) -> int:
    """Close open letters whose effect was seen without a replay; how many."""
    if not refs:
        return 0
    keys = [(item_key(r.source, r.key), r.source, r.key, r.attempt, r.position) for r in refs]
    changed = conn.execute(
        update(dead_letter)
        .where(
            tuple_(_d.item_key, _d.source, _d.key, _d.attempt, _d.position).in_(sorted(keys)),
            _d.state == "open",
        )
        .values(state="resolved", state_at=now)
        .returning(_d.source, _d.key, _d.attempt, _d.position)
    ).all()
    names = sorted(LetterRef(*row) for row in changed)
    audit.record_all(
        conn, [audit.Act("tower", "letter.recovered", f"letter:{ref}", {}) for ref in names], now
    )
    return len(names)


def archive(
    conn: Connection, scope: Scope, refs: Sequence[LetterRef], who: str, why: str, now: datetime
) -> int:
    """Put open letters aside with a reason; they can be restored while their bytes are kept."""
    return _move(conn, scope, refs, who, why, now, "archived", ("open",), "letter.archived")


def restore(
    conn: Connection, scope: Scope, refs: Sequence[LetterRef], who: str, why: str, now: datetime
) -> int:
    """Open archived letters again."""
    return _move(conn, scope, refs, who, why, now, "open", ("archived",), "letter.restored")


def _move(
    conn: Connection,
    scope: Scope,
    refs: Sequence[LetterRef],
    who: str,
    why: str,
    now: datetime,
    state: str,
    only: tuple[str, ...],
    action: str,
) -> int:
    switches.check_writable(conn)
    scope.demand("replay.ask")
    if not why.strip():
        raise LetterRefused("A reason is missing. Say why, so that others can follow it.")
    found = by_refs(conn, scope, refs)
    others = [one for one in found if one.state not in only]
    if others:
        one = others[0]
        advice = "Cancel the replay first." if one.state == "in_replay" else "Nothing was changed."
        raise LetterRefused(f"{one.ref} is {one.state}, not {' or '.join(only)}. {advice}")
    changed = set_state(conn, [one.ref for one in found], state, now, only=only)
    if changed != len(found):
        raise LetterRefused("Somebody else changed one of them just now. Look again.")
    audit.record_all(
        conn,
        [
            audit.Act(who, action, f"letter:{one.ref}", {"reason": why[:LONGEST_WORDS]})
            for one in found
        ],
        now,
    )
    return changed


def notes(conn: Connection, fingerprints: Sequence[str]) -> Mapping[str, list[FailureNote]]:
    """What people wrote about kinds of failure, the oldest first."""
    found: dict[str, list[FailureNote]] = {}
    asked = failure_note.c.fingerprint.in_(list(fingerprints))
    for row in conn.execute(select(failure_note).where(asked).order_by(failure_note.c.id)):
        found.setdefault(row.fingerprint, []).append(FailureNote(row.at, row.author, row.text))
    return found


def add_note(conn: Connection, fingerprint: str, who: str, words: str, now: datetime) -> None:
    """Write down what is known of a kind of failure; notes are only added."""
    switches.check_writable(conn)
    said = words.strip()
    if not said:
        raise LetterRefused("The note is empty. Write what you know.")
    values = {"fingerprint": fingerprint, "at": now, "author": who, "text": said[:LONGEST_WORDS]}
    conn.execute(insert(failure_note).values(values))
    audit.record(conn, who, "failure.noted", f"failure:{fingerprint}", {"text": said[:200]}, now)


def count_open(conn: Connection, scope: Scope) -> int:
    """Open letters that the viewer may see."""
    conditions = and_(
        or_(_d.state == "open", _d.state == "in_replay"), *within_scope(dead_letter.c, scope)
    )
    return int(
        conn.execute(select(func.count()).select_from(dead_letter).where(conditions)).scalar_one()
    )
