"""The accounts of ``tower demo``: one per role, with random passwords that its own page shows.

The passwords stand in a file of the demo's home that only its user reads. No other installation has
such a file, and no account is made without somebody asking for it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from db import accounts, passwords
from tower.access import Role
from tower.accounts import NotAnAccount
from tower.settings import Settings

FILE = "people.json"


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """An account of the demo, with its password."""

    name: str
    full_name: str
    role: Role
    password: str


def prepare(
    conn: Connection, folder: Path, people: list[tuple[str, str, Role]], partner: str, now: datetime
) -> list[DemoPerson]:
    """Make the accounts (name, full name, role) unless they are there; the partner's one sees
    ``partner``. An account whose password nobody knows any more gets another.
    """
    known = {one.name: one for one in _read(folder)}
    found = []
    for name, full_name, role in people:
        before = known.get(name)
        one = before or DemoPerson(name, full_name, role, passwords.made())
        try:
            accounts.by_name(conn, name)
        except NotAnAccount:
            accounts.add(
                conn,
                name=name,
                full_name=full_name,
                password=one.password,
                role=role,
                partners=[partner] if role == "partner" else None,
                grants=["replay.act"] if role == "support" else (),
                by="demo",
                now=now,
            )
        else:
            if before is None:
                accounts.reset(conn, name, one.password, by="demo", now=now)
        found.append(one)
    _write(folder, found)
    return found


def shown(chosen: Settings) -> list[DemoPerson]:
    """The accounts of the demo whose network these settings name; none for any other tower."""
    folder = chosen.home / "demo"
    return _read(folder) if chosen.network.parent == folder else []


def _read(folder: Path) -> list[DemoPerson]:
    try:
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [DemoPerson(**one) for one in told]
    except (OSError, ValueError, TypeError):
        return []


def _write(folder: Path, people: list[DemoPerson]) -> None:
    text = json.dumps([asdict(one) for one in people], indent=1)
    half = folder / (FILE + ".tmp")
    half.unlink(missing_ok=True)
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    half.replace(folder / FILE)
