"""What we pay: the remittance advice (820)."""

from __future__ import annotations

from collectors.x12.reading import SetReading

_INVOICES = frozenset(("IV", "CM", "SI", "PO", "R7", "VV", ""))  # X12 128: RMR01


def read_payment(reading: SetReading) -> None:
    """820: a payment with the invoices it pays (RMR04) and what was deducted (RMR06)."""
    bpr = reading.first(b"BPR", "beginning of the payment")
    trn = reading.first(b"TRN", "number of the payment")
    reading.key(trn, 2, "number of the payment")
    draft = reading.draft()
    header = draft.header
    header.text("payment", trn, 2)
    reading.supplier(draft)
    header.number("total", bpr, 2)
    for segment in reading.segments:
        tag = segment.fields[0]
        if tag == b"CUR":
            header.text("currency", segment, 2)
        elif tag == b"RMR":
            if not segment.text(2):
                reading.find("line_without_invoice", "no number of an invoice", segment, 2)
                continue
            if segment.text(1) not in _INVOICES:
                reading.find("unknown_code", "not the number of an invoice", segment, 1)
                continue
            line = draft.line()
            line.text("invoice", segment, 2)
            line.number("paid", segment, 4)
            line.number("discount", segment, 6)
    reading.emit("payment.advised", draft, reading.moment(bpr, 16), carries=reading.own_ids())
