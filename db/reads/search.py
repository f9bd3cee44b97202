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

from sqlalchemy import Connection, and_, select, text, tuple_

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
MOST_CANDIDATES = 1000  # by words, of one stretch of time
LOOKED_AT = 100  # messages whose bytes are fetched together
MOST_LOOKED_AT = 300
AROUND = 40  # bytes of an excerpt on each side
STRETCHES = (timedelta(days=1), timedelta(days=7), timedelta(days=30))
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
    hits: list[TextHit] = []
    looked = 0
    upper = now + timedelta(days=1)  # a clock that is ahead
    keys = _candidates(conn, scope, asked, begin, upper)
    crowded = len(keys) == MOST_CANDIDATES
    # Rare words: one question was enough. Common ones: stretch by stretch, the newest first.
    bounds = [now - s for s in STRETCHES if begin is None or now - s > begin] if crowded else []
    for lower in [*bounds, begin]:
        if crowded:
            keys = _candidates(conn, scope, asked, lower, upper)
        full = len(keys) == MOST_CANDIDATES
        for at in range(0, len(keys), LOOKED_AT):
            part = keys[at : at + LOOKED_AT]
            if looked >= MOST_LOOKED_AT:
                return _with_documents(conn, scope, hits), True, _halted(asked, part[0].received_at)
            looked += len(part)
            hits += _verified(conn, scope, asked.text, part)
            if len(hits) >= limit:
                rest = at + LOOKED_AT < len(keys) or lower != begin or full
                more = len(hits) > limit or rest
                return _with_documents(conn, scope, hits[:limit]), more, None
        if full:
            return _with_documents(conn, scope, hits), True, _halted(asked, keys[-1].received_at)
        if lower is not None:
            upper = lower
    return _with_documents(conn, scope, hits), False, None


def _halted(asked: search_words.Asked, since: datetime) -> str:
    return (
        f'Too many messages have the words of "{asked.text}": those received before '
        f"{since:%Y-%m-%d %H:%MZ} were not looked at. Type more of the text, or choose a shorter "
        "time."
    )


def _candidates(
    conn: Connection,
    scope: Scope,
    asked: search_words.Asked,
    lower: datetime | None,
    upper: datetime,
) -> Sequence[Any]:
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
        .limit(MOST_CANDIDATES)
        .subquery()
    )
    # The index of words, never a walk over all messages: the planner cannot know how rare an id is.
    conn.execute(text("SET LOCAL enable_seqscan = off"))
    found = conn.execute(select(inner).order_by(inner.c.received_at.desc(), inner.c.key)).all()
    conn.execute(text("SET LOCAL enable_seqscan = on"))
    return found


def _verified(
    conn: Connection, scope: Scope, wanted: str, part: Sequence[Any]
) -> list[TextHit]:
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


def _hit(
    row: Any, scope: Scope, wanted: str, origins: Sequence[FieldOrigin]
) -> TextHit | None:
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


def _with_documents(
    conn: Connection, scope: Scope, hits: Sequence[TextHit]
) -> list[TextHit]:
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
