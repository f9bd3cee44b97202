"""How much of a line came by which day: what figures about receipts and deliveries count.

Quantities are decimal texts, days ISO texts; receipts come in the order in which they happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from tower import amounts
from tower.rows import Row

Arrivals = Sequence[tuple[str, str | None]]
"""(day at the site that received, quantity) of each receipt; quantities in one unit."""


def came_by(arrivals: Arrivals, due: str | None) -> str | None:
    """What was there at the end of a day; None without a day or where nobody told how much."""
    if due is None:
        return None
    told = [qty for day, qty in arrivals if day <= due]
    return amounts.total(told) if told else "0"


def late_unit_days(arrivals: Arrivals, due: str | None, wanted: str | None) -> str | None:
    """Sum of units x days after ``due``, of the units wanted: surplus is neither late nor early."""
    if due is None or wanted is None:
        return None
    if arrivals[-1][0] <= due:
        return "0"
    last, got, sums = date.fromisoformat(due), "0", ["0"]
    for day, qty in arrivals:
        if qty is None:
            return None
        left = amounts.remaining(wanted, got)
        counted = qty if left is None or amounts.compare(qty, left) <= 0 else left
        got = amounts.total([got, qty]) or got
        if day > due:
            days = str((date.fromisoformat(day) - last).days)
            sums.append(amounts.product(counted, days) or "0")
    return amounts.total(sums)


def fill_in(line: Row, arrivals: Arrivals, first: str | None, last: str | None) -> None:
    """What came of a line by the first and last day agreed and by the day requested."""
    requested = line["requested_date"]
    first, last = first or requested, last or requested
    line["qty_by_first"] = came_by(arrivals, first)
    line["qty_by_last"] = line["qty_by_first"] if last == first else came_by(arrivals, last)
    line["qty_by_requested"] = (
        line["qty_by_first"] if requested == first else came_by(arrivals, requested)
    )
