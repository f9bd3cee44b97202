"""What the supplier charges: the invoice (810) and, by its type, the credit."""

from __future__ import annotations

from decimal import Decimal

from collectors.x12.draft import SUM, Record
from collectors.x12.reading import SetReading
from collectors.x12.tokens import Segment
from tower.vocabulary import decimal_text

_CREDITS = frozenset(("CR", "CN"))  # X12 640: BIG07
_TAX = "H850"  # X12 1300: a charge that is a tax


def read_invoice(reading: SetReading) -> None:
    big = reading.first(b"BIG", "beginning of the invoice")
    reading.key(big, 2, "invoice number")
    draft = reading.draft()
    header = draft.header
    header.text("invoice", big, 2)
    reading.supplier(draft)
    line: Record | None = None
    item: Segment | None = None
    summary = False
    taxes: list[Segment] = []
    tax_charges: list[Segment] = []
    for segment in reading.segments:
        tag = segment.fields[0]
        if tag == b"IT1":
            line, item = draft.line(), segment
            _line(reading, line, segment, big, len(draft.lines))
        elif tag == b"REF":
            if line is not None and segment.text(1) == "PO" and segment.text(2):
                _order(reading, line, segment, 2)
                _order_line(reading, line, item)
        elif tag == b"CUR":
            if line is None:
                header.text("currency", segment, 2)
        elif tag == b"TDS":
            summary, line = True, None
            _amount(reading, header, "total", segment, 1)
        elif tag == b"TXI":
            if summary:
                taxes.append(segment)
        elif tag == b"SAC":
            if summary and segment.text(1) == "C" and segment.text(2) == _TAX:
                tax_charges.append(segment)
        elif tag == b"CTT":
            line = None
    _tax(reading, header, taxes, tax_charges)
    reading.emit(
        "credit.received" if big.text(7) in _CREDITS else "invoice.received",
        draft,
        reading.moment(big, 1),
        carries=reading.own_ids(),
    )


def _line(reading: SetReading, line: Record, it1: Segment, big: Segment, nth: int) -> None:
    if it1.text(1):
        # One number for both: by custom an invoice repeats the line number of the order.
        line.text("invoice_line", it1, 1)
        line.text("line", it1, 1)
    else:
        line.default("invoice_line", str(nth), "place of the line in the document")
    line.number("qty", it1, 2)
    line.text("uom", it1, 3)
    line.number("price", it1, 4)
    item = reading.item(it1, 6)
    if item:
        line.text("item", it1, item)
    told = reading.paired(it1, 6, b"PO")
    if told:
        _order(reading, line, it1, told)
    elif big.text(4):
        _order(reading, line, big, 4)
    _order_line(reading, line, it1)


def _order(reading: SetReading, line: Record, segment: Segment, element: int) -> None:
    line.text("po", segment, element)
    line.default("erp", reading.erp, "network.yaml company.erp")


def _order_line(reading: SetReading, line: Record, it1: Segment | None) -> None:
    place = reading.paired(it1, 6, b"PL") if it1 is not None else 0
    if it1 is not None and place:
        line.text("line", it1, place)


def _amount(reading: SetReading, header: Record, name: str, segment: Segment, element: int) -> None:
    """An amount with two implied decimals: "36596" is 365.96."""
    amount = _implied(reading, segment, element)
    if amount is not None:
        header.derived(name, decimal_text(amount), segment, element, "two implied decimals")


def _implied(reading: SetReading, segment: Segment, element: int) -> Decimal | None:
    text = reading.number(segment, element)
    if text is None:
        return None
    if "." in text:
        reading.find("amount_with_point", "decimals are implied here", segment, element)
        return Decimal(text)
    return Decimal(text).scaleb(-2)


def _tax(reading: SetReading, header: Record, taxes: list[Segment], charges: list[Segment]) -> None:
    """Of the whole invoice: tax segments, else charges that are a tax (some send both)."""
    total = Decimal(0)
    for segment in taxes or charges:
        element = 2 if taxes else 5
        number = reading.number(segment, 2) if taxes else _implied(reading, segment, 5)
        if number is not None:
            total += Decimal(number)
            header.derived("tax", decimal_text(total), segment, element, SUM)
