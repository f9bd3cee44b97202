"""From journals to cases: opened, raised, healed, weighed by whom they hurt, and told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from db import cases as kept
from db import impact as rows
from db import timers
from db.supply import ASN_FAILED
from tower.cases import (
    RULE_REMOVED,
    Brief,
    Case,
    Changed,
    Happening,
    case_fingerprint,
    fold,
    heal,
    with_raise,
)
from tower.court import Code, partner_attributes
from tower.impact import AFFECTED
from tower.priority import AffectedLine, Hurt, hurt, priority
from worker import grouping

Work = tuple[Brief, Sequence[Happening]]
FEW = 8  # units: a trip to the server costs more than asking more than needed of so many


@dataclass(frozen=True, slots=True)
class Known:
    """What was told of these homes before it was known which of them matter: the answers to
    ``db.impact.asking_stakes``, the last of which may be left away where nobody waits for them."""

    homes: set[int]
    answers: Sequence[list[Any]]


@dataclass(frozen=True, slots=True)
class Worked:
    """What became of the cases of a round.

    changes     those that changed, with notes, for telling
    open_homes  homes with an open case
    """

    changes: list[Changed]
    open_homes: set[int]


def apply(
    conn: Connection,
    code: Code,
    work: Sequence[Work],
    homes: Iterable[int],
    now: datetime,
    links: Sequence[tuple[int, int]] | None = None,
    caseless: Known | None = None,
    beside: grouping.Beside | None = None,
) -> Worked:
    """Fold the news into cases, weigh every open case of these homes anew, and store all of it.

    ``homes`` are purchase orders whose affected lines may have changed; open cases of shipments
    that are linked to them are weighed too. ``links`` are those of ``homes``, where they are known.
    ``caseless``: homes that never had a case, if that is known. ``beside`` asks when cases are
    stored.
    """
    places = set(homes)
    linked = _Links.of(rows.linked(conn, places) if links is None else links)
    marks = {_mark(brief): (brief, happenings) for brief, happenings in work}
    near = places | linked.others
    if caseless is not None and caseless.homes >= near | {b.home_key for b, _ in marks.values()}:
        known, found = caseless, list[tuple[Case, kept.Figures]]()
    else:
        # Of a few, all is asked that may be weighed; the rest of a flood makes no case.
        maybe = near if marks and len(places) <= FEW else set[int]()
        asked = rows.asking_stakes(maybe) if maybe else ()
        found, answers = kept.for_round(conn, marks, near, asked)
        known = Known(maybe, answers)
    figures = {case.id: told for case, told in found}
    latest: dict[str, Case] = {}
    for case, _ in found:
        before = latest.get(case.fingerprint)
        if before is None or case.cycle > before.cycle:
            latest[case.fingerprint] = case
    changes: dict[tuple[str, int], Changed] = {}
    for mark, (brief, happenings) in marks.items():
        for changed in fold(latest.get(mark), happenings, brief):
            changes[mark, changed.case.cycle] = changed
    for case in latest.values():
        if case.open and case.home_key is not None and code.book.rule(case.rule) is None:
            changes[case.fingerprint, case.cycle] = heal(case, now, RULE_REMOVED)
    current = {(case.fingerprint, case.cycle): case for case in latest.values()}
    current |= {key: changed.case for key, changed in changes.items()}
    open_now = {key: case for key, case in current.items() if case.open}
    weighed = _Weights(conn, code, open_now.values(), places, linked, known, now)
    for key, case in open_now.items():
        lifted = with_raise(case, weighed.raise_of(case), now, weighed.because(case))
        if lifted is not None:
            before_it = changes.get(key)
            changes[key] = (
                lifted
                if before_it is None
                else Changed(
                    lifted.case, before_it.notes + lifted.notes, before_it.tell or lifted.tell
                )
            )
    new = {key for key, changed in changes.items() if changed.case.id is None}
    first = {key: weighed.figures_of(open_now[key]) for key in new & open_now.keys()}
    stored, sharing = grouping.store(conn, code, list(changes.values()), first, beside)
    # The case a merged one is a part of may have ended before this was true of it.
    merged = [str(c.case.id) for c in stored if c.case.resolution == "merged"]
    timers.sooner(conn, [timers.Timer(timers.CASE, number, now) for number in merged])
    numbers = {(c.case.fingerprint, c.case.cycle): c.case for c in stored}
    standing = [numbers.get(key, case) for key, case in open_now.items()]
    _write_figures(
        conn, [numbers.get(k, c) for k, c in open_now.items() if k not in new], figures, weighed
    )
    _write_blame(conn, standing, weighed, places)
    stored = grouping.follow(conn, code, stored, now, sharing)
    grouping.sum_up(conn, code, standing)
    return Worked(stored, {c.home_key for c in standing if c.home_key is not None})


def _mark(brief: Brief) -> str:
    return case_fingerprint(brief.category, brief.rule, brief.subject)


def _write_figures(
    conn: Connection,
    standing: Sequence[Case],
    before: Mapping[int | None, kept.Figures],
    weighed: _Weights,
) -> None:
    changed = []
    for case in standing:
        figures, factors = weighed.figures_of(case)
        if case.id is not None and before.get(case.id) != figures:
            changed.append((case.id, figures, {**case.why, "priority": factors}))
    kept.set_figures(conn, changed)


def _write_blame(
    conn: Connection, standing: Sequence[Case], weighed: _Weights, homes: set[int]
) -> None:
    """Name the case behind each affected order line: of its cause if one is open, else any."""
    blamed = []
    for row in weighed.affected:
        if row.po_home not in homes:
            continue
        suspects = [c for c in standing if row in weighed.rows_of(c)]
        suspects.sort(key=lambda c: (c.category != row.cause, c.id))
        culprit = suspects[0].id if suspects else None
        if culprit != row.case_id:
            blamed.append((row.key, culprit))
    rows.blame(conn, blamed)


@dataclass(slots=True)
class _Links:
    """Links between purchase orders and shipments (or ids), both ways."""

    po_of: dict[int, set[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> _Links:
        found = cls()
        for home, other in pairs:
            found.po_of.setdefault(other, set()).add(home)
        return found

    @property
    def others(self) -> set[int]:
        return set(self.po_of)


class _Weights:
    """Whom the open cases of a round hurt. Reads what it needs once, for all of them."""

    def __init__(
        self,
        conn: Connection,
        code: Code,
        cases: Iterable[Case],
        homes: set[int],
        links: _Links,
        known: Known,
        now: datetime,
    ) -> None:
        self._code, self._now = code, now
        self._links = links
        wanted = list(cases)
        mine = {c.home_key for c in wanted if c.home_key is not None}
        places = (mine & homes) | {
            c.home_key
            for c in wanted
            if c.home_key is not None and c.subject.kind in ("po", "po_line")
        }
        shipments = {
            c.home_key for c in wanted if c.subject.kind == "asn" and c.home_key is not None
        }
        for home, other in rows.linked(conn, shipments):
            links.po_of.setdefault(home, set()).add(other)
        reach = places | {po for s in shipments for po in links.po_of.get(s, ())} | homes
        if known.homes and reach | places <= known.homes:
            stakes = rows.stakes_among(known.answers, reach, places)
        else:
            stakes = rows.stakes(conn, reach, places)
        self.affected = stakes.affected
        self._by_home: dict[int, list[rows.AffectedRow]] = {}
        for row in self.affected:
            self._by_home.setdefault(row.po_home, []).append(row)
        self._documents: dict[int, list[Any]] = {}
        for document in stakes.documents:
            self._documents.setdefault(document.home_key, []).append(document)
        self._pegged = stakes.pegged
        self._hurts: dict[tuple[str, int], Hurt] = {}

    def rows_of(self, case: Case) -> list[rows.AffectedRow]:
        """Affected order lines that this case is about."""
        home = case.home_key
        if home is None:
            return []
        if case.subject.kind == "po":
            return self._by_home.get(home, [])
        if case.subject.kind == "po_line":
            return [r for r in self._by_home.get(home, []) if r.po_line == case.subject.line]
        if case.subject.kind == AFFECTED:
            line, _, customer = case.subject.line.partition(" ")
            return [
                r
                for r in self._by_home.get(home, [])
                if r.po_line == line and (not customer or r.customer == customer)
            ]
        if case.subject.kind == "asn":
            reached = sorted(self._links.po_of.get(home, ()))
            return [r for po in reached for r in self._by_home.get(po, []) if r.cause == ASN_FAILED]
        return []

    def hurt_of(self, case: Case) -> Hurt:
        key = (case.fingerprint, case.cycle)
        found = self._hurts.get(key)
        if found is None:
            found = self._hurts[key] = self._hurt(case)
        return found

    def _hurt(self, case: Case) -> Hurt:
        value, currency, unpegged, need = self._document_of(case)
        return hurt(
            (
                AffectedLine(
                    r.order, r.order_line, r.promise_date, r.open_value, r.currency, r.confidence
                )
                for r in self.rows_of(case)
            ),
            currency=self._code.network.company.currency,
            document_value=value,
            document_currency=currency,
            unpegged_value=unpegged,
            need_date=need,
        )

    def _document_of(self, case: Case) -> tuple[Decimal | None, str | None, Decimal, date | None]:
        """Ordered value, its currency, the open value nobody waits for, and the date wanted."""
        documents = self._documents.get(case.home_key or 0, [])
        header = next((d for d in documents if d.kind == "po"), None)
        lines = [d for d in documents if d.kind == "po_line"]
        if case.subject.kind == "po_line":
            lines = [d for d in lines if d.line == case.subject.line]
        told = lines[0] if case.subject.kind == "po_line" and lines else header
        dates = [
            d.last_confirmed_date or d.requested_date
            for d in lines
            if not d.closed and (d.last_confirmed_date or d.requested_date)
        ]
        return (
            told.value if told is not None else None,
            header.currency if header is not None else None,
            sum((self._free(d) for d in lines), Decimal(0)),
            min(dates, default=None),
        )

    def _free(self, line: Any) -> Decimal:
        """Open value of a purchase line that no customer order line waits for."""
        if line.open_value is None or line.closed:
            return Decimal(0)
        waited_for = self._pegged.get((line.home_key, line.line), Decimal(0))
        if not line.ordered_qty or waited_for <= 0:
            return Decimal(line.open_value)
        share = max(Decimal(0), 1 - waited_for / line.ordered_qty)
        return Decimal(line.open_value * share).quantize(Decimal("0.01"))

    def figures_of(self, case: Case) -> tuple[kept.Figures, dict[str, Any]]:
        """The figures of a case and the factors they came from."""
        weight = self.hurt_of(case)
        hours = self._code.calendar(self._code.network.company.calendar)
        documents = self._documents.get(case.home_key or 0, [])
        assumed = not any(d.last_confirmed_date for d in documents)
        weighed = priority(weight, self._now, hours, assumed=assumed)
        figures = kept.Figures(
            value_at_risk=weight.value_at_risk,
            document_value=weight.document_value,
            currency=weight.currency,
            orders_affected=weight.orders,
            lines_affected=weight.lines,
            urgency=weighed.urgency,
            confidence=weighed.confidence,
            priority=weighed.value,
            need_date=weight.need_date,
        )
        return figures, weighed.factors

    def raise_of(self, case: Case) -> int:
        """Steps by which its rule makes this case worse."""
        rule = self._code.book.rule(case.rule)
        if rule is None or rule.raise_ is None:
            return 0
        return rule.raise_.by if rule.raise_.when.holds(self._attributes(case)) else 0

    def because(self, case: Case) -> str:
        rule = self._code.book.rule(case.rule)
        if rule is None or rule.raise_ is None:
            return "the rule raises it no more"
        words = rule.raise_.when.sentence()
        return words if self.raise_of(case) else f"no longer: {words}"

    def _attributes(self, case: Case) -> dict[str, Any]:
        orders = self.hurt_of(case).orders
        profile = self._code.profile_at(case.supplier, case.opened_at)
        known: dict[str, Any] = {
            **partner_attributes(
                self._code.network, case.supplier, profile.body if profile else {}
            ),
            "po.affected_orders": orders,
            "po_line.affected_orders": orders,
        }
        for document in self._documents.get(case.home_key or 0, []):
            if document.kind == "po":
                for name in ("type", "buyer", "warehouse", "currency", "channel", "value"):
                    value = getattr(document, name)
                    if value is not None:
                        known[f"po.{name}"] = value
        return known
