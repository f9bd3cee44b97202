"""Replays and their items as they are kept, read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select

from db.tables import replay, replay_item
from tower.replays import Counters, LetterRef, ReplayRefused, counters

_r, _i = replay.c, replay_item.c


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a replay goes, and what ends it (ReplayOptions of network.yaml)."""

    canary: int
    per_second: float
    stop_above: float
    effect_within: timedelta


@dataclass(frozen=True, slots=True)
class Replay:
    """A frozen selection and how far it is. ``sha256`` is of the sorted ids, in hex."""

    id: int
    action: str
    state: str
    target: str
    remark: str
    reason: str
    n_items: int
    sha256: str
    requested_by: str
    drafted_at: datetime
    checked_at: datetime | None
    confirmed_at: datetime | None
    approved_by: str | None
    approved_at: datetime | None
    needs_approval: str
    pace: Pace
    next_at: datetime | None
    ended_at: datetime | None
    end_reason: str
    signed_by: str | None
    signed_at: datetime | None
    counters: Counters

    @property
    def subject(self) -> str:
        """Its name in the audit."""
        return f"replay:{self.id}"


@dataclass(frozen=True, slots=True)
class Item:
    """One dead letter of a replay."""

    replay_id: int
    n: int
    ref: LetterRef
    message_key: str
    edited_key: str | None
    verdict: str
    state: str
    cause: str
    queue: str
    effect_types: tuple[str, ...]
    new_attempt: int | None
    sent_at: datetime | None
    published_at: datetime | None
    effect_event: UUID | None
    effect_at: datetime | None
    state_at: datetime

    @property
    def subject(self) -> str:
        return f"replay:{self.replay_id}/{self.n}"


def get(conn: Connection, replay_id: int, *, lock: bool = False) -> Replay:
    """One replay; ReplayRefused if there is none of this number."""
    asked = select(replay).where(_r.id == replay_id)
    row = conn.execute(asked.with_for_update() if lock else asked).one_or_none()
    if row is None:
        raise ReplayRefused(f"There is no replay {replay_id}. List them with: tower replay list")
    return _replay(row, _counted(conn, [replay_id]).get(replay_id, Counters()))


def find(conn: Connection, replay_id: int) -> Replay | None:
    """One replay, None if there is none of this number."""
    try:
        return get(conn, replay_id)
    except ReplayRefused:
        return None


def listing(
    conn: Connection, *, states: Sequence[str] | None = None, limit: int = 50
) -> list[Replay]:
    """Replays, the newest first."""
    asked = select(replay).order_by(_r.id.desc()).limit(limit)
    if states is not None:
        asked = asked.where(_r.state.in_(states))
    rows = conn.execute(asked).all()
    counted = _counted(conn, [row.id for row in rows])
    return [_replay(row, counted.get(row.id, Counters())) for row in rows]


def items(
    conn: Connection,
    replay_id: int,
    *,
    states: Sequence[str] | None = None,
    after: int = 0,
    limit: int = 200,
) -> list[Item]:
    """Items in the order in which they are sent; ``after`` pages on by number."""
    asked = (
        select(replay_item)
        .where(_i.replay_id == replay_id, _i.n > after)
        .order_by(_i.n)
        .limit(limit)
    )
    if states is not None:
        asked = asked.where(_i.state.in_(states))
    return [item_of(row) for row in conn.execute(asked)]


def of_message(conn: Connection, source: str, message_key: str) -> list[Item]:
    """Every item that this message ever was, the newest replay first."""
    asked = (
        select(replay_item)
        .where(_i.source == source, _i.message_key == message_key)
        .order_by(_i.replay_id.desc(), _i.n)
    )
    return [item_of(row) for row in conn.execute(asked)]


def head_states(conn: Connection, one: Replay) -> list[str]:
    """States of the items that go ahead of the others: the first that were ready."""
    asked = (
        select(_i.state)
        .where(_i.replay_id == one.id, _i.verdict == "ready")
        .order_by(_i.n)
        .limit(one.pace.canary)
    )
    return list(conn.execute(asked).scalars())


def _counted(conn: Connection, ids: Sequence[int]) -> dict[int, Counters]:
    if not ids:
        return {}
    asked = (
        select(_i.replay_id, _i.state, func.count())
        .where(_i.replay_id.in_(ids))
        .group_by(_i.replay_id, _i.state)
    )
    found: dict[int, dict[str, int]] = {}
    for replay_id, state, n in conn.execute(asked):
        found.setdefault(replay_id, {})[state] = n
    return {replay_id: counters(states) for replay_id, states in found.items()}


def _replay(row: Row[Any], counted: Counters) -> Replay:
    return Replay(
        id=row.id,
        action=row.action,
        state=row.state,
        target=row.target,
        remark=row.remark,
        reason=row.reason,
        n_items=row.n_items,
        sha256=bytes(row.sha256).hex(),
        requested_by=row.requested_by,
        drafted_at=row.drafted_at,
        checked_at=row.checked_at,
        confirmed_at=row.confirmed_at,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        needs_approval=row.needs_approval,
        pace=Pace(
            row.canary, row.per_second, row.stop_above, timedelta(seconds=row.effect_within_s)
        ),
        next_at=row.next_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
        signed_by=row.signed_by,
        signed_at=row.signed_at,
        counters=counted,
    )


def item_of(row: Row[Any]) -> Item:
    return Item(
        replay_id=row.replay_id,
        n=row.n,
        ref=LetterRef(row.source, row.key, row.attempt, row.position),
        message_key=row.message_key,
        edited_key=row.edited_key,
        verdict=row.verdict,
        state=row.state,
        cause=row.cause,
        queue=row.queue,
        effect_types=tuple(row.effect_type.split()),
        new_attempt=row.new_attempt,
        sent_at=row.sent_at,
        published_at=row.published_at,
        effect_event=row.effect_event,
        effect_at=row.effect_at,
        state_at=row.state_at,
    )
