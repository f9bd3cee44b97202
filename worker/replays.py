"""Replays at work: sending one copy after the other.

``sending`` is committed before the network is touched and the broker's answer after it. What is
found in ``sending`` later is uncertain and never sent again by itself. Publishing proves nothing:
an item is resolved when the business document moved after it, and uncertain when it did not in time
(worker/replay_effects.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from collectors.amqp_sender import Copy, Sent
from db import audit, replay_facts, replay_work, replays, switches
from db import letters as kept_letters
from db.replays import Item, Replay
from tower import replays as law
from tower.access import EVERYTHING
from tower.errors import TowerError
from tower.network import Network
from tower.replays import REINTERPRET, REPLACED_BY, RETRANSMIT
from worker import rereading, retransmits
from worker.replay_dry_run import HERE
from worker.replay_effects import effect_since, type_since
from worker.replay_target import Sender, sender_of

log = logging.getLogger(__name__)

LOT = 20  # items claimed at once

Probe = Callable[[str], None]


def _nothing(_: str) -> None:
    pass


def advance(
    engine: Engine,
    net: Network,
    holder: str,
    now: datetime,
    *,
    secrets: Mapping[str, str],
    clock: Callable[[], datetime] | None = None,
    probe: Probe = _nothing,
    base: Path = HERE,
) -> bool:
    """One round: lost workers, the next lot of every running replay, ends.

    True while more could be sent at once. ``clock`` is read before and after each call of the
    broker; default: ``now``. ``base``: what relative folders of outlets lie under.
    """
    read = clock or (lambda: now)
    with engine.connect() as conn:
        if switches.why_read_only(conn):
            return False
    with engine.begin() as conn:
        replay_work.lost(conn, now)
    more = False
    with engine.connect() as conn:
        active = replay_work.running(conn, now)
    for one in active:
        more |= _send_lot(engine, Way(net, secrets, base), one, holder, read, probe)
    with engine.begin() as conn:
        replay_work.finish(conn, now)
    return more


class Way(NamedTuple):
    """What is needed to send: who is who, passwords, and what relative folders lie under."""

    net: Network
    secrets: Mapping[str, str]
    base: Path


def _send_lot(
    engine: Engine,
    way: Way,
    one: Replay,
    holder: str,
    clock: Callable[[], datetime],
    probe: Probe,
) -> bool:
    now = clock()
    with engine.begin() as conn:
        if law.too_many_failures(one.counters, one.pace.stop_above):
            c = one.counters
            replay_work.stop(
                conn, one, f"{c.failed} failed and {c.uncertain} uncertain of "
                f"{c.resolved + c.failed + c.uncertain}: more than "
                f"{one.pace.stop_above:.0%} allowed", now,
            )  # fmt: skip
            return False
        head = replays.head_states(conn, one)
        if law.canary_failed(head) and one.counters.waiting:
            replay_work.stop(conn, one, "what went ahead failed; the rest stays", now)
            return False
        most = _room(one, head)
        taken = replay_work.claim(conn, one, holder, most, now) if most else []
        # The pace holds for all workers together: the next lot may go when this one's time is over.
        if taken:
            pause = timedelta(seconds=len(taken) / one.pace.per_second)
            replay_work.set_next(conn, one, now + pause)
    probe("claimed")
    if not taken:
        return False
    if one.action == REINTERPRET:
        _reread(engine, way.net, one, taken, holder, clock)
        return True
    with sender_of(way.net, one, way.secrets, way.base) as sender:
        for item in taken:
            _send(engine, way, one, item, holder, sender, clock, probe)
    return False


def _room(one: Replay, head: Sequence[str]) -> int:
    """How many may go now: the canary alone until one of it took effect."""
    if law.may_send(one.counters, one.pace.canary, head):
        return min(LOT, max(1, int(one.pace.per_second)))
    return sum(state == "ready" for state in head)


def _send(
    engine: Engine,
    way: Way,
    one: Replay,
    item: Item,
    holder: str,
    sender: Sender | None,
    clock: Callable[[], datetime],
    probe: Probe,
) -> None:
    with engine.begin() as conn:
        source, key = item.ref.source, item.edited_key or item.ref.key
        names = ("bytes", "letter")
        found = replay_facts.payloads(conn, [(source, key), (source, item.ref.key)], names)
        if len(found) < len(names) or sender is None:
            replays.to_state(
                conn, item, "skipped", "tower", clock(), only=("claimed",),
                cause="its bytes or its target are gone",
            )  # fmt: skip
            return
        why = _changed_mind(conn, way, one, item)
        if why:
            replays.to_state(conn, item, "skipped", "tower", clock(), only=("claimed",), cause=why)
            return
        attempt = replay_work.begin_sending(conn, item, holder, clock())
    probe("sending")
    if attempt is None:
        return
    headers = found["letter"][0]
    edited = item.edited_key is not None
    own = headers.get("message-id")
    sent = sender.send(
        item.queue,
        Copy(
            body=found["bytes"][1],
            headers=headers,
            message_key=item.message_key,
            replay=one.id,
            item=item.n,
            attempt=attempt,
            actor=one.requested_by,
            message_id=f"{own}-{attempt}" if edited and own else None,
        ),
    )
    probe("published")
    with engine.begin() as conn:
        at = clock()
        state = "awaiting_effect" if sent.outcome == "routed" else sent.outcome
        replays.to_state(
            conn, item, state, one.requested_by, at, only=("sending",), cause=sent.cause,
            published_at=at if sent.outcome == "routed" else None,
        )  # fmt: skip
        if one.action == RETRANSMIT:
            _told(conn, one, item, found["bytes"][1], sent, at)
    probe("recorded")


def _told(conn: Connection, one: Replay, item: Item, body: bytes, sent: Sent, at: datetime) -> None:
    """What leaves the company has an entry of its own at the message."""
    told = {
        "outlet": one.target,
        "outcome": sent.outcome,
        "sha256": sha256(body).hexdigest(),
        "bytes": len(body),
        "approved_by": one.approved_by,
        "reason": one.reason,
        "reply": one.remark,
        "item": item.subject,
    }
    subject = f"message:{item.ref.source}/{item.ref.key}"
    audit.record(conn, one.requested_by, "document.retransmitted", subject, told, at)


def _changed_mind(conn: Connection, way: Way, one: Replay, item: Item) -> str:
    """What happened since the dry run that speaks against sending; "" if nothing did."""
    if one.action == RETRANSMIT:
        return retransmits.changed_mind(conn, way.net, one, item, way.secrets, way.base)
    found = kept_letters.by_refs(conn, EVERYTHING, [item.ref])
    if not found or found[0].state not in ("open", "in_replay"):
        return "the letter is not open any more"
    here = replay_facts.around(conn, found, sorted({*item.effect_types, *REPLACED_BY}))[item.ref]
    seen = effect_since(here, item.effect_types, here.died_at)
    if seen and one.action != law.FORCE:
        return f"effect_seen: {seen} was seen meanwhile"
    replaced = type_since(here, REPLACED_BY, here.died_at)
    return f"superseded: {replaced} came meanwhile" if replaced else ""


def _reread(
    engine: Engine,
    net: Network,
    one: Replay,
    taken: Sequence[Item],
    holder: str,
    clock: Callable[[], datetime],
) -> None:
    """Interpret the stored bytes again; the effect is that they can be read now."""
    for item in taken:
        with engine.begin() as conn:
            if replay_work.begin_sending(conn, item, holder, clock()) is None:
                continue
        state, cause = "resolved", ""
        try:
            (done,) = rereading.again(
                engine, net, [(item.ref.source, item.ref.key)], clock(), one.requested_by
            )
        except TowerError as error:
            state, cause = "returned", str(error)
        else:
            left = [d for d in done.dead_letters if d["position"] == item.ref.position]
            if left and done.changed:
                state, cause = "failed_again", left[0]["cause"]
            elif left or done.outcome == "gone":
                state, cause = "returned", left[0]["cause"] if left else "its bytes are gone"
        with engine.begin() as conn:
            replays.to_state(
                conn, item, state, one.requested_by, clock(), only=("sending",), cause=cause
            )
            if state == "resolved":
                # Reading it again put the former reading's letters aside.
                kept_letters.set_state(conn, [item.ref], "resolved", clock(), only=("superseded",))
