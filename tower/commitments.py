"""What buyer, supplier and ERP each say about one purchase order line, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from tower.amounts import same, total
from tower.codes import WHOLE_WORDS
from tower.owners import Owners
from tower.registers import State
from tower.rows import Row
from tower.timelines import Timeline, in_order, iso, owned
from tower.units import times

Reports = dict[str, dict[str, list[str]]]

_CHANGES = "accepted_with_changes"
_IMPLIED = frozenset(("accepted", _CHANGES, "substituted"))
_COMMITS = _IMPLIED | {"backordered"}
_NO_FIRST = (None, "undecided")
_REPLIES = frozenset(("po.acknowledged", "po.rejected", "po.change_answered"))

# What is told in one go, by the names of the report.
_ORDERED = ("ordered_qty", "price", "requested_date")
_CONFIRMED = ("confirmed_qty", "confirmed_date", "price", "ship_date")


class WholeWord(NamedTuple):
    """What an answer says of the lines that it does not name.

    entry  as the answer to a line, with nothing but the word
    mild   it only speaks for lines of which nobody has spoken since the order last changed them
    """

    at: int
    event: str
    mild: bool
    entry: list[Any]


def words_for_all(replies: Timeline, lines: dict[str, State]) -> list[WholeWord]:
    """Those of a header's answers that speak for lines they do not name.

    A word for the whole order speaks for every line. A yes that names some lines (exceptions, or
    what is new) leaves what was said of the others before, and so does the yes to a change; the no
    to a change says nothing of the order.
    """
    found = []
    for at, event, entry in replies:
        word = entry[6] if len(entry) > 6 else entry[3]
        if entry[2] == "po.rejected" and len(entry) == 6:
            word = "rejected"
        to_change = entry[2] == "po.change_answered"
        if word not in WHOLE_WORDS or (to_change and word == "rejected"):
            continue
        mild = word == "accepted" and (
            to_change or any(event in line.get("a", ()) for line in lines.values())
        )
        told = [at, entry[1], entry[2], word, None, None, None, None, None]
        found.append(WholeWord(at, event, mild, told))
    return found


def refuses_change(entry: list[Any]) -> bool:
    """Whether an answer, to an order or a line, is the no to a change of ours."""
    return (entry[2], entry[3]) == ("po.change_answered", "rejected")


def commit(
    line: Row, node: State, whole: Sequence[WholeWord], owners: Owners, reports: Reports
) -> int | None:
    """Fill in the standing word on a line: ordered, answered, in the ERP. When it was deleted.

    ``node`` has the registers of the line, ``whole`` are the words for all lines. ``reports`` gains
    what each system told of each field, with the instant since when. Of the columns

    first_confirmed_date  is of the first answer; an accepted change of the order sets it anew
    last_confirmed_date   of the latest answer that tells one, or accepts that of a changed order
    confirmed_date_kind   delivery or ship, as that answer said; None = not told
    first_answer          what the first answer did: kept, rejected, undecided, or what it changed
    agrees                the three agree; None = not all of them have spoken
    price                 as ordered, else as confirmed

    The row given is blank in all that is filled in here.
    """
    line["confirmed_price"] = None  # no column, but part of the story
    deleted = None
    story: list[tuple[int, str, bool, list[Any]]] = []
    orders = node.get("o")
    if orders:
        told = owned(orders, "ordered", owners)
        for at, _, entry in in_order(orders):
            _report(reports, entry[1], at, _ORDERED, (entry[4], entry[6], entry[7]))
        _order(line, told[0][2])  # an answer may carry an earlier time than the order itself
        if len(told) > 1:
            story = [(at, event, False, entry) for at, event, entry in told]
        else:
            deleted = told[0][0] if told[0][2][3] == "delete" else None
    answers = node.get("a")
    told_by = reports
    mild: set[str] = set()
    if answers or whole:
        if answers:
            named = owned(answers, "confirmed", owners)
            story += [(at, event, True, entry) for at, event, entry in named]
            if "confirmed" in owners.split:
                told_by = {}  # composed entries are nobody's own words
                _report_others(answers, (), reports, line, owners)
            elif len(named) < len(answers):
                _report_others(answers, named, reports, line, owners)
        for at, event, is_mild, entry in whole:
            if not (answers and event in answers):
                story.append((at, event, True, entry))
                if is_mild:
                    mild.add(event)
        if len(story) > 1:
            story.sort()
    changed, open_ = True, True
    for at, event, is_answer, entry in story:
        if is_answer:
            if event in mild and not open_:
                continue
            commits = _answer(line, _measured(entry, line, owners, 4, 5, 8), changed, told_by)
            changed = changed and not commits
            open_ = open_ and not commits and line["answer"] != "rejected"
            continue
        before = (line["ordered_qty"], line["price"], line["requested_date"])
        _order(line, entry)
        deleted = at if entry[3] == "delete" else None
        if before != (line["ordered_qty"], line["price"], line["requested_date"]):
            changed = open_ = True
    applied = node.get("p")
    if applied:
        _apply(line, in_order(applied), reports, owners)
    elif line["agrees"] is not False:
        line["agrees"] = None
    confirmed_price = line.pop("confirmed_price")
    if line["price"] is None:
        line["price"] = confirmed_price
    return deleted


def _order(line: Row, entry: list[Any]) -> None:
    at, _, created, _, qty, uom, price, day, item, description, *category = entry
    line["known"] = True
    if created and (line["released_at"] is None or at < line["released_at"]):
        line["released_at"] = at
    if qty is not None:
        line["ordered_qty"] = qty
    if uom is not None:
        line["uom"] = uom
    if price is not None:
        line["price"] = price
    if day is not None:
        line["requested_date"] = day
    if item is not None:
        line["item"] = item
    if description is not None:
        line["description"] = description
    if category and category[0] is not None:
        line["category"] = category[0]


def _answer(line: Row, entry: list[Any], changed: bool, reports: Reports) -> bool:
    """Take one answer; True if it commits to a date, so that a change of the order is accepted."""
    at, system, type_, word, qty, uom, day, kind, price = entry
    if line["acknowledged_at"] is None and type_ in _REPLIES:
        line["acknowledged_at"] = at
    if word is None:
        word = "rejected" if type_ == "po.rejected" else _word(line, qty, day, kind, price)
    if refuses_change(entry) and (line["answer"] or line["released_at"]) is not None:
        # What stood before the change stands; a line that only came with it is refused.
        line["agrees"] = line["agrees"] and _as_ordered(line)
        return False
    line["answer"] = word
    is_first = line["first_answer"] in _NO_FIRST
    if word == "rejected":
        if is_first:
            line["first_answer"] = word
        line["confirmed_qty"] = "0"
        line["last_confirmed_date"] = line["confirmed_price"] = None
        line["confirmed_date_kind"] = None
        line["agrees"] = False
        _report(reports, system, at, _CONFIRMED, ("0",))
        return False
    if word not in _COMMITS or (word == _CHANGES and _tells_no_change(line, qty, day, price)):
        if is_first:
            line["first_answer"] = "undecided"
        line["agrees"] = False if word == "on_hold" else None
        return False
    implied = word in _IMPLIED
    if qty is not None:
        ordered_in = line["uom"]
        foreign = uom is not None and ordered_in is not None and uom != ordered_in
        if foreign or isinstance(qty, list):
            qty = None
        line["confirmed_qty"] = qty
    elif implied:
        line["confirmed_qty"] = line["ordered_qty"]
    if price is None and implied:
        price = line["price"]
    line["confirmed_price"] = price
    delivery = day if kind != "ship" else None
    if day is not None:
        line["confirmed_date_kind"] = kind
        line["last_confirmed_date"] = delivery
    elif implied and (changed or not _dated(line)):
        # Whoever confirms less, or says yes once more, does not take back the day he named.
        delivery = line["requested_date"]
        if delivery is not None:
            line["confirmed_date_kind"] = None
            line["last_confirmed_date"] = delivery
    if delivery is not None and (changed or line["first_confirmed_date"] is None):
        line["first_confirmed_date"] = delivery
    if is_first:
        line["first_answer"] = _first_answer(line, word, delivery)
    line["agrees"] = word != "backordered" and _as_ordered(line)
    _report(
        reports,
        system,
        at,
        _CONFIRMED,
        (line["confirmed_qty"], delivery, price, day if kind == "ship" else None),
    )
    return True


def _tells_no_change(line: Row, qty: Any, day: str | None, price: str | None) -> bool:
    """Whether nothing that was told differs from the order: then what was changed is not known, as
    where the new date could not be read, and nothing may be taken for confirmed."""
    return (
        day is None
        and not isinstance(qty, list)
        and _repeats(qty, line["ordered_qty"])
        and _repeats(price, line["price"])
    )


def _repeats(one: str | None, ordered: str | None) -> bool:
    return one is None or (ordered is not None and same(one, ordered))


def _dated(line: Row) -> bool:
    """Whether a day was confirmed, be it one of shipping."""
    return line["last_confirmed_date"] is not None or line["confirmed_date_kind"] == "ship"


def _first_answer(line: Row, word: str, delivery: str | None) -> str:
    """What the first answer changed of the order as it stood; earlier than asked for is kept."""
    wanted = line["requested_date"]
    changed = [word] if word in ("backordered", "substituted") else []
    if not _fits(line["confirmed_qty"], line["ordered_qty"]):
        changed.append("quantity")
    if not _fits(line["confirmed_price"], line["price"]):
        changed.append("price")
    if delivery is not None and wanted is not None and delivery > wanted:
        changed.append("date")
    return " ".join(changed) or "kept"


def _word(line: Row, qty: str | None, day: str | None, kind: str | None, price: str | None) -> str:
    """The word of an answer that only gave values: accepted if they are those of the order."""
    equal = (
        _fits(qty, line["ordered_qty"])
        and (day is None or kind == "ship" or line["requested_date"] in (None, day))
        and _fits(price, line["price"])
    )
    return "accepted" if equal else "accepted_with_changes"


def _as_ordered(line: Row) -> bool:
    """Whether what was confirmed is what was ordered; earlier than asked for is no disagreement."""
    confirmed, wanted = line["last_confirmed_date"], line["requested_date"]
    if confirmed is not None and wanted is not None and confirmed > wanted:
        return False
    return _fits(line["confirmed_qty"], line["ordered_qty"]) and _fits(
        line["confirmed_price"], line["price"]
    )


def _apply(line: Row, entries: Timeline, reports: Reports, owners: Owners) -> None:
    qty = day = price = uom = None
    for at, _, entry in entries:
        _, system, qty_, uom_, day_, price_ = _measured(entry, line, owners, 2, 3, 5)
        if qty_ is not None:
            qty, uom = qty_, uom_
        if day_ is not None:
            day = day_
        if price_ is not None:
            price = price_
        _report(reports, system, at, _CONFIRMED, (qty_, day_, price_))
    line["applied_at"] = entries[0][0]
    if line["agrees"] and not (
        (uom not in (None, line["uom"]) or _fits(qty, line["confirmed_qty"]))
        and _fits(price, line["confirmed_price"])
        and (day is None or line["last_confirmed_date"] in (None, day))
    ):
        line["agrees"] = False


def _fits(one: str | None, other: str | None) -> bool:
    return one is None or other is None or same(one, other)


def _measured(
    entry: list[Any], line: Row, owners: Owners, qty: int, unit: int, price: int
) -> list[Any]:
    """The entry with quantity and price in the unit of the order, where that is known to be the
    same in other words (1 DZ for 12 EA); places of the three are given. Parts in unlike units stay
    a list of them where they do not add up."""
    if isinstance(entry[qty], list):
        entry = [*entry]
        entry[qty] = _added_up(entry[qty], line, owners) or entry[qty]
        return entry
    factor = factor_to(line, entry[unit], owners)
    if factor is None:
        return entry
    entry = [*entry]
    if entry[qty] is not None:
        entry[qty] = times(entry[qty], factor)
    if entry[price] is not None:
        entry[price] = times(entry[price], 1 / factor)
    entry[unit] = line["uom"]
    return entry


def _added_up(parts: list[list[Any]], line: Row, owners: Owners) -> str | None:
    """The sum of [quantity, unit] in the unit of the order; None if it is not known."""
    found = []
    for qty, unit in parts:
        if unit is None or unit == line["uom"]:
            found.append(qty)
            continue
        factor = factor_to(line, unit, owners)
        if factor is None:
            return None
        found.append(times(qty, factor))
    return total(found)


def factor_to(line: Row, unit: str | None, owners: Owners) -> Fraction | None:
    """How many units of the order one ``unit`` is; None if it is that unit, or nobody knows."""
    ordered_in = line["uom"]
    if unit is None or ordered_in is None or unit == ordered_in:
        return None
    return owners.units.factor(unit, ordered_in, line["item"], line["supplier"])


def _report_others(
    answers: State,
    named: Timeline | tuple[()],
    reports: Reports,
    line: Row,
    owners: Owners,
) -> None:
    """Answers as a system that does not own them tells them: shown and compared, not taken."""
    counting = {event for _, event, _ in named}
    for at, event, told in in_order(answers):
        if event not in counting:
            entry = _measured(told, line, owners, 4, 5, 8)
            day = None if entry[7] == "ship" else entry[6]
            qty = None if isinstance(entry[4], list) else entry[4]
            _report(reports, entry[1], at, _CONFIRMED, (qty, day, entry[8]))


def _report(
    reports: Reports, system: str, at: int, names: Sequence[str], values: Sequence[str | None]
) -> None:
    """Note what a system said; a value repeated keeps the instant since when it stands."""
    told = reports.get(system)
    if told is None:
        told = reports[system] = {}
    since = iso(at)
    for name, value in zip(names, values):  # noqa: B905  # what comes last is often not told
        if value is not None and (name not in told or told[name][0] != value):
            told[name] = [value, since]
