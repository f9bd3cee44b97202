"""Dry runs that somebody wished for on a screen: a worker looks at the broker and writes verdicts.

A check that cannot be made blocks every item with its reason, so that the draft says why and can
be checked again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from db import replay_wishes, replays, switches
from db.replays import Replay
from tower.errors import TowerError
from tower.network import Network
from tower.replays import MOST_ITEMS, Verdict
from worker.replay_dry_run import HERE, check

log = logging.getLogger(__name__)


def check_waiting(
    engine: Engine,
    net: Network,
    now: datetime,
    *,
    secrets: Mapping[str, str],
    base: Path = HERE,
) -> int:
    """Check every draft that was never checked, in the name of whoever asked; how many."""
    with engine.connect() as conn:
        if switches.why_read_only(conn):
            return 0
        waiting = replay_wishes.unchecked(conn)
    for one in waiting:
        try:
            check(engine, net, one.id, one.requested_by, now, secrets=secrets, base=base)
        except TowerError as error:
            log.warning(
                "A replay could not be checked",
                extra={"action": "replay.not_checked", "replay": one.id, "cause": str(error)},
            )
            _block(engine, one, str(error), now)
    return len(waiting)


def _block(engine: Engine, one: Replay, why: str, now: datetime) -> None:
    with engine.begin() as conn:
        if replays.get(conn, one.id).state != "drafted":
            return
        found = replays.items(conn, one.id, limit=MOST_ITEMS)
        said = Verdict("blocked", f"not_checked: {why}")
        replays.set_verdicts(
            conn, one, [(item, said, "", ()) for item in found], one.requested_by, now
        )
