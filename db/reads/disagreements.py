"""Lines on which systems tell different values of one field, and whose word counts.

Documents keep per system the last value it told of each shared field (`document.reports`); here
these are laid side by side. Nothing is decided anew: what counts has been folded already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from db.reads.filters import within_scope
from db.tables import document
from tower.access import Scope
from tower.network import Network
from tower.owners import Owners
from tower.vocabulary import decimal_text

MOST_ROWS = 200
MOST_LINES = 20_000  # looked at for one answer, the newest first


@dataclass(frozen=True, slots=True)
class Told:
    """What one system says, and since when it says so (None: it did not tell a time)."""

    value: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One field of one line with more than one value.

    values  system -> what it tells; ``counts`` those whose word the document follows
    gap     difference between the least and the greatest: quantity, money, or whole days
    since   when the latest of the differing values was told
    """

    kind: str
    scope: str
    number: str
    line: str
    supplier: str | None
    item: str | None
    field: str
    break_type: Literal["quantity", "date", "price"]
    values: Mapping[str, Told]
    counts: tuple[str, ...]
    gap: str
    since: datetime | None
    age_s: float | None

    @property
    def ref(self) -> str:
        """The reference that opens the document."""
        return f"{self.kind.removesuffix('_line')}:{self.scope}:{self.number}"


def disagreements(
    conn: Connection,
    scope: Scope,
    net: Network,
    now: datetime,
    *,
    field: str | None = None,
    open_only: bool = True,
    limit: int = MOST_ROWS,
) -> tuple[list[Disagreement], bool]:
    """Disagreements, the oldest first, and whether there are more than are given.

    ``open_only`` leaves out lines that are complete, closed or cancelled.
    """
    d = document.c
    systems = func.json_object_keys(d.reports).table_valued("system").render_derived()
    several = select(func.count()).select_from(systems).scalar_subquery() > 1
    rows = conn.execute(
        select(d.kind, d.scope, d.number, d.line, d.supplier, d.item, d.reports)
        .where(
            d.kind.in_(("po_line", "order_line")),
            several,
            *((~d.closed,) if open_only else ()),
            *within_scope(d, scope),
        )
        .order_by(d.last_event_at.desc(), d.home_key, d.line)
        .limit(MOST_LINES)
    ).all()
    owners = Owners.of(net)
    found = [
        one
        for row in rows
        for one in _of_line(row, owners, now)
        if field is None or one.field == field
    ]
    found.sort(key=lambda one: (-(one.age_s or 0), one.kind, one.number, one.line, one.field))
    return found[:limit], len(found) > limit or len(rows) == MOST_LINES


def _of_line(row: Any, owners: Owners, now: datetime) -> list[Disagreement]:
    by_field: dict[str, dict[str, Told]] = {}
    for system, told in row.reports.items():
        for name, said in told.items():
            since = datetime.fromisoformat(said[1]) if len(said) > 1 else None
            by_field.setdefault(name, {})[system] = Told(said[0], since)
    result = []
    for name, values in sorted(by_field.items()):
        if len(values) < 2:
            continue
        gap = _gap([told.value for told in values.values()])
        if gap is None:
            continue
        since = max((t.since for t in values.values() if t.since), default=None)
        counts = owners.owning(row.kind, name, values)
        result.append(
            Disagreement(
                row.kind,
                row.scope,
                row.number,
                row.line,
                row.supplier,
                row.item,
                name,
                _break_type(name),
                values,
                tuple(sorted(counts)),
                gap,
                since,
                None if since is None else (now - since).total_seconds(),
            )
        )
    return result


def _break_type(name: str) -> Literal["quantity", "date", "price"]:
    return "date" if name.endswith("_date") else "price" if name == "price" else "quantity"


def _gap(values: list[str]) -> str | None:
    """How far values are apart; None if they are the same ("4" is "4.0")."""
    try:
        numbers = [Decimal(value) for value in values]
    except InvalidOperation:
        if len(set(values)) == 1:
            return None
        days = [datetime.fromisoformat(value).date() for value in values]
        return str((max(days) - min(days)).days)
    if min(numbers) == max(numbers):
        return None
    return decimal_text(max(numbers) - min(numbers))
