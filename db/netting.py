"""Buckets of supply and demand: all that one item in one warehouse is netted from.

Set-based, whatever the number of buckets: their open lines by index, those that ended since the
oldest open need, pegs of all of them, stock with what moved since it was reported. Nothing is
read of buckets without a stock report or, when they are judged, without an open customer order
line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    any_,
    bindparam,
    delete,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from db import records, supply, trips
from db.impact import ANY_STOCK, LineKey, Place
from db.supply import Terms
from db.tables import document, peg, source_spell, stock_change, stock_level
from tower.documents import Owners
from tower.identity import document_home, key64
from tower.impact import OrderLine, Peg, PoLine, Supply
from tower.netting import Bucket, Stock
from tower.registers import all_receipts, microseconds
from tower.shipments import standing_receipts
from tower.timelines import day_of

_HOMES = bindparam("homes", type_=ARRAY(BigInteger))

# --- which buckets -------------------------------------------------------------------------------

_OF_HOMES = text(
    """
    WITH header AS (
        SELECT home_key, warehouse, state FROM document
        WHERE home_key = ANY(:homes) AND line = '' AND kind IN ('po', 'order')
    ), sites AS (
        SELECT home_key, warehouse FROM header
        UNION SELECT h.home_key, w.value -> 3 ->> 'warehouse'
        FROM header h, json_each(coalesce(h.state -> 'w', '{}')) w
    ), items AS (
        SELECT home_key, item FROM document WHERE home_key = ANY(:homes)
        UNION SELECT h.home_key, o.value ->> 8
        FROM header h, json_each(coalesce(h.state -> 'l', '{}')) l,
             json_each(coalesce(l.value -> 'o', '{}')) o
    )
    SELECT DISTINCT s.warehouse, i.item FROM sites s JOIN items i ON i.home_key = s.home_key
    WHERE s.warehouse IS NOT NULL AND i.item IS NOT NULL
    """
).bindparams(_HOMES)


def places_of(conn: Connection, homes: Iterable[int]) -> set[Place]:
    """Buckets in which lines of these orders stand, or stood under another item or warehouse."""
    wanted = sorted(set(homes))
    if not wanted:
        return set()
    return {(row[0], row[1]) for row in conn.execute(_OF_HOMES, {"homes": wanted})}


def reported(conn: Connection, places: Collection[Place]) -> set[Place]:
    """Those of these buckets whose stock is known."""
    if not places:
        return set()
    s = stock_level.c
    rows = conn.execute(
        select(s.warehouse, s.item).where(tuple_(s.warehouse, s.item).in_(sorted(places)))
    )
    return {(row[0], row[1]) for row in rows}


def anything_reported(conn: Connection) -> bool:
    """Whether any stock is known at all."""
    return bool(trips.ask_one(conn, *ANY_STOCK)[0][0])


def lock(conn: Connection, places: Iterable[Place]) -> None:
    """Let nobody else net these buckets until this transaction ends; all lock in one order."""
    keys = sorted(key64("bucket", *place) for place in places)
    if keys:
        conn.execute(select(func.pg_advisory_xact_lock(func.unnest(_HOMES))), {"homes": keys})


# --- what is in them -----------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """The lines of one bucket: purchase lines, order lines that are open, and all lines of which
    goods may have moved since the stock was reported."""

    po: set[LineKey] = field(default_factory=set)
    orders: set[LineKey] = field(default_factory=set)
    placed: list[datetime] = field(default_factory=list)
    received: set[LineKey] = field(default_factory=set)
    sent: set[LineKey] = field(default_factory=set)


def load(
    conn: Connection, terms: Terms, places: Collection[Place], *, judged: bool = True
) -> list[Bucket]:
    """These buckets; ``judged``: only those in which something can be netted."""
    levels = _levels(conn, places)
    found = {place: _Found() for place in places if not judged or place in levels}
    homes: dict[LineKey, int] = {}
    for row in _open(conn, found):
        _take(found[row.warehouse, row.item], homes, row, levels.get((row.warehouse, row.item)))
    found = {place: one for place, one in found.items() if one.orders or not judged}
    for row in _done(conn, found, levels):
        _take(found[row.warehouse, row.item], homes, row, levels.get((row.warehouse, row.item)))
    pegs = _pegs(conn, found, homes)
    po_homes = {homes[key] for one in found.values() for key in one.po}
    po_homes |= {document_home("po", *peg.po_line[:2]) for peg in pegs}
    named = {peg.order_line for peg in pegs}
    named |= {key for one in found.values() for key in one.orders}
    po_lines = supply.po_lines(conn, terms, po_homes)
    order_lines = supply.order_lines(conn, terms, named)
    moved = _Moved.read(conn, terms, found, homes)
    return [
        _bucket(place, one, levels.get(place), pegs, po_lines, order_lines, moved)
        for place, one in sorted(found.items())
    ]


_LINE = (
    *("home_key", "kind", "scope", "number", "line", "item", "warehouse", "closed"),
    *("released_at", "first_seen_at", "last_event_at", "goods_received_at", "shipped_at"),
)


def _open(conn: Connection, places: Iterable[Place]) -> Iterable[Any]:
    """Open lines of these buckets (ix_document_open_item)."""
    wanted = sorted((item, warehouse) for warehouse, item in places)
    if not wanted:
        return ()
    d = document.c
    return conn.execute(
        select(*(d[name] for name in _LINE)).where(
            tuple_(d.item, d.warehouse).in_(wanted), d.item.is_not(None), ~d.closed
        )
    )


_DONE = text(
    f"""
    SELECT {", ".join(f"d.{name}" for name in _LINE)}
    FROM json_to_recordset(CAST(:rows AS json)) AS g(item text, warehouse text, since timestamptz)
    JOIN document d ON d.item = g.item AND d.warehouse = g.warehouse
    WHERE d.closed AND d.item IS NOT NULL AND d.last_event_at >= g.since
    """  # noqa: S608 - our own names
)


def _done(
    conn: Connection, found: Mapping[Place, _Found], levels: Mapping[Place, Any]
) -> Iterable[Any]:
    """Lines that ended since the oldest open need was placed, or the stock was reported."""
    rows = []
    for place, one in sorted(found.items()):
        told = [*one.placed, *([levels[place].as_of] if place in levels else [])]
        if told:
            rows.append({"warehouse": place[0], "item": place[1], "since": min(told)})
    return conn.execute(_DONE, {"rows": records.as_json(rows)}) if rows else ()


def _take(found: _Found, homes: dict[LineKey, int], row: Any, level: Any) -> None:
    key = (row.scope, row.number, row.line)
    homes[key] = row.home_key
    news = level is not None and row.last_event_at > level.as_of
    if row.kind == "po_line":
        found.po.add(key)
        if news and row.goods_received_at is not None:
            found.received.add(key)
        return
    if not row.closed:
        found.orders.add(key)
        found.placed.append(row.released_at or row.first_seen_at)
    if news and row.shipped_at is not None:
        found.sent.add(key)


def _pegs(
    conn: Connection, found: Mapping[Place, _Found], homes: Mapping[LineKey, int]
) -> list[Peg]:
    """Every standing peg of the purchase lines of these buckets, and of those elsewhere to which
    their order lines are pegged."""
    orders = sorted({key for one in found.values() for key in one.orders})
    asked = {homes[key] for one in found.values() for key in one.po}
    p = peg.c
    if orders:
        asked |= set(
            conn.execute(
                select(p.home_key)
                .where(tuple_(p.scope, p.order, p.order_line).in_(orders), p.qty > 0)
                .distinct()
            ).scalars()
        )
    if not asked:
        return []
    rows = conn.execute(
        select(p.scope, p.po, p.po_line, p.order, p.order_line, p.qty)
        .where(p.home_key == any_(_HOMES), p.qty > 0)
        .order_by(p.scope, p.po, p.po_line, p.order, p.order_line),
        {"homes": sorted(asked)},
    )
    return [Peg((r[0], r[1], r[2]), (r[0], r[3], r[4]), r[5]) for r in rows]


def _bucket(
    place: Place,
    found: _Found,
    level: Any,
    pegs: Sequence[Peg],
    po_lines: Mapping[LineKey, PoLine],
    order_lines: Mapping[LineKey, OrderLine],
    moved: _Moved,
) -> Bucket:
    own = {key: po_lines[key] for key in found.po if key in po_lines}
    pegged = {p.po_line for p in pegs if p.order_line in found.orders}
    others = {k: po_lines[k] for k in pegged - own.keys() if k in po_lines}
    mine = [p for p in pegs if p.po_line in own or p.po_line in pegged]
    named = {p.order_line for p in mine} - found.orders
    return Bucket(
        warehouse=place[0],
        item=place[1],
        stock=None if level is None else moved.stock(place, found, level, own),
        po_lines=own,
        order_lines={key: order_lines[key] for key in found.orders if key in order_lines},
        pegs=mine,
        other_lines=others,
        other_orders={key: order_lines[key] for key in named if key in order_lines},
    )


# --- stock ---------------------------------------------------------------------------------------


def _levels(conn: Connection, places: Collection[Place]) -> dict[Place, Any]:
    """Reports of these buckets that tell a quantity."""
    if not places:
        return {}
    s = stock_level.c
    rows = conn.execute(
        select(stock_level).where(
            tuple_(s.warehouse, s.item).in_(sorted(places)), s.on_hand.is_not(None)
        )
    )
    return {(row.warehouse, row.item): row for row in rows}


@dataclass(slots=True)
class _Moved:
    """What moved since stock was reported, from the registers of the documents concerned."""

    owners: Owners
    dock_days: Mapping[str, int]
    states: dict[int, Any]
    homes: Mapping[LineKey, int]
    changes: dict[Place, list[tuple[datetime, Decimal]]]
    blind: frozenset[str]

    @classmethod
    def read(
        cls,
        conn: Connection,
        terms: Terms,
        found: Mapping[Place, _Found],
        homes: Mapping[LineKey, int],
    ) -> _Moved:
        wanted = {homes[k] for one in found.values() for k in one.received | one.sent}
        states: dict[int, Any] = {}
        if wanted:
            d = document.c
            rows = conn.execute(
                select(d.home_key, d.state).where(
                    d.home_key == any_(_HOMES), d.line == "", d.kind.in_(("po", "order"))
                ),
                {"homes": sorted(wanted)},
            )
            states = {row[0]: row[1] for row in rows}
        changes: dict[Place, list[tuple[datetime, Decimal]]] = {}
        if found:
            c = stock_change.c
            asked = tuple_(c.warehouse, c.item).in_(sorted(found))
            for row in conn.execute(select(c.warehouse, c.item, c.at, c.delta).where(asked)):
                changes.setdefault((row[0], row[1]), []).append((row[2], row[3]))
        p = source_spell.c
        blind = conn.execute(select(p.source).where(p.to_at.is_(None)).distinct()).scalars()
        return cls(
            Owners.of(terms.network),
            {name: site.dock_to_stock_days for name, site in terms.network.warehouses.items()},
            states,
            homes,
            changes,
            frozenset(blind),
        )

    def stock(
        self, place: Place, found: _Found, level: Any, lines: Mapping[LineKey, PoLine]
    ) -> Stock:
        """The stock of a bucket with what came, went and was counted since its report."""
        as_of = microseconds(level.as_of)
        came: list[Supply] = []
        for key in sorted(found.received & lines.keys()):
            came += self._came(key, place[0], as_of)
        went = sum((self._went(key, as_of) for key in sorted(found.sent)), Decimal(0))
        adjusted = sum((d for at, d in self.changes.get(place, ()) if at > level.as_of), Decimal(0))
        unknown = level.source in self.blind
        return Stock(level.on_hand, level.as_of, level.uom, tuple(came), went, adjusted, unknown)

    def _came(self, key: LineKey, warehouse: str, as_of: int) -> list[Supply]:
        """Usable goods of a purchase line that were received after an instant."""
        state = self.states.get(self.homes[key], {})
        node = state.get("l", {}).get(key[2], {})
        registers = [node.get("r", {})]
        items = {entry[8] for entry in node.get("o", {}).values()}
        for item in items & state.get("x", {}).keys():
            alike = [
                line
                for line in state["l"].values()
                if item in {entry[8] for entry in line.get("o", {}).values()}
            ]
            if len(alike) == 1:  # receipts without a line number are of the one with their item
                registers.append(state["x"][item].get("r", {}))
        register = registers[0] if len(registers) == 1 else all_receipts(registers)
        found = []
        for at, _, _, qty, rejected, *_ in standing_receipts(register, self.owners):
            usable = Decimal(qty or 0) - Decimal(rejected or 0)
            if at > as_of and usable > 0:
                day = date.fromisoformat(day_of(at, self.owners.zones.get(warehouse)))
                days = timedelta(days=self.dock_days.get(warehouse, 0))
                found.append(Supply(usable, day + days, "receipt"))
        return found

    def _went(self, key: LineKey, as_of: int) -> Decimal:
        """What left for the customer of an order line after an instant."""
        state = self.states.get(self.homes[key], {})
        entries = state.get("l", {}).get(key[2], {}).get("s", {}).values()
        return sum((Decimal(e[2]) for e in entries if e[0] > as_of and e[2]), Decimal(0))


def prune(conn: Connection, places: Collection[Place]) -> None:
    """Forget changes that the reports of these buckets contain: they never count again."""
    if places:
        c, s = stock_change.c, stock_level.c
        conn.execute(
            delete(stock_change).where(
                tuple_(c.warehouse, c.item).in_(sorted(places)),
                c.warehouse == s.warehouse,
                c.item == s.item,
                c.at <= s.as_of,
            )
        )
