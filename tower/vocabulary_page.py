"""docs/events.md, written from the vocabulary: every event and every field with its meaning.

``python -m tower.vocabulary_page > docs/events.md`` writes it anew; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tower.vocabulary import ANSWER_WORDS, EVENT_TYPES, FA_VERDICTS, EventSpec, FieldSpec

FAMILIES = {
    "po": "Purchase orders",
    "fa": "Functional acknowledgements and advices",
    "advice": "Functional acknowledgements and advices",
    "asn": "Shipment notices",
    "shipment": "Shipment notices",
    "receipt": "Receipts",
    "invoice": "Invoices",
    "payment": "Invoices",
    "credit": "Invoices",
    "return": "Returns",
    "order": "Customer orders",
    "transfer": "Stock",
    "inventory": "Stock",
    "peg": "Pegs",
    "message": "Messages on their way",
    "source": "Feeds",
}

EVENTS = {
    "po.released": "a purchase order is valid from now on",
    "po.revised": "the buyer changes an order; only changed lines and fields need be told",
    "po.cancelled": "the order, or the lines named, will not be delivered",
    "po.closed": "the order, or the lines named, are done; nothing more is expected",
    "po.held": "the order rests; clocks pause",
    "po.unheld": "the order goes on",
    "po.transmitted": "the order left for the supplier, as gateway or middleware reports",
    "po.acknowledged": "the supplier's business answer, line by line; of lines that it does not "
    "name it tells something only where `answer` is accepted or rejected, or `others` is",
    "po.rejected": "the supplier refuses the whole order, perhaps with a counter-offer; the lines "
    "named alone, where `others` is none",
    "po.change_proposed": "the supplier wants to change what was agreed",
    "po.change_answered": "the supplier answers a change of the buyer; who refuses it refuses no "
    "line that stood before",
    "po.answer_applied": "the ERP holds the answer; the lines as it holds them",
    "fa.received": "the partner's translator tells whether it could read what we sent",
    "advice.received": "the partner's application refuses or accepts a document's content",
    "asn.received": "goods are on their way; one notice may cover several orders",
    "asn.replaced": "the same notice again with other content",
    "asn.cancelled": "the notice is withdrawn",
    "asn.accepted": "a check found the notice good",
    "asn.rejected": "a check found the notice bad",
    "shipment.status": "where a shipment is",
    "receipt.posted": "goods were booked in",
    "receipt.reversed": "a booking was taken back",
    "receipt.discrepancy": "what came differs from what was announced",
    "invoice.received": "the supplier asks for money",
    "credit.received": "the supplier gives money back",
    "invoice.matched": "the invoice agrees with order and receipt",
    "invoice.blocked": "the invoice does not agree and is not paid",
    "payment.advised": "a payment was announced, with the invoices it pays",
    "return.requested": "goods shall go back; the other side is asked",
    "return.authorised": "the other side will take them back",
    "return.shipped": "goods are on their way back",
    "return.received": "goods came back",
    "order.placed": "a customer ordered",
    "order.changed": "a customer order was changed",
    "order.cancelled": "a customer order, or the lines named, will not be delivered",
    "order.closed": "a customer order, or the lines named, are done",
    "order.promised": "the customer was told a date",
    "order.notified": "the customer was told that the order, or the lines named, will come later",
    "order.allocated": "stock was reserved",
    "order.backordered": "stock was not there",
    "order.released": "the warehouse was told to ship",
    "order.shipped": "goods left for the customer",
    "order.delivered": "goods reached the customer",
    "transfer.shipped": "goods left for a warehouse of ours or of a service provider",
    "inventory.reported": "what a warehouse or supplier has in stock",
    "inventory.adjusted": "stock was corrected by a count or a loss",
    "peg.set": "purchase order lines are meant for customer order lines",
    "peg.removed": "such links no longer hold",
    "message.received": "a system took a message in",
    "message.transformed": "a system wrote it in another form",
    "message.sent": "a system handed it on",
    "message.delivered": "the receiver confirmed that it has it",
    "message.failed": "a step went wrong",
    "message.retried": "a step is tried again",
    "message.dead_lettered": "a system gave up on it",
    "message.replayed": "the tower sent a copy of a dead letter",
    "message.took_effect": "the document of a replayed message moved",
    "source.heartbeat": "a feed lives",
    "source.gap": "a feed lost something",
}

FIELDS = {
    "acknowledge_by": "until when the buyer wants an answer",
    "action": "what happens to the line: add, change, delete, none",
    "answer": "answer word (below)",
    "as_of": "when the stock was counted or taken from the books",
    "available": "quantity that can be ordered",
    "answered": "what is answered: interchange, group or set",
    "asn": "number of the shipment notice, unique in its supplier",
    "attempt": "which attempt, from 1",
    "basis": "what the promise rests on: stock, supply, plan",
    "bol": "bill of lading",
    "buyer": "who buys",
    "cancel_after": "after this day the order is void",
    "carrier": "who carries",
    "channel": "edi, api, portal, file or manual",
    "check": "what was compared: price, qty, receipt",
    "category": "category of goods that the article belongs to, as the sender names it",
    "code": "code as the sender wrote it",
    "control": "control numbers of the interchange",
    "counter_offer": "whether the supplier offers something else",
    "currency": "ISO 4217",
    "customer": "number of the customer",
    "customer_name": "name of the customer",
    "delta": "quantity by which stock changed; negative when it became less",
    "date": "day the supplier names",
    "date_kind": "what the day means: ship or delivery",
    "description": "text of the article",
    "difference": "amount that does not agree",
    "discount": "what was deducted from the invoice",
    "document": "number of the document that is meant",
    "erp": "ERP whose numbers these are; default the company's",
    "error_class": "kind of error",
    "errors": "list of errors: segment, element, code",
    "eta": "expected day of arrival",
    "from": "first that is missing",
    "group": "number of the functional group",
    "hop": "between which systems",
    "interchange": "number of the interchange",
    "invoice": "number of the invoice, unique in its supplier",
    "invoice_line": "line of the invoice",
    "item": "article number",
    "kind": "what differs: short, over, damaged, wrong_item; of a gap: what is counted",
    "line": "line number of the order",
    "message": "id of the message",
    "ms": "how long it took, in milliseconds",
    "net": "amount without tax",
    "newest": "time of the newest thing in the feed",
    "on_hand": "quantity in stock",
    "order": "number of the customer order",
    "order_line": "line of the customer order",
    "others": "what the answer says of lines it does not name, where that is not `answer`: "
    "accepted, rejected, none",
    "packs": "list of packages: sscc",
    "paid": "what is paid of the invoice",
    "parts": "list of part answers of one line",
    "payment": "number of the payment",
    "heard_at": "of an answer by phone or mail: when it was heard",
    "heard_from": "of an answer by phone or mail: who said it",
    "note": "what else was said",
    "recorded_by": "of an answer by phone or mail: who wrote it down",
    "place": "where it is",
    "po": "number of the purchase order, unique in its ERP",
    "price": "price per unit",
    "priority": "how urgent the order is",
    "promise_date": "day told to the customer",
    "qty": "quantity in the unit sent",
    "queue": "queue it lies in",
    "reason": "why, in words",
    "receipt": "number of the receipt, unique in its warehouse; of a message: mdn, http or sftp",
    "receipt_line": "line of the receipt",
    "rejected_qty": "quantity received and refused",
    "requested_date": "day the buyer (or customer) wants it",
    "return": "number of the return, as authorised if known",
    "revision": "number of the revision",
    "rule": "check that failed",
    "set": "number of the transaction set",
    "set_type": "type of the transaction set",
    "ship_by": "latest day of shipment",
    "ship_date": "day of shipment, where no time is known",
    "ship_to": "where it is wanted",
    "shipment": "number of the shipment",
    "shipped_at": "when it left",
    "source": "name of the feed",
    "state": "up or down",
    "step": "step of the journey",
    "supplier": "partner: key, vendor number or other identifier",
    "tax": "tax",
    "text": "what the system said",
    "to": "last that is missing",
    "total": "amount to pay",
    "transfer": "number of the transfer order, unique in its ERP",
    "type": "standard, rush or another word of the rule book",
    "uom": "unit of measure as sent",
    "verdict": "verdict word (below)",
    "warehouse": "key of the warehouse",
}

KINDS = {
    "text": "text, blanks at its ends cut off, at most 500 characters",
    "code": "word, in small letters",
    "qty": 'decimal number as text ("12.5"); numbers are taken, too',
    "money": "decimal number as text",
    "date": 'day ("2026-03-27"), stays a day in every time zone',
    "when": 'instant with zone ("2026-03-27T14:00:00Z")',
    "int": "whole number",
    "flag": "true or false",
    "list": "JSON list, kept as it is",
}


def page() -> str:
    """The text of docs/events.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Events"
    yield ""
    yield (
        "What every feed is turned into, whatever its format. A mapping in `network.yaml` names "
        "these events and fields; `POST /v1/events` takes them as the `type` and `data` of "
        "CloudEvents. This page is written from `tower/vocabulary.py` by `python -m "
        "tower.vocabulary_page`."
    )
    yield ""
    yield (
        "**Bold** fields are keys: without them the event is a dead letter. Unknown fields are "
        "left out. Empty means missing."
    )
    yield ""
    yield "| kind | written as |"
    yield "|---|---|"
    for kind, said in KINDS.items():
        yield f"| {kind} | {said} |"
    yield ""
    yield f"Answer words: {', '.join(sorted(ANSWER_WORDS))}. An answer that only says on_hold,"
    yield "unknown or none is kept as `message.received`: the order stays unanswered."
    yield f"Verdict words: {', '.join(sorted(FA_VERDICTS))}."
    family = ""
    for spec in EVENT_TYPES.values():
        title = FAMILIES[spec.type.partition(".")[0]]
        if title != family:
            family = title
            yield ""
            yield f"## {title}"
        yield ""
        yield from _event(spec)


def _event(spec: EventSpec) -> Iterator[str]:
    yield f"### `{spec.type}`"
    yield ""
    yield f"{EVENTS[spec.type][0].upper()}{EVENTS[spec.type][1:]}."
    yield ""
    yield "| field | kind | meaning |"
    yield "|---|---|---|"
    for field in spec.header:
        yield _row(field, "")
    for field in spec.lines:
        yield _row(field, f"{spec.list_name}[].")


def _row(field: FieldSpec, prefix: str) -> str:
    name = f"{prefix}{field.name}"
    shown = f"**{name}**" if field.required else name
    return f"| {shown} | {field.kind} | {FIELDS[field.name]} |"


if __name__ == "__main__":
    sys.stdout.write(page())
