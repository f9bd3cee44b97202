"""One box for anything: exact ids first, then the names, headers and text of messages.

Ids are answered by their indexes alone. Text is looked up by words (`payload_text`), newest first,
and then looked for in the bytes themselves: a hit is a place, not a guess. The answer says what was
not searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, and_, cast, func, select, text, true, tuple_
from sqlalchemy.dialects.postgresql import TSQUERY

from db.reads import stories
from db.reads.filters import within_scope
from db.reads.freshness import freshness
from db.reads.payloads import FieldOrigin, as_shown, body_bytes
from db.reads.stories import Found
from db.tables import document, ingest_ledger, origin, payload_text, raw_message, text_mark
from tower import search_words
from tower.access import Scope
from tower.event import ObjectRef
from tower.identity import item_key
from tower.masking import ALL, masked_headers, overlaps

MOST_HITS = 50
MOST_CANDIDATES = 1000  # by the index of words
LOOKED_AT = 100  # messages whose bytes are fetched together
MOST_LOOKED_AT = 300
AROUND = 40  # bytes of an excerpt on each side
WALKS = (2_000, 8_000, 30_000)  # of the newest messages, one stretch after the other
COMMON = 0.002  # share of messages from which words are common: a walk soon has hits enough
DEFAULT_WINDOW = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class TextHit:
    """A message that holds the text. ``offset`` None: in its name or in a header (``where``)."""

    ref: str
    source: str
    key: str
    name: str
    received_at: datetime
    where: str
    offset: int | None
    length: int | None
    excerpt: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and what was not looked at.

    found         things of exactly that name
    hits          messages with the text, newest first; None = the text was not asked for
    more          there are more hits than are given
    searched_from, searched_to  receipt of the messages whose text was searched
    not_searched  sentences
    """

    text: str
    found: tuple[Found, ...]
    hits: tuple[TextHit, ...] | None
    more: bool
    searched_from: datetime | None
    searched_to: datetime | None
    not_searched: tuple[str, ...]


def find(
    conn: Connection,
    scope: Scope,
    wanted: str,
    now: datetime,
    *,
    window: timedelta | None = DEFAULT_WINDOW,
    in_text: Literal["always", "if_nothing_else", "never"] = "always",
    limit: int = MOST_HITS,
) -> Answer:
    """Everything of this name, and messages with this text. ``window`` None: all that is kept."""
    wanted = wanted.strip()
    found = tuple(stories.search(conn, scope, wanted))
    if in_text == "never" or (found and in_text == "if_nothing_else") or not wanted:
        unasked = ("The text of messages was not searched.",) if wanted else ()
        return Answer(wanted, found, None, False, None, None, unasked)
    if not scope.may("payload.read"):
        not_yours = "The text of messages was not searched: your role does not include it."
        return Answer(wanted, found, None, False, None, None, (not_yours,))
    asked = search_words.asked(wanted)
    mark = conn.execute(select(text_mark.c.upto).where(text_mark.c.name == "payload")).scalar()
    begin = None if window is None else now - window
    if asked.is_empty:
        too_short = (
            f'"{wanted}" is too short to search the text of messages for: give three signs or more.'
        )
        return Answer(wanted, found, (), False, None, None, (too_short,))
    hits, more, halted = _hits(conn, scope, asked, begin, now, limit)
    told = _not_searched(conn, scope, asked, mark, begin, now)
    if halted is not None:
        told = (halted, *told)
    return Answer(wanted, found, tuple(hits), more, begin, mark, told)


def _hits(
    conn: Connection,
    scope: Scope,
    asked: search_words.Asked,
    begin: datetime | None,
    now: datetime,
    limit: int,
) -> tuple[list[TextHit], bool, str | None]:
    """Hits, newest first; whether there are more; what kept us from looking at all."""
    looking = _Looking(conn, scope, asked, limit)
    upper = now + timedelta(days=1)  # a clock that is ahead
    # Common words stand in the newest messages: those are walked, and nothing else is needed. The
    # index of words would first gather every message that ever had them.
    walked = 0
    for size in WALKS:
        part, end = _newest(conn, scope, asked, begin, upper, size)
        walked += size
        if end is None:  # that was all
            looking.look(part)
            return looking.answer(rest=False)
        if walked == size and len(part) < COMMON * size:
            break  # rare words: the index of words has few of them
        looking.look(part)
        if looking.is_done:
            return looking.answer(rest=True)
        upper = end
    keys = _candidates(conn, scope, asked, begin, upper)
    looking.look(keys)
    return looking.answer(rest=len(keys) == MOST_CANDIDATES, last=keys)


class _Looking:
    """Candidates, newest first, looked at until there are hits enough or it was long enough."""

    def __init__(
        self, conn: Connection, scope: Scope, asked: search_words.Asked, limit: int
    ) -> None:
        self._conn, self._scope, self._asked, self._limit = conn, scope, asked, limit
        self._hits: list[TextHit] = []
        self._looked = 0
        self._left: Any = None  # the first one that was not looked at any more

    @property
    def is_done(self) -> bool:
        return self._left is not None or len(self._hits) >= self._limit

    def look(self, keys: Sequence[Any]) -> None:
        for at in range(0, len(keys), LOOKED_AT):
            part = keys[at : at + LOOKED_AT]
            if self.is_done or self._looked >= MOST_LOOKED_AT:
                self._left = self._left or part[0]
                return
            self._looked += len(part)
            self._hits += _verified(self._conn, self._scope, self._asked.text, part)

    def answer(
        self, *, rest: bool, last: Sequence[Any] = ()
    ) -> tuple[list[TextHit], bool, str | None]:
        """``rest``: messages were left that nobody asked for; ``last`` the ones asked for last."""
        found = _with_documents(self._conn, self._scope, self._hits[: self._limit])
        if len(self._hits) >= self._limit:
            more = len(self._hits) > self._limit or self._left is not None or rest
            return found, more, None
        if self._left is not None:
            return found, True, _halted(self._asked, self._left.received_at)
        if rest and last:
            return found, True, _halted(self._asked, last[-1].received_at)
        return found, False, None


def _halted(asked: search_words.Asked, since: datetime) -> str:
    return (
        f'Too many messages have the words of "{asked.text}": those received before '
        f"{since:%Y-%m-%d %H:%MZ} were not looked at. Type more of the text, or choose a shorter "
        "time."
    )


def _newest(
    conn: Connection,
    scope: Scope,
    asked: search_words.Asked,
    lower: datetime | None,
    upper: datetime,
    size: int,
) -> tuple[Sequence[Any], datetime | None]:
    """Those of the newest ``size`` messages that have the words, and the receipt of the last one
    that was walked over; None if there are no older ones in this time.
    """
    p = payload_text.c
    # Asked within the walk: kept until after it, the words of so many messages would go to disk.
    has = p.words.op("@@")(cast(asked.tsquery, TSQUERY))
    walk = (
        select(p.item_key, p.source, p.key, p.received_at, p.partner_id, has.label("has"))
        .where(p.received_at < upper, *(() if lower is None else (p.received_at >= lower,)))
        .order_by(p.received_at.desc())
        .fetch(size, with_ties=True)  # a batch is received at one instant
        .cte("walk")
        .prefix_with("MATERIALIZED")
    )
    w = walk.c
    walked = select(
        func.count().label("walked"), func.min(w.received_at).label("end_at")
    ).subquery()
    having = (
        select(w.item_key, w.source, w.key, w.received_at)
        .where(w.has, *within_scope(w, scope))
        .subquery()
        .lateral()
    )
    # One question, so that the walk is made once.
    rows = conn.execute(
        select(walked, having)
        .select_from(walked.outerjoin(having, true()))
        .order_by(having.c.received_at.desc(), having.c.key)
    ).all()
    found = [row for row in rows if row.key is not None]
    return found, rows[0].end_at if rows[0].walked >= size else None


def _candidates(
    conn: Connection,
    scope: Scope,
    asked: search_words.Asked,
    lower: datetime | None,
    upper: datetime,
) -> Sequence[Any]:
    """The newest messages that have the words, by the index of words."""
    p = payload_text.c
    wanted = text("payload_text.words @@ CAST(:asked AS tsquery)").bindparams(asked=asked.tsquery)
    inner = (
        select(p.item_key, p.source, p.key, p.received_at)
        .where(
            wanted,
            p.received_at < upper,
            *(() if lower is None else (p.received_at >= lower,)),
            *within_scope(p, scope),
        )
        .cte("having")
        .prefix_with("MATERIALIZED")
    )
    newest = select(inner).order_by(inner.c.received_at.desc(), inner.c.key)
    # By bitmaps alone, never a walk over all messages: the planner cannot know how rare an id is.
    conn.execute(text("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off"))
    found = conn.execute(newest.limit(MOST_CANDIDATES)).all()
    conn.execute(text("SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = on"))
    return found


def _verified(conn: Connection, scope: Scope, wanted: str, part: Sequence[Any]) -> list[TextHit]:
    """Those of the candidates that really hold the text, where this viewer may see it."""
    keys = [(one.item_key, one.source, one.key) for one in part]
    r, o = raw_message.c, origin.c
    rows = {
        (row.source, row.key): row
        for row in conn.execute(
            select(raw_message).where(
                tuple_(r.item_key, r.source, r.key).in_(keys),
                r.received_at.between(part[-1].received_at, part[0].received_at),
            )
        )
    }
    origins: dict[tuple[str, str], list[FieldOrigin]] = {}
    if not scope.reveals >= ALL:
        told = select(o.source, o.key, o.event_id, o.fields)
        for row in conn.execute(told.where(tuple_(o.item_key, o.source, o.key).in_(keys))):
            places = origins.setdefault((row.source, row.key), [])
            places += [FieldOrigin(row.event_id, *one) for one in row.fields]
    found = []
    for one in part:
        held = rows.get((one.source, one.key))
        if held is not None:
            hit = _hit(held, scope, wanted, origins.get((one.source, one.key), []))
            if hit is not None:
                found.append(hit)
    return found


def _hit(row: Any, scope: Scope, wanted: str, origins: Sequence[FieldOrigin]) -> TextHit | None:
    """The first place of the text in a message: its name, a header, then its bytes."""
    where, offset, length, excerpt = "", None, None, ""
    lowered = wanted.lower()
    if lowered in row.name.lower():
        where, excerpt = "name", row.name
    if not where:
        for name, value in masked_headers(row.headers or {}, scope.reveals).items():
            if lowered in str(value).lower():
                where, excerpt = f"header {name}", str(value)[:200]
                break
    if not where:
        body = body_bytes(row.encoding, row.body)
        places = search_words.places(body, wanted)
        if not places:
            return None
        shown, hidden = as_shown(body, scope, origins)
        seen = [place for place in places if not overlaps(hidden, *place)]
        if not seen:
            return None
        offset, length = seen[0]
        where = "payload"
        around = shown[max(0, offset - AROUND) : offset + length + AROUND]
        excerpt = " ".join(search_words.decoded(around).split())
    return TextHit(
        ref=f"raw:{row.source}/{row.key}",
        source=row.source,
        key=row.key,
        name=row.name,
        received_at=row.received_at,
        where=where,
        offset=offset,
        length=length,
        excerpt=excerpt,
        documents=(),
    )


def _with_documents(conn: Connection, scope: Scope, hits: Sequence[TextHit]) -> list[TextHit]:
    """Each hit with the documents its message tells of."""
    if not hits:
        return []
    keys = [(item_key(hit.source, hit.key), hit.source, hit.key) for hit in hits]
    i, d = ingest_ledger.c, document.c
    homes = {
        (row.source, row.key): row.homes
        for row in conn.execute(
            select(i.source, i.key, i.homes).where(tuple_(i.item_key, i.source, i.key).in_(keys))
        )
    }
    wanted = {home for found in homes.values() for home in found}
    refs: dict[int, list[str]] = {}
    if wanted:
        for row in conn.execute(
            select(d.home_key, d.kind, d.scope, d.number).where(
                and_(d.home_key.in_(sorted(wanted)), d.line == ""), *within_scope(d, scope)
            )
        ):
            refs.setdefault(row.home_key, []).append(
                str(ObjectRef(row.kind, row.scope, row.number))
            )
    found = []
    for hit in hits:
        told = {ref for home in homes.get((hit.source, hit.key), ()) for ref in refs.get(home, ())}
        found.append(replace(hit, documents=tuple(sorted(told))))
    return found


def _not_searched(
    conn: Connection,
    scope: Scope,
    asked: search_words.Asked,
    mark: datetime | None,
    begin: datetime | None,
    now: datetime,
) -> tuple[str, ...]:
    """What the answer does not cover, in sentences."""
    told = []
    if mark is None:
        told.append("No message's text is written down for search yet: a worker does that.")
    elif now - mark > timedelta(seconds=30):
        told.append(f"Messages received after {mark:%Y-%m-%d %H:%MZ}: their words are not in yet.")
    if begin is not None:
        told.append(f"The text of messages received before {begin:%Y-%m-%d %H:%MZ}.")
    told.append("Messages whose bytes have expired.")
    told.append("Text that begins inside a word: words are found from their beginning.")
    told.append(
        f"Very long messages beyond their first {search_words.MOST_WORDS:,} distinct words."
    )
    if not scope.reveals >= ALL:
        told.append("Values that are masked for you.")
    silent = freshness(conn, scope, now).silent
    if silent:
        names = ", ".join(sorted({feed.source for feed in silent})[:5])
        told.append(f"What silent feeds have not brought: {names}.")
    return tuple(told)
