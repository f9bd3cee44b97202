"""Wishes about replays: a draft from what the network allows, and the dry run that is asked for.

Who wishes never talks to a broker: a worker looks there and writes the verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from db import replays, switches
from db.replays import Pace, Replay
from db.tables import replay
from tower.access import Scope
from tower.feeds import RabbitOptions, ReplayOptions
from tower.network import Network
from tower.replays import REINTERPRET, RETRANSMIT, LetterRef, ReplayRefused

TOWER = "tower"
"""Target of a replay of which nothing leaves."""

_SLOWLY = Pace(canary=1, per_second=1, stop_above=0, effect_within=timedelta(hours=4))
"""To partners: one first, and nothing more after the first failure."""

_NO_PACE = Pace(canary=0, per_second=1000, stop_above=1, effect_within=timedelta(minutes=1))
_r = replay.c


def draft(
    conn: Connection,
    net: Network,
    scope: Scope,
    action: str,
    refs: Sequence[LetterRef],
    who: str,
    now: datetime,
    *,
    remark: str = "",
    edited: Mapping[LetterRef, str] | None = None,
) -> Replay:
    """Freeze a selection as a replay. One replay has one target: letters of one broker."""
    if action == REINTERPRET:
        return replays.draft(conn, scope, action, TOWER, refs, _NO_PACE, who, remark, now)
    sources = sorted({one.source for one in refs})
    if len(sources) > 1:
        raise ReplayRefused(
            f"These letters come from {', '.join(sources)}: one replay has one target. Pick those "
            "of one source."
        )
    pace = _pace(allowed(net, sources[0])) if sources else _NO_PACE
    target = sources[0] if sources else TOWER
    return replays.draft(conn, scope, action, target, refs, pace, who, remark, now, edited=edited)


def retransmit(
    conn: Connection,
    net: Network,
    scope: Scope,
    messages: Sequence[tuple[str, str]],
    who: str,
    now: datetime,
    *,
    reply: str = "",
) -> Replay:
    """Freeze messages (source, key) that are to go to their partner again, by their outlet.

    ``reply``: what the partner said when asked; needed where its ``resend`` is ask_partner.
    """
    refs = [LetterRef(source, key, 0) for source, key in messages]
    ways = {one.source: outlet_of(net, one.source) for one in refs}
    without = sorted(source for source, name in ways.items() if not name)
    if without:
        raise ReplayRefused(
            f'Nothing leads out of the house for documents of "{without[0]}". Name an outlet for '
            "it in network.yaml (docs/replay.md)."
        )
    if len(set(ways.values())) > 1:
        raise ReplayRefused(
            f"These messages leave by {', '.join(sorted(set(ways.values())))}: one replay has one "
            "target. Pick those of one outlet."
        )
    target = next(iter(ways.values()), TOWER)
    return replays.draft(conn, scope, RETRANSMIT, target, refs, _SLOWLY, who, reply.strip(), now)


def outlet_of(net: Network, source: str) -> str:
    """The way out for documents that a source brought; "" for none."""
    described = net.sources.get(source)
    return "" if described is None else described.outlet or ""


def _pace(options: ReplayOptions | None) -> Pace:
    told = options or ReplayOptions(queues=["*"])
    return Pace(told.canary, told.per_second, told.stop_above, told.effect_within)


def allowed(net: Network, source: str) -> ReplayOptions | None:
    """What network.yaml lets go back into the queues of this source; None for nothing."""
    described = net.sources.get(source)
    feed = None if described is None else described.feed
    return feed.replay if isinstance(feed, RabbitOptions) else None


def ask_check(conn: Connection, replay_id: int, who: str, now: datetime) -> Replay:
    """Have a worker make the dry run of a draft once more; until then it cannot be confirmed."""
    switches.check_writable(conn)
    one = replays.get(conn, replay_id, lock=True)
    if one.state != "drafted":
        raise ReplayRefused(f"Replay {replay_id} is {one.state}; only a draft is checked.")
    conn.execute(update(replay).where(_r.id == replay_id).values(checked_at=None))
    return replays.changed(conn, replay_id, who, "replay.check_asked", now)


def unchecked(conn: Connection, *, limit: int = 20) -> list[Replay]:
    """Drafts that wait for their dry run, the oldest first."""
    asked = (
        select(_r.id)
        .where(_r.state == "drafted", _r.checked_at.is_(None))
        .order_by(_r.id)
        .limit(limit)
    )
    return [replays.get(conn, replay_id) for replay_id in conn.execute(asked).scalars().all()]
