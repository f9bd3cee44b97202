"""Judging: one round over everything that waits for an instant.

``timer`` is the only queue. A row says that a unit (a purchase order with its lines, or a
shipment), a source, a queue, a case, a mail group or a daily summary has something to do; claiming
the row locks its subject. The cost of a round is what is due, never what is open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from db import clocks, impact, planner, timers, trips
from db.clocks import UnitRows
from db.completeness import Feeds
from db.driver import no_garbage
from db.timers import (
    CASE,
    DIGEST,
    ESCALATION,
    GAP,
    LEAD_TIME,
    MAIL_GROUP,
    NETTING,
    PARTNER,
    QUEUE,
    SOURCE,
    UNIT,
    Timer,
)
from tower.cases import Changed
from tower.court import Code
from worker import (
    addressing,
    casework,
    escalation,
    gaps_judge,
    impact_judge,
    internal,
    lead_times,
    netting,
    partners_judge,
    passing,
    queues_judge,
    sources_judge,
    telling,
    wakeups,
)
from worker.code import code_for
from worker.impact import Impact, recompute, tomorrow
from worker.judging import Judging
from worker.passing import Quiet
from worker.units import Visit, visit, with_impact_at

__all__ = ["Judging", "TickResult", "tick"]

log = logging.getLogger(__name__)

AGAIN = timedelta(hours=1)  # until a unit that crashed is tried again
FEW = 8  # units: a trip to the server costs more than asking more than needed of so many
_TAKE_TURNS = frozenset({"40001", "40P01", "55P03"})  # serialisation, deadlock, lock not available
_TRIES = 4


@dataclass(frozen=True, slots=True)
class TickResult:
    """What one round did.

    now      the instant it was given
    claimed  due timers taken, by kind
    more     something is still due: call again at once
    next_due earliest timer that is left, None if nothing waits
    """

    now: datetime
    claimed: dict[str, int] = field(default_factory=dict)
    units: int = 0
    transitions: int = 0
    cases_opened: int = 0
    cases_closed: int = 0
    mails: int = 0
    failures: int = 0
    more: bool = False
    next_due: datetime | None = None


@dataclass(slots=True)
class _Counts:
    """Sums of a round; steps add to them once their transaction is through.

    looked, following  whether the last step saw what waits after it, and the earliest of it
    """

    claimed: dict[str, int] = field(default_factory=dict)
    units: int = 0
    transitions: int = 0
    opened: int = 0
    closed: int = 0
    mails: int = 0
    failures: int = 0
    held_by: set[str] = field(default_factory=set)
    looked: bool = False
    following: datetime | None = None

    def add(self, other: _Counts) -> None:
        for kind, n in other.claimed.items():
            self.claimed[kind] = self.claimed.get(kind, 0) + n
        self.held_by |= other.held_by
        self.looked, self.following = other.looked, other.following
        for name in ("units", "transitions", "opened", "closed", "mails", "failures"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def tell(self, changes: Sequence[Changed]) -> None:
        kinds = [note.kind for change in changes for note in change.notes]
        self.opened += sum(kind in ("opened", "reopened") for kind in kinds)
        self.closed += kinds.count("resolved")


_Step = Callable[[Connection, Judging, Code, Sequence[Timer], datetime], _Counts]


def tick(engine: Engine, config: Judging, now: datetime, limit: int = 500) -> TickResult:
    """Do what is due at ``now``: at most ``limit`` timers of each kind, each kind in transactions
    of its own. Call again at once while ``more``; any number of workers may do so together.
    """
    code = code_for(engine, config, now)
    done = _Counts()
    following, due, left = _begin(engine, config, code, now, limit, done)
    for kind in _IN_TURN:
        if kind in left:
            done.add(_step(engine, kind, config, code, now, limit))
    if done.looked:
        following = done.following
    if done.held_by or (due and not done.looked):
        with engine.begin() as conn:
            # A source that came back while these clocks were judged found nothing to wake yet.
            soon = now + sources_judge.LOOK_AGAIN
            timers.sooner(conn, [Timer(SOURCE, name, soon) for name in done.held_by])
            following = timers.next_due(conn)
    return TickResult(
        now=now,
        claimed=done.claimed,
        units=done.units,
        transitions=done.transitions,
        cases_opened=done.opened,
        cases_closed=done.closed,
        mails=done.mails,
        failures=done.failures,
        # Rows that others hold are due too; without having got any ourselves we let them finish.
        more=bool(done.claimed) and following is not None and following <= now,
        next_due=following,
    )


def _begin(
    engine: Engine, config: Judging, code: Code, now: datetime, limit: int, done: _Counts
) -> tuple[datetime | None, set[str], set[str]]:
    """The earliest instant at which something waits, the kinds that are due, and those that are
    left: the first of them is done at once, in the transaction that looked."""
    waiting, first = timers.Waiting(None, set(), ()), None
    try:
        with no_garbage(), engine.connect() as conn, trips.begin(conn):
            planner.by_key(conn)
            waiting = timers.look(conn, now, limit, FEW + 1)
            first = next((kind for kind in _IN_TURN if kind in waiting.kinds), None)
            if first is None:
                return waiting.following, waiting.kinds, set()
            if first == UNIT and len(waiting.units) <= FEW:
                counts = _few_units(conn, config, code, waiting.units, now)
            else:
                counts = _claimed(conn, first, config, code, now, limit)
    except DBAPIError:
        if first is None:
            raise
        # All anew, as a step like the others.
        return waiting.following, waiting.kinds, waiting.kinds
    done.add(counts)
    return waiting.following, waiting.kinds, waiting.kinds - {first}


def _claimed(
    conn: Connection, kind: str, config: Judging, code: Code, now: datetime, limit: int
) -> _Counts:
    claimed = timers.claim(conn, [kind], now, limit)
    if not claimed:
        return _Counts()
    if kind != UNIT:
        planner.any_way(conn)
    done = _WORK[kind](conn, config, code, claimed, now)
    done.claimed[kind] = len(claimed)
    done.looked, done.following = True, timers.commit(conn)
    return done


def _step(
    engine: Engine, kind: str, config: Judging, code: Code, now: datetime, limit: int
) -> _Counts:
    for attempt in range(_TRIES):
        try:
            with no_garbage(), engine.connect() as conn, trips.begin(conn):
                planner.by_key(conn)
                return _claimed(conn, kind, config, code, now, limit)
        except DBAPIError as error:
            if not _may_repeat(error) or attempt == _TRIES - 1:
                if kind == UNIT and not error.connection_invalidated:
                    return _one_by_one(engine, config, code, now, limit)
                raise
            log.info("Rounds crossed; repeated", extra={"action": "judge.repeated"})
    return _Counts()


def _may_repeat(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _TAKE_TURNS


# --- units ----------------------------------------------------------------------------------------


def _few_units(
    conn: Connection, config: Judging, code: Code, keys: Sequence[str], now: datetime
) -> _Counts:
    """Claim these units and visit them, all that is asked of them in one trip to the server: one of
    them is likely to have heard something."""
    homes = sorted(map(int, keys))
    claim = timers.claiming(UNIT, keys, now)
    beside = (*_asking(code, homes), *impact.asking_stakes(homes, pegged=False))
    quiet = passing.claim_and_let_pass(conn, code, homes, now, claim, beside)
    if not quiet.held:
        return _Counts()
    planner.by_some_key(conn)
    done = _judged(conn, config, code, homes, quiet, now)
    done.claimed[UNIT] = len(quiet.held)
    done.looked, done.following = True, timers.commit(conn)
    return done


def _units(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    """Visit units together: their rows are read and written set by set."""
    homes = sorted({int(timer.key) for timer in claimed})
    planner.by_many_keys(conn)
    quiet = passing.let_pass(conn, code, homes, now)
    planner.any_way(conn)
    return _judged(conn, config, code, homes, quiet, now)


def _judged(
    conn: Connection, config: Judging, code: Code, homes: list[int], quiet: Quiet, now: datetime
) -> _Counts:
    """What time alone did to units, and what comes of visiting the others of those held."""
    done = _Counts(units=len(quiet.next), transitions=quiet.transitions)
    left = [home for home in quiet.held if home not in quiet.next]
    if left:
        told = homes if quiet.answers else left
        answers = quiet.answers or trips.ask(conn, *_asking(code, left))
        events, cycles, judged, around, *stakes = answers
        rows = clocks.of_rows(told, events, cycles, judged)
        found = {home: rows[home] for home in left}
        near = impact.near(around, left)
        caseless = None
        if stakes and not near.cases and not near.pegged:
            caseless = casework.Known(set(left), stakes)
        done.add(_visited(conn, config, code, found, quiet.feeds, near, caseless, now))
    return done


def _asking(code: Code, homes: Sequence[int]) -> tuple[trips.Asked, ...]:
    """What is kept of these units, and what stands around them."""
    return (*clocks.asking(homes, code.unheard), impact.asking_near(homes))


def _visited(
    conn: Connection,
    config: Judging,
    code: Code,
    found: dict[int, UnitRows],
    feeds: Feeds,
    near: impact.Near,
    caseless: casework.Known | None,
    now: datetime,
) -> _Counts:
    """Units of which more than time is to be judged, from their events."""
    visits: list[Visit] = []
    crashed: list[tuple[int, Exception]] = []
    for home, rows in found.items():
        try:
            visits.append(visit(rows, code, feeds, now))
        except Exception as error:
            log.exception(
                "Judging a unit failed", extra={"action": "judge.unit_failed", "home": home}
            )
            crashed.append((home, error))
    clocks.save_clocks(conn, [v.judged for v in visits], now)
    done = _Counts(units=len(visits), failures=len(crashed))
    done.transitions = sum(len(v.judged.journal) for v in visits)
    done.held_by = {
        cycle.held_by
        for v in visits
        for cycles in v.judged.changed.values()
        for cycle in cycles
        if cycle.held_by is not None
    }
    done.tell(_follow_up(conn, config, code, visits, found, near, caseless, now))
    _set_timers(conn, visits, [home for home, _ in crashed], now)
    for home, cause in crashed:
        clocks.mark_failed(conn, home, now)
        internal.unit_failed(conn, config, home, _subject(found[home]), _said(cause), now)
    for v in visits:
        if found[v.judged.home].failed_at is not None:
            internal.unit_recovered(conn, config, v.judged.home, now)
    return done


def _follow_up(
    conn: Connection,
    config: Judging,
    code: Code,
    visits: list[Visit],
    found: dict[int, UnitRows],
    near: impact.Near,
    caseless: casework.Known | None,
    now: datetime,
) -> list[Changed]:
    """Whom it hurts, which cases that makes, and who must hear of them."""
    orders = {v.judged.home for v in visits if _is_order(found[v.judged.home])}
    shipments = {v.judged.home for v in visits if v.judged.journal} - orders
    reached = {po for home, po in near.links if home in shipments}
    if reached or orders & near.pegged:
        hurt = recompute(conn, code, orders | reached, now)
        caseless = None  # what it hurts was told before it was computed anew
    else:
        hurt = Impact(po_homes=set(orders))
    if near.stock:
        moved = {v.judged.home for v in visits if v.judged.journal}
        netting.mark(conn, sorted(moved | reached), now)
    work = [piece for v in visits for piece in v.work]
    work.extend(impact_judge.follow(conn, code, hurt.po_homes, now))
    homes = hurt.po_homes | {v.judged.home for v in visits}
    links = near.links if homes <= {v.judged.home for v in visits} else None
    hearers = addressing.Ahead(config)
    worked = casework.apply(conn, code, work, homes, now, links, caseless, hearers)
    for n, v in enumerate(visits):
        ahead = [hurt.next.get(v.judged.home) if v.judged.home in orders else None]
        if v.judged.home in worked.open_homes:
            # The nearer the need, the more urgent the case: weighed anew each day.
            ahead.append(tomorrow(code, now))
        at = min((instant for instant in ahead if instant is not None), default=None)
        if at != v.judged.impact_at:
            visits[n] = with_impact_at(v, at)
    clocks.save_units(conn, [v.judged for v in visits])
    addressing.mark(conn, config, code, worked.changes, now, hearers)
    return worked.changes


def _is_order(rows: UnitRows) -> bool:
    return any(subject.kind in ("po", "po_line") for subject in rows.signs)


def _set_timers(
    conn: Connection, visits: Sequence[Visit], crashed: Sequence[int], now: datetime
) -> None:
    ringing, silent = [], []
    for v in visits:
        ahead = [at for at in (v.next, v.judged.impact_at) if at is not None]
        if ahead:
            ringing.append((v.judged.home, min(ahead)))
        else:
            silent.append((UNIT, str(v.judged.home)))
    ringing.extend((home, now + AGAIN) for home in crashed)
    _ring(conn, ringing, now)
    timers.drop(conn, silent)


def _ring(conn: Connection, homes: Sequence[tuple[int, datetime]], now: datetime) -> None:
    """Set the timers of units. Never at once: what could be done now is done."""
    soon = now + passing.SOON
    timers.set_(conn, [Timer(UNIT, str(home), max(at, soon)) for home, at in homes])


def _one_by_one(engine: Engine, config: Judging, code: Code, now: datetime, limit: int) -> _Counts:
    """One unit of a round cannot be stored: find it, put it off, and let the others through."""
    done = _Counts()
    with engine.begin() as conn:
        planner.by_key(conn)
        waiting = timers.claim(conn, [UNIT], now, limit)
    for timer in waiting:
        try:
            with engine.begin() as conn:
                if timers.claim_one(conn, timer, now):
                    planner.by_key(conn)
                    with trips.gathered(conn):
                        done.add(_units(conn, config, code, [timer], now))
                    done.claimed[UNIT] = done.claimed.get(UNIT, 0) + 1
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            log.exception(
                "Storing a unit failed", extra={"action": "judge.unit_failed", "home": timer.key}
            )
            done.failures += 1
            with engine.begin() as conn:
                timers.set_(conn, [Timer(UNIT, timer.key, now + AGAIN)])
                clocks.mark_failed(conn, int(timer.key), now)
                internal.unit_failed(
                    conn, config, int(timer.key), f"unit {timer.key}", _said(error), now
                )
    return done


def _subject(rows: UnitRows) -> str:
    """The document a unit is about, in words."""
    named = sorted(s for s in rows.signs if s.kind in ("po", "asn"))
    return str(named[0]) if named else f"unit {rows.home}"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


# --- the other kinds ------------------------------------------------------------------------------


def _sources(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    done = _Counts()
    names = [timer.key for timer in claimed]
    done.transitions, changes = sources_judge.look(conn, config, code, names, now)
    done.tell(changes)
    return done


def _queues(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    looked = queues_judge.look(conn, config, code, claimed, now)
    done = _Counts(transitions=looked.transitions, failures=looked.failures)
    done.tell(looked.changes)
    return done


def _partners(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    looked = partners_judge.look(conn, config, code, claimed, now)
    done = _Counts(transitions=looked.transitions, failures=looked.failures)
    done.held_by = looked.held_by
    done.tell(looked.changes)
    return done


def _lead_times(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    lead_times.look(conn, code, claimed, now)
    return _Counts()


def _netting(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    netting.look(conn, code, claimed, now)
    return _Counts()


def _gaps(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    done = _Counts()
    done.tell(gaps_judge.look(conn, config, code, claimed, now))
    return done


def _cases(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    done = _Counts()
    done.tell(wakeups.wake(conn, config, code, claimed, now))
    return done


def _escalations(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    escalation.climb(conn, config, code, claimed, now)
    return _Counts()


def _groups(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    return _Counts(mails=sum(telling.flush(conn, config, code, t, now) for t in claimed))


def _digests(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> _Counts:
    return _Counts(mails=sum(telling.summarise(conn, config, code, t, now) for t in claimed))


_IN_TURN = (
    SOURCE, UNIT, NETTING, QUEUE, LEAD_TIME, PARTNER, GAP, CASE, ESCALATION, MAIL_GROUP, DIGEST,
)  # fmt: skip
"""Each kind after those that may have it looked at."""

_WORK: dict[str, _Step] = {
    UNIT: _units,
    SOURCE: _sources,
    QUEUE: _queues,
    LEAD_TIME: _lead_times,
    PARTNER: _partners,
    GAP: _gaps,
    NETTING: _netting,
    CASE: _cases,
    ESCALATION: _escalations,
    MAIL_GROUP: _groups,
    DIGEST: _digests,
}
