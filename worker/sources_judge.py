"""The silence of our own feeds: a case for each that is silent beyond its rhythm.

While a feed is silent, what rests on it is not judged; its case counts what waits. When it speaks
again its case heals, and everything that waited is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from db import cases as kept
from db import clocks, completeness, timers
from db.clocks import UnitRows
from db.completeness import Feeds
from db.timers import SOURCE, Timer
from tower.cases import Changed
from tower.court import Code
from tower.evidence import of_source
from tower.identity import source_key
from tower.signs import Spell, Subject
from worker import addressing, casework
from worker.judging import Judging, timer_kind
from worker.units import visit

LOOK_AGAIN = timedelta(minutes=1)  # how often a silent source is asked whether it is back


def pass_by(conn: Connection, code: Code, names: Sequence[str], now: datetime) -> set[str]:
    """The sources that are well and were: nothing to judge, only the next look is set, for all
    at once."""
    well: dict[str, Timer] = {}
    for name, up_to in completeness.untroubled(conn, names):
        source = code.network.sources.get(name)
        if source is None or up_to + of_source(name, source).tolerance <= now:
            continue
        due = max(up_to + code.silent_after(name, up_to), now + LOOK_AGAIN)
        well[name] = Timer(SOURCE, name, due)
    timers.set_(conn, list(well.values()))
    return set(well)


def look(
    conn: Connection, config: Judging, code: Code, names: Sequence[str], now: datetime
) -> tuple[int, list[Changed]]:
    """Judge these sources at ``now``: number of journal entries, and the cases that changed.

    The caller holds their timers, which are set anew; a source that is no longer configured loses
    its own. A source that speaks, and did so all along, costs next to nothing.
    """
    known = sorted(name for name in names if name in code.network.sources)
    timers.drop(conn, [(SOURCE, name) for name in names if name not in code.network.sources])
    feeds = completeness.read(conn, known, None)
    held = clocks.held_homes(conn, known)
    seen = clocks.instants(conn, [source_key(name) for name in known])
    entries, changes, ringing = 0, list[Changed](), list[Timer]()
    for name in known:
        waiting = held.get(name, {})
        blind = _blind(code, feeds, name, now)
        if blind is None:
            timers.sooner(conn, [Timer(timer_kind(code, h), str(h), now) for h in waiting])
        if _news(feeds, name, blind, seen.get(source_key(name))):
            _write_spells(conn, feeds, name, blind, now)
            changed, journal = _judge(conn, config, code, name, now)
            entries += journal
            changes.extend(changed)
        if blind is not None:
            kept.set_held(conn, source_key(name), sum(waiting.values()))
        ringing.append(Timer(SOURCE, name, _again(code, feeds, name, blind, bool(waiting), now)))
    timers.set_(conn, ringing)
    return entries, changes


def _blind(code: Code, feeds: Feeds, name: str, now: datetime) -> Spell | None:
    """The open spell of a source that cannot be trusted now, None if it can."""
    up_to = feeds.complete_to.get(name)
    if up_to is None:
        # Never read: silent from the moment we began to look, not from the beginning of time.
        known = [s for s in feeds.spells.get(name, ()) if s.to_at is None]
        return known[0] if known else Spell(name, now, now)
    tolerance = of_source(name, code.network.sources[name]).tolerance
    return Spell(name, up_to, up_to + tolerance) if up_to + tolerance <= now else None


def _news(feeds: Feeds, name: str, blind: Spell | None, seen: datetime | None) -> bool:
    """Whether a source has to be judged: it is blind, or was so since it was judged last."""
    return blind is not None or any(
        spell.to_at is None or seen is None or spell.to_at > seen
        for spell in feeds.spells.get(name, ())
    )


def _again(
    code: Code, feeds: Feeds, name: str, blind: Spell | None, waited_for: bool, now: datetime
) -> datetime:
    """When to look at a source again."""
    soon = now + LOOK_AGAIN
    if waited_for:
        return soon
    begin = blind.from_at if blind is not None else feeds.complete_to.get(name) or now
    silent_at = begin + code.silent_after(name, begin)
    return max(silent_at, soon)


def _write_spells(
    conn: Connection, feeds: Feeds, name: str, blind: Spell | None, now: datetime
) -> None:
    """Write down that the source is blind, or that it is no longer."""
    if blind is not None:
        completeness.close_spells(conn, name, blind.from_at, before=blind.from_at)
        completeness.open_spell(
            conn, blind, "silent" if feeds.complete_to.get(name) else "never read"
        )
    elif any(spell.to_at is None for spell in feeds.spells.get(name, ())):
        completeness.close_spells(conn, name, min(feeds.complete_to.get(name) or now, now))


def _judge(
    conn: Connection, config: Judging, code: Code, name: str, now: datetime
) -> tuple[list[Changed], int]:
    home = source_key(name)
    feeds = completeness.read(conn, [name], None)
    rows: UnitRows = clocks.load(conn, [home], code.unheard)[home]
    rows.signs.setdefault(Subject("source", "", name), [])
    visited = visit(rows, code, feeds, now)
    clocks.save(conn, [visited.judged], now)
    changes = casework.apply(conn, code, visited.work, (home,), now).changes
    addressing.mark(conn, config, code, changes, now)
    return changes, len(visited.judged.journal)
