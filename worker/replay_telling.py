"""What documents are told of replays: that a copy was sent, and that it took effect.

The rule ``replay.no_effect`` judges the time between the two. Documents sent to a partner again are
not told: the clocks of the order itself wait for the partner.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import orjson
from sqlalchemy import Engine

from db import replay_news, switches
from db.ingest import store_retrying
from db.replay_news import News
from tower.event import Event
from tower.network import Network
from tower.raw import Interpretation, Interpreted, Raw
from tower.vocabulary import make_event

SOURCE = "tower"
"""Source and system of what the tower tells of itself."""

AT_ONCE = 200
MOST_ORDERS = 20  # of one message


def tell(engine: Engine, net: Network, now: datetime) -> int:
    """Tell the documents of items that were sent, or took effect, since the last time; how many
    items. Told twice it is known: the messages have the same keys and bytes.
    """
    with engine.connect() as conn:
        if switches.why_read_only(conn):
            return 0
        found = replay_news.untold(conn, limit=AT_ONCE)
    told = [item for one in found for item in _messages(one, now)]
    if told:
        store_retrying(engine, told, net=net, now=now)
    if found:
        with engine.begin() as conn:
            replay_news.set_told(conn, found)
    return len(found)


def _messages(one: News, now: datetime) -> Iterator[Interpreted]:
    if not one.orders:
        return
    yield _message(one, "message.replayed", one.sent_at, now)
    if one.effect_at is not None:
        yield _message(one, "message.took_effect", one.effect_at, now)


def _message(one: News, type_: str, at: datetime, now: datetime) -> Interpreted:
    key = f"{type_.partition('.')[2]} {one.replay_id}/{one.n}"
    words = {"replay": one.replay_id, "item": one.n, "attempt": one.attempt, "at": at}
    raw = Raw(SOURCE, key, orjson.dumps(words), now, media_type="application/json")
    events: list[Event] = []
    for position, (erp, po) in enumerate(one.orders[:MOST_ORDERS]):
        data = {
            "erp": erp,
            "po": po,
            "attempt": one.attempt,
            "queue": one.queue,
            "text": f"replay {one.replay_id}, item {one.n}",
        }
        events.append(
            make_event(
                type_, data, source=SOURCE, raw_key=key, position=str(position), occurred_at=at,
                system=SOURCE,
            )
        )  # fmt: skip
    return Interpreted(raw, Interpretation(SOURCE, 1, events=tuple(events)))
