"""Names to choose from: suppliers, buyers, warehouses, categories of goods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from db.reads import names
from db.reads.filters import within_scope
from db.tables import document, partner
from tower.access import Scope
from tower.identity import document_home

LOOK_BACK = timedelta(days=180)  # a buyer without orders for half a year is not offered

LINES_READ = 50_000  # a category of which none of the newest lines is, is not offered


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filter row offers: key and name each, by name."""

    suppliers: tuple[tuple[str, str], ...]
    buyers: tuple[tuple[str, str], ...]
    warehouses: tuple[tuple[str, str], ...]
    categories: tuple[tuple[str, str], ...] = ()


def choices(conn: Connection, scope: Scope, now: datetime) -> Choices:
    suppliers = conn.execute(
        select(partner.c.key, partner.c.name)
        .where(*within_scope(partner.c, scope))
        .order_by(partner.c.name, partner.c.key)
    ).all()
    recent = (
        document.c.kind == "po",
        document.c.released_at >= now - LOOK_BACK,
        *within_scope(document.c, scope),
    )
    buyers, warehouses = (
        sorted(filter(None, conn.execute(select(column).where(*recent).distinct()).scalars()))
        for column in (document.c.buyer, document.c.warehouse)
    )
    net = names.network(conn)
    people = {} if net is None else {key: person.name for key, person in net.people.items()}
    sites = {} if net is None else {key: site.name for key, site in net.warehouses.items()}
    return Choices(
        suppliers=tuple((key, name) for key, name in suppliers),
        buyers=_named(buyers, people),
        warehouses=_named(warehouses, sites),
        categories=_named(_categories(conn, scope, now), {} if net is None else net.goods),
    )


def _categories(conn: Connection, scope: Scope, now: datetime) -> list[str]:
    """Of the newest lines: reading those of half a year would cost more than all else here."""
    d = document.c
    newest = (
        select(d.category)
        .where(d.kind == "po_line", d.released_at >= now - LOOK_BACK, *within_scope(d, scope))
        .order_by(d.released_at.desc())
        .limit(LINES_READ)
        .subquery()
    )
    found = select(newest.c.category).where(newest.c.category.is_not(None)).distinct()
    return sorted(conn.execute(found).scalars())


def supplier_of_order(conn: Connection, erp: str, number: str) -> str | None:
    """Partner key of the supplier of a purchase order; None if neither is known."""
    return conn.execute(
        select(document.c.supplier).where(
            document.c.home_key == document_home("po", erp, number),
            document.c.kind == "po",
            document.c.scope == erp,
            document.c.number == number,
            document.c.line == "",
        )
    ).scalar()


def _named(keys: Iterable[str], names_by_key: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(((k, names_by_key.get(k, k)) for k in keys), key=lambda pair: pair[1]))
