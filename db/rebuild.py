"""Documents folded anew from their events, and the check that nothing was lost or doubled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection

from db import families, staging
from db.driver import raw_cursor
from tower.documents import Owners
from tower.network import Network

AT_ONCE = 2000  # homes folded together; bounds memory, not the result


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: the invariant (I1, I2, I4), what is wrong, how often, one example."""

    invariant: str
    what: str
    count: int
    example: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}: {self.count}, for example {self.example}"


def rebuild(conn: Connection, homes: Iterable[int] | None = None, *, net: Network) -> int:
    """Fold the documents of these homes (None: of all) from event_object; returns rows written.

    Ingest may go on meanwhile: a document that it changes first raises Conflict; do it again.
    """
    owners = Owners.of(net)
    written = 0
    with raw_cursor(conn) as cursor:
        staging.prepare(cursor)
        wanted = _all_homes(cursor) if homes is None else iter(sorted(set(homes)))
        for part in _parts(wanted):
            written += families.replace(cursor, families.refold(cursor, part), owners)
    return written


def _all_homes(cursor: Cursor[Any]) -> Iterator[int]:
    after = -(1 << 63)
    while True:
        cursor.execute(
            "SELECT DISTINCT home_key FROM event_object WHERE home_key >= %s "
            "ORDER BY home_key LIMIT %s",
            (after, AT_ONCE),
        )
        found = [row[0] for row in cursor.fetchall()]
        yield from found
        if len(found) < AT_ONCE:
            return
        after = found[-1] + 1


def _parts(homes: Iterator[int]) -> Iterator[list[int]]:
    part: list[int] = []
    for home in homes:
        part.append(home)
        if len(part) == AT_ONCE:
            yield part
            part = []
    if part:
        yield part


# Each query gives how often and one example. Sums are made first and joined after, so that they
# stay allowed where tables are spread over machines.
_CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "I1",
        "messages in the ledger without their bytes",
        "SELECT count(*), min(l.source || '/' || l.key) FROM ingest_ledger l "
        "LEFT JOIN raw_message r ON r.item_key = l.item_key AND r.source = l.source "
        "AND r.key = l.key WHERE r.item_key IS NULL "
        "AND l.received_at >= (SELECT min(received_at) FROM raw_message)",
    ),
    (
        "I1",
        "bytes that the ledger does not know",
        "SELECT count(*), min(r.source || '/' || r.key) FROM raw_message r "
        "LEFT JOIN ingest_ledger l ON l.item_key = r.item_key AND l.source = r.source "
        "AND l.key = r.key WHERE l.item_key IS NULL",
    ),
    (
        "I1",
        "bytes kept more than once",
        "SELECT count(*), min(name) FROM (SELECT source || '/' || key AS name FROM raw_message "
        "GROUP BY item_key, source, key HAVING count(*) > 1) AS twice",
    ),
    (
        "I1",
        "bytes that are not those the ledger noted",
        "SELECT count(*), min(r.source || '/' || r.key) FROM raw_message r "
        "JOIN ingest_ledger l ON l.item_key = r.item_key AND l.source = r.source AND l.key = r.key "
        "WHERE r.encoding = 'plain' AND sha256(r.body) <> l.sha256",
    ),
    (
        "I2",
        "messages whose events are not all there, or too many",
        "SELECT count(*), min(l.source || '/' || l.key) FROM ingest_ledger l "
        "LEFT JOIN (SELECT source, raw_key, count(*) AS n FROM event GROUP BY source, raw_key) e "
        "ON e.source = l.source AND e.raw_key = l.key "
        "WHERE coalesce(e.n, 0) <> l.n_events - l.n_known",
    ),
    (
        "I2",
        "events of a message that the ledger does not know",
        "SELECT count(*), min(e.source || '/' || e.raw_key) FROM "
        "(SELECT source, raw_key FROM event GROUP BY source, raw_key) e "
        "LEFT JOIN ingest_ledger l ON l.source = e.source AND l.key = e.raw_key "
        "WHERE l.item_key IS NULL",
    ),
    (
        "I4",
        "messages without an outcome",
        "SELECT count(*), min(source || '/' || key) FROM ingest_ledger "
        "WHERE outcome NOT IN ('pending', 'interpreted', 'quarantined')",
    ),
    (
        "I4",
        "events without a flow",
        "SELECT count(*), min(e.anchor) FROM (SELECT DISTINCT home_key, anchor FROM event) e "
        "LEFT JOIN flow f ON f.home_key = e.home_key AND f.anchor = e.anchor "
        "WHERE f.home_key IS NULL",
    ),
    (
        "I4",
        "flows that miscount their events",
        "SELECT count(*), min(f.anchor) FROM flow f "
        "LEFT JOIN (SELECT home_key, anchor, count(*) AS n FROM event GROUP BY home_key, anchor) e "
        "ON e.home_key = f.home_key AND e.anchor = f.anchor WHERE coalesce(e.n, 0) <> f.n_events",
    ),
    (
        "I4",
        "links that are kept at one end only",
        "SELECT count(*), min(a.evidence) FROM flow_link a LEFT JOIN flow_link b "
        "ON b.home_key = a.other_key AND b.other_key = a.home_key AND b.basis = a.basis "
        "WHERE b.home_key IS NULL",
    ),
    (
        "I4",
        "documents that no event speaks of",
        "SELECT count(*), min(d.kind || ':' || d.number) FROM document d "
        "LEFT JOIN (SELECT DISTINCT home_key FROM event_object) o ON o.home_key = d.home_key "
        "WHERE o.home_key IS NULL",
    ),
    (
        "I4",
        "subjects that have no document",
        "SELECT count(*), min(o.kind || ':' || o.number || ':' || o.line) FROM "
        "(SELECT DISTINCT home_key, CASE line WHEN '' THEN kind ELSE kind || '_line' END AS kind, "
        "scope, number, line FROM event_object CROSS JOIN LATERAL json_object_keys(words) AS line"
        ") o LEFT JOIN document d ON d.home_key = o.home_key AND d.kind = o.kind "
        "AND d.scope = o.scope AND d.number = o.number AND d.line = o.line "
        "WHERE d.home_key IS NULL",
    ),
)


def verify(conn: Connection) -> list[Violation]:
    """Violations of I1, I2 and I4 that the database alone can show; empty when all is well."""
    found = []
    for invariant, what, query in _CHECKS:
        count, example = conn.exec_driver_sql(query).one()
        if count:
            found.append(Violation(invariant, what, count, example or ""))
    return found
