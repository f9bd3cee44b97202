"""What figure_span holds of the days and weeks that several figures ask for, in one reading.

Each of its rows tells of subjects that are alike, in arrays of parties and numbers: the database
takes ten times as long to take these apart, so that they are added up here.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection, text

from db.driver import BINARY


@dataclass(frozen=True, slots=True)
class Days:
    """Days and weeks that one figure asks for.

    spans   1 or 7 days, and the first
    values  with what the subjects measure; ``weighs`` with what they weigh
    apart   each day for itself
    """

    figure: str
    spans: tuple[tuple[int, date], ...]
    values: bool
    weighs: bool
    apart: bool = False


@dataclass(slots=True)
class Alike:
    """Subjects of one verdict and word, by party; ``place`` of the days among those asked for,
    ``day`` only where each stands for itself."""

    place: int
    verdict: str
    healed: bool
    word: str
    day: date | None
    n: dict[Hashable, int] = field(default_factory=dict)
    amount: dict[Hashable, Any] = field(default_factory=dict)
    weight: dict[Hashable, Any] = field(default_factory=dict)
    each: dict[Hashable, dict[float, int]] = field(default_factory=dict)

    def take(self, of: Any, n: Any, each: Any, amount: Any, weight: Any) -> None:
        """Arrays of more of them."""
        found = self.n
        for who, number in zip(of, n, strict=True):
            found[who] = found.get(who, 0) + number
        if each is not None:
            values = self.each
            for who, number, value in zip(of, n, each, strict=True):
                known = values.get(who)
                if known is None:
                    known = values[who] = {}
                known[value] = known.get(value, 0) + number
        for sums, told in ((self.amount, amount), (self.weight, weight)):
            if told:
                for who, one in zip(of, told, strict=True):
                    if one is not None:
                        sums[who] = sums.get(who, 0) + one


_READ = """
SELECT a.place, s.verdict, s.healed, s.word, s.start, {columns}
FROM unnest(CAST(:figures AS text[]), CAST(:places AS int[]), CAST(:days AS int[]),
    CAST(:starts AS date[]), CAST(:values AS boolean[]), CAST(:weighs AS boolean[]))
    AS a (figure, place, days, start, values, weighs)
JOIN figure_span AS s
    ON s.figure = a.figure AND s.by = :by AND s.days = a.days AND s.start = a.start
"""
# What is told of one party stands together. Suppliers are in the order of their numbers, so that
# they are found by halving.
_OF_SUPPLIER = """
CROSS JOIN LATERAL (
    SELECT width_bucket(CAST(:below AS bigint), s.suppliers) + 1 AS first,
        width_bucket(CAST(:party AS bigint), s.suppliers) AS last) AS place
WHERE place.last >= place.first
"""
_OF_PARTY = """
CROSS JOIN LATERAL (
    SELECT first, first - 1 + cardinality(array_positions(s.parties, :party)) AS last
    FROM array_position(s.parties, :party) AS first) AS place
WHERE place.first IS NOT NULL
"""


def read(conn: Connection, asked: Sequence[Days], by: str, party: Any) -> list[Alike]:
    """What the days asked for come to; of one ``party`` alone if it is given."""
    rows = [(one, place, span) for place, one in enumerate(asked) for span in one.spans]
    if not rows:
        return []
    told: dict[str, Any] = {
        "figures": [one.figure for one, _, _ in rows],
        "places": [place for _, place, _ in rows],
        "days": [days for _, _, (days, _) in rows],
        "starts": [start for _, _, (_, start) in rows],
        "values": [one.values for one, _, _ in rows],
        "weighs": [one.weighs for one, _, _ in rows],
        "by": by,
    }
    parties = "s.suppliers" if by == "supplier" else "s.parties"
    statement, chosen = _READ, ""
    if party is not None:
        told["party"] = party
        chosen = "[place.first:place.last]"
        if by == "supplier":
            told["below"] = party - 1
        statement += _OF_SUPPLIER if by == "supplier" else _OF_PARTY
    columns = [
        parties if party is None else "NULL",
        f"s.n{chosen}",
        # What nobody asked for is not even unpacked.
        f"CASE WHEN a.values THEN s.each{chosen} END",
        f"CASE WHEN a.weighs THEN s.amount{chosen} END",
        f"CASE WHEN a.weighs THEN s.weight{chosen} END",
    ]
    asking = text(statement.format(columns=", ".join(columns))).execution_options(**{BINARY: True})
    bags: dict[tuple[Any, ...], Alike] = {}
    found = conn.execute(asking, told)
    for place, verdict, healed, word, start, of, n, each, amount, weight in found:
        one = asked[place]
        key = (place, verdict, healed, word, start if one.apart else None)
        bag = bags.get(key)
        if bag is None:
            bag = bags[key] = Alike(*key)
        # Where all measure nothing, no array says so.
        of = of or [party] * len(n)  # of the one asked for, or of the whole house
        bag.take(of, n, (each or [0.0] * len(n)) if one.values else None, amount, weight)
    return list(bags.values())
