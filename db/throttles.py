"""Token buckets: how much each sender may still bring, one row for all processes of the door.

One statement decides: it fills the bucket for the time that went by, and takes from it only if
there is enough. Two processes asking at once queue on the row, so nobody gets a token twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, DateTime, Double, Text, bindparam, select, text

from db.tables import throttle

LEAST_WAIT_S = 1


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_minute`` in the long run, ``burst`` at once after a quiet time."""

    per_minute: int
    burst: int

    @property
    def per_second(self) -> float:
        return self.per_minute / 60


# The filled bucket is written three times: Postgres has no name for it inside DO UPDATE.
_TAKE = text(
    """
    INSERT INTO throttle (key, tokens, at) VALUES (:key, :burst - :cost, :now)
    ON CONFLICT (key) DO UPDATE SET
        tokens = LEAST(:burst, throttle.tokens + :rate *
            GREATEST(0, extract(epoch FROM EXCLUDED.at - throttle.at)::float8)) - :cost,
        at = GREATEST(throttle.at, EXCLUDED.at)
    WHERE LEAST(:burst, throttle.tokens + :rate *
            GREATEST(0, extract(epoch FROM EXCLUDED.at - throttle.at)::float8)) >= :cost
    RETURNING tokens
    """
).bindparams(
    bindparam("key", type_=Text()),
    bindparam("burst", type_=Double()),
    bindparam("cost", type_=Double()),
    bindparam("rate", type_=Double()),
    bindparam("now", type_=DateTime(timezone=True)),
)


def take(conn: Connection, key: str, cost: int, rate: Rate, now: datetime) -> int | None:
    """Take ``cost`` tokens; None if they were there, else the whole seconds until they are.

    A cost above the burst is taken from a full bucket: it could never be paid otherwise.
    """
    asked = float(min(cost, rate.burst))
    values = {
        "key": key,
        "burst": float(rate.burst),
        "cost": asked,
        "rate": rate.per_second,
        "now": now,
    }
    if conn.execute(_TAKE, values).one_or_none() is not None:
        return None
    row = conn.execute(
        select(throttle.c.tokens, throttle.c.at).where(throttle.c.key == key)
    ).one_or_none()
    if row is None:
        return LEAST_WAIT_S
    passed = max(0.0, (now - row.at).total_seconds())
    there: float = min(float(rate.burst), row.tokens + passed * rate.per_second)
    return max(LEAST_WAIT_S, math.ceil((asked - there) / rate.per_second))
