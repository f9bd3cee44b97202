"""What the supplier answers: ORDRSP, to an order or to a change of it.

Lines outrank the head, but speak for themselves alone. A line may be answered in parts; an order is
answered only when some line really is: "received", hold-only and unknown answers are shown in the
story and let the answer clock run on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from collectors.edifact.articles import (
    describe_item,
    number_line,
    order_line,
    quantities,
    reference,
    take_date,
    take_price,
    take_quantity,
)
from collectors.edifact.draft import SUM, Draft, Record, Spot
from collectors.edifact.reading import MessageReading
from collectors.edifact.tokens import Segment
from tower.codes import (
    ORDRSP_HEADER,
    ORDRSP_LINE,
    REAL_ANSWERS,
    UNKNOWN,
    combine_answer,
    is_coming,
)
from tower.edifact_codes import RESPONSE_TYPE
from tower.event import TimeQuality
from tower.vocabulary import decimal_text

# The supplier's promise counts before a date that only repeats what was asked for (2005).
_CONFIRMED = {
    code: rank
    for rank, code in enumerate(
        ("69", "75", "72", "67", "76", "17", "191", "79", "84", "81", "11", "10", "200", "2", "63")
    )
}
_COMING = ("194", "113", "12", "21", "1")  # 6063: accepted, to be delivered, despatched, ordered
_BACKORDER = "83"
_REPLACED = ("3", "4")  # 4347: substituted by, substituted for


def read_answer(reading: MessageReading) -> None:
    """ORDRSP: acknowledged, rejected, or (with RFF+PP) the answer to a change of ours."""
    bgm = reading.first(b"BGM", "beginning of the answer")
    number = reference(reading.head, "ON")
    if number is None:
        raise reading.missing("purchase order (RFF+ON)", bgm)
    draft = reading.draft()
    draft.header.spot("po", number)
    draft.header.default("erp", reading.erp, "network.yaml company.erp")
    reading.supplier(draft)
    moment = reading.moment()
    change = reference(reading.head, "PP")
    answer, said = _answer(reading, draft, bgm)
    if answer not in REAL_ANSWERS:
        _no_answer(reading, draft, said, answer, moment)
        return
    if change is not None:
        draft.header.spot("revision", change)
        type_ = "po.change_answered"
    else:
        type_ = "po.rejected" if answer == "rejected" else "po.acknowledged"
    reading.emit(type_, draft, moment, carries=reading.own_ids())


def _answer(reading: MessageReading, draft: Draft, bgm: Segment) -> tuple[str, Spot]:
    """Fill the draft; the word of the answer, and where the head says its own."""
    said, spot, rule = _said(reading, bgm)
    header = draft.header
    header.spot("code", spot)
    dates = [s for s in reading.head if s.fields[0] == b"DTM"]
    words: list[str] = []
    for group in reading.groups(b"LIN"):
        record = draft.line()
        words.append(_line(reading, record, group, said, spot, len(draft.lines)))
        if "date" not in record.values and is_coming(words[-1]):
            take_date(record, dates, _CONFIRMED, kind=True)
    answer, others = combine_answer(said, words) if words else (said, None)
    if answer not in REAL_ANSWERS and said in REAL_ANSWERS:
        answer, others = said, None
    if said == "rejected" and answer != said:
        reading.find(
            "answer_contradicts", "the head rejects what its lines accept; the lines count", spot
        )
    header.word("answer", answer, spot, f"{rule} and the lines")
    if others is not None:
        header.word("others", others, spot, rule)
    if answer == "rejected":
        _reason(header, reading.head)
    return answer, spot


def _said(reading: MessageReading, bgm: Segment) -> tuple[str, Spot, str]:
    """What the head says: 1225, or 4343 where 1225 leaves it open."""
    function, response = Spot(bgm, 3), Spot(bgm, 4)
    if not function.text and not response.text:
        return "none", function, "EDIFACT 1225"
    if function.text:
        said, code = reading.word(ORDRSP_HEADER, "ack_header", function)
        if said != "none" or code == "12":
            return said, function, "EDIFACT 1225"
    known = RESPONSE_TYPE.get(response.text)
    if known is not None:
        return known, response, "EDIFACT 4343"
    return "none", function if function.text else response, "EDIFACT 1225"


def _line(
    reading: MessageReading,
    record: Record,
    group: Sequence[Segment],
    said: str,
    head: Spot,
    nth: int,
) -> str:
    """One line of the answer; returns its word."""
    lin = group[0]
    line = order_line(group)
    if line is not None:
        record.spot("line", line)
    else:
        number_line(record, lin, nth)
    describe_item(record, group)
    take_price(reading, record, group)
    action = Spot(lin, 2)
    if action.text:
        answer, _ = reading.word(ORDRSP_LINE, "ack_line", action)
        record.spot("code", action)
        spot, rule = action, "EDIFACT 1229"
    else:
        answer, spot, rule = said, head, "EDIFACT 1225, no 1229 for this line"
    if is_coming(answer) and _is_replaced(group):
        answer = "substituted"
    behind = quantities(group, (_BACKORDER,))
    if behind and (is_coming(answer) or answer == "none"):
        record.word("answer", "backordered", Spot(behind[0], 1), "EDIFACT 6063")
        _parts(reading, record, group, behind, answer)
        return "backordered"
    record.word("answer", answer, spot, rule)
    # The quantity of a refusal or a hold is not confirmed: it stays in the bytes.
    if is_coming(answer):
        take_quantity(record, group, _COMING)
    if answer != "rejected":
        take_date(record, group, _CONFIRMED, kind=True)
    return answer


def _is_replaced(group: Sequence[Segment]) -> bool:
    return any(s.fields[0] == b"PIA" and s.code(1) in _REPLACED for s in group)


def _parts(
    reading: MessageReading,
    record: Record,
    group: Sequence[Segment],
    behind: Sequence[Segment],
    answer: str,
) -> None:
    """What comes now and what comes later: each as it is, and together the whole."""
    now = next((q for code in _COMING[:3] for q in quantities(group, (code,))), None)
    spots = [(qty, "accepted" if is_coming(answer) else "none") for qty in (now,) if qty]
    spots += [(qty, "backordered") for qty in behind]
    if len(spots) > 1:
        parts = []
        for n, (qty, word) in enumerate(spots):
            part = {"answer": word}
            record.note(f"parts[{n}].answer", Spot(qty, 1), "looked_up", "EDIFACT 6063")
            number = reading.number(qty, 1, 2)
            if number is not None:
                part["qty"] = decimal_text(number)
                record.note(f"parts[{n}].qty", Spot(qty, 1, 2))
            if qty.text(1, 3):
                part["uom"] = qty.text(1, 3)
                record.note(f"parts[{n}].uom", Spot(qty, 1, 3))
            parts.append(part)
        record.values["parts"] = parts
    units = {qty.text(1, 3) for qty, _ in spots}
    if len(units) > 1:
        reading.find("mixed_units", "parts of one line come in several units", Spot(behind[0], 1))
    else:
        total = Decimal(0)
        for qty, _ in spots:
            number = reading.number(qty, 1, 2)
            if number is not None:
                total += Decimal(number)
                record.derived("qty", decimal_text(total), Spot(qty, 1, 2), SUM)
        record.text("uom", spots[0][0], 1, 3)
    _last_date(reading, record, group)


def _last_date(reading: MessageReading, record: Record, group: Sequence[Segment]) -> None:
    """By when all of it is there: the latest of the days that the supplier promises."""
    latest: tuple[str, Segment] | None = None
    for dtm in group:
        if dtm.fields[0] == b"DTM" and _CONFIRMED.get(dtm.code(1), 99) < _CONFIRMED["2"]:
            day = reading.day(dtm)
            if day is not None and (latest is None or day > latest[0]):
                latest = (day, dtm)
    take_date(record, [latest[1]] if latest else group, _CONFIRMED, kind=True)


def _reason(header: Record, head: Sequence[Segment]) -> None:
    """The first words in the head, if the supplier gave any."""
    for segment in head:
        if segment.fields[0] == b"FTX" and header.text("reason", segment, 4):
            return


def _no_answer(
    reading: MessageReading,
    draft: Draft,
    spot: Spot,
    answer: str,
    moment: tuple[datetime, TimeQuality],
) -> None:
    """Something came, but the order is still unanswered; the story shows it."""
    said = {"on_hold": "answer on hold", "none": "received, not answered yet"}.get(
        answer, "answer not understood"
    )
    shown = reading.draft()
    for name in ("po", "erp", "supplier"):
        if name in draft.header.values:
            shown.header.values[name] = draft.header.values[name]
    if draft.notes is not None and shown.notes is not None:
        shown.notes.extend(note for note in draft.notes if note.line < 0)
    code = spot.text
    text = f"{said} (BGM{spot.element:02d} {code})" if code else said
    shown.header.word("text", text, spot, "EDIFACT 1225 and the lines")
    shown.header.default("step", "answer", "type of the message")
    if answer != UNKNOWN:  # an unknown code was found where it stands
        finding = "hold_only" if answer == "on_hold" else "no_answer"
        reading.find(finding, f"{said}; the order stays unanswered", spot)
    reading.emit("message.received", shown, moment, carries=reading.own_ids())
