"""The event vocabulary: each type, its fields, and the business objects it touches.

Every interpreter, whatever the format, yields exactly these shapes, so that a story told by EDI and
the same story told by an API end in identical documents. Field kinds:

text    a string as sent, trimmed            qty     decimal string in the unit sent ("12.5")
money   decimal string                       date    ISO date "2026-03-27"; stays a date
when    ISO instant with zone                code    a canonical word of this package
int     whole number                         flag    true or false
list    JSON list as it is                   "!" marks a key without which it is a dead letter
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from tower.canonical import Check, FieldSpec, bad_value, checked, decimal_text, in_form, instant
from tower.errors import PayloadRejected
from tower.event import Event, ObjectRef, TimeQuality
from tower.identity import derived_event_id, own_event_id

__all__ = [
    "ANSWER_WORDS",
    "EVENT_TYPES",
    "FA_VERDICTS",
    "EventSpec",
    "FieldSpec",
    "canonical",
    "decimal_text",
    "instant",
    "make_event",
    "objects_of",
]

_PO_LINES = (
    "line!:text item:text description:text category:text qty:qty uom:text price:money "
    "requested_date:date ship_to:text action:code"
)
_ANSWER_LINES = (
    "line!:text item:text answer:code code:text qty:qty uom:text date:date date_kind:code "
    "price:money parts:list"
)
_PO = "po!:text erp!:text"
_ANSWER = (
    f"{_PO} supplier!:text answer:code others:code code:text reason:text counter_offer:flag "
    "revision:text recorded_by:text heard_from:text heard_at:when note:text"
)
_ASN = (
    "asn!:text supplier!:text shipped_at:when ship_date:date eta:date carrier:text bol:text "
    "warehouse:text packs:list"
)
_ASN_LINES = "erp!:text po!:text line:text item:text qty:qty uom:text"
_ORDER = "order!:text erp!:text"
_PLACED_LINES = (
    "line!:text item:text description:text category:text qty:qty uom:text requested_date:date "
    "price:money"
)
_RETURN = "return!:text supplier:text customer:text reason:text"
_RETURN_LINES = "erp:text po:text line:text receipt:text item:text qty:qty uom:text reason:text"
_MESSAGE = (
    "erp:text po:text supplier:text asn:text invoice:text warehouse:text receipt:text "
    "message:text step:text hop:text"
)

_SPEC: dict[str, tuple[str, str, str]] = {
    # type: (header fields, name of the list of lines, line fields)
    "po.released": (
        f"{_PO} supplier!:text buyer:text type:code currency:text warehouse:text "
        "acknowledge_by:when ship_by:date cancel_after:date revision:text",
        "lines",
        _PO_LINES,
    ),
    "po.revised": (f"{_PO} supplier:text revision:text reason:text", "lines", _PO_LINES),
    "po.cancelled": (f"{_PO} supplier:text reason:text", "lines", "line!:text"),
    "po.closed": (f"{_PO} supplier:text reason:text", "lines", "line!:text"),
    "po.held": (f"{_PO} supplier:text reason:text", "", ""),
    "po.unheld": (f"{_PO} supplier:text reason:text", "", ""),
    "po.transmitted": (f"{_PO} supplier:text message:text channel:code control:text", "", ""),
    "po.acknowledged": (_ANSWER, "lines", _ANSWER_LINES),
    "po.rejected": (_ANSWER, "lines", _ANSWER_LINES),
    "po.change_proposed": (_ANSWER, "lines", _ANSWER_LINES),
    "po.change_answered": (_ANSWER, "lines", _ANSWER_LINES),
    "po.answer_applied": (
        f"{_PO} supplier:text answer:code",
        "lines",
        "line!:text qty:qty uom:text date:date price:money",
    ),
    "fa.received": (
        "supplier:text answered!:code group:text set:text interchange:text set_type:text "
        "code:text verdict!:code errors:list",
        "",
        "",
    ),
    "advice.received": (
        "supplier:text document:text erp:text po:text verdict:code errors:list",
        "",
        "",
    ),
    "asn.received": (_ASN, "lines", _ASN_LINES),
    "asn.replaced": (_ASN, "lines", _ASN_LINES),
    "asn.cancelled": (_ASN, "lines", _ASN_LINES),
    "asn.accepted": ("asn!:text supplier!:text rule:text erp:text po:text", "", ""),
    "asn.rejected": (
        "asn!:text supplier!:text rule:text reason:text errors:list erp:text po:text",
        "",
        "",
    ),
    "shipment.status": (
        "supplier:text asn:text bol:text shipment:text code:text place:text eta:date",
        "",
        "",
    ),
    "receipt.posted": (
        "warehouse!:text receipt!:text supplier:text asn:text",
        "lines",
        "receipt_line!:text erp:text po:text line:text item:text qty!:qty rejected_qty:qty "
        "uom:text",
    ),
    "receipt.reversed": (
        "warehouse!:text receipt!:text supplier:text asn:text",
        "lines",
        "receipt_line!:text erp:text po:text line:text item:text qty:qty uom:text",
    ),
    "receipt.discrepancy": (
        "warehouse!:text receipt!:text supplier:text asn:text",
        "lines",
        "receipt_line!:text erp:text po:text line:text kind:code qty:qty uom:text",
    ),
    "invoice.received": (
        "supplier!:text invoice!:text currency:text net:money tax:money total:money",
        "lines",
        "invoice_line:text erp:text po:text line:text item:text qty:qty uom:text price:money",
    ),
    "credit.received": (
        "supplier!:text invoice!:text currency:text net:money tax:money total:money",
        "lines",
        "invoice_line:text erp:text po:text line:text item:text qty:qty uom:text price:money",
    ),
    "payment.advised": (
        "payment!:text supplier:text currency:text total:money",
        "invoices",
        "invoice!:text paid:money discount:money",
    ),
    "invoice.matched": ("supplier!:text invoice!:text check:code difference:money", "", ""),
    "invoice.blocked": ("supplier!:text invoice!:text check:code difference:money", "", ""),
    "return.requested": (_RETURN, "lines", _RETURN_LINES),
    "return.authorised": (_RETURN, "lines", _RETURN_LINES),
    "return.shipped": (_RETURN, "lines", _RETURN_LINES),
    "return.received": (_RETURN, "lines", _RETURN_LINES),
    "order.placed": (
        f"{_ORDER} customer:text customer_name:text priority:code currency:text warehouse:text",
        "lines",
        _PLACED_LINES,
    ),
    "order.changed": (
        f"{_ORDER} customer:text customer_name:text priority:code currency:text warehouse:text",
        "lines",
        _PLACED_LINES,
    ),
    "order.cancelled": (f"{_ORDER} reason:text", "lines", "line!:text"),
    "order.closed": (f"{_ORDER} reason:text", "lines", "line!:text"),
    "order.promised": (_ORDER, "lines", "line!:text promise_date!:date qty:qty basis:code"),
    "order.notified": (f"{_ORDER} reason:text", "lines", "line!:text promise_date:date"),
    "order.allocated": (f"{_ORDER} warehouse:text", "lines", "line!:text qty:qty"),
    "order.backordered": (f"{_ORDER} warehouse:text", "lines", "line!:text qty:qty"),
    "order.released": (f"{_ORDER} shipment:text warehouse:text", "lines", "line!:text qty:qty"),
    "order.shipped": (f"{_ORDER} shipment:text warehouse:text", "lines", "line!:text qty:qty"),
    "order.delivered": (f"{_ORDER} shipment:text", "lines", "line!:text qty:qty"),
    "transfer.shipped": (
        "transfer!:text erp!:text supplier:text po:text shipment:text warehouse:text",
        "lines",
        "line!:text item:text qty:qty uom:text",
    ),
    "inventory.reported": (
        "warehouse!:text supplier:text as_of:when",
        "lines",
        "item!:text on_hand:qty available:qty uom:text",
    ),
    "inventory.adjusted": (
        "warehouse!:text supplier:text",
        "lines",
        "item!:text delta!:qty uom:text reason:text",
    ),
    "peg.set": (
        "",
        "pegs",
        "erp!:text order!:text order_line!:text po!:text line!:text qty!:qty",
    ),
    "peg.removed": ("", "pegs", "erp!:text order!:text order_line!:text po!:text line!:text"),
    "message.received": (f"{_MESSAGE} text:text", "", ""),
    "message.transformed": (f"{_MESSAGE} ms:int text:text", "", ""),
    "message.sent": (f"{_MESSAGE} ms:int text:text", "", ""),
    "message.delivered": (
        f"{_MESSAGE} receipt:code ms:int text:text",
        "",
        "",
    ),
    "message.failed": (
        f"{_MESSAGE} attempt:int error_class:text code:text text:text queue:text",
        "",
        "",
    ),
    "message.retried": (f"{_MESSAGE} attempt:int text:text", "", ""),
    "message.dead_lettered": (
        f"{_MESSAGE} attempt:int error_class:text code:text text:text queue:text",
        "",
        "",
    ),
    "message.replayed": (f"{_MESSAGE} attempt:int queue:text text:text", "", ""),
    "message.took_effect": (f"{_MESSAGE} attempt:int text:text", "", ""),
    "source.heartbeat": ("source!:text state:code newest:when", "", ""),
    "source.gap": ("source!:text from:text to:text kind:code", "", ""),
}

ANSWER_WORDS = frozenset(
    [
        "none",
        "accepted",
        "accepted_with_changes",
        "part_accepted",
        "rejected",
        "backordered",
        "substituted",
        "on_hold",
        "unknown",
    ]
)
FA_VERDICTS = frozenset(["accepted", "accepted_with_errors", "part_accepted", "rejected"])


@dataclass(frozen=True, slots=True)
class EventSpec:
    """Fields of one event type; ``list_name`` is "" when the type has no lines."""

    type: str
    header: tuple[FieldSpec, ...]
    list_name: str
    lines: tuple[FieldSpec, ...]


def _fields(text: str) -> tuple[FieldSpec, ...]:
    specs = []
    for word in text.split():
        name, kind = word.split(":")
        specs.append(FieldSpec(name.rstrip("!"), kind, name.endswith("!")))
    return tuple(specs)


EVENT_TYPES: dict[str, EventSpec] = {
    name: EventSpec(name, _fields(header), list_name, _fields(lines))
    for name, (header, list_name, lines) in _SPEC.items()
}


class _Form(NamedTuple):
    """How the data of one event type are brought into form."""

    spec: EventSpec
    is_header: Check
    is_line: Check


def _form(spec: EventSpec) -> _Form:
    lines = (FieldSpec(spec.list_name, "list", False),) if spec.list_name else ()
    return _Form(spec, checked((*spec.header, *lines)), checked(spec.lines))


_FORMS = {name: _form(spec) for name, spec in EVENT_TYPES.items()}


def canonical(type_: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data of an event with every known field in its canonical form, unknown ones dropped.

    Data, or lines of them, that are in this form already are taken as they are, not copied: whoever
    gives them leaves them alone afterwards. Raises PayloadRejected (code ``unsupported_type``,
    ``missing_key`` or ``bad_value``) naming the field. Empty strings and None count as missing and
    are left out.
    """
    form = _FORMS.get(type_)
    if form is None:
        raise PayloadRejected(
            f'"{type_}" is not an event type of the tower',
            code="unsupported_type",
            advice="Map it to one of the types in docs/events.md, or leave it out.",
        )
    header = data
    if not (isinstance(data, dict) and form.is_header(data)):
        header = in_form(form.spec.header, data, type_, "")
    name = form.spec.list_name
    if not name:
        return header
    given = data.get(name)
    lines = _lines(form, given or [], type_)
    return data if header is data and lines is given else {**header, name: lines}


def _lines(form: _Form, lines: Any, type_: str) -> list[Any]:
    """The lines in canonical form; the same list if they are."""
    name, is_line = form.spec.list_name, form.is_line
    if not isinstance(lines, list):
        raise bad_value(type_, name, "is not a list")
    for line in lines:
        if line.__class__ is not dict or not is_line(line):
            break
    else:
        return lines
    found = []
    for n, line in enumerate(lines):
        place = f"{name}[{n}]"
        if not isinstance(line, Mapping):
            raise bad_value(type_, place, "is not an object")
        found.append(in_form(form.spec.lines, line, type_, place + "."))
    return found


_QUALIFIER = {
    "po.released": "creates",
    "po.cancelled": "cancels",
    "po.acknowledged": "answers",
    "po.rejected": "answers",
    "po.change_proposed": "changes",
    "po.change_answered": "answers",
    "po.answer_applied": "changes",
    "po.transmitted": "carries",
    "asn.cancelled": "cancels",
    "order.placed": "creates",
    "order.promised": "promises",
}


def objects_of(type_: str, data: Mapping[str, Any]) -> tuple[ObjectRef, ...]:
    """The business objects that an event with these canonical data touches, the main one first."""
    find = _OBJECTS.get(type_.partition(".")[0])
    return tuple(find(type_, data)) if find is not None else ()


def _of_order(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    kind = type_.partition(".")[0]  # po or order
    scope, number = data["erp"], data[kind]
    qualifier = _QUALIFIER.get(type_, "changes")
    header = _ref((kind, scope, number, "", qualifier))
    kind += "_line"
    names = dict.fromkeys([line["line"] for line in data.get("lines", ())])
    return [header, *[_ref((kind, scope, number, name, qualifier)) for name in names]]


def _of_shipment(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    qualifier = _QUALIFIER.get(type_, "ships")
    refs = _named("asn", data, "supplier", "asn", qualifier)
    if type_ == "shipment.status":
        return refs
    refs += _named("po", data, "erp", "po", qualifier)
    return _once(refs + _of_lines(data, qualifier))


def _once(refs: list[ObjectRef]) -> list[ObjectRef]:
    return list(dict.fromkeys(refs))


def _of_receipt(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    refs = _named("receipt", data, "warehouse", "receipt", "creates")
    refs += _named("asn", data, "supplier", "asn", "receives")
    return refs + _of_lines(data, "receives")


def _of_invoice(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    return _named("invoice", data, "supplier", "invoice", "creates") + _of_lines(data, "invoices")


def _of_payment(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    supplier = data.get("supplier")
    if supplier is None:
        return []
    return [
        ObjectRef("invoice", supplier, paid["invoice"], "", "pays")
        for paid in data.get("invoices", ())
    ]


def _of_return(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    header = ObjectRef("return", data.get("supplier", ""), data["return"], "", "changes")
    return [header, *_of_lines(data, "returns")]


def _of_transfer(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    header = ObjectRef("transfer", data["erp"], data["transfer"], "", "ships")
    return [header, *_named("po", data, "erp", "po", "ships")]


def _of_inventory(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    return [ObjectRef("warehouse", "", data["warehouse"], "", "changes")]


def _of_advice(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    return _named("po", data, "erp", "po", "answers")


def _of_pegs(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    refs = []
    for peg in data.get("pegs", ()):
        erp = peg["erp"]
        refs.append(ObjectRef("po_line", erp, peg["po"], peg["line"], "pegs"))
        refs.append(ObjectRef("order_line", erp, peg["order"], peg["order_line"], "pegs"))
    return _once(refs)


def _of_message(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    refs = _named("po", data, "erp", "po", "carries")
    refs += _named("asn", data, "supplier", "asn", "carries")
    refs += _named("invoice", data, "supplier", "invoice", "carries")
    return refs + _named("receipt", data, "warehouse", "receipt", "carries")


def _of_source(type_: str, data: Mapping[str, Any]) -> list[ObjectRef]:
    return [ObjectRef("source", "", data["source"], "", "changes")]


def _named(
    kind: str, data: Mapping[str, Any], scope: str, number: str, qualifier: str
) -> list[ObjectRef]:
    """The document that the header names, if it does."""
    whose, which = data.get(scope), data.get(number)
    if whose is None or which is None:
        return []
    return [ObjectRef(kind, whose, which, "", qualifier)]


def _of_lines(data: Mapping[str, Any], qualifier: str) -> list[ObjectRef]:
    """The purchase orders, and lines of them, that the lines of another document name."""
    refs: list[ObjectRef] = []
    before: tuple[Any, Any] = (None, None)
    for line in data.get("lines", ()):
        erp, po = named = line.get("erp"), line.get("po")
        if erp is None or po is None:
            continue
        if named != before:  # mostly the order of the line before
            refs.append(_ref(("po", erp, po, "", qualifier)))
            before = named
        name = line.get("line")
        if name is not None:
            refs.append(_ref(("po_line", erp, po, name, qualifier)))
    return _once(refs)


_ref: Callable[[tuple[str, str, str, str, str]], ObjectRef] = partial(tuple.__new__, ObjectRef)
"""``ObjectRef._make`` without its check of the length, for the many lines."""


_OBJECTS: dict[str, Callable[[str, Mapping[str, Any]], list[ObjectRef]]] = {
    "po": _of_order,
    "order": _of_order,
    "asn": _of_shipment,
    "shipment": _of_shipment,
    "receipt": _of_receipt,
    "invoice": _of_invoice,
    "credit": _of_invoice,
    "payment": _of_payment,
    "advice": _of_advice,
    "return": _of_return,
    "transfer": _of_transfer,
    "inventory": _of_inventory,
    "peg": _of_pegs,
    "message": _of_message,
    "source": _of_source,
}


def make_event(
    type_: str,
    data: Mapping[str, Any],
    *,
    source: str,
    raw_key: str,
    position: str,
    occurred_at: datetime,
    own_id: str | None = None,
    system: str = "",
    partner: str | None = None,
    channel: str | None = None,
    time_quality: TimeQuality = TimeQuality.EXACT,
    recorded_at: datetime | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    carries: tuple[str, ...] = (),
    answers: tuple[str, ...] = (),
) -> Event:
    """An event in canonical form, its objects and id derived from its content.

    ``own_id`` is the id that the source itself gave this fact; without it the id follows from the
    raw message and the position. Raises PayloadRejected like ``canonical``.
    """
    body = canonical(type_, data)
    identity: UUID = (
        own_event_id(source, f"{own_id}\x1f{type_}")
        if own_id
        else derived_event_id(source, raw_key, position, type_)
    )
    return Event(
        identity,
        type_,
        source,
        raw_key,
        position,
        occurred_at.astimezone(UTC),
        objects_of(type_, body),
        body,
        system,
        partner if partner is not None else body.get("supplier"),
        channel,
        time_quality,
        recorded_at,
        correlation_id,
        causation_id,
        carries,
        answers,
    )
