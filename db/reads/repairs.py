"""What screens ask about dead letters and replays beside the rows themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from db import sent_documents
from db.reads.filters import within_scope
from db.tables import dead_letter, replay_item
from tower.access import Scope
from tower.event import ObjectRef
from tower.replays import LetterRef

_d, _i = dead_letter.c, replay_item.c


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Items of one replay with one verdict and one cause.

    word   ready, duplicate or blocked; "" before the dry run
    cause  stable word of the cause, "" for none; ``said`` it in words, of one of the items
    """

    word: str
    cause: str
    said: str
    items: int


def states_of(conn: Connection, scope: Scope, fingerprint: str) -> dict[str, int]:
    """Letters of one kind of failure by their state."""
    asked = (
        select(_d.state, func.count())
        .where(_d.fingerprint == fingerprint, *within_scope(_d, scope))
        .group_by(_d.state)
    )
    found: dict[str, int] = dict(conn.execute(asked).all())
    return found


def verdicts(conn: Connection, replay_id: int) -> list[Verdicts]:
    """What the dry run said, the most frequent first. A verdict that an item left behind when it
    was sent counts as ready.
    """
    against = _i.verdict.in_(("duplicate", "blocked"))
    cause = func.split_part(_i.cause, ":", 1)
    rows = conn.execute(
        select(_i.verdict, cause, func.min(_i.cause), func.count())
        .where(_i.replay_id == replay_id, against)
        .group_by(_i.verdict, cause)
        .order_by(func.count().desc(), cause)
    )
    found = [Verdicts(word, short, _after(said), n) for word, short, said, n in rows]
    for word in ("ready", ""):
        n = conn.execute(
            select(func.count()).where(_i.replay_id == replay_id, _i.verdict == word)
        ).scalar_one()
        if n:
            found.insert(0, Verdicts(word, "", "", n))
    return found


def failed_letters(conn: Connection, replay_id: int) -> list[LetterRef]:
    """Open letters that a replay left behind: what came back to us, and the newer attempts of what
    died again.
    """
    same = (
        (_d.source == _i.source) & (_d.key == _i.key) & (_d.attempt == _i.attempt)
        & (_d.position == _i.position)
    )  # fmt: skip
    newer = (_d.source == _i.source) & (_d.message == _i.message_key)
    found: set[LetterRef] = set()
    for state, joined in (("returned", same), ("failed_again", newer)):
        asked = (
            select(_d.source, _d.key, _d.attempt, _d.position)
            .select_from(replay_item.join(dead_letter, joined))
            .where(_i.replay_id == replay_id, _i.state == state, _d.state == "open")
        )
        found.update(LetterRef(*row) for row in conn.execute(asked))
    return sorted(found)


def _after(cause: str) -> str:
    return cause.partition(":")[2].strip() or cause


def item_states(conn: Connection, replay_id: int) -> dict[str, int]:
    """Items of one replay by their state."""
    asked = select(_i.state, func.count()).where(_i.replay_id == replay_id).group_by(_i.state)
    found: dict[str, int] = dict(conn.execute(asked).all())
    return found


_DOCUMENTS = text(
    """
    WITH asked AS (SELECT DISTINCT unnest(CAST(:homes AS bigint[])) AS home),
    around AS (
        SELECT home, home AS near, 0 AS steps FROM asked
        UNION ALL
        SELECT a.home, f.other_key, 1 FROM asked a JOIN flow_link f ON f.home_key = a.home
    )
    SELECT DISTINCT ON (a.home) a.home, o.kind, o.scope, o.number
    FROM around a JOIN document o ON o.home_key = a.near AND o.line = ''
    WHERE :all_partners OR o.partner_id = ANY(:partners)
    ORDER BY a.home, a.steps, o.kind <> 'po', o.kind, o.number
    """
)


def documents_of(conn: Connection, scope: Scope, refs: Iterable[LetterRef]) -> dict[LetterRef, str]:
    """The document that a letter speaks of, as Trace takes it ("po:main:4500001234"): a purchase
    order before others. A letter that nothing could be read of has none.
    """
    found = sent_documents.of_items(conn, scope, list(refs))
    allowed = scope.partner_ids
    rows = conn.execute(
        _DOCUMENTS,
        {
            "homes": sorted({home for one in found for home in one.homes}),
            "all_partners": allowed is None,
            "partners": allowed or [],
        },
    )
    named = {row.home: str(ObjectRef(row.kind, row.scope, row.number)) for row in rows}
    return {
        one.ref: next(named[home] for home in one.homes if home in named)
        for one in found
        if any(home in named for home in one.homes)
    }
