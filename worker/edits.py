"""Copy, edit, send: a dead letter whose bytes were mended goes out in its place.

The copy is a new raw message; the original's bytes stay as they are. Ids, correlation and document
numbers are locked: what the interpreter takes for them must be the same in both. Of original and
copy only one is ever sent, and another person approves it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Engine

from db import audit, letters, replay_facts, replays, switches
from db.ingest import store_retrying
from db.replays import Replay
from tower.access import Scope
from tower.network import Network
from tower.raw import Interpretation, Interpreted, Raw
from tower.replays import REPROCESS, LetterRef, ReplayRefused
from worker import replays as work

EDIT_OF = "edit-of"
"""Header of a copy that names the raw message it was made of."""

MOST_BYTES = 1_000_000
MOST_LINES = 400


@dataclass(frozen=True, slots=True)
class Edited:
    """A drafted replay of an edited copy, and what differs from the original (unified diff)."""

    replay: Replay
    key: str
    diff: tuple[str, ...]


def edit(
    engine: Engine,
    net: Network,
    scope: Scope,
    ref: LetterRef,
    body: bytes,
    who: str,
    now: datetime,
    *,
    remark: str = "",
) -> Edited:
    """Keep an edited copy of a letter's bytes and draft its replay.

    Raises ReplayRefused where nothing was changed, something locked was, or nothing can be read.
    """
    original = _original(engine, scope, ref)
    if body == original.body:
        raise ReplayRefused("Nothing was changed. Replay the letter as it is.")
    if len(body) > MOST_BYTES:
        raise ReplayRefused(f"{len(body):,} bytes are more than {MOST_BYTES:,}; send it anew.")
    key = f"{ref.key[:400]} edit {sha256(body).hexdigest()[:16]}"
    headers = {**original.headers, EDIT_OF: ref.key}
    copy = replace(original, key=key, body=body, received_at=now, headers=headers)
    wrong = work.locked_difference(net, original, copy)
    if wrong:
        raise ReplayRefused(f"The copy cannot be sent: {wrong}.")
    with engine.begin() as conn:
        switches.check_writable(conn)
    # Kept as bytes alone: it tells no event until it comes back from its consumer.
    store_retrying(engine, [Interpreted(copy, Interpretation("edit", 1))], net=net, now=now)
    with engine.begin() as conn:
        made = work.draft(
            conn, net, scope, REPROCESS, [ref], who, now, remark=remark, edited={ref: key}
        )
        told = {"letter": str(ref), "copy": key, "bytes": len(body)}
        audit.record(conn, who, "letter.edited", made.subject, told, now)
        made = replays.get(conn, made.id)
    return Edited(made, key, difference(original.body, body))


def _original(engine: Engine, scope: Scope, ref: LetterRef) -> Raw:
    with engine.connect() as conn:
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


def difference(before: bytes, after: bytes) -> tuple[str, ...]:
    """What was changed, line by line; bytes that are no text are shown as such."""
    before_lines, after_lines = (
        raw.decode("utf-8", "backslashreplace").replace("'", "'\n").splitlines()
        if b"\n" not in raw
        else raw.decode("utf-8", "backslashreplace").splitlines()
        for raw in (before, after)
    )
    lines = difflib.unified_diff(
        before_lines, after_lines, "original", "copy", lineterm="", n=2
    )
    return tuple(line for line, _ in zip(lines, range(MOST_LINES), strict=False))
