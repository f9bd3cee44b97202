"""Goods on their way back: return merchandise authorization and notification (180)."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.x12.draft import Record
from collectors.x12.reading import SetReading
from collectors.x12.references import Place, parted, reference
from collectors.x12.tokens import Segment
from tower.codes import UNKNOWN
from tower.x12_codes import RETURN_BY_PARTNER, RETURN_BY_US

_TYPES = {
    "requested": "return.requested",
    "authorised": "return.authorised",
    "shipped": "return.shipped",
    "received": "return.received",
}


def read_return(reading: SetReading) -> None:
    """180: requested, authorised or shipped, by who sends it and with which purpose (BGN01).

    A purpose without meaning, such as a refusal, is shown in the story as a message.
    """
    bgn = reading.first(b"BGN", "beginning of the return")
    reading.key(bgn, 2, "number of the return")
    ours = reading.parties.outbound
    word, code = reading.word(RETURN_BY_US if ours else RETURN_BY_PARTNER, "return", bgn, 1)
    head, loops = parted(reading.segments, b"BLI")
    draft = reading.draft()
    header = draft.header
    moment = reading.moment(bgn, 3)
    reading.supplier(draft)
    if word not in _TYPES:
        said = "not understood" if word == UNKNOWN else word.replace("_", " ")
        shown = f"return {bgn.text(2)}: {said} ({code})"
        header.word("text", shown, bgn, 1, "X12 353")
        header.default("step", "return", "type of the set")
        type_ = "message.sent" if ours else "message.received"
        reading.emit(type_, draft, moment, carries=reading.own_ids())
        return
    # The supplier's authorization number is the one both sides use; BGN02 names the document.
    told = reference(head, "RZ") or (bgn, 2)
    header.text("return", *told)
    _reason(reading, header, head)
    for loop in loops:
        bli = loop[0]
        line = draft.line()
        item = reading.item(bli, 1)
        if item:
            line.text("item", bli, item)
        line.number("qty", bli, 3)
        line.text("uom", bli, 4)
        _order(reading, line, loop, head)
        _reason(reading, line, loop)
    reading.emit(_TYPES[word], draft, moment, carries=reading.own_ids())


def _order(
    reading: SetReading, line: Record, loop: Sequence[Segment], head: Sequence[Segment]
) -> None:
    order = _ordered(loop) or _ordered(head)
    if order is None:
        return
    line.default("erp", reading.erp, "network.yaml company.erp")
    line.text("po", *order)
    number = reference(loop, "LI", "PL")
    if number is not None:
        line.text("line", *number)
    elif order[0] in loop and order[0].fields[0] == b"PRF":
        line.text("line", order[0], 5)


def _ordered(segments: Sequence[Segment]) -> Place | None:
    found = next((s for s in segments if s.fields[0] == b"PRF" and s.text(1)), None)
    return (found, 1) if found is not None else reference(segments, "PO")


def _reason(reading: SetReading, record: Record, segments: Sequence[Segment]) -> None:
    """Why, in words (RDR04), else as the code of the request or of the answer (RDR02, RDR03)."""
    for segment in segments:
        if segment.fields[0] == b"RDR":
            for element in (4, 2, 3):
                if segment.text(element):
                    record.text("reason", segment, element)
                    return
