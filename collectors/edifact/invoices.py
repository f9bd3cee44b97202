"""What is charged and what is paid: invoice and credit (INVOIC), remittance (REMADV)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from collectors.edifact.articles import (
    describe_item,
    only_order,
    take_currency,
    take_order,
    take_price,
    take_quantity,
)
from collectors.edifact.draft import SUM, Record, Spot
from collectors.edifact.reading import MessageReading
from collectors.edifact.tokens import Segment
from tower.vocabulary import decimal_text

_CREDITS = frozenset(("381", "83", "308", "396", "420", "458", "532"))  # 1001
_NO_CLAIM = frozenset(("325", "335", "385"))  # pro forma, booking, consolidated summary
_INVOICED = ("47", "12", "1", "46")  # 6063
# 5025, best first.
_TOTAL = ("77", "39", "86", "388", "9")
_NET = ("79", "125", "389", "260")
_TAX = ("176", "124", "150")

_PAID = ("12", "11", "9")  # remitted, amount paid, due
_DISCOUNT = ("52", "138", "53")


def read_invoice(reading: MessageReading) -> None:
    bgm = reading.first(b"BGM", "beginning of the invoice")
    number = Spot(bgm, 2)
    reading.key(number, "invoice number")
    kind = bgm.text(1)
    if kind in _NO_CLAIM or bgm.text(3) == "1":
        what = "its cancellation" if bgm.text(3) == "1" else f"a document of kind {kind}"
        reading.find("unsupported", f"{what} is not read; the bytes are kept", Spot(bgm, 1))
        return
    draft = reading.draft()
    header = draft.header
    header.spot("invoice", number)
    reading.supplier(draft)
    moment = reading.moment()
    take_currency(header, reading.head)
    common = only_order(reading.head)
    for group in reading.groups(b"LIN"):
        line, lin = draft.line(), group[0]
        if lin.text(1):
            line.text("invoice_line", lin, 1)
            # One number for both: by custom an invoice repeats the line number of the order.
            line.text("line", lin, 1)
        else:
            nth = str(len(draft.lines))
            line.default("invoice_line", nth, "place of the line in the document")
        take_quantity(line, group, _INVOICED)
        take_price(reading, line, group)
        describe_item(line, group)
        take_order(reading, line, group, common)
    _amounts(reading, header)
    reading.emit(
        "credit.received" if kind in _CREDITS else "invoice.received",
        draft,
        moment,
        carries=reading.own_ids(),
    )


def _amounts(reading: MessageReading, header: Record) -> None:
    """Total, net and tax of the whole invoice; the tax may be told in several parts."""
    for field, codes in (("total", _TOTAL), ("net", _NET)):
        best = _best(reading.summary, codes)
        if best is not None:
            header.number(field, best, 1, 2)
    for code in _TAX:
        spots = [Spot(s, 1, 2) for s in _amounts_of(reading.summary, code)]
        if not spots:
            continue
        total = Decimal(0)
        for spot in spots:
            number = reading.number(*spot)
            if number is not None:
                total += Decimal(number)
                header.derived("tax", decimal_text(total), spot, SUM)
        return


def _amounts_of(segments: Sequence[Segment], code: str) -> list[Segment]:
    return [s for s in segments if s.fields[0] == b"MOA" and s.code(1) == code and s.text(1, 2)]


def _best(segments: Sequence[Segment], codes: Sequence[str]) -> Segment | None:
    return next((s for code in codes for s in _amounts_of(segments, code)), None)


def read_remittance(reading: MessageReading) -> None:
    """REMADV: which invoices a payment pays, and what was deducted."""
    bgm = reading.first(b"BGM", "beginning of the remittance advice")
    number = Spot(bgm, 2)
    reading.key(number, "payment number")
    draft = reading.draft()
    header = draft.header
    header.spot("payment", number)
    reading.supplier(draft)
    moment = reading.moment()
    take_currency(header, reading.head)
    for group in reading.groups(b"DOC"):
        doc = group[0]
        if not doc.text(2):
            reading.find("doc_without_number", "no number of a document", Spot(doc, 2))
            continue
        line = draft.line()
        line.text("invoice", doc, 2)
        for field, codes in (("paid", _PAID), ("discount", _DISCOUNT)):
            best = _best(group, codes)
            if best is not None:
                line.number(field, best, 1, 2)
    total = _best(reading.summary, _PAID) or _best(reading.head, _PAID)
    if total is not None:
        header.number("total", total, 1, 2)
    reading.emit("payment.advised", draft, moment, carries=reading.own_ids())
