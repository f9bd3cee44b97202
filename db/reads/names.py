"""Names of suppliers and people, for answers that show keys of network.yaml to readers."""

from __future__ import annotations

from sqlalchemy import Connection, select

from db import configuration
from db.reads.filters import within_scope
from db.reads.remembered import once
from db.roles import knowing_the_house
from db.tables import active_config, partner
from tower.access import Scope
from tower.calendars import Calendar
from tower.network import Network, load_network


def suppliers(conn: Connection, scope: Scope) -> dict[str, str]:
    """Names by key; a supplier that the network does not know is missing here."""
    p = partner.c
    rows = conn.execute(select(p.key, p.name).where(*within_scope(p, scope)))
    return dict(rows.all())


def people(conn: Connection) -> dict[str, str]:
    """Names of people and desks by their key."""
    found = network(conn)
    return {} if found is None else {key: person.name for key, person in found.people.items()}


def network(conn: Connection) -> Network | None:
    """The network in force, None before the first activation."""
    digest = once(conn, "network in force", lambda: _digest(conn))
    if digest is None:
        return None
    kept = _parsed.get(digest)
    if kept is None:
        active = configuration.active(conn, configuration.NETWORK)
        if active is None:
            return None
        kept = load_network(active.body, "network.yaml")
        _parsed.clear()  # one network is in force at a time
        _parsed[active.hash] = kept
    return kept


def _digest(conn: Connection) -> str | None:
    a = active_config.c
    asked = select(a.hash).where(a.name == configuration.NETWORK)
    with knowing_the_house(conn):
        return conn.execute(asked).scalar_one_or_none()


def company_hours(conn: Connection) -> Calendar | None:
    """The company's open hours, None where no network or no such calendar is in force."""
    found = network(conn)
    if found is None:
        return None
    spec = found.calendars.get(found.company.calendar)
    if spec is None:
        return None
    kept = _hours.get(id(spec))
    if kept is None:
        kept = Calendar(found.company.calendar, spec)
        _hours.clear()
        _hours[id(spec)] = kept
    return kept


_hours: dict[int, Calendar] = {}
_parsed: dict[str, Network] = {}
