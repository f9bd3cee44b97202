"""Documents of ours that were sent to partners, as a replay takes them: their messages, in the form
of letters of attempt 0.

No letter is behind them, so nothing of them is a failure and no state of theirs changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from db import letters
from db.letters import Letter
from db.records import as_json
from tower.access import Scope
from tower.identity import item_key
from tower.replays import LetterRef

KIND = "sent"


@dataclass(frozen=True, slots=True)
class SentDocument:
    """One message: what it told, to whom it went, and the control number of its interchange."""

    letter: Letter
    types: frozenset[str]
    partner_id: int | None
    control: str


_SENT = text(
    """
    SELECT l.source, l.key, l.received_at, l.homes, l.sha256, t.types, t.partner_id,
           t.control
    FROM json_to_recordset(CAST(:asked AS json)) AS a (item_key bigint, source text, key text)
    JOIN ingest_ledger l ON l.item_key = a.item_key AND l.source = a.source AND l.key = a.key
    LEFT JOIN raw_message r ON r.item_key = l.item_key AND r.source = l.source AND r.key = l.key
        AND r.received_at = l.received_at
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(DISTINCT e.type), '{}') AS types,
               coalesce(min(e.partner_id), r.partner_id) AS partner_id,
               coalesce(min(e.data ->> 'interchange'), min(e.data ->> 'control')) AS control
        FROM event e WHERE e.home_key = ANY(l.homes) AND e.source = l.source AND e.raw_key = l.key
    ) t
    WHERE :all_partners OR t.partner_id = ANY(:partners)
    """
)


def documents(
    conn: Connection, scope: Scope, refs: Sequence[LetterRef]
) -> dict[LetterRef, SentDocument]:
    """These messages; one that is not there, or not theirs to see, lacks."""
    if not refs:
        return {}
    allowed = scope.partner_ids
    asked = [
        {"item_key": item_key(one.source, one.key), "source": one.source, "key": one.key}
        for one in dict.fromkeys(refs)
    ]
    rows = conn.execute(
        _SENT,
        {"asked": as_json(asked), "all_partners": allowed is None, "partners": allowed or []},
    )
    found = {}
    for row in rows:
        ref = LetterRef(row.source, row.key, 0)
        letter = Letter(
            ref=ref,
            message_key=row.key,
            kind=KIND,
            code="",
            cause="",
            advice="",
            offset=None,
            fingerprint="",
            state="open",
            partner=None,
            received_at=row.received_at,
            state_at=row.received_at,
            homes=tuple(row.homes),
            sha256=bytes(row.sha256),
        )
        found[ref] = SentDocument(letter, frozenset(row.types), row.partner_id, row.control or "")
    return found


def of_items(conn: Connection, scope: Scope, refs: Sequence[LetterRef]) -> list[Letter]:
    """What items of replays are about: dead letters, and messages that were sent."""
    dead = letters.by_refs(conn, scope, [one for one in refs if one.attempt])
    sent = documents(conn, scope, [one for one in refs if not one.attempt])
    return [*dead, *(one.letter for one in sent.values())]
