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
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from uuid import UUID

from tower.errors import PayloadRejected
from tower.event import Event, ObjectRef, TimeQuality
from tower.identity import derived_event_id, own_event_id

_PO_LINES = (
    "line!:text item:text description:text qty:qty uom:text price:money requested_date:date "
    "ship_to:text action:code"
)
_ANSWER_LINES = (
    "line!:text item:text answer:code code:text qty:qty uom:text date:date date_kind:code "
    "price:money parts:list"
)
_PO = "po!:text erp!:text"
_ANSWER = f"{_PO} supplier!:text answer:code code:text reason:text counter_offer:flag revision:text"
_ASN = (
    "asn!:text supplier!:text shipped_at:when ship_date:date eta:date carrier:text bol:text "
    "warehouse:text packs:list"
)
_ASN_LINES = "erp!:text po!:text line:text item:text qty:qty uom:text"
_ORDER = "order!:text erp!:text"
_MESSAGE = "erp:text po:text supplier:text asn:text message:text step:text hop:text"

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
    "advice.received": ("supplier:text document:text verdict:code errors:list", "", ""),
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
    "invoice.matched": ("supplier!:text invoice!:text check:code difference:money", "", ""),
    "invoice.blocked": ("supplier!:text invoice!:text check:code difference:money", "", ""),
    "order.placed": (
        f"{_ORDER} customer:text customer_name:text priority:code currency:text warehouse:text",
        "lines",
        "line!:text item:text description:text qty:qty uom:text requested_date:date price:money",
    ),
    "order.changed": (
        f"{_ORDER} customer:text customer_name:text priority:code currency:text warehouse:text",
        "lines",
        "line!:text item:text description:text qty:qty uom:text requested_date:date price:money",
    ),
    "order.cancelled": (f"{_ORDER} reason:text", "lines", "line!:text"),
    "order.closed": (f"{_ORDER} reason:text", "lines", "line!:text"),
    "order.promised": (_ORDER, "lines", "line!:text promise_date!:date qty:qty basis:code"),
    "order.allocated": (f"{_ORDER} warehouse:text", "lines", "line!:text qty:qty"),
    "order.backordered": (f"{_ORDER} warehouse:text", "lines", "line!:text qty:qty"),
    "order.released": (f"{_ORDER} shipment:text warehouse:text", "lines", "line!:text qty:qty"),
    "order.shipped": (f"{_ORDER} shipment:text warehouse:text", "lines", "line!:text qty:qty"),
    "order.delivered": (f"{_ORDER} shipment:text", "lines", "line!:text qty:qty"),
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
class FieldSpec:
    """One field: its name and its kind as listed above."""

    name: str
    kind: str
    required: bool


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


def canonical(type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The data of an event with every known field in its canonical form, unknown ones dropped.

    Raises PayloadRejected (code ``unsupported_type``, ``missing_key`` or ``bad_value``) naming the
    field. Empty strings and None count as missing and are left out.
    """
    spec = EVENT_TYPES.get(type_)
    if spec is None:
        raise PayloadRejected(
            f'"{type_}" is not an event type of the tower',
            code="unsupported_type",
            advice="Map it to one of the types in docs/events.md, or leave it out.",
        )
    result = _record(spec.header, data, type_, "")
    if spec.list_name:
        lines = data.get(spec.list_name) or []
        if not isinstance(lines, list):
            raise _bad(type_, spec.list_name, "is not a list")
        out = []
        for n, line in enumerate(lines):
            place = f"{spec.list_name}[{n}]"
            if not isinstance(line, Mapping):
                raise _bad(type_, place, "is not an object")
            out.append(_record(spec.lines, line, type_, place + "."))
        result[spec.list_name] = out
    return result


def _record(
    specs: tuple[FieldSpec, ...], data: Mapping[str, Any], type_: str, prefix: str
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    get = data.get
    for spec in specs:
        value = get(spec.name)
        if value is None or value == "" or (value.__class__ is str and not value.strip()):
            if spec.required:
                raise PayloadRejected(
                    f"{type_} has no {prefix}{spec.name}",
                    code="missing_key",
                    advice=f"Send {prefix}{spec.name}, or correct the mapping that should give it.",
                )
            continue
        try:
            result[spec.name] = _CONVERT[spec.kind](value)
        except (ValueError, TypeError, InvalidOperation) as error:
            raise _bad(
                type_, prefix + spec.name, f'"{str(value)[:60]}" is not a {_SAID[spec.kind]}'
            ) from error
    return result


def _bad(type_: str, field: str, what: str) -> PayloadRejected:
    return PayloadRejected(
        f"{type_}: {field} {what}",
        code="bad_value",
        advice="Correct the value at its sender, or the mapping that reads it.",
    )


def decimal_text(value: Any) -> str:
    """Canonical decimal string: no exponent, no trailing zeros; floats by their shortest form."""
    if value.__class__ is str:
        # Nearly every quantity is a short plain number: no need for arithmetic.
        if len(value) < 16 and value.isdigit() and value.isascii() and value[0] != "0":
            return str(value)
    elif value.__class__ is int:
        return str(value)
    elif isinstance(value, bool):
        raise TypeError("a truth value is not a number")
    number = Decimal(str(value) if isinstance(value, float) else value)
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise ValueError("not a usable number")
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    sign, digits = ("-", text[1:]) if text[:1] == "-" else ("", text)
    digits = digits.lstrip("0") or "0"
    if digits[0] == ".":
        digits = "0" + digits
    return "0" if digits == "0" else sign + digits


def _text(value: Any) -> str:
    if value.__class__ is not str:
        if isinstance(value, (dict, list, bool)):
            raise TypeError("not a text")
        value = str(value)
    text: str = value.strip()[:500]
    if text.isprintable():
        return text
    # Control characters and halves of characters: no database, mail or screen takes them.
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _word(value: Any) -> str:
    return _text(value).lower()


@lru_cache(maxsize=4096)
def _day(text: str) -> str:
    if len(text) > 10 and text[10] in "T ":
        text = text[:10]
    return date.fromisoformat(text).isoformat()


def _date(value: Any) -> str:
    return _day(str(value).strip())


def instant(value: Any) -> datetime:
    """An aware UTC instant from ISO text; a text without zone is refused."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    if moment.tzinfo is None:
        raise ValueError("a time without zone")
    return moment.astimezone(UTC)


def _when(value: Any) -> str:
    return instant(value).isoformat()


def _int(value: Any) -> int:
    return int(Decimal(str(value)))


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError("not true or false")


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise TypeError("not a list")


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "code": _word,
    "qty": decimal_text,
    "money": decimal_text,
    "date": _date,
    "when": _when,
    "int": _int,
    "flag": _flag,
    "list": _list,
}
_SAID = {
    "text": "text",
    "code": "word",
    "qty": "quantity",
    "money": "amount",
    "date": "date (write 2026-03-27)",
    "when": "time with zone (write 2026-03-27T14:00:00Z)",
    "int": "whole number",
    "flag": "truth value",
    "list": "list",
}

_PO_QUALIFIER = {
    "po.released": "creates",
    "po.cancelled": "cancels",
    "po.acknowledged": "answers",
    "po.rejected": "answers",
    "po.change_proposed": "changes",
    "po.change_answered": "answers",
    "po.answer_applied": "changes",
    "po.transmitted": "carries",
}


def objects_of(type_: str, data: Mapping[str, Any]) -> tuple[ObjectRef, ...]:
    """The business objects that an event with these data touches, the main one first."""
    family = type_.split(".", 1)[0]
    refs: dict[tuple[str, str, str, str], ObjectRef] = {}

    def add(kind: str, scope: Any, number: Any, line: Any = "", qualifier: str = "changes") -> None:
        if scope is None or number is None or number == "":
            return
        ref = ObjectRef(kind, str(scope), str(number), str(line), qualifier)
        refs.setdefault((ref.kind, ref.scope, ref.number, ref.line), ref)

    if family == "po":
        qualifier = _PO_QUALIFIER.get(type_, "changes")
        add("po", data.get("erp"), data.get("po"), "", qualifier)
        for line in data.get("lines", ()):
            add("po_line", data.get("erp"), data.get("po"), line.get("line"), qualifier)
    elif family == "asn":
        qualifier = "cancels" if type_ == "asn.cancelled" else "ships"
        add("asn", data.get("supplier"), data.get("asn"), "", qualifier)
        add("po", data.get("erp"), data.get("po"), "", qualifier)
        _po_lines(add, data, qualifier)
    elif family == "receipt":
        add("receipt", data.get("warehouse"), data.get("receipt"), "", "creates")
        if data.get("asn"):
            add("asn", data.get("supplier"), data.get("asn"), "", "receives")
        _po_lines(add, data, "receives")
    elif family in ("invoice", "credit"):
        add("invoice", data.get("supplier"), data.get("invoice"), "", "creates")
        _po_lines(add, data, "invoices")
    elif family == "order":
        qualifier = {"order.placed": "creates", "order.promised": "promises"}.get(type_, "changes")
        add("order", data.get("erp"), data.get("order"), "", qualifier)
        for line in data.get("lines", ()):
            add("order_line", data.get("erp"), data.get("order"), line.get("line"), qualifier)
    elif family == "peg":
        for peg in data.get("pegs", ()):
            add("po_line", peg.get("erp"), peg.get("po"), peg.get("line"), "pegs")
            add("order_line", peg.get("erp"), peg.get("order"), peg.get("order_line"), "pegs")
    elif family == "shipment" and data.get("asn"):
        add("asn", data.get("supplier"), data.get("asn"), "", "ships")
    elif family == "message":
        add("po", data.get("erp"), data.get("po"), "", "carries")
        add("asn", data.get("supplier"), data.get("asn"), "", "carries")
    elif family == "source":
        add("source", "", data.get("source"), "", "changes")
    return tuple(refs.values())


def _po_lines(add: Any, data: Mapping[str, Any], qualifier: str) -> None:
    for line in data.get("lines", ()):
        if line.get("po"):
            add("po", line.get("erp"), line.get("po"), "", qualifier)
            if line.get("line"):
                add("po_line", line.get("erp"), line.get("po"), line.get("line"), qualifier)


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
        id=identity,
        type=type_,
        source=source,
        raw_key=raw_key,
        position=position,
        occurred_at=occurred_at.astimezone(UTC),
        objects=objects_of(type_, body),
        data=body,
        system=system,
        partner=partner if partner is not None else body.get("supplier"),
        channel=channel,
        time_quality=time_quality,
        recorded_at=recorded_at,
        correlation_id=correlation_id,
        causation_id=causation_id,
        carries=carries,
        answers=answers,
    )
