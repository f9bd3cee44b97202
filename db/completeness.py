"""How complete the sources are: what was read of them last, and the stretches they were blind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, text, update

from db import records, trips
from db.clocks import BEGINNING
from db.tables import source_spell
from db.trips import Statement
from tower.identity import source_key
from tower.signs import Evidence, Spell

NEVER = datetime(2000, 1, 1, tzinfo=UTC)  # a source that was never read is complete up to here
LOOK_BACK = timedelta(hours=1)
"""More than any rule waits for stragglers after a recovery: spells of silence that ended so long
before a unit was judged last, or before anything came in for it, cannot matter to it any more."""


@dataclass(frozen=True, slots=True)
class Feeds:
    """How complete the sources are, read once per round.

    spells       every stretch of blindness that was written down, by source
    complete_to  start of the last good read, None if there never was one
    """

    spells: Mapping[str, Sequence[Spell]]
    complete_to: Mapping[str, datetime | None]

    @classmethod
    def of_rows(cls, rows: Iterable[Any]) -> Feeds:
        spells: dict[str, list[Spell]] = {}
        complete: dict[str, datetime | None] = {}
        for source, complete_to, *spell in rows:
            if spell[0] is None:
                complete[source] = complete_to
            else:
                spells.setdefault(source, []).append(Spell(source, *spell))
        return cls(spells, complete)

    def blind(
        self, evidence: Iterable[Evidence], since: datetime | None, now: datetime
    ) -> list[Spell]:
        """Spells of these sources that are open, or ended after ``since``.

        A source whose last good read is older than its tolerance is blind from there on, whether
        or not anybody has written that down yet.
        """
        found: dict[tuple[str, datetime], Spell] = {}
        for source in evidence:
            for spell in self.spells.get(source.source, ()):
                if spell.to_at is None or since is None or spell.to_at >= since:
                    found[(spell.source, spell.from_at)] = spell
            up_to = self.complete_to.get(source.source) or NEVER
            known = up_to + source.tolerance
            if known <= now:
                found.setdefault((source.source, up_to), Spell(source.source, up_to, known))
        return sorted(found.values(), key=lambda spell: (spell.from_at, spell.source))


# Checkpoints and spells in one statement: small questions cost more to say than to answer.
_COMPLETE = """
    SELECT source, complete_to, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz
    FROM checkpoint
    WHERE source_key = ANY(%(keys)s::bigint[]) AND source = ANY(%(names)s::text[])
    UNION ALL
    (SELECT source, NULL, from_at, known_at, to_at FROM source_spell
     WHERE source = ANY(%(names)s::text[]) AND (to_at IS NULL OR {ended})
     ORDER BY source, from_at)
"""
_FOR_UNITS = Statement(
    _COMPLETE.format(
        ended="""to_at >= (
          SELECT min(coalesce(j.instant, (
                     SELECT min(e.arrived_at) FROM event_object e WHERE e.home_key = h.home)))
                 - %(back)s
            FROM unnest(%(homes)s::bigint[]) AS h (home)
            LEFT JOIN judged_unit j ON j.home_key = h.home AND j.instant > %(beginning)s)"""
    )
)
_SINCE = Statement(
    _COMPLETE.format(ended="%(since)s::timestamptz IS NULL OR to_at >= %(since)s::timestamptz")
)


def asking(homes: Iterable[int], sources: Iterable[str]) -> trips.Asked:
    """Asks how complete these sources are, with all spells that can matter to these units; the
    answer goes to ``Feeds.of_rows``."""
    given = {"homes": records.numbers(homes), "back": LOOK_BACK, "beginning": BEGINNING}
    return _FOR_UNITS, {**given, **_named(frozenset(sources))}


@lru_cache(maxsize=64)
def _named(sources: frozenset[str]) -> Mapping[str, str]:
    """The names of sources and their keys, as arrays."""
    keys = records.numbers(source_key(name) for name in sorted(sources))
    return {"keys": keys, "names": records.words(sources)}


def read(conn: Connection, sources: Iterable[str], since: datetime | None) -> Feeds:
    """How complete these sources are, with spells that are open or ended after ``since``."""
    given = {"since": since, **_named(frozenset(sources))}
    return Feeds.of_rows(trips.ask_one(conn, _SINCE, given))


_UNTROUBLED = text(
    """
    SELECT c.source, c.complete_to
    FROM checkpoint c
    LEFT JOIN judged_unit j ON j.home_key = c.source_key
    WHERE c.source_key = any(:keys) AND c.source = any(:names) AND c.complete_to IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM clock k WHERE k.home_key = c.source_key AND k.open)
      AND NOT EXISTS (
          SELECT 1 FROM source_spell s
          WHERE s.source = c.source
            AND (s.to_at IS NULL OR j.instant IS NULL OR s.to_at > j.instant))
    """
)


def untroubled(conn: Connection, sources: Sequence[str]) -> list[tuple[str, datetime]]:
    """Sources without an open clock and without a spell that is open or not judged yet, each with
    how far it is complete."""
    if not sources:
        return []
    names = sorted(set(sources))
    keys = [source_key(name) for name in names]
    rows = conn.execute(_UNTROUBLED, {"keys": keys, "names": names})
    return [(row[0], row[1]) for row in rows]


def open_spell(conn: Connection, spell: Spell, cause: str) -> None:
    """Write down that a source is blind; known ones stay as they are."""
    records.put(
        conn,
        source_spell,
        [
            {
                "source": spell.source,
                "from_at": spell.from_at,
                "known_at": spell.known_at,
                "to_at": spell.to_at,
                "cause": cause,
            }
        ],
        conflict=("source", "from_at"),
    )


def close_spells(
    conn: Connection, source: str, to_at: datetime, *, before: datetime | None = None
) -> None:
    """Open spells of this source ended; only those that began before an instant, if given."""
    s = source_spell.c
    query = update(source_spell).where(s.source == source, s.to_at.is_(None))
    if before is not None:
        query = query.where(s.from_at < before)
    conn.execute(query.values(to_at=to_at))
