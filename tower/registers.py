"""The registers of a document: what its events said, kept so that arrival order cannot matter.

A register keeps the earliest or the latest word, or one word per business key (receipt line, ASN,
invoice line, answer). Each kind of merging is commutative, associative and idempotent, so
a state depends on the set of its records alone. A state is plain JSON, short on purpose: it is read
and written with every event of its document.

One state holds a whole family: a header and, under "l", its lines. Inside, an instant is a whole
number of microseconds since 1970, UTC; entries begin with the instant of the event that made them.

    t  times: seen, last (of any record), and per milestone the earliest
    by the supplier as first told: [at, event, supplier]; c the channel it was last sent by
    w  words of a header by event: [at, system, created, facts]
    a  answers by event: header [at, system, type, answer, revision, channel, and what it says
       of lines it does not name where it tells that apart],
       line [at, system, type, answer, qty, uom, day, kind of day, price]; where parts came in
       unlike units, qty is a list of [qty, uom], empty if they are not known
    o  orders of a line by event: [at, system, created, action, qty, uom, price, day, item, text,
       and the category of goods where one is told]
    p  values the ERP applied to a line by event: [at, system, qty, uom, day, price]
    s  shipments of a header by ASN and event: [at, word, system, lines, loose, shipped, day, eta];
       lines by number: [qty, uom], and both again for each further unit
    r  receipts by receipt line and system: [at, event, sign, qty, rejected, uom, warehouse,
       and when the system noted it, where that is told]
    k  kinds of differences that receiving told of a line: [at, event]
    i  invoices by invoice line and system: [at, event, sign, qty, uom, price, system]; states of
       older days have one entry for all systems (``invoices_by_system``)
    f  functional acknowledgements by event: [at, verdict, type of the set]
    m  messages by message: [at, event, word]
    z  how a purchase order or a line of it ended, cancelled or closed, by system: [first, last];
       u when each system last told that the order goes on
    x  receipts and invoices that name the order but no line, by item
    duplicate_content  how many contents an ASN or invoice number came with; absent when one
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from tower.vocabulary import EVENT_TYPES

State = dict[str, Any]
Facts = Mapping[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware instant; exact, unlike a float of seconds."""
    return (moment - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """The aware UTC instant of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=value)


class Record(NamedTuple):
    """One touch as a document keeps it (a row of `event_object`).

    event   short name of the event (``short``), so that equal instants have one order
    at      occurred_at in microseconds since 1970, UTC
    """

    event: str
    kind: str
    line: str
    type: str
    system: str
    at: int
    facts: Facts


record: Any = partial(tuple.__new__, Record)
"""``record((event, kind, line, type, system, at, facts))``: a Record at half the price."""


def short(event_id: UUID) -> str:
    """The first 64 bits of an event's id: enough to tell the events of one document apart."""
    return event_id.hex[:16]


def merge(state: State, record: Record) -> State:
    """The state with one more record in it. The state given is used up; records in any order."""
    event, kind, line, type_, _, at, facts = record
    if line:
        lines = state.get("l")
        if lines is None:
            lines = state["l"] = {}
        node = lines.get(line)
        if node is None:
            node = lines[line] = {}
    else:
        node = state
        supplier = facts.get("supplier")
        if supplier:
            _keep_earliest(node, "by", [at, event, supplier])
    times = node.get("t")
    if times is None:
        node["t"] = {"seen": at, "last": at}
    elif at < times["seen"]:
        times["seen"] = at
    elif at > times["last"]:
        times["last"] = at
    take = _TAKE.get((kind, type_))
    if take is not None:
        take(node, record)
    return state


def _earliest(node: State, name: str, at: int) -> None:
    times = node["t"]
    if at < times.setdefault(name, at):
        times[name] = at


def _milestone(name: str) -> Callable[[State, Record], None]:
    def take(node: State, record: Record) -> None:
        _earliest(node, name, record.at)

    return take


def _ended(name: str) -> Callable[[State, Record], None]:
    """An end that the system that told it may take back: when it was told first and last."""

    def take(node: State, record: Record) -> None:
        at = record.at
        _earliest(node, name, at)
        told = node.setdefault("z", {}).setdefault(name, {}).setdefault(record.system, [at, at])
        told[:] = min(told[0], at), max(told[1], at)

    return take


def _goes_on(node: State, record: Record) -> None:
    told = node.setdefault("u", {})
    told[record.system] = max(record.at, told.get(record.system, record.at))


def end_of(node: State, name: str, reopened: Callable[[], Mapping[str, int]]) -> int | None:
    """When a document ended for good in this way, None if it did not.

    ``reopened`` tells when each system last spoke of it as of one that lives. Only the system that
    told an end takes it back: what another sends later, an EDI gateway the order itself, may be
    older. What a state kept without the system stands.
    """
    first: int | None = node.get("t", {}).get(name)
    told = node.get("z", {}).get(name)
    if not told:
        return first
    later = reopened()
    ends: list[int] = []
    if first is not None and first < min([one for one, _ in told.values()]):
        ends.append(first)
    for system, times in told.items():
        since = later.get(system, times[0])
        ends += [at for at in times if at >= since][:1]
    return min(ends, default=None)


def _keep_latest(register: State, key: str, entry: list[Any]) -> None:
    known = register.get(key)
    if known is None or (known[0], known[1]) < (entry[0], entry[1]):
        register[key] = entry


def _keep_earliest(register: State, key: str, entry: list[Any]) -> None:
    known = register.get(key)
    if known is None or (known[0], known[1]) > (entry[0], entry[1]):
        register[key] = entry


# --- purchase orders ----------------------------------------------------------------------------

_UNTOLD = frozenset(("lines", "n_lines", "value", "reason", "revision"))


def _words(node: State, record: Record) -> None:
    created = record.type in ("po.released", "order.placed")
    if created:
        _earliest(node, "made", record.at)
    facts = {k: v for k, v in record.facts.items() if k not in _UNTOLD}
    node.setdefault("w", {})[record.event] = [record.at, record.system, int(created), facts]


def _sent(node: State, record: Record) -> None:
    _earliest(node, "sent", record.at)
    channel = record.facts.get("channel")
    if channel:
        _keep_latest(node, "c", [record.at, record.event, channel])


def _header_applied(node: State, record: Record) -> None:
    _earliest(node, "applied", record.at)
    times = node["t"]
    if record.at > times.setdefault("applied_last", record.at):
        times["applied_last"] = record.at


def _header_answer(node: State, record: Record) -> None:
    facts = record.facts
    entry = [
        record.at,
        record.system,
        record.type,
        _answer_word(facts),
        facts.get("revision"),
        facts.get("channel"),
    ]
    others = facts.get("others")
    if others:
        entry.append(others)  # most answers tell none: their states stay as short as they were
    node.setdefault("a", {})[record.event] = entry


def _answer_word(facts: Facts) -> str | None:
    """The word of an answer, a refused change among them: the type tells what is refused."""
    word: str | None = facts.get("answer") or facts.get("change")
    return word


def _functional(node: State, record: Record) -> None:
    node.setdefault("f", {})[record.event] = [
        record.at,
        record.facts.get("verdict"),
        record.facts.get("set_type"),
    ]


_OUTCOME = {
    "message.delivered": "delivered",
    "message.failed": "failed",
    "message.dead_lettered": "failed",
}


def _message(node: State, record: Record) -> None:
    word = _OUTCOME.get(record.type)
    if word is None:
        return
    if word == "delivered":
        # With a receipt (MDN, HTTP 2xx, SFTP put) it is proof; without, it may be another hop's.
        _earliest(node, "proved" if record.facts.get("receipt") else "delivered", record.at)
    key = str(record.facts.get("message") or "")
    _keep_latest(node.setdefault("m", {}), key, [record.at, record.event, word])


def _shipment(node: State, record: Record) -> None:
    facts = record.facts
    asn = facts.get("asn")
    if not asn:
        return
    word = record.type.partition(".")[2]
    entry: list[Any] = [record.at, word, record.system]
    if word in ("received", "replaced", "cancelled"):
        entry += [
            facts.get("ships") or {},
            facts.get("loose"),
            facts.get("shipped_at"),
            facts.get("ship_date"),
            facts.get("eta"),
        ]
    key = f"{facts.get('supplier', '')}:{asn}"
    node.setdefault("s", {}).setdefault(key, {})[record.event] = entry


def _header_receipt(node: State, record: Record) -> None:
    for key, (qty, rejected, uom, item) in (record.facts.get("loose") or {}).items():
        entry = _receipt_entry(record, qty, rejected, uom)
        _received(node.setdefault("x", {}).setdefault(item or "", {}), key, record, entry)


def _line_receipt(node: State, record: Record) -> None:
    kind = record.facts.get("kind")
    if kind and record.type == "receipt.discrepancy":
        _keep_latest(node.setdefault("k", {}), kind, [record.at, record.event])
    for key, (qty, rejected, uom) in (record.facts.get("entries") or {}).items():
        _received(node, key, record, _receipt_entry(record, qty, rejected, uom))


def _receipt_entry(
    record: Record, qty: str | None, rejected: str | None, uom: str | None
) -> list[Any]:
    sign = 1 if record.type == "receipt.posted" else 0  # a reversal takes its receipt line back
    entry = [record.at, record.event, sign, qty, rejected, uom, record.facts.get("warehouse")]
    noted = record.facts.get("recorded_at")
    if noted:
        entry.append(noted)
    return entry


def receipt_age(entry: list[Any]) -> tuple[int, bool, str, bool, str]:
    """Which of several words about one receipt line is the later one.

    A reversal or a correction often has the very instant of the posting, as where a system tells
    the day alone. Then the one noted later stands, and what takes back stands over what it takes
    back, whatever that says, where nobody told when it was noted. Ids decide only between equals.
    """
    at, event, sign = entry[:3]
    noted = entry[7] if len(entry) > 7 else ""
    return at, not (sign or noted), noted, not sign, event


def _received(node: State, key: str, record: Record, entry: list[Any]) -> None:
    if record.type == "receipt.discrepancy":
        return
    told = node.setdefault("r", {}).setdefault(key, {})
    known = told.get(record.system)
    if known is None or receipt_age(known) < receipt_age(entry):
        told[record.system] = entry


def _header_invoice(node: State, record: Record) -> None:
    for key, (qty, uom, price, item) in (record.facts.get("loose") or {}).items():
        _invoiced(node.setdefault("x", {}).setdefault(item or "", {}), key, record, qty, uom, price)


def _line_invoice(node: State, record: Record) -> None:
    for key, (qty, uom, price) in (record.facts.get("entries") or {}).items():
        _invoiced(node, key, record, qty, uom, price)


def _invoiced(
    node: State, key: str, record: Record, qty: str | None, uom: str | None, price: str | None
) -> None:
    credit = record.type == "credit.received"
    register = node.setdefault("i", {})
    if credit:
        key = f"credit:{key}"
    told = register.get(key)
    if told is None:
        told = register[key] = {}
    elif isinstance(told, list):
        told = register[key] = invoices_by_system(told)
    sign = -1 if credit else 1
    # The same number again with other content does not count twice: the first content stays.
    _keep_earliest(
        told, record.system, [record.at, record.event, sign, qty, uom, price, record.system]
    )


def invoices_by_system(told: Any) -> State:
    """What the systems told of an invoice line, also where a state kept the first of them alone."""
    return {told[6]: told} if isinstance(told, list) else told


Registers = Iterable[Mapping[str, Any]]


def all_receipts(registers: Registers) -> State:
    """Registers of receipts in one: of each receipt line and system the latest word.

    One system names the line of the order and another its item alone, or one of them first this
    and then that: it is one receipt.
    """
    return _joined(registers, lambda one, other: receipt_age(one) < receipt_age(other))


def all_invoices(registers: Registers) -> State:
    """Registers of invoices in one: of each invoice line and system the first word."""
    told = ({key: invoices_by_system(one) for key, one in each.items()} for each in registers)
    return _joined(told, lambda one, other: (one[0], one[1]) > (other[0], other[1]))


def _joined(registers: Registers, yields: Callable[[list[Any], list[Any]], bool]) -> State:
    found: State = {}
    for register in registers:
        for key, told in register.items():
            kept = found.setdefault(key, {})
            for system, entry in told.items():
                if system not in kept or yields(kept[system], entry):
                    kept[system] = entry
    return found


def _line_order(node: State, record: Record) -> None:
    facts = record.facts
    entry = [
        record.at,
        record.system,
        int(record.type in ("po.released", "order.placed")),
        facts.get("action"),
        facts.get("qty"),
        facts.get("uom"),
        facts.get("price"),
        facts.get("requested_date"),
        facts.get("item"),
        facts.get("description"),
    ]
    category = facts.get("category")
    if category:
        entry.append(category)  # most feeds tell none: their states stay as short as they were
    node.setdefault("o", {})[record.event] = entry


def _line_answer(node: State, record: Record) -> None:
    facts = record.facts
    day, kind = facts.get("confirmed_date"), facts.get("date_kind")
    if day is None:
        day = facts.get("ship_date")
    node.setdefault("a", {})[record.event] = [
        record.at,
        record.system,
        record.type,
        _answer_word(facts),
        facts.get("confirmed_qty", facts.get("confirmed_parts")),
        facts.get("uom"),
        day,
        kind,
        facts.get("confirmed_price"),
    ]


def _line_applied(node: State, record: Record) -> None:
    facts = record.facts
    node.setdefault("p", {})[record.event] = [
        record.at,
        record.system,
        facts.get("applied_qty"),
        facts.get("uom"),
        facts.get("applied_date"),
        facts.get("applied_price"),
    ]


# --- shipments, receipts, invoices by themselves ------------------------------------------------

_ASN_KEPT = (*("supplier", "shipped_at", "ship_date", "eta", "warehouse", "n_lines", "qty", "uom"),)
_INVOICE_KEPT = ("supplier", "currency", "net", "total", "n_lines")


def _asn(node: State, record: Record) -> None:
    facts = record.facts
    word = record.type.partition(".")[2]
    entry: list[Any] = [record.at, word, record.system]
    if word in ("received", "replaced", "cancelled"):
        entry += [facts.get("digest"), {k: facts[k] for k in _ASN_KEPT if k in facts}]
    node.setdefault("v", {})[record.event] = entry
    _note_duplicates(node, ("received",))


def _note_duplicates(node: State, words: tuple[str, ...]) -> None:
    """A number sent again with other content, not as a replacement: noted, never counted twice."""
    told = {entry[3] for entry in node["v"].values() if entry[1] in words}
    if len(told) > 1:
        node["duplicate_content"] = len(told)


def _transit(node: State, record: Record) -> None:
    _earliest(node, "transit", record.at)
    eta = record.facts.get("eta")
    if eta:
        _keep_latest(node.setdefault("e", {}), "eta", [record.at, record.event, eta])


def _invoice(node: State, record: Record) -> None:
    facts = record.facts
    entry: list[Any] = [record.at, record.type, record.system]
    if record.type in ("invoice.received", "credit.received"):
        entry += [facts.get("digest"), {k: facts[k] for k in _INVOICE_KEPT if k in facts}]
    node.setdefault("v", {})[record.event] = entry
    _note_duplicates(node, ("invoice.received", "credit.received"))


def _whole_receipt(node: State, record: Record) -> None:
    facts = record.facts
    node.setdefault("w", {})[record.event] = [
        record.at,
        record.system,
        int(record.type == "receipt.posted"),
        {k: facts[k] for k in ("supplier", "warehouse") if k in facts},
    ]
    _line_receipt(node, record)


# --- customer orders ----------------------------------------------------------------------------


def _promise(node: State, record: Record) -> None:
    facts = record.facts
    node.setdefault("a", {})[record.event] = [
        record.at,
        record.system,
        facts.get("promised_date"),
        facts.get("promised_qty"),
        facts.get("basis"),
    ]


def _moved(register: str, fact: str) -> Callable[[State, Record], None]:
    """One quantity per shipment; without a shipment number each event is one of its own."""

    def take(node: State, record: Record) -> None:
        key = str(record.facts.get("shipment") or record.event)
        _keep_latest(
            node.setdefault(register, {}),
            key,
            [record.at, record.event, record.facts.get(fact), record.facts.get("uom")],
        )

    return take


def _allocated(node: State, record: Record) -> None:
    word = record.type.partition(".")[2]
    _keep_latest(node.setdefault("e", {}), "stock", [record.at, record.event, word])


_ANSWERS = ("po.acknowledged", "po.rejected", "po.change_proposed", "po.change_answered")

_LISTENS: dict[tuple[str, str], Callable[[State, Record], None]] = {
    ("po", "po.released"): _words,
    ("po", "po.revised"): _words,
    ("po", "po.transmitted"): _sent,
    ("po", "po.answer_applied"): _header_applied,
    ("po", "po.cancelled"): _ended("cancelled"),
    ("po", "po.closed"): _ended("closed"),
    ("po", "po.unheld"): _goes_on,
    **{("po", type_): _header_answer for type_ in _ANSWERS},
    ("po", "fa.received"): _functional,
    ("po", "message"): _message,
    ("po", "asn"): _shipment,
    ("po", "receipt"): _header_receipt,
    ("po", "invoice.received"): _header_invoice,
    ("po", "credit.received"): _header_invoice,
    ("po_line", "po.released"): _line_order,
    ("po_line", "po.revised"): _line_order,
    ("po_line", "po.cancelled"): _ended("cancelled"),
    ("po_line", "po.closed"): _ended("closed"),
    **{("po_line", type_): _line_answer for type_ in _ANSWERS},
    ("po_line", "po.answer_applied"): _line_applied,
    ("po_line", "receipt"): _line_receipt,
    ("po_line", "invoice.received"): _line_invoice,
    ("po_line", "credit.received"): _line_invoice,
    ("asn", "asn"): _asn,
    ("asn", "shipment"): _transit,
    ("asn", "receipt"): _line_receipt,
    ("asn", "message"): _message,
    ("receipt", "receipt"): _whole_receipt,
    ("invoice", "invoice"): _invoice,
    ("invoice", "credit"): _invoice,
    ("order", "order.placed"): _words,
    ("order", "order.changed"): _words,
    ("order", "order.cancelled"): _milestone("cancelled"),
    ("order", "order.closed"): _milestone("closed"),
    ("order", "order.promised"): _milestone("promised"),
    ("order", "message"): _message,
    ("order_line", "order.placed"): _line_order,
    ("order_line", "order.changed"): _line_order,
    ("order_line", "order.cancelled"): _milestone("cancelled"),
    ("order_line", "order.closed"): _milestone("closed"),
    ("order_line", "order.promised"): _promise,
    ("order_line", "order.allocated"): _allocated,
    ("order_line", "order.backordered"): _allocated,
    ("order_line", "order.shipped"): _moved("s", "shipped_qty"),
    ("order_line", "order.delivered"): _moved("d", "delivered_qty"),
}
"""What a document does with an event, by type or, where the type is not named, by its family."""

_TAKE = {
    (kind, type_): take
    for type_ in EVENT_TYPES
    for kind in ("po", "po_line", "asn", "receipt", "invoice", "order", "order_line")
    if (take := _LISTENS.get((kind, type_)) or _LISTENS.get((kind, type_.partition(".")[0])))
}
