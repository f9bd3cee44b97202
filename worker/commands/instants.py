"""Instants as people type them for a command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from db.reads import names
from tower.errors import ConfigError
from tower.numerals import natural
from tower.zones import zone


def instant(conn: Connection, text: str, now: datetime) -> datetime:
    """ "4h", "3d" from now, or an instant in the company's zone."""
    number, unit = natural(text[:-1]), text[-1:]
    if unit in ("h", "d") and number and number < 10_000:
        return now + timedelta(hours=number * (1 if unit == "h" else 24))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f'--until: "{text}" is no time; write one like 2026-03-30T09:00, 4h or 3d.'
        ) from None
    if moment.tzinfo is None:
        network = names.network(conn)
        moment = moment.replace(tzinfo=zone(network.company.zone if network else "UTC"))
    return moment.astimezone(UTC)
