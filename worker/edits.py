"""Copy, edit, send: a dead letter whose bytes were mended goes out in its place.

The copy is a new raw message; the original's bytes stay as they are. Ids, correlation and document
numbers are locked: what the interpreter takes for them must be the same in both. Of original and
copy only one is ever sent, and another person approves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from db import edited_copies
from db.replays import Replay
from tower.access import Scope
from tower.edits import difference, seen_mark
from tower.network import Network
from tower.replays import LetterRef, ReplayRefused
from worker.replay_dry_run import locked_difference


@dataclass(frozen=True, slots=True)
class Edited:
    """A drafted replay of an edited copy, and what differs from the original (unified diff)."""

    replay: Replay
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
    with engine.begin() as conn:
        original = edited_copies.original(conn, scope, ref)
        wrong = locked_difference(net, original, edited_copies.copy_of(original, body, now))
        if wrong:
            raise ReplayRefused(f"The copy cannot be sent: {wrong}.")
        seen = seen_mark(original.body, body)
        made = edited_copies.draft(conn, net, scope, ref, body, who, now, seen=seen, remark=remark)
    return Edited(made, difference(original.body, body))
