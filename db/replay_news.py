"""Items of replays whose documents were not told yet that they were sent, or took effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from db.records import as_json


@dataclass(frozen=True, slots=True)
class News:
    """One item. ``orders``: (ERP, number) of the purchase orders that its message speaks of;
    ``effect_at``: of the event that showed its effect, None until then.
    """

    replay_id: int
    n: int
    state: str
    attempt: int
    queue: str
    sent_at: datetime
    effect_at: datetime | None
    orders: tuple[tuple[str, str], ...]


_UNTOLD = text(
    """
    WITH i AS (
        SELECT i.* FROM replay_item i JOIN replay r ON r.id = i.replay_id
        WHERE i.publish_key IS NOT NULL AND r.action IN ('reprocess', 'force')
            AND ((i.told = '' AND i.state IN ('awaiting_effect', 'resolved'))
                 OR (i.told = 'replayed' AND i.state = 'resolved'))
        ORDER BY i.replay_id, i.n LIMIT :limit
    ), h AS (
        SELECT i.replay_id, i.n, home FROM i
        JOIN ingest_ledger l ON l.source = i.source AND l.key = i.key, unnest(l.homes) AS home
    ), near AS (
        SELECT replay_id, n, home FROM h
        UNION SELECT h.replay_id, h.n, f.other_key FROM h JOIN flow_link f ON f.home_key = h.home
    ), po AS (
        SELECT replay_id, n, json_agg(DISTINCT jsonb_build_array(o.scope, o.number)) AS orders
        FROM near JOIN document o ON o.home_key = near.home AND o.kind = 'po' AND o.line = ''
        GROUP BY replay_id, n
    )
    SELECT i.replay_id, i.n, i.state, i.new_attempt, i.queue,
           coalesce(i.published_at, i.sent_at) AS sent_at, i.effect_at,
           coalesce(po.orders, '[]') AS orders
    FROM i LEFT JOIN po ON po.replay_id = i.replay_id AND po.n = i.n
    ORDER BY i.replay_id, i.n
    """
)


def untold(conn: Connection, *, limit: int) -> list[News]:
    """Items with news, in the order of their replays."""
    return [
        News(
            replay_id=row.replay_id,
            n=row.n,
            state=row.state,
            attempt=row.new_attempt,
            queue=row.queue,
            sent_at=row.sent_at,
            effect_at=row.effect_at if row.state == "resolved" else None,
            orders=tuple((scope, number) for scope, number in row.orders),
        )
        for row in conn.execute(_UNTOLD, {"limit": limit})
    ]


def set_told(conn: Connection, told: Sequence[News]) -> None:
    """Their documents know it now."""
    given = [
        {"replay_id": one.replay_id, "n": one.n,
         "told": "took_effect" if one.state == "resolved" else "replayed"}
        for one in told
    ]  # fmt: skip
    conn.execute(
        text(
            "UPDATE replay_item SET told = g.told FROM json_to_recordset(CAST(:given AS json)) "
            "AS g (replay_id bigint, n int, told text) "
            "WHERE replay_item.replay_id = g.replay_id AND replay_item.n = g.n"
        ),
        {"given": as_json(given)},
    )
