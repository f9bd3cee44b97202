"""What buyer, supplier and ERP each say about one purchase order line, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tower.amounts import same
from tower.owners import Owners
from tower.registers import State
from tower.timelines import in_order, iso, owned

Reports = dict[str, dict[str, list[str]]]

_IMPLIED = frozenset(("accepted", "accepted_with_changes", "substituted"))
_COMMITS = _IMPLIED | {"backordered"}
_REPLIES = frozenset(("po.acknowledged", "po.rejected", "po.change_answered"))


@dataclass(slots=True)
class Commitment:
    """The standing word on a line: ordered by the buyer, answered by the supplier, in the ERP.

    first_confirmed_date  of the first answer; an accepted change of the order sets it anew
    date_kind             delivery or ship, as the latest answer said; None = not told
    agrees                the three agree; None = not all of them have spoken
    Amounts are in the unit ordered; instants in microseconds since 1970 UTC.
    """

    known: bool = False
    item: str | None = None
    description: str | None = None
    uom: str | None = None
    ordered_qty: str | None = None
    price: str | None = None
    requested_date: str | None = None
    released_at: int | None = None
    deleted_at: int | None = None
    answer: str | None = None
    answered_at: int | None = None
    confirmed_qty: str | None = None
    confirmed_price: str | None = None
    first_confirmed_date: str | None = None
    last_confirmed_date: str | None = None
    date_kind: str | None = None
    applied_at: int | None = None
    agrees: bool | None = None


def commitment(
    node: State,
    replies: Sequence[tuple[int, str, list[Any]]],
    owners: Owners,
    reports: Reports,
) -> Commitment:
    """The standing word on a line from its registers; ``replies`` are the header's answers.

    ``reports`` gains what each system told of each field, with the instant since when.
    """
    told = Commitment()
    story: list[tuple[int, str, bool, list[Any]]] = []
    if "o" in node:
        orders = owned(node["o"], "ordered", owners)
        story = [(at, event, False, entry) for at, event, entry in orders]
        _report_orders(node["o"], reports)
        _order(told, orders[0][2])  # an answer may carry an earlier time than the order itself
    answers = node.get("a", {})
    told_by = reports
    if answers or replies:
        if answers:
            named = owned(answers, "confirmed", owners)
            story += [(at, event, True, entry) for at, event, entry in named]
            if "confirmed" in owners.split:
                told_by = {}  # composed entries are nobody's own words
                _report_others(answers, (), reports)
            elif len(named) < len(answers):
                _report_others(answers, named, reports)
        for at, event, entry in replies:
            word = "rejected" if entry[2] == "po.rejected" else entry[3]
            # Only a word for the whole order speaks for lines that the answer does not name.
            if event not in answers and word in ("accepted", "rejected"):
                whole = [at, entry[1], entry[2], word, None, None, None, None, None]
                story.append((at, event, True, whole))
        story.sort()
    changed = True
    for at, _, is_answer, entry in story:
        if is_answer:
            commits = _answer(told, entry, changed, told_by)
            changed = changed and not commits
            continue
        before = (told.ordered_qty, told.price, told.requested_date)
        _order(told, entry)
        told.deleted_at = at if entry[3] == "delete" else None
        changed = changed or before != (told.ordered_qty, told.price, told.requested_date)
    if "p" in node:
        _apply(told, in_order(node["p"]), reports)
    elif told.agrees is not False:
        told.agrees = None
    return told


def _order(told: Commitment, entry: list[Any]) -> None:
    at, _, created, _, qty, uom, price, day, item, description = entry
    told.known = True
    if created and (told.released_at is None or at < told.released_at):
        told.released_at = at
    if qty is not None:
        told.ordered_qty = qty
    if uom is not None:
        told.uom = uom
    if price is not None:
        told.price = price
    if day is not None:
        told.requested_date = day
    if item is not None:
        told.item = item
    if description is not None:
        told.description = description


def _answer(told: Commitment, entry: list[Any], changed: bool, reports: Reports) -> bool:
    """Take one answer; True if it commits to a date, so that a change of the order is accepted."""
    at, system, type_, word, qty, uom, day, kind, price = entry
    if type_ in _REPLIES and told.answered_at is None:
        told.answered_at = at
    comparable = uom is None or told.uom is None or uom == told.uom
    if word is None:
        word = "rejected" if type_ == "po.rejected" else _word(told, qty, day, kind, price)
    told.answer = word
    if word == "rejected":
        told.confirmed_qty = "0"
        told.last_confirmed_date = told.confirmed_price = None
        told.agrees = False
        _report(reports.setdefault(system, {}), at, "confirmed_qty", "0")
        return False
    if word not in _COMMITS:
        told.agrees = False if word == "on_hold" else None
        return False
    implied = word in _IMPLIED
    delivery = day if kind != "ship" else None
    told.confirmed_qty = (
        (qty if comparable else None)
        if qty is not None
        else told.ordered_qty
        if implied
        else told.confirmed_qty
    )
    told.confirmed_price = price if price is not None else told.price if implied else None
    if day is None and implied:
        delivery = told.requested_date
    if delivery is not None or day is not None:
        told.last_confirmed_date = delivery
        told.date_kind = kind if day is not None else None
    if delivery is not None and (changed or told.first_confirmed_date is None):
        told.first_confirmed_date = delivery
    told.agrees = _answer_agrees(told, word)
    said = reports.setdefault(system, {})
    _report(said, at, "confirmed_qty", told.confirmed_qty)
    _report(said, at, "confirmed_date", delivery)
    _report(said, at, "price", told.confirmed_price)
    if kind == "ship":
        _report(said, at, "ship_date", day)
    return True


def _word(
    told: Commitment, qty: str | None, day: str | None, kind: str | None, price: str | None
) -> str:
    """The word of an answer that only gave values: accepted if they are those of the order."""
    equal = (
        (qty is None or told.ordered_qty is None or same(qty, told.ordered_qty))
        and (day is None or kind == "ship" or told.requested_date in (None, day))
        and (price is None or told.price is None or same(price, told.price))
    )
    return "accepted" if equal else "accepted_with_changes"


def _answer_agrees(told: Commitment, word: str) -> bool:
    """Whether what was confirmed is what was ordered; earlier than asked for is no disagreement."""
    if word == "backordered":
        return False
    late = (
        told.last_confirmed_date is not None
        and told.requested_date is not None
        and told.last_confirmed_date > told.requested_date
    )
    return not late and all(
        one is None or other is None or same(one, other)
        for one, other in (
            (told.confirmed_qty, told.ordered_qty),
            (told.confirmed_price, told.price),
        )
    )


def _apply(
    told: Commitment, entries: Sequence[tuple[int, str, list[Any]]], reports: Reports
) -> None:
    qty = day = price = uom = None
    for at, _, entry in entries:
        _, system, qty_, uom_, day_, price_ = entry
        qty, uom = (qty_, uom_) if qty_ is not None else (qty, uom)
        day = day_ if day_ is not None else day
        price = price_ if price_ is not None else price
        said = reports.setdefault(system, {})
        _report(said, at, "confirmed_qty", qty_)
        _report(said, at, "confirmed_date", day_)
        _report(said, at, "price", price_)
    told.applied_at = entries[0][0]
    if told.agrees and not (
        _fits(qty, told.confirmed_qty if uom in (None, told.uom) else None)
        and _fits(price, told.confirmed_price)
        and (day is None or told.last_confirmed_date in (None, day))
    ):
        told.agrees = False


def _fits(one: str | None, other: str | None) -> bool:
    return one is None or other is None or same(one, other)


def _report_orders(register: State, reports: Reports) -> None:
    for at, _, entry in in_order(register):
        told = reports.setdefault(entry[1], {})
        _report(told, at, "ordered_qty", entry[4])
        _report(told, at, "price", entry[6])
        _report(told, at, "requested_date", entry[7])


def _report_others(
    answers: State, named: Sequence[tuple[int, str, list[Any]]], reports: Reports
) -> None:
    """Answers as a system that does not own them tells them: shown and compared, not taken."""
    counting = {event for _, event, _ in named}
    for at, event, entry in in_order(answers):
        if event not in counting:
            day = None if entry[7] == "ship" else entry[6]
            told = reports.setdefault(entry[1], {})
            _report(told, at, "confirmed_qty", entry[4])
            _report(told, at, "confirmed_date", day)
            _report(told, at, "price", entry[8])


def _report(told: dict[str, list[str]], at: int, name: str, value: str | None) -> None:
    """Note what a system said; a value repeated keeps the instant since when it stands."""
    if value is not None:
        known = told.get(name)
        if known is None or known[0] != value:
            told[name] = [value, iso(at)]
