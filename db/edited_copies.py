"""Edited copies of dead letters: kept beside the original, and drafted in its place.

The original's bytes stay as they are; of original and copy only one is ever sent.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from db import audit, ingest, letters, replay_facts, replay_wishes, replays, switches
from db.replays import Replay
from tower.access import Scope
from tower.edits import EDIT_OF, MOST_BYTES, copy_key, seen_mark
from tower.masking import ALL
from tower.network import Network
from tower.raw import Interpretation, Interpreted, Raw
from tower.replays import REPROCESS, LetterRef, ReplayRefused


def original(conn: Connection, scope: Scope, ref: LetterRef) -> Raw:
    """The message of a letter as it was captured; ReplayRefused where it cannot be edited."""
    scope.demand("replay.act")
    scope.demand("payload.read")
    if not scope.reveals >= ALL:
        raise ReplayRefused(
            "Some of its bytes are masked for you. Who edits a copy must see all of them."
        )
    found = letters.by_refs(conn, scope, [ref])
    if not found:
        raise ReplayRefused(f"There is no dead letter {ref} in your area.")
    if found[0].kind != "deliver":
        raise ReplayRefused(
            "It was never read, so nobody can say what of it is locked. Ask its sender for "
            "another one."
        )
    kept = replay_facts.payloads(conn, [(ref.source, ref.key)], [ref])
    if ref not in kept:
        raise ReplayRefused("Its bytes are not kept any more.")
    headers, body = kept[ref]
    return Raw(ref.source, ref.key, body, found[0].received_at, headers=headers)


def copy_of(made_of: Raw, body: bytes, now: datetime) -> Raw:
    """A copy with these bytes; ReplayRefused where nothing was changed or it is too large."""
    if body == made_of.body:
        raise ReplayRefused("Nothing was changed. Replay the letter as it is.")
    if len(body) > MOST_BYTES:
        raise ReplayRefused(f"{len(body):,} bytes are more than {MOST_BYTES:,}; send it anew.")
    headers = {**made_of.headers, EDIT_OF: made_of.key}
    key = copy_key(made_of.key, body)
    return replace(made_of, key=key, body=body, received_at=now, headers=headers)


def draft(
    conn: Connection,
    net: Network,
    scope: Scope,
    ref: LetterRef,
    body: bytes,
    who: str,
    now: datetime,
    *,
    seen: str,
    remark: str = "",
) -> Replay:
    """Keep a copy and draft its replay; its dry run refuses what is locked and was changed.

    ``seen``: ``seen_mark`` of the difference that the person was shown.
    """
    switches.check_writable(conn)
    made_of = original(conn, scope, ref)
    copy = copy_of(made_of, body, now)
    if seen != seen_mark(made_of.body, body):
        raise ReplayRefused("This is not the difference that was shown. Look at it once more.")
    # Kept as bytes alone: it tells no event until it comes back from its consumer.
    ingest.store(conn, [Interpreted(copy, Interpretation("edit", 1))], net=net, now=now)
    made = replay_wishes.draft(
        conn, net, scope, REPROCESS, [ref], who, now, remark=remark, edited={ref: copy.key}
    )
    told = {"letter": str(ref), "copy": copy.key, "bytes": len(body)}
    audit.record(conn, who, "letter.edited", made.subject, told, now)
    return replays.get(conn, made.id)
