"""What surrounds dead letters: their bytes, and what was seen of their documents since then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from db.letters import Letter
from db.reads.payloads import body_bytes
from db.records import as_json
from tower.identity import item_key
from tower.replays import CREATES, EFFECTS, DocumentName, LetterRef


@dataclass(frozen=True, slots=True)
class Seen:
    """An event of a document that a letter speaks of; ``verdict`` of an acknowledgement."""

    type: str
    event: UUID
    occurred_at: datetime
    received_at: datetime
    message: str | None
    verdict: str | None = None


@dataclass(slots=True)
class Surroundings:
    """What is known around one letter. ``died_at`` is its own time, else that of its receipt."""

    died_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    seen: list[Seen] = field(default_factory=list)


_RAWS = """
    SELECT a.n, r.headers, r.encoding, r.body
    FROM json_to_recordset(%(asked)s::json) AS a (n int, item_key bigint, source text, key text)
    JOIN ingest_ledger l ON l.item_key = a.item_key AND l.source = a.source AND l.key = a.key
    JOIN raw_message r ON r.item_key = l.item_key AND r.source = l.source AND r.key = l.key
        AND r.received_at = l.received_at
"""

_HEADERS = _RAWS.replace("r.headers, r.encoding, r.body", "r.headers")

_AROUND = """
    WITH asked AS (
        SELECT n, home FROM json_to_recordset(%(asked)s::json) AS a (n int, home bigint)
    ), around AS (
        SELECT n, home FROM asked
        UNION SELECT a.n, f.other_key FROM asked a JOIN flow_link f ON f.home_key = a.home
    )
    SELECT a.n, e.type, e.event_id, e.occurred_at, e.received_at, e.data ->> 'message' AS message,
           e.data ->> 'verdict' AS verdict, e.source, e.raw_key
    FROM around a JOIN event e ON e.home_key = a.home AND e.type = ANY(%(types)s)
    UNION
    SELECT a.n, o.type, o.event_id, o.occurred_at, o.arrived_at, NULL,
           o.words -> '' ->> 'verdict', NULL, NULL
    FROM around a JOIN event_object o ON o.home_key = a.home AND o.type = ANY(%(types)s)
        AND o.type NOT LIKE 'message.%%'
"""


def around(
    conn: Connection, letters: Sequence[Letter], types: Sequence[str], *, bodies: bool = False
) -> dict[LetterRef, Surroundings]:
    """Headers of letters, with ``bodies`` their bytes too, and the events of these types about
    their documents.
    """
    found = {one.ref: Surroundings(one.received_at) for one in letters}
    if not letters:
        return found
    homes = [{"n": n, "home": home} for n, one in enumerate(letters) for home in one.homes]
    rows = conn.exec_driver_sql(
        _AROUND, {"asked": as_json(homes), "types": [*types, "message.dead_lettered"]}
    )
    for row in rows:
        letter = letters[row.n]
        here = found[letter.ref]
        if row.type == "message.dead_lettered":
            if (row.source, row.raw_key) == (letter.ref.source, letter.ref.key):
                here.died_at = row.occurred_at
        else:
            here.seen.append(
                Seen(
                    row.type, row.event_id, row.occurred_at, row.received_at, row.message,
                    row.verdict,
                )
            )  # fmt: skip
    for one in found.values():
        one.seen.sort(key=lambda seen: (seen.occurred_at, seen.event))
    refs = [one.ref for one in letters]
    keys = [(one.source, one.key) for one in refs]
    if bodies:
        for ref, (headers, body) in payloads(conn, keys, refs).items():
            found[ref].headers, found[ref].body = headers, body
    else:
        for row in conn.exec_driver_sql(_HEADERS, {"asked": _asked(keys)}):
            found[refs[row.n]].headers = row.headers
    return found


_TOLD = """
    SELECT a.n, o.kind, o.scope, o.number, min(o.type) FILTER (WHERE o.type = ANY(%(done)s)) AS done
    FROM json_to_recordset(%(asked)s::json)
        AS a (n int, home bigint, source text, key text, homes bigint[])
    JOIN event e ON e.home_key = a.home AND e.source = a.source AND e.raw_key = a.key
        AND e.type = 'message.dead_lettered'
    JOIN LATERAL (VALUES
            ('po', e.data ->> 'erp', e.data ->> 'po'),
            ('asn', e.data ->> 'supplier', e.data ->> 'asn'),
            ('invoice', e.data ->> 'supplier', e.data ->> 'invoice'),
            ('receipt', e.data ->> 'warehouse', e.data ->> 'receipt')
        ) AS d (kind, scope, number) ON d.scope IS NOT NULL AND d.number IS NOT NULL
    JOIN event_object o ON o.home_key = ANY(a.homes) AND o.kind = d.kind AND o.scope = d.scope
        AND o.number = d.number
    GROUP BY a.n, o.kind, o.scope, o.number
"""


def documents_told(
    conn: Connection, letters: Sequence[Letter]
) -> dict[LetterRef, dict[DocumentName, str]]:
    """The documents that captured letters name, and of each the type of an event that shows that it
    took effect, whenever that was; "" if none does.
    """
    asked = [
        {"n": n, "home": home, "source": one.ref.source, "key": one.ref.key,
         "homes": "{" + ",".join(map(str, one.homes)) + "}"}
        for n, one in enumerate(letters)
        for home in one.homes
    ]  # fmt: skip
    done = sorted({one for type_ in CREATES for one in EFFECTS[type_]})
    found: dict[LetterRef, dict[DocumentName, str]] = {}
    for row in conn.exec_driver_sql(_TOLD, {"asked": as_json(asked), "done": done}):
        name = DocumentName(row.kind, row.scope, row.number)
        found.setdefault(letters[row.n].ref, {})[name] = row.done or ""
    return found


Name = TypeVar("Name")


def payloads(
    conn: Connection, keys: Sequence[tuple[str, str]], names: Sequence[Name]
) -> dict[Name, tuple[Mapping[str, str], bytes]]:
    """(headers, bytes) of raw messages that are kept, by the name given for each."""
    rows: Any = conn.exec_driver_sql(_RAWS, {"asked": _asked(keys)}) if keys else ()
    return {names[row.n]: (row.headers, body_bytes(row.encoding, row.body)) for row in rows}


def _asked(keys: Sequence[tuple[str, str]]) -> str:
    return as_json(
        [
            {"n": n, "item_key": item_key(source, key), "source": source, "key": key}
            for n, (source, key) in enumerate(keys)
        ]
    )
