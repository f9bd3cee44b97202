"""What events say, spread over flows, links, documents, pegs and timers.

Flows come first: their rows lock the homes for all that follows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import Cursor

from db import arrivals, families, flows, mirroring, netting_marks, staging, stock, weaving
from db.arrivals import Gathered
from db.driver import Conflict
from db.families import Family, FamilyKey
from db.flows import Flow, FlowGain
from tower.correlation import DOCUMENTS, Node, Tie
from tower.documents import Owners, Record, merge
from tower.registers import microseconds, short
from tower.timelines import stamp

_PEG = staging.Upsert(
    "peg",
    'home_key, scope, po, po_line, "order", order_line, qty, at, event_id',
    "DO UPDATE SET qty = EXCLUDED.qty, at = EXCLUDED.at, event_id = EXCLUDED.event_id "
    "WHERE (EXCLUDED.at, EXCLUDED.event_id) > (peg.at, peg.event_id)",
)
_PEGGED = (
    'SELECT DISTINCT home_key, scope, "order" FROM peg WHERE scope = ANY(%s::text[]) '
    'AND "order" = ANY(%s::text[])'
)
_TIMER_COLUMNS = "kind, key, due, generation"
_TIMER = staging.Upsert(
    "timer",
    _TIMER_COLUMNS,
    "DO UPDATE SET due = LEAST(timer.due, EXCLUDED.due), generation = timer.generation + 1",
)


class Spreading:
    """The steps of one batch, on one cursor, in the order in which everybody writes."""

    def __init__(self, cursor: Cursor[Any], owners: Owners, now: datetime) -> None:
        self.cursor = cursor
        self.owners = owners
        self.now = now
        self._nets: bool | None = None

    def spread(self, gathered: Gathered) -> tuple[int, frozenset[int]]:
        """Write what follows from events that are kept; (rows, homes) of documents."""
        woven = self._flows(gathered)
        orders = self._orders(gathered, woven)
        weaving.apply(self.cursor, woven, orders)
        self._take_woven(gathered, woven, orders)
        homes = {subject.home for subject in gathered.subjects.values()}
        lost = {home for home, _ in woven.lost}
        mirrored = mirroring.mirror(self.cursor, homes | lost)
        homes |= lost | mirrored
        written = self._documents(gathered, lost | mirrored)
        self._pegs(gathered)
        self.nets(reporting=bool(gathered.levels))
        stock.write(self.cursor, gathered.levels, gathered.changes)
        self._timers(gathered)
        if mirrored:
            self.wake(mirrored)
            self.mark(mirrored)
        return written, frozenset(homes)

    def _flows(self, gathered: Gathered) -> weaving.Woven:
        """Flows and links first: their rows lock the homes for all that follows."""
        cursor, gains, seeds = self.cursor, gathered.gains, set(gathered.seeds)
        standing = flows.look_up(cursor, sorted(gains))
        kept = flows.kept_ties(cursor, (tie for tie, _ in gathered.ties.values()), standing)
        ties = {
            key: (tie, since)
            for key, (tie, since) in gathered.ties.items()
            if since < kept.get(key, since + 1)
        }
        # A tie that is new, or older than was known, may bring events that came before it.
        tied = {
            node.home
            for tie, _ in ties.values()
            for node in (tie.one, tie.other)
            if not node.is_root and node.home in standing
        }
        idle = self._idle(tied - seeds, gathered, standing)
        seeds |= tied - idle
        seeds -= {home for home, flow in standing.items() if flow.not_identifying}
        if not seeds.isdisjoint(standing):
            part = flows.component(cursor, seeds & standing.keys())
            # Only what lies around: a flow of the batch that is made meanwhile was never asked
            # what it is tied to, so it must end in a conflict.
            standing |= self._lock_around(gains, part)
        _match_at_once(gains, ties.values(), standing)
        locked = flows.gain(cursor, gains.values(), standing)
        if idle and self._idle(idle, gathered, locked) != idle:
            raise Conflict("An id got events or ties to other ids meanwhile")
        flows.link(cursor, ties, kept)
        self._match_documents(gains, ties.values(), standing, locked)
        seeds = {h for h in seeds if h not in locked or not locked[h].not_identifying}
        flipped = self._flip(ties.values())
        if flipped:
            around = flows.links(cursor, flipped).values()
            seeds |= flipped | {one.other for ends in around for one in ends if not one.to_root}
        if not seeds:
            return weaving.Woven()
        woven = weaving.weave(cursor, seeds)
        if not flipped and not woven.nodes <= locked.keys():
            raise Conflict("Ids were tied to each other meanwhile")
        for mark in (True, False):
            changed = [
                home
                for home, matched in woven.matched.items()
                if matched is mark and (home not in locked or locked[home].matched is not mark)
            ]
            flows.set_matched(cursor, changed, mark)
        return woven

    def _idle(
        self, homes: Collection[int], gathered: Gathered, standing: Mapping[int, Flow]
    ) -> set[int]:
        """Those of these ids that lead nothing to orders: no event lives there, nor at an id tied
        to them, before this batch and after it.

        The number of an interchange ties all orders of a file. It need not be walked around for
        each batch of them, as long as nobody has answered it.
        """
        found = {
            home
            for home in homes
            if standing[home].kind == "id"
            and not standing[home].n_events
            and not standing[home].not_identifying
        }
        for tie, _ in gathered.ties.values():
            if not (tie.one.is_root or tie.other.is_root):
                found -= {tie.one.home, tie.other.home}
        found -= {home for home, gain in gathered.gains.items() if gain.events}
        return flows.lonely(self.cursor, found)

    def _flip(self, ties: Iterable[tuple[Tie, int]]) -> set[int]:
        """Correlation ids that now tie too many orders to identify one."""
        told = {
            node.home
            for tie, _ in ties
            if tie.basis == "correlation"
            for node in (tie.one, tie.other)
            if node.kind == "id"
        }
        return flows.newly_useless(self.cursor, told) if told else set()

    def _match_documents(
        self,
        gains: Mapping[int, FlowGain],
        ties: Iterable[tuple[Tie, int]],
        standing: Mapping[int, Flow],
        locked: Mapping[int, Flow],
    ) -> None:
        """Shipments and invoices are matched once an order they name is known.

        An order may become known after them, in this batch or, meanwhile, in another one.
        """
        matched = {
            tie.one.home
            for tie, _ in ties
            if tie.one.kind in DOCUMENTS
            and locked[tie.other.home].matched
            and not locked[tie.one.home].matched
        }
        late = {
            home
            for home, gain in gains.items()
            if gain.matched
            and gain.node.is_root
            and home in standing
            and not standing[home].matched
        }
        if late:
            matched |= {
                one.other
                for ends in flows.links(self.cursor, late).values()
                for one in ends
                if one.basis == "document"
            }
        flows.set_matched(self.cursor, matched, True)

    def _lock_around(self, gains: dict[int, FlowGain], part: flows.Component) -> dict[int, Flow]:
        """Lock the flows of a component too; those that the batch adds nothing to."""
        around = {home: part.flows[home] for home in part.nodes & part.flows.keys() - gains.keys()}
        for home, flow in around.items():
            gains[home] = FlowGain(Node(flow.kind, flow.anchor, home))
        return around

    def _orders(self, gathered: Gathered, woven: weaving.Woven) -> dict[int, tuple[str, str, str]]:
        """What lives at the homes that woven rows concern."""
        wanted = {row.home for row in (*woven.new, *woven.moved)}
        wanted |= {home for home, _ in woven.lost}
        found = {
            subject.home: key
            for key, subject in gathered.subjects.items()
            if subject.home in wanted and key[0] in ("po", "order")
        }
        missing = wanted - set(found)
        if missing:
            found |= weaving.orders_at(self.cursor, missing)
        return found

    def _take_woven(
        self,
        gathered: Gathered,
        woven: weaving.Woven,
        orders: Mapping[int, tuple[str, str, str]],
    ) -> None:
        for row in woven.new:
            kind, scope, number = orders[row.home]
            record = Record(short(row.event_id), kind, "", row.type, row.system, row.at, row.facts)
            arrivals.subject_of(gathered, kind, scope, number).records.append(record)
        heard = [(row.home, row.arrived) for row in (*woven.new, *woven.moved)]
        heard += [(home, microseconds(self.now)) for home, _ in woven.lost]
        for home, at in heard:
            if home in orders:
                subject = arrivals.subject_of(gathered, *orders[home])
                subject.arrived = min(subject.arrived, at)

    def _documents(self, gathered: Gathered, anew: Collection[int]) -> int:
        """Fold what is new into the documents; those in ``anew`` lost something: from scratch."""
        told = [s for s in gathered.subjects.values() if s.records and s.home not in anew]
        kept = families.load(self.cursor, {subject.home for subject in told})
        changed: dict[FamilyKey, Family] = {}
        for subject in told:
            family = changed[subject.key] = kept.get(subject.key) or Family()
            for record in subject.records:
                merge(family.state, record)
        folded = families.refold(self.cursor, anew) if anew else {}
        written = families.write(self.cursor, changed, self.owners)
        if folded:
            written += families.replace(self.cursor, folded, self.owners)
        return written

    def _pegs(self, gathered: Gathered) -> None:
        lines = [
            "\t".join(
                (
                    key[0],
                    *map(staging.text, key[1:]),
                    qty,
                    stamp(at),
                    event_id,
                )
            )
            for key, (at, event_id, qty) in gathered.pegs.items()
        ]
        _PEG(self.cursor, lines)

    def wake(self, homes: Iterable[int]) -> None:
        """Let these units be judged again now."""
        at = microseconds(self.now)
        _ring(self.cursor, [_rung(_UNIT, str(home), at) for home in sorted(homes)])

    def nets(self, *, reporting: bool = False) -> bool:
        """Whether supply is netted against demand here: some warehouse has told its stock."""
        if self._nets is None or (reporting and not self._nets):
            self._nets = stock.anything_known(self.cursor, reporting=reporting)
        return self._nets

    def mark(self, homes: Iterable[int], places: Iterable[stock.Place] = ()) -> None:
        """Have the lines of these orders, and these buckets, netted anew now."""
        if self.nets():
            keys = [netting_marks.home(home) for home in sorted(set(homes))]
            keys += [netting_marks.place(*one) for one in sorted(set(places))]
            now = microseconds(self.now)
            _ring(self.cursor, [_rung(_NETTING, key, now) for key in keys])

    def _timers(self, gathered: Gathered) -> None:
        """Units that heard something are due when they heard it; so are orders pegged to demand."""
        due = {
            s.home: s.arrived
            for s in gathered.subjects.values()
            if s.key.kind in ("po", "asn") and s.arrived != arrivals.NEVER
        }
        if gathered.orders:
            scopes = staging.literal({scope for scope, _ in gathered.orders})
            numbers = staging.literal({number for _, number in gathered.orders})
            self.cursor.execute(_PEGGED, (scopes, numbers))
            for home, scope, number in self.cursor.fetchall():
                at = gathered.orders.get((scope, number))
                if at is not None:
                    due[home] = min(due.get(home, at), at)
        rows = [_rung(_UNIT, str(home), at) for home, at in due.items()]
        if self.nets():
            heard = {
                s.home: s.arrived
                for s in gathered.subjects.values()
                if s.key.kind in ("po", "order") and s.arrived != arrivals.NEVER
            }
            places = {*gathered.levels, *((w, i) for w, i, _ in gathered.changes)}
            now = microseconds(self.now)
            rows += [_rung(_NETTING, netting_marks.home(home), at) for home, at in heard.items()]
            rows += [_rung(_NETTING, netting_marks.place(*one), now) for one in sorted(places)]
        _ring(self.cursor, rows)


def _rung(kind: bytes, key: str, at: int) -> bytes:
    """The row of a timer that rings at an instant in microseconds since 1970 UTC."""
    return b"".join((kind, staging.octets_of(key), staging.timestamp(at), _FIRST))


def _ring(cursor: Cursor[Any], rows: Sequence[bytes]) -> None:
    _TIMER.by_columns(cursor, {_TIMER_COLUMNS: rows})


_FIRST = staging.bigint(1)  # generation of a timer that is new
_UNIT, _NETTING = (
    staging.fields(_TIMER_COLUMNS) + staging.word(kind) for kind in ("unit", netting_marks.KIND)
)


def _match_at_once(
    gains: Mapping[int, FlowGain],
    ties: Iterable[tuple[Tie, int]],
    standing: Mapping[int, Flow],
) -> None:
    """Mark shipments and invoices of orders that are known already."""
    for tie, _ in ties:
        if tie.one.kind in DOCUMENTS and tie.other.is_root:
            root = tie.other.home
            if gains[root].matched or (root in standing and standing[root].matched):
                gains[tie.one.home].matched = True
