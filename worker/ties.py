"""Wishes to tie, or to take a tie back, are fulfilled one by one."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import Engine

from db import ties
from db.driver import Conflict
from tower.network import Network

log = logging.getLogger(__name__)


def fulfil_waiting(engine: Engine, net: Network, now: datetime) -> int:
    """Fulfil what waits, each wish in a transaction of its own; how many were fulfilled.

    One that meets another writer is tried again; after that it waits for the next round.
    """
    with engine.connect() as conn:
        wanted = ties.waiting(conn)
    done = 0
    for number in wanted:
        for _ in range(ties.TRIES):
            try:
                with engine.begin() as conn:
                    done += ties.fulfil(conn, number, net=net, now=now)
            except Conflict:
                continue
            break
        else:
            log.warning(
                "A tie could not be fulfilled yet", extra={"action": "tie.waits", "tie": number}
            )
    return done
