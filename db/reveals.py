"""One masked value shown to one person, for a reason, and written down."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from db import audit
from db.reads.payloads import payload
from tower.access import Scope
from tower.errors import TowerError
from tower.masking import ALL, overlaps

MOST_BYTES = 500  # of one value; a whole payload is not one field


class RevealRefused(TowerError):
    """The value is not shown; the message says why."""


def reveal(
    conn: Connection,
    scope: Scope,
    who: str,
    place: tuple[str, str, int],
    why: str,
    now: datetime,
) -> bytes:
    """The masked value that begins at a byte of a message (source, key, offset).

    The caller's transaction keeps the entry in the audit log: it must commit before the value is
    shown. The entry says which bytes and of what class, never what they are.
    """
    scope.demand("payload.reveal")
    source, key, offset = place
    subject = f"message:{source}/{key}"
    if not why.strip():
        raise RevealRefused("Say why you need to see it; the reason is kept.")
    shown = payload(conn, scope, source, key)
    plain = payload(conn, replace(scope, reveals=ALL), source, key)
    if shown is None or plain is None:
        raise RevealRefused("This message is not kept, or not yours to see.")
    hidden = next((one for one in shown.hidden if overlaps([one], offset, 1)), None)
    if hidden is None:
        raise RevealRefused("Nothing is masked at this place.")
    if hidden.length > MOST_BYTES:
        raise RevealRefused(
            "This place has no parts that could be shown one by one. Ask for a bundle instead."
        )
    detail = {"offset": hidden.offset, "length": hidden.length, "class": hidden.kind, "why": why}
    audit.record(conn, who, "value.revealed", subject, detail, now)
    return plain.body[hidden.offset : hidden.offset + hidden.length]
