"""Telling subscribers by webhook, signed as Standard Webhooks wants it.

A delivery is leased, the lease is committed with the frozen bytes, then it is sent; it counts as
delivered only if the lease is still ours. A worker that dies in between leaves a lease that ends:
the repeat carries the same id and the same bytes, by which receivers know it.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
from sqlalchemy import Connection, Engine

from collectors.contract import secret
from collectors.outgoing import Answer, Outgoing, retry_after
from collectors.webhook_signature import signed_headers
from db import subscriptions as kept
from db.outward import rows
from db.outward.happenings import CASES, EVENTS
from db.subscriptions import Leased
from tower.access import Scope
from tower.cloud_events import MEDIA_TYPE, case_event, cloud_event
from tower.errors import AccessDenied, ConfigError, SourceUnavailable, TowerError
from tower.masking import PRICE
from tower.subscriptions import TEST, Subscription, next_try

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=120)
SENDING_S = 60.0  # nothing is begun on a lease older than this
TIMEOUT_S = 15.0
MOST_BYTES = 1024 * 1024  # of an answer, which nobody reads
BATCH = 50
AT_ONCE = 4  # receivers: a slow one holds up no other
LONGEST_AWAY = timedelta(minutes=5)
GONE = 410


@dataclass(frozen=True, slots=True)
class Try:
    """What came of sending once: the answer's status, or None where nobody answered."""

    ok: bool
    status: int | None
    words: str
    wait: timedelta | None = None


def deliver_due(
    engine: Engine,
    clock: Callable[[], datetime],
    secrets: Mapping[str, str] = os.environ,
    chance: Callable[[], float] = random.random,
) -> int:
    """Send what is due to every subscriber; how many deliveries were taken."""
    with engine.connect() as conn:
        waiting = kept.due(conn, clock())
    if not waiting:
        return 0
    with ThreadPoolExecutor(min(AT_ONCE, len(waiting)), thread_name_prefix="tell") as pool:
        done = [pool.submit(_deliver, engine, one, clock, secrets, chance) for one in waiting]
        return sum(future.result() for future in done)


def send_test(one: Subscription, now: datetime, secrets: Mapping[str, str] = os.environ) -> Try:
    """Send a test to a subscriber, at once and once."""
    told = {
        "specversion": "1.0", "id": f"test-{now:%Y%m%dT%H%M%S%f}", "source": "/tower", "type": TEST,
        "subject": f"subscription:{one.name}", "time": now.astimezone(UTC).isoformat(),
        "datacontenttype": "application/json", "data": {"subscription": one.name},
    }  # fmt: skip
    try:
        keys = _secrets(one, secrets)
        with (calls := _calls(one)).talking():
            return _send(calls, one, str(told["id"]), orjson.dumps(told), keys, now)
    except TowerError as error:
        return Try(False, None, _said(error))


def _deliver(
    engine: Engine,
    one: Subscription,
    clock: Callable[[], datetime],
    secrets: Mapping[str, str],
    chance: Callable[[], float],
) -> int:
    now = clock()
    try:
        keys = _secrets(one, secrets)
        calls = _calls(one)
    except TowerError as error:
        with engine.begin() as conn:
            kept.note_trouble(conn, one.id, _said(error), one.failures, now + timedelta(minutes=1))
        return 0
    with engine.begin() as conn:
        leased = kept.lease(conn, one.id, now, LEASE, 1 if one.failures else BATCH)
        bodies = _bodies(conn, one, leased)
        gone = [d for d in leased if d.id not in bodies]
        for delivery in gone:
            kept.finish(conn, delivery, now, state="withdrawn", words="it is no longer kept")
    left = [d for d in leased if d.id in bodies]
    begun, taken = time.monotonic(), 0
    with calls.talking():
        while left and time.monotonic() - begun < SENDING_S:
            delivery = left.pop(0)
            tried = _send(calls, one, delivery.message_id, bodies[delivery.id], keys, clock())
            with engine.begin() as conn:
                goes_on = _record(conn, one, delivery, tried, clock(), chance)
            taken += tried.ok
            if not goes_on:
                break
    if left:
        with engine.begin() as conn:
            kept.release(conn, left)
    return taken


# --- one try --------------------------------------------------------------------------------------


def _calls(one: Subscription) -> Outgoing:
    # An address in numbers is no better than a name: it must be outside, or in a listed network.
    return Outgoing(
        one.name, one.url, timeout_s=TIMEOUT_S, max_bytes=MOST_BYTES, networks=one.networks,
        numbers_are_meant=False, headers={"user-agent": "tower-webhooks"},
    )  # fmt: skip


def _secrets(one: Subscription, secrets: Mapping[str, str]) -> list[str]:
    """The secret, and a second one while it is changed; blanks part them."""
    return secret(one.secret_variable, secrets, one.name).split()


def _send(
    calls: Outgoing,
    one: Subscription,
    message_id: str,
    body: bytes,
    keys: Sequence[str],
    now: datetime,
) -> Try:
    headers = signed_headers(keys, message_id, body, now) | {"content-type": MEDIA_TYPE}
    try:
        answer = calls.post_json(one.url, body, headers)
    except (AccessDenied, ConfigError, SourceUnavailable) as error:
        return Try(False, None, _said(error))
    if 200 <= answer.status < 300:
        return Try(True, answer.status, "")
    return Try(False, answer.status, _refused(answer), _asked_to_wait(answer, now))


def _refused(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        return f"It answered with a redirect ({answer.status}), which is not followed."
    return f"It answered {answer.status}."


def _asked_to_wait(answer: Answer, now: datetime) -> timedelta | None:
    if answer.status not in (429, 503) or "retry-after" not in answer.headers:
        return None
    return timedelta(seconds=retry_after(answer.headers["retry-after"], now))


def _said(error: Exception) -> str:
    return str(error).replace('Source "', 'Subscription "')[:300]


def _record(
    conn: Connection,
    one: Subscription,
    delivery: Leased,
    tried: Try,
    now: datetime,
    chance: Callable[[], float],
) -> bool:
    """Write a try down; False if nothing more should be sent to this receiver for now."""
    if tried.ok:
        kept.finish(conn, delivery, now, state="delivered", status=tried.status)
        if one.failures or one.problem:
            kept.note_trouble(conn, one.id, "", 0, None)
        return True
    log.warning(
        "A subscriber was not told",
        extra={"action": "subscription.failed", "subscription": one.name, "cause": tried.words},
    )
    if tried.status == GONE:
        kept.finish(conn, delivery, now, state="withdrawn", status=GONE, words=tried.words)
        kept.end(conn, one.id, "its receiver answered 410 Gone", now)
        return False
    wait = next_try(delivery.attempts + 1)
    if wait is None:
        log.error(
            "A delivery is given up",
            extra={"action": "subscription.dead", "subscription": one.name,
                   "delivery": delivery.message_id},
        )  # fmt: skip
        kept.finish(conn, delivery, now, state="dead", status=tried.status, words=tried.words)
    else:
        wait = max(wait * (0.8 + 0.4 * chance()), tried.wait or timedelta(0))
        kept.finish(
            conn, delivery, now, state="waiting", status=tried.status, words=tried.words,
            next_at=now + wait,
        )  # fmt: skip
    if tried.status is not None and tried.wait is None:
        # It lives and does not want this one; others may fare better.
        kept.note_trouble(conn, one.id, "", 0, None)
        return True
    away = min(timedelta(seconds=5 * 2 ** min(one.failures, 8)), LONGEST_AWAY)
    kept.note_trouble(conn, one.id, tried.words, one.failures + 1, now + (tried.wait or away))
    return False


# --- what is said ---------------------------------------------------------------------------------


def _bodies(conn: Connection, one: Subscription, leased: Sequence[Leased]) -> dict[int, bytes]:
    """The bytes of each delivery, made and frozen where it is tried for the first time; those whose
    event or case is no longer there are missing.
    """
    found = {d.id: d.body for d in leased if d.body is not None}
    new = [d for d in leased if d.body is None]
    scope = _scope(one)
    named = [(d.home_key, d.event_id) for d in new if d.home_key is not None and d.event_id]
    events = rows.of_events(conn, scope, EVENTS, named) if named else {}
    cases = rows.of_ids(conn, scope, CASES, {d.case_id for d in new if d.case_id is not None})
    for delivery in new:
        told = None
        if delivery.event_id is not None and (event := events.get(str(delivery.event_id))):
            told = cloud_event(event)
        elif delivery.case_id is not None and (row := cases.get(delivery.case_id)):
            said = {k: v for k, v in delivery.told.items() if k != "at"}
            told = case_event(delivery.message_id, delivery.type, row, said, delivery.told["at"])
        if told is not None:
            found[delivery.id] = orjson.dumps(
                told, default=rows.in_json, option=orjson.OPT_PASSTHROUGH_DATETIME
            )
            kept.freeze(conn, delivery, found[delivery.id])
    return found


def _scope(one: Subscription) -> Scope:
    """As a key of the machine door would see it: of ours with values, of a partner without."""
    if one.partner is None:
        return Scope(reveals=frozenset({PRICE}))
    return Scope(partners=frozenset({one.partner}), reveals=frozenset())
