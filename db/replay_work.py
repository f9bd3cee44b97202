"""What a worker does with replays: claim, send, see effects, end. Each step is its own commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, exists, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from db import audit, letters, records, sent_documents, switches
from db.letters import Letter
from db.records import as_json
from db.replays import Item, Replay, changed, end, get, item_of, to_state
from db.tables import dead_letter, replay, replay_item, source_spell
from tower.access import EVERYTHING
from tower.replays import LEASE, OPEN, RUNNING, LetterRef

_r, _i = replay.c, replay_item.c


def running(conn: Connection, now: datetime) -> list[Replay]:
    """Replays that may send now."""
    asked = select(_r.id).where(_r.state == "running", _r.next_at <= now).order_by(_r.id)
    return [get(conn, replay_id) for replay_id in conn.execute(asked).scalars()]


def claim(conn: Connection, one: Replay, holder: str, most: int, now: datetime) -> list[Item]:
    """Take the next items that are ready, in their order, for one worker.

    An item whose message another replay holds is blocked, and the others are taken.
    """
    switches.check_writable(conn)
    if _state(conn, one.id) != "running":
        return []
    asked = (
        select(replay_item)
        .where(_i.replay_id == one.id, _i.state == "ready")
        .order_by(_i.n)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    found = [item_of(row) for row in conn.execute(asked)]
    taken = found if found and _take(conn, found, holder, now) else []
    if found and not taken:
        for item in found:
            if _take(conn, [item], holder, now):
                taken.append(item)
            else:
                to_state(
                    conn, item, "blocked", "tower", now, only=("ready",),
                    cause="claimed_elsewhere: another replay has this message",
                )  # fmt: skip
    letters.set_state(conn, [one.ref for one in taken], "in_replay", now, only=("open",))
    return taken


def _state(conn: Connection, replay_id: int) -> str:
    """State of a replay, which is locked against changes by others."""
    asked = select(_r.state).where(_r.id == replay_id).with_for_update()
    return str(conn.execute(asked).scalar_one())


def _take(conn: Connection, found: Sequence[Item], holder: str, now: datetime) -> bool:
    """Claim all of them or none: False if another replay has the message of one."""
    try:
        with conn.begin_nested():
            conn.execute(
                update(replay_item)
                .where(
                    _i.replay_id == found[0].replay_id,
                    _i.n.in_([one.n for one in found]),
                )
                .values(state="claimed", holder=holder, lease_until=now + LEASE, state_at=now)
            )
    except IntegrityError:
        return False
    return True


def begin_sending(conn: Connection, item: Item, holder: str, now: datetime) -> int | None:
    """Use up the next attempt number; commit before the network is touched.

    None if the claim is not ours any more (cancelled, paused, or taken for lost).
    """
    asked = select(_r.state, _r.requested_by).where(_r.id == item.replay_id).with_for_update()
    owner = conn.execute(asked).one()
    if owner.state != "running" or switches.why_read_only(conn):
        conn.execute(
            update(replay_item)
            .where(_i.replay_id == item.replay_id, _i.n == item.n, _i.state == "claimed",
                   _i.holder == holder)
            .values(state="ready", holder=None, lease_until=None, state_at=now)
        )  # fmt: skip
        return None
    highest = conn.execute(
        select(func.max(dead_letter.c.attempt)).where(
            dead_letter.c.source == item.ref.source,
            (dead_letter.c.message == item.message_key) | (dead_letter.c.key == item.message_key),
        )
    ).scalar_one()
    used = conn.execute(
        select(func.max(_i.new_attempt)).where(
            _i.source == item.ref.source, _i.message_key == item.message_key
        )
    ).scalar_one()
    attempt = max(highest or item.ref.attempt, used or 0) + 1
    begun = conn.execute(
        update(replay_item)
        .where(_i.replay_id == item.replay_id, _i.n == item.n, _i.state == "claimed",
               _i.holder == holder)
        .values(
            state="sending",
            new_attempt=attempt,
            publish_key=f"{item.ref.source}|{item.message_key}|{attempt}",
            sent_at=now,
            lease_until=now + LEASE,
            state_at=now,
        )
    ).rowcount  # fmt: skip
    if not begun:
        return None
    told = {"letter": str(item.ref), "attempt": attempt, "queue": item.queue}
    audit.record(conn, owner.requested_by, "item.sending", item.subject, told, now)
    return attempt


def lost(conn: Connection, now: datetime) -> list[Item]:
    """Items whose worker is gone: claimed ones are ready again, those in sending become uncertain
    and are returned; nobody sends them by itself.
    """
    conn.execute(
        update(replay_item)
        .where(_i.state == "claimed", _i.lease_until < now)
        .values(state="ready", holder=None, lease_until=None, state_at=now)
    )
    asked = select(replay_item).where(_i.state == "sending", _i.lease_until < now)
    found = [item_of(row) for row in conn.execute(asked.with_for_update(skip_locked=True))]
    for item in found:
        to_state(
            conn, item, "uncertain", "tower", now, only=("sending",),
            cause="the worker that sent it stopped before the broker's answer was kept",
        )  # fmt: skip
    return found


class Awaiting(NamedTuple):
    """An item that waits for an effect or for certainty; ``within`` is how long an effect may take
    by its replay."""

    item: Item
    letter: Letter
    within: timedelta


def awaiting(
    conn: Connection, *, after: tuple[int, int] = (0, 0), limit: int = 1000
) -> list[Awaiting]:
    """Items that wait for an effect or for certainty; ``after`` pages on by replay and number."""
    asked: Select[Any] = (
        select(replay_item, _r.effect_within_s)
        .join(replay, _r.id == _i.replay_id)
        .where(
            _i.state.in_(("awaiting_effect", "uncertain")),
            tuple_(_i.replay_id, _i.n) > tuple_(*after),
        )
        .order_by(_i.replay_id, _i.n)  # the same for all workers: they lock rows in this order
        .limit(limit)
    )
    found = [(item_of(row), timedelta(seconds=row.effect_within_s)) for row in conn.execute(asked)]
    refs = [item.ref for item, _ in found]
    kept = {one.ref: one for one in sent_documents.of_items(conn, EVERYTHING, refs)}
    return [Awaiting(item, kept[item.ref], within) for item, within in found if item.ref in kept]


def newer_deaths(conn: Connection, found: Sequence[Item]) -> set[tuple[int, int]]:
    """Those of the items whose copy died: a letter of the attempt that was sent is there."""
    sent = [one for one in found if one.new_attempt is not None]
    if not sent:
        return set()
    given = records.as_json(
        [
            {"replay_id": one.replay_id, "n": one.n, "source": one.ref.source,
             "message": one.message_key, "attempt": one.new_attempt}
            for one in sent
        ]
    )  # fmt: skip
    rows = conn.exec_driver_sql(
        "SELECT DISTINCT a.replay_id, a.n FROM json_to_recordset(%(given)s::json) "
        "AS a (replay_id bigint, n int, source text, message text, attempt int) "
        "JOIN dead_letter d ON d.message = a.message AND d.source = a.source "
        "AND d.attempt >= a.attempt",
        {"given": given},
    )
    return {(row[0], row[1]) for row in rows}


def set_next(conn: Connection, one: Replay, at: datetime) -> None:
    """Nothing of this replay is sent before ``at``."""
    conn.execute(update(replay).where(_r.id == one.id).values(next_at=at))


def finish(conn: Connection, now: datetime) -> list[Replay]:
    """End replays of which nothing waits any more."""
    asked = select(_r.id).where(
        _r.state.in_(RUNNING),
        ~exists().where(and_(_i.replay_id == _r.id, _i.state.in_(("ready", *OPEN)))),
    )
    found = []
    for replay_id in conn.execute(asked.order_by(_r.id).with_for_update()).scalars().all():
        conn.execute(update(replay).where(_r.id == replay_id).values(state="done", ended_at=now))
        found.append(changed(conn, replay_id, "tower", "replay.done", now))
    return found


def stop(conn: Connection, one: Replay, why: str, now: datetime) -> Replay | None:
    """End a running replay by the machine's own judgement."""
    if get(conn, one.id, lock=True).state not in RUNNING:
        return None
    return end(conn, one.id, RUNNING, "cancelled", "tower", why, now)


# --- what speaks against an item ------------------------------------------------------------------


def held_elsewhere(
    conn: Connection, replay_id: int, found: Sequence[Item]
) -> dict[tuple[str, str], int]:
    """(source, message) -> the other replay that has the message now."""
    asked = select(_i.source, _i.message_key, _i.replay_id).where(
        _i.replay_id != replay_id,
        _i.state.in_(OPEN),
        tuple_(_i.source, _i.message_key).in_(
            sorted({(one.ref.source, one.message_key) for one in found})
        ),
    )
    return {(row.source, row.message_key): row.replay_id for row in conn.execute(asked)}


def later_attempts(conn: Connection, found: Sequence[Item]) -> set[LetterRef]:
    """Those of which a later attempt failed too."""
    asked = as_json(
        [
            {"n": n, "source": one.ref.source, "message": one.message_key,
             "attempt": one.ref.attempt}
            for n, one in enumerate(found)
        ]
    )  # fmt: skip
    rows = conn.exec_driver_sql(
        "SELECT DISTINCT a.n FROM json_to_recordset(%(asked)s::json) "
        "AS a (n int, source text, message text, attempt int) JOIN dead_letter d "
        "ON d.message = a.message AND d.source = a.source AND d.attempt > a.attempt",
        {"asked": asked},
    )
    return {found[row[0]].ref for row in rows}


def sent_otherwise(conn: Connection, found: Sequence[Item]) -> set[LetterRef]:
    """Those whose other form, edited copy or original, was sent for the same attempt."""
    refs = sorted({(one.ref.source, one.ref.key, one.ref.attempt) for one in found})
    asked = select(_i.source, _i.key, _i.attempt, _i.position, _i.edited_key).where(
        tuple_(_i.source, _i.key, _i.attempt).in_(refs),
        _i.state.in_((*OPEN, "resolved", "failed_again")),
        _i.publish_key.is_not(None),
    )
    sent: dict[LetterRef, set[str | None]] = {}
    for source, key, attempt, position, edited in conn.execute(asked):
        sent.setdefault(LetterRef(source, key, attempt, position), set()).add(edited)
    return {one.ref for one in found if sent.get(one.ref, set()) - {one.edited_key}}


def silent_of(conn: Connection, sources: Sequence[str]) -> str:
    """One of these sources that is silent now; "" if none is."""
    asked = (
        select(source_spell.c.source)
        .where(source_spell.c.source.in_(sources), source_spell.c.to_at.is_(None))
        .order_by(source_spell.c.source)
        .limit(1)
    )
    return conn.execute(asked).scalar_one_or_none() or ""
