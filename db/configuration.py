"""The network and the rule book in force, kept in the database so that every process agrees.

The worker takes files in; API and screens read what is in force here and never the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from db.roles import knowing_the_house
from db.tables import active_config, partner
from tower.identity import partner_id
from tower.network import Network

NETWORK = "network"
RULES = "rules"


@dataclass(frozen=True, slots=True)
class Active:
    """A file in force. ``problem`` tells why a newer one was refused, empty if none was."""

    name: str
    hash: str
    body: str
    activated_at: datetime
    problem: str


def text_hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def active(conn: Connection, name: str) -> Active | None:
    """The text in force under this name, None before the first activation."""
    with knowing_the_house(conn):
        row = conn.execute(select(active_config).where(active_config.c.name == name)).one_or_none()
    return None if row is None else Active(**row._mapping)


def activate(conn: Connection, name: str, body: str, now: datetime) -> bool:
    """Put a text in force; True if it differs from the one before."""
    before = active(conn, name)
    digest = text_hash(body)
    if before is not None and before.hash == digest:
        if before.problem:
            conn.execute(
                update(active_config).where(active_config.c.name == name).values(problem="")
            )
        return False
    values = {"hash": digest, "body": body, "activated_at": now, "problem": ""}
    conn.execute(
        insert(active_config)
        .values(name=name, **values)
        .on_conflict_do_update(index_elements=[active_config.c.name], set_=values)
    )
    return True


def refuse(conn: Connection, name: str, problem: str) -> bool:
    """Note that a newer file was refused and why; False if nothing is in force yet."""
    result = conn.execute(
        update(active_config).where(active_config.c.name == name).values(problem=problem)
    )
    return bool(result.rowcount)


def store_partners(conn: Connection, network: Network) -> None:
    """Make the partner table say what the network says; partners taken out stay as ``ended``."""
    rows = [
        {
            "partner_id": partner_id(key),
            "key": key,
            "name": p.name,
            "tier": p.tier,
            "template": p.template,
            "stage": p.stage,
            "country": p.country,
            "zone": p.zone,
            "channel": _CHANNEL[p.template],
            "profile": p.model_dump(mode="json"),
        }
        for key, p in sorted(network.partners.items())
    ]
    if rows:
        statement = insert(partner)
        conn.execute(
            statement.on_conflict_do_update(
                index_elements=[partner.c.partner_id],
                set_={c: statement.excluded[c] for c in rows[0] if c != "partner_id"},
            ),
            rows,
        )
    known = [row["partner_id"] for row in rows]
    conn.execute(
        update(partner)
        .where(partner.c.partner_id.not_in(known) if known else partner.c.key.is_not(None))
        .values(stage="ended")
    )


def forget(conn: Connection, name: str) -> None:
    """Take a text out of force (tests and the demo's fresh start)."""
    conn.execute(delete(active_config).where(active_config.c.name == name))


_CHANNEL: Mapping[str, str] = {
    "api": "api",
    "edi_x12": "edi",
    "edi_edifact": "edi",
    "file": "file",
    "portal": "portal",
}
