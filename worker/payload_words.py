"""The loop that writes the words of new messages, for search."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine

from db import payload_words


class Writing:
    """Remembers the stretch of time that suits one step; everything else is in the database."""

    def __init__(self) -> None:
        self._part = payload_words.SLICE

    def step(self, engine: Engine, now: datetime) -> bool:
        """Write the next messages; whether there are more. Words of expired ones go once a day."""
        with engine.begin() as conn:
            done = payload_words.write_next(conn, now, self._part)
        self._part = done.slice
        if not done.more:
            with engine.begin() as conn:
                payload_words.forget_due(conn, now)
        return done.more


def write_all(engine: Engine, now: datetime) -> int:
    """Write everything received up to a second before ``now``; how many messages were."""
    writing, total = payload_words.SLICE, 0
    while True:
        with engine.begin() as conn:
            done = payload_words.write_next(conn, now, writing)
        writing, total = done.slice, total + done.messages
        if not done.more:
            return total
