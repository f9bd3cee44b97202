"""What one event says about each business document it names.

Documents and clocks are folds over touches; the names of their facts are shared by both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from tower import demand_touches, goods_touches
from tower.event import Event
from tower.touch import Facts, Touch, add_supplier, merged, touch, without
from tower.vocabulary import decimal_text

Builder = Callable[[Event], Iterable[Touch]]


def touches(event: Event) -> tuple[Touch, ...]:
    """What this event says about each document it names, the header before its lines."""
    build = _BUILDERS.get(event.type)
    return () if build is None else tuple(build(event))


def told(event: Event) -> Facts:
    """What a document hears of an event that reaches it by an id or a shipment, not by name."""
    family = event.type.partition(".")[0]
    if family == "asn":
        return goods_touches.asn_facts(event)
    if family == "message":
        return _message_facts(event)
    if event.type == "fa.received":
        return add_supplier(event, without(event.data, "errors"))
    words = {name: value for name, value in event.data.items() if isinstance(value, str)}
    return add_supplier(event, words)


# --- purchase orders ----------------------------------------------------------------------------


def _po_placed(event: Event) -> Iterable[Touch]:
    data = event.data
    erp, po = data["erp"], data["po"]
    qualifier = "creates" if event.type == "po.released" else "changes"
    facts = add_supplier(event, without(data, "erp", "po", "lines"))
    lines = merged(data.get("lines") or ())
    if event.channel:
        facts["channel"] = event.channel
    if lines:
        facts["lines"] = [line["line"] for line in lines]
        if qualifier == "creates":
            facts["n_lines"] = len(lines)
            try:
                value = sum([Decimal(one["qty"]) * Decimal(one["price"]) for one in lines])
                facts["value"] = decimal_text(value)
            except KeyError:
                pass  # a line without quantity or price: the value is not known
    found = [touch(("po", erp, po, "", qualifier, facts))]
    for line in lines:
        words = dict(line)
        found.append(touch(("po_line", erp, po, words.pop("line"), qualifier, words)))
    return found


def _po_ended(event: Event) -> Iterable[Touch]:
    data = event.data
    erp, po = data["erp"], data["po"]
    qualifier = "cancels" if event.type == "po.cancelled" else "changes"
    facts = add_supplier(event, without(data, "erp", "po", "lines"))
    numbers = dict.fromkeys(line["line"] for line in data.get("lines") or ())
    if not numbers:
        return [touch(("po", erp, po, "", qualifier, facts))]
    return [touch(("po_line", erp, po, number, qualifier, facts)) for number in numbers]


def _po_header(event: Event) -> Iterable[Touch]:
    data = event.data
    qualifier = "carries" if event.type == "po.transmitted" else "changes"
    facts = add_supplier(event, without(data, "erp", "po"))
    if "channel" not in facts and event.channel:
        facts["channel"] = event.channel
    return [touch(("po", data["erp"], data["po"], "", qualifier, facts))]


def _po_answered(event: Event) -> Iterable[Touch]:
    data = event.data
    erp, po = data["erp"], data["po"]
    qualifier = "changes" if event.type == "po.change_proposed" else "answers"
    facts = add_supplier(event, without(data, "erp", "po", "lines"))
    lines = merged(data.get("lines") or (), apart="confirmed_parts")
    if event.type == "po.rejected":
        facts.setdefault("answer", "rejected")
    elif not lines and event.type == "po.acknowledged":
        facts.setdefault("answer", "accepted")  # acknowledged without a word of change
    if event.channel:
        facts["channel"] = event.channel
    answers_change = event.type == "po.change_answered"
    if answers_change:
        _refused_change(facts)
    found = [touch(("po", erp, po, "", qualifier, facts))]
    if lines:
        facts["lines"] = [line["line"] for line in lines]
    for line in lines:
        words = dict(line)
        if answers_change:
            _refused_change(words)
        if "parts" in words and "qty" not in words and _counts(words["parts"]):
            words.setdefault("confirmed_parts", [])  # counted, but in units that do not add up
        # Shipped is not delivered: the two kinds of dates never mix.
        day = "ship_date" if words.get("date_kind") == "ship" else "confirmed_date"
        number = _rename(words, "confirmed_qty", "confirmed_price", day)
        found.append(touch(("po_line", erp, po, number, qualifier, words)))
    return found


def _counts(parts: Iterable[object]) -> bool:
    """Whether some part of a line is told with a quantity."""
    return any(isinstance(part, Mapping) and part.get("qty") for part in parts)


def _refused_change(words: Facts) -> None:
    """Who refuses a change does not refuse what was ordered: no rule may hear that he does."""
    if words.get("answer") == "rejected":
        del words["answer"]
        words["change"] = "rejected"


def _po_applied(event: Event) -> Iterable[Touch]:
    data = event.data
    erp, po = data["erp"], data["po"]
    facts = add_supplier(event, without(data, "erp", "po", "lines"))
    lines = merged(data.get("lines") or ())
    found = [touch(("po", erp, po, "", "changes", facts))]
    if lines:
        facts["lines"] = [line["line"] for line in lines]
    for line in lines:
        words = dict(line)
        number = _rename(words, "applied_qty", "applied_price", "applied_date")
        found.append(touch(("po_line", erp, po, number, "changes", words)))
    return found


def _rename(words: Facts, qty: str, price: str, day: str) -> str:
    """Say whose quantity, price and date it is; the number of the line."""
    if "qty" in words:
        words[qty] = words.pop("qty")
    if "price" in words:
        words[price] = words.pop("price")
    if "date" in words:
        words[day] = words.pop("date")
    number: str = words.pop("line")
    return number


# --- messages -----------------------------------------------------------------------------------


def _message_facts(event: Event) -> Facts:
    facts = add_supplier(event, without(event.data, "erp", "po"))
    if "message" not in facts:
        # Failure and later delivery of one message must meet: its strongest id names it.
        named = event.identifiers()
        if named:
            facts["message"] = named[0][1]
    return facts


def _message(event: Event) -> Iterable[Touch]:
    data = event.data
    facts = _message_facts(event)
    found = []
    if data.get("po") and data.get("erp"):
        found.append(touch(("po", data["erp"], data["po"], "", "carries", facts)))
    if data.get("asn") and data.get("supplier"):
        found.append(touch(("asn", data["supplier"], data["asn"], "", "carries", facts)))
    if data.get("invoice") and data.get("supplier"):
        found.append(touch(("invoice", data["supplier"], data["invoice"], "", "carries", facts)))
    if data.get("receipt") and data.get("warehouse"):
        found.append(touch(("receipt", data["warehouse"], data["receipt"], "", "carries", facts)))
    return found


_BUILDERS: dict[str, Builder] = {
    "po.released": _po_placed,
    "po.revised": _po_placed,
    "po.cancelled": _po_ended,
    "po.closed": _po_ended,
    "po.held": _po_header,
    "po.unheld": _po_header,
    "po.transmitted": _po_header,
    "po.acknowledged": _po_answered,
    "po.rejected": _po_answered,
    "po.change_proposed": _po_answered,
    "po.change_answered": _po_answered,
    "po.answer_applied": _po_applied,
    "message.received": _message,
    "message.transformed": _message,
    "message.sent": _message,
    "message.delivered": _message,
    "message.failed": _message,
    "message.retried": _message,
    "message.dead_lettered": _message,
    "message.replayed": _message,
    "message.took_effect": _message,
    **goods_touches.BUILDERS,
    **demand_touches.BUILDERS,
}

__all__ = ["Touch", "told", "touches"]
