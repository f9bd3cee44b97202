"""Which rules speak for a category, from the rule book in force."""

from __future__ import annotations

from sqlalchemy import Connection, select

from db import configuration
from db.reads.remembered import once
from db.roles import knowing_the_house
from db.tables import active_config
from tower.rulebook import RuleBook, load_rulebook


def rules_of(conn: Connection, *categories: str) -> tuple[str, ...]:
    """Ids of the rules with one of these categories; none before the first activation."""
    book = rulebook(conn)
    return () if book is None else tuple(r.id for r in book.rules if r.category in categories)


def rulebook(conn: Connection) -> RuleBook | None:
    """The rule book in force, None before the first activation."""
    digest = once(conn, "rules in force", lambda: _digest(conn))
    if digest is None:
        return None
    kept = _parsed.get(digest)
    if kept is None:
        active = configuration.active(conn, configuration.RULES)
        if active is None:
            return None
        kept = load_rulebook(active.body)
        _parsed.clear()  # one rule book is in force at a time
        _parsed[active.hash] = kept
    return kept


def _digest(conn: Connection) -> str | None:
    a = active_config.c
    asked = select(a.hash).where(a.name == configuration.RULES)
    with knowing_the_house(conn):
        return conn.execute(asked).scalar_one_or_none()


_parsed: dict[str, RuleBook] = {}
