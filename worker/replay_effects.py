"""What shows that a message took effect: its business document moved.

Publishing proves nothing. What was sent is resolved by an event of its document that is later than
the publish; an open letter whose effect was seen without us is recovered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine

from collectors.dead_letters import origin_queues
from db import letters as kept_letters
from db import recoveries, replay_facts, replay_work, replays, switches
from db.letters import Letter
from db.replay_facts import Surroundings
from db.replay_wishes import allowed
from db.replay_work import Awaiting
from tower import replays as law
from tower.access import EVERYTHING
from tower.feeds import ReplayOptions
from tower.network import Network
from tower.replays import DELIVERED, EFFECTS
from tower.telling import length

PAGE = 1000  # letters or items looked at together


def effect_types(net: Network) -> list[str]:
    """Every type of event that may show an effect in this network."""
    found = {one for types in EFFECTS.values() for one in types} | set(DELIVERED)
    for name in net.sources:
        options = allowed(net, name)
        found |= {one for types in (options.effects if options else {}).values()
                  for one in types.split()}  # fmt: skip
    return sorted(found)


def type_of(here: Surroundings) -> str:
    return here.headers.get("type") or here.headers.get("ce-type") or ""


def effects_of_letter(
    letter: Letter, here: Surroundings, queue: str, options: ReplayOptions | None
) -> tuple[str, ...]:
    if letter.kind != "deliver":
        return ()
    return law.effects_of(type_of(here), queue, options.effects if options else {})


def type_since(here: Surroundings, types: Sequence[str], at: datetime) -> str:
    """Type of an event of these types that is later than ``at``; "" if there is none."""
    return next((s.type for s in here.seen if s.type in types and s.occurred_at > at), "")


def effect_since(here: Surroundings, effects: Sequence[str], at: datetime) -> str:
    found = first_effect(here, effects, at)
    return "" if found is None else found[0]


def first_effect(
    here: Surroundings, effects: Sequence[str], at: datetime
) -> tuple[str, UUID, datetime] | None:
    """The first event after ``at`` that shows the effect: (type, event, when).

    A delivery says nothing of other messages: it must name this one.
    """
    own = here.headers.get("message-id")
    for seen in here.seen:
        if seen.type not in effects or seen.occurred_at <= at:
            continue
        if seen.type in DELIVERED and (own is None or seen.message != own):
            continue
        return (seen.type, seen.event, seen.occurred_at)
    return None


def see_effects(engine: Engine, now: datetime) -> int:
    """Resolve what took effect, note what died again or stayed without effect too long, end what
    nothing waits for; how many items changed.
    """
    changed, after = 0, (0, 0)
    while True:
        with engine.begin() as conn:
            if switches.why_read_only(conn):
                return changed
            waiting = replay_work.awaiting(conn, after=after, limit=PAGE)
            changed += _see(conn, waiting, now)
        if len(waiting) < PAGE:
            break
        after = (waiting[-1].item.replay_id, waiting[-1].item.n)
    if changed:
        with engine.begin() as conn:
            replay_work.finish(conn, now)
    return changed


def _see(conn: Connection, waiting: Sequence[Awaiting], now: datetime) -> int:
    if not waiting:
        return 0
    changed = 0
    died = replay_work.newer_deaths(conn, [one.item for one in waiting])
    around = replay_facts.around(
        conn,
        [one.letter for one in waiting],
        sorted({effect for one in waiting for effect in one.item.effect_types}),
    )
    for item, letter, within in waiting:
        both = ("awaiting_effect", "uncertain")
        if (item.replay_id, item.n) in died:
            changed += replays.to_state(
                conn, item, "failed_again", "tower", now, only=both,
                cause="its copy died again; the newer dead letter tells why",
            )  # fmt: skip
            continue
        sent = item.published_at or item.sent_at
        found = None if sent is None else first_effect(around[letter.ref], item.effect_types, sent)
        if found is not None:
            changed += replays.to_state(
                conn, item, "resolved", "tower", now, only=both, cause=f"{found[0]} was seen",
                effect=(found[1], found[2]),
            )  # fmt: skip
        elif law.is_overdue(item.state, item.state_at, within, now):
            # Its effect may still come and resolve it; until then a person may find out.
            changed += replays.to_state(
                conn, item, "uncertain", "tower", now, only=("awaiting_effect",),
                cause=f"no effect was seen within {length(within)}",
            )  # fmt: skip
    return changed


def recovered(engine: Engine, net: Network, now: datetime) -> int:
    """Close open letters whose effect was seen without us; how many.

    Looks at what came in since the last look, once in a while at everything that is open
    (db/recoveries.py).
    """
    types = effect_types(net)
    with engine.begin() as conn:
        if switches.why_read_only(conn):
            return 0
        look = recoveries.begin(conn, now)
        if look is None:
            return 0
        if look.since is None:
            return sum(_close_recovered(conn, net, page, types, now) for page in _all_open(conn))
        asked = recoveries.candidates(conn, look.since, types)
        found = 0
        for first in range(0, len(asked), PAGE):
            page = kept_letters.by_refs(conn, EVERYTHING, asked[first : first + PAGE])
            found += _close_recovered(conn, net, page, types, now)
        return found


def _all_open(conn: Connection) -> Iterator[list[Letter]]:
    before = None
    while True:
        page = kept_letters.letters(conn, EVERYTHING, states=("open",), before=before, limit=PAGE)
        yield [one for one in page if one.kind == "deliver"]
        if len(page) < PAGE:
            return
        before = page[-1]


def _close_recovered(
    conn: Connection,
    net: Network,
    open_letters: Sequence[Letter],
    types: Sequence[str],
    now: datetime,
) -> int:
    around = replay_facts.around(conn, open_letters, types)
    healed = []
    for letter in open_letters:
        here = around[letter.ref]
        origins = origin_queues(here.headers)
        queue = next(iter(origins)) if len(origins) == 1 else ""
        effects = effects_of_letter(letter, here, queue, allowed(net, letter.ref.source))
        if first_effect(here, effects, here.died_at) is not None:
            healed.append(letter.ref)
    return kept_letters.recovered(conn, healed, now)
