"""What the supplier answers: acknowledgement (855) and change acknowledgement or request (865).

Lines outrank the header, but speak for themselves alone. A line may be answered in parts; an order
is answered only when some line really is: hold-only and unknown answers are shown in the story and
let the answer clock run on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from collectors.x12.draft import SUM, Draft, Record
from collectors.x12.orders import number_of
from collectors.x12.reading import SetReading
from collectors.x12.tokens import Segment
from tower.codes import (
    ANSWER_HEADER,
    ANSWER_LINE,
    COUNTER_OFFER,
    EXCEPTIONS_ONLY,
    REAL_ANSWERS,
    UNKNOWN,
    combine_answer,
    combine_parts,
    date_kind,
    is_coming,
)
from tower.event import TimeQuality
from tower.vocabulary import decimal_text


@dataclass(slots=True)
class _Part:
    """One ACK, and the segments behind it that give it a date."""

    ack: Segment
    dates: list[Segment] = field(default_factory=list)
    answer: str = ""
    code: str = ""


@dataclass(slots=True)
class _Line:
    """One PO1 or POC with its answers."""

    item: Segment
    dates: list[Segment] = field(default_factory=list)
    parts: list[_Part] = field(default_factory=list)
    price: Segment | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where PO1 and POC keep the same things."""

    uom: int
    quantity: int
    price: int
    items: int


_LINES_EXPLAIN = COUNTER_OFFER | {"RF"}
"""Refusals whose lines are the offer, or the exceptions: they do not outrank the header."""

_LAYOUTS = {b"PO1": _Layout(3, 2, 4, 6), b"POC": _Layout(5, 3, 6, 8)}


def read_answer(reading: SetReading) -> None:
    """855: acknowledged or rejected; hold-only and unknown answers are no answers."""
    bak = reading.first(b"BAK", "beginning of the acknowledgement")
    moment = reading.moment(bak, 9 if bak.text(9) else 4)
    draft = _begin(reading, bak)
    answer = _answer(reading, draft, bak)
    if answer not in REAL_ANSWERS:
        _no_answer(reading, draft, bak, answer, moment)
        return
    rejected = answer == "rejected"
    reading.emit(
        "po.rejected" if rejected else "po.acknowledged",
        draft,
        moment,
        carries=reading.own_ids(),
    )


def read_change_answer(reading: SetReading) -> None:
    """865: the answer to a change of ours, or a change that the supplier proposes himself.

    He proposes where he gives no answer code (BCA02), or says "change" (BCA01 = 04) and names no
    change of ours (BCA05).
    """
    bca = reading.first(b"BCA", "beginning of the change acknowledgement")
    moment = reading.moment(bca, 6)
    draft = _begin(reading, bca)
    draft.header.text("revision", bca, 5)
    if not bca.text(2) or (bca.text(1) == "04" and not bca.text(5)):
        _proposal(reading, draft)
        reading.emit("po.change_proposed", draft, moment, carries=reading.own_ids())
        return
    answer = _answer(reading, draft, bca)
    if answer not in REAL_ANSWERS:
        _no_answer(reading, draft, bca, answer, moment)
        return
    reading.emit("po.change_answered", draft, moment, carries=reading.own_ids())


def _begin(reading: SetReading, segment: Segment) -> Draft:
    draft = reading.draft()
    reading.key(segment, 3, "purchase order number")
    draft.header.text("po", segment, 3)
    draft.header.default("erp", reading.erp, "network.yaml company.erp")
    reading.supplier(draft)
    return draft


def _answer(reading: SetReading, draft: Draft, beginning: Segment) -> str:
    """Fill the draft; returns the word of the answer."""
    said, code = reading.word(ANSWER_HEADER, "ack_header", beginning, 2)
    header = draft.header
    header.text("code", beginning, 2)
    words = [_line(reading, draft, line, said, code, beginning) for line in _lines(reading)]
    common = _header_dates(reading)
    for record in draft.lines:
        if "date" not in record.values and is_coming(record.values["answer"]):
            _date(reading, record, common, None)
    answer, others = said, None
    if code in EXCEPTIONS_ONLY:
        answer, others = combine_answer(said, [*words, said])
    elif words and code not in _LINES_EXPLAIN:
        answer, others = combine_answer(said, words)
    if said == "rejected" and answer != said:
        reading.find(
            "answer_contradicts",
            "the header rejects what its lines accept; the lines count",
            beginning,
            2,
        )
    header.word("answer", answer, beginning, 2, "X12 587 and the lines")
    if others is not None:
        header.word("others", others, beginning, 2, "X12 587")
    if answer == "rejected":
        if code in COUNTER_OFFER:
            header.word("counter_offer", True, beginning, 2, "X12 587")
        _reason(reading, header)
    return answer


def _header_dates(reading: SetReading) -> list[Segment]:
    """Dates before the first line: they hold for the lines that have none of their own."""
    found = []
    for segment in reading.segments:
        tag = segment.fields[0]
        if tag in _LAYOUTS:
            break
        if tag == b"DTM":
            found.append(segment)
    return found


def _lines(reading: SetReading) -> Iterator[_Line]:
    line: _Line | None = None
    for segment in reading.segments:
        tag = segment.fields[0]
        if tag in _LAYOUTS:
            if line is not None:
                yield line
            line = _Line(segment)
        elif line is None:
            continue
        elif tag == b"ACK":
            line.parts.append(_Part(segment))
        elif tag in (b"DTM", b"SCH"):
            (line.parts[-1].dates if line.parts else line.dates).append(segment)
        elif tag == b"CTP":
            line.price = line.price or segment
        elif tag in (b"CTT", b"SLN"):  # totals, or parts of a kit that have answers of their own
            yield line
            line = None
    if line is not None:
        yield line


def _line(
    reading: SetReading, draft: Draft, line: _Line, said: str, code: str, beginning: Segment
) -> str:
    """One line of the answer; returns its word."""
    record = draft.line()
    layout = _LAYOUTS[line.item.fields[0]]
    number_of(reading, record, line.item, 1, len(draft.lines))
    item = reading.item(line.item, layout.items)
    if item:
        record.text("item", line.item, item)
    record.number("price", line.item, layout.price)
    if line.price is not None and "price" not in record.values:
        record.number("price", line.price, 3)
    for part in line.parts:
        part.answer, part.code = reading.word(ANSWER_LINE, "ack_line", part.ack, 1)
    if not line.parts:
        # Nothing of its own: what the header says, but a named exception is no plain yes.
        answer = "accepted_with_changes" if code in EXCEPTIONS_ONLY else said
        record.word("answer", answer, beginning, 2, "X12 587, no ACK for this line")
        if is_coming(answer):
            record.number("qty", line.item, layout.quantity)
            record.text("uom", line.item, layout.uom)
            _date(reading, record, line.dates, None)
        return answer
    answer = combine_parts(part.answer for part in line.parts)
    if len(line.parts) == 1:
        part = line.parts[0]
        record.word("answer", answer, part.ack, 1, "X12 668")
        record.text("code", part.ack, 1)
        _quantity(record, line.item, layout, part, answer)
        if answer != "rejected":
            _date(reading, record, [*part.dates, *line.dates], part.ack)
        return answer
    record.word("answer", answer, line.parts[0].ack, 1, f"X12 668, {len(line.parts)} parts")
    _parts(reading, record, line, layout)
    return answer


def _quantity(record: Record, item: Segment, layout: _Layout, part: _Part, answer: str) -> None:
    """What is confirmed. The quantity of a refusal or a hold is not: it stays in the bytes."""
    if not is_coming(answer):
        return
    record.number("qty", part.ack, 2)
    record.text("uom", part.ack, 3)
    if "qty" not in record.values:
        record.number("qty", item, layout.quantity)
    if "qty" in record.values and "uom" not in record.values:
        record.text("uom", item, layout.uom)


def _date(reading: SetReading, record: Record, behind: list[Segment], ack: Segment | None) -> None:
    """ACK04/05, else the first date segment behind it, else its schedule; kind kept."""
    places = [(ack, 4, 5)] if ack is not None else []
    places += [(one, 1, 2) for one in behind if one.fields[0] == b"DTM"]
    places += [(one, 5, 6) for one in behind if one.fields[0] == b"SCH"]
    unclear: tuple[Segment, int, int] | None = None
    for segment, qualifier, value in places:
        if not segment.text(value):
            continue
        kind = date_kind(segment.text(qualifier))
        if kind == UNKNOWN:
            if segment is ack:
                unclear = unclear or (segment, qualifier, value)
            continue  # a date segment may tell of anything, an invoice for example
        if record.date("date", segment, value):
            record.word("date_kind", kind, segment, qualifier, "X12 374")
            return
    if unclear is not None and record.date("date", unclear[0], unclear[2]):
        reading.find("unknown_code", "is this a ship or a delivery date?", unclear[0], unclear[1])
        record.word("date_kind", UNKNOWN, unclear[0], unclear[1], "X12 374")


def _parts(reading: SetReading, record: Record, line: _Line, layout: _Layout) -> None:
    """Several ACK of one line: each as it is, and together what comes and by when all of it."""
    total, uoms = Decimal(0), set()
    counted: list[_Part] = []
    parts, latest = [], ("", "", -1)
    for n, part in enumerate(line.parts):
        own = reading.draft().line()
        own.word("answer", part.answer, part.ack, 1, "X12 668")
        own.text("code", part.ack, 1)
        own.number("qty", part.ack, 2)
        own.text("uom", part.ack, 3)
        _date(reading, own, part.dates, part.ack)
        values = own.values
        if "qty" in values:
            values["qty"] = decimal_text(values["qty"])
        parts.append(values)
        own.hand_to(record, f"parts[{n}].")
        if is_coming(part.answer):
            if "qty" in values:
                total += Decimal(values["qty"])
                uoms.add(values.get("uom") or line.item.text(layout.uom))
                counted.append(part)
            if values.get("date", "") > latest[0]:
                latest = (values["date"], values["date_kind"], n)
    record.values["parts"] = parts
    if len(uoms) > 1:
        reading.find(
            "mixed_units", "parts of one line come in several units", line.item, layout.uom
        )
    elif counted:
        for part in counted:
            record.derived("qty", str(total), part.ack, 2, SUM)
        unit = counted[0].ack.text(3)
        record.text("uom", *((counted[0].ack, 3) if unit else (line.item, layout.uom)))
    if latest[2] >= 0:
        record.values["date"], record.values["date_kind"] = latest[0], latest[1]
        record.repeat(f"parts[{latest[2]}].", ("date", "date_kind"))
    else:
        _date(reading, record, line.dates, None)


def _proposal(reading: SetReading, draft: Draft) -> None:
    """What the supplier would rather have: the lines as he wants them."""
    for line in _lines(reading):
        record = draft.line()
        layout = _LAYOUTS[line.item.fields[0]]
        number_of(reading, record, line.item, 1, len(draft.lines))
        record.text("code", line.item, 2)
        record.number("qty", line.item, layout.quantity)
        record.text("uom", line.item, layout.uom)
        record.number("price", line.item, layout.price)
        item = reading.item(line.item, layout.items)
        if item:
            record.text("item", line.item, item)
        behind = [*line.dates, *(date for part in line.parts for date in part.dates)]
        _date(reading, record, behind, line.parts[0].ack if line.parts else None)


def _reason(reading: SetReading, header: Record) -> None:
    """The first words in the header, if he gave any."""
    for segment in reading.segments:
        tag = segment.fields[0]
        if tag in _LAYOUTS:
            return
        element = {b"MSG": 1, b"NTE": 2, b"MTX": 2}.get(tag)
        if element is not None and segment.text(element):
            header.text("reason", segment, element)
            return


def _no_answer(
    reading: SetReading,
    draft: Draft,
    beginning: Segment,
    answer: str,
    moment: tuple[datetime, TimeQuality],
) -> None:
    """Something came, but the order is still unanswered; the story shows it."""
    said = {"on_hold": "answer on hold", "none": "no answer needed"}.get(
        answer, "answer not understood"
    )
    header = draft.header
    shown = reading.draft()
    shown.header.values = {
        k: header.values[k] for k in ("po", "erp", "supplier") if k in header.values
    }
    header.hand_to(shown.header, "")
    code = beginning.text(2)
    text = f"{said} ({beginning.tag}02 {code})" if code else said
    shown.header.word("text", text, beginning, 2, "X12 587 and the lines")
    shown.header.default("step", "answer", "type of the set")
    if answer != UNKNOWN or not code:  # an unknown code was found where it stands
        reading.find(
            "hold_only" if answer == "on_hold" else "no_answer",
            f"{said}; the order stays unanswered",
            beginning,
            2,
        )
    reading.emit("message.received", shown, moment, carries=reading.own_ids())
