"""Whether an application could use what was sent: the application advice (824).

Each OTI judges one document. Of a shipment notice it is ``asn.accepted`` or ``asn.rejected``,
whoever judges; what else we judge is told as a message sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collectors.x12.draft import Draft
from collectors.x12.ids import group_id, set_id
from collectors.x12.reading import SetReading
from collectors.x12.references import Place, parted, reference
from collectors.x12.tokens import Segment
from tower.codes import UNKNOWN
from tower.x12_codes import ADVICE, ADVISED, GROUP_OF

ERRORS_LIMIT = 100
"""Of one document: a person reads the first ones."""

_WORDS = {level + sign: word for level in ADVISED for sign, word in ADVICE.items()}
_ORDERS = ("PO",)
_NUMBERED_AS_ORDER = frozenset(("850", "860"))
_SHIPMENTS = frozenset(("SI", "MA"))  # X12 128


def read_advice(reading: SetReading) -> None:
    bgn = reading.first(b"BGN", "beginning of the advice")
    reading.first(b"OTI", "document that is judged")
    _, loops = parted(reading.segments, b"OTI", ends=frozenset((b"SE",)))
    for n, loop in enumerate(loops, 1):
        _advise(reading, bgn, loop, f"/oti:{n}" if n > 1 else "")


def _advise(reading: SetReading, bgn: Segment, loop: Sequence[Segment], position: str) -> None:
    oti = loop[0]
    reading.key(oti, 1, "verdict")
    verdict, code = reading.word(_WORDS, "advice", oti, 1)
    moment = reading.moment(bgn, 3)
    kind, number = oti.text(10), oti.text(3)
    draft = reading.draft()
    reading.supplier(draft)
    errors = _errors(draft, loop)
    answers = _answers(reading, oti)
    extra = {"errors": errors} if errors else None
    header = draft.header
    order = _order(loop, oti, kind)
    if order is not None:
        header.text("po", *order)
        header.default("erp", reading.erp, "network.yaml company.erp")
    of_shipment = kind == "856" or (not kind and oti.text(2) in _SHIPMENTS)
    if of_shipment and number and verdict != UNKNOWN and reading.parties.partner is not None:
        header.text("asn", oti, 3)
        if verdict == "rejected":
            _reason(draft, loop)
        type_ = "asn.rejected" if verdict == "rejected" else "asn.accepted"
        reading.emit(type_, draft, moment, position=position, answers=answers, extra=extra)
        return
    if reading.parties.outbound:
        shown = reading.draft()
        reading.supplier(shown)
        text = f"advice on {kind} {number}".rstrip() + f": {verdict.replace('_', ' ')} ({code})"
        shown.header.word("text", text, oti, 1, "X12 110")
        shown.header.default("step", "application advice", "type of the set")
        reading.emit("message.sent", shown, moment, position=position, answers=answers)
        return
    header.text("document", oti, 3)
    header.word("verdict", verdict, oti, 1, "X12 110")
    reading.emit("advice.received", draft, moment, position=position, answers=answers, extra=extra)


def _order(loop: Sequence[Segment], oti: Segment, kind: str) -> Place | None:
    if oti.text(2) in _ORDERS or (not oti.text(2) and kind in _NUMBERED_AS_ORDER):
        return (oti, 3) if oti.text(3) else None
    return reference(loop, *_ORDERS)


def _answers(reading: SetReading, oti: Segment) -> tuple[str, ...]:
    """The set or group that is judged, as its sender named it: the parties are swapped."""
    here, kind = reading.interchange, GROUP_OF.get(oti.text(10))
    group, number = oti.text(8), oti.text(9)
    if here is None or kind is None or not group:
        return ()
    if number:
        return (set_id(here.receiver, here.sender, kind, group, number),)
    return (group_id(here.receiver, here.sender, kind, group),)


def _errors(draft: Draft, loop: Sequence[Segment]) -> list[dict[str, Any]]:
    """TED: the code, the text, and where it was found."""
    found: list[dict[str, Any]] = []
    for ted in loop:
        if ted.fields[0] != b"TED" or len(found) >= ERRORS_LIMIT:
            continue
        error: dict[str, Any] = {"level": "document"}
        names = ("code", "text", "segment", "place", "element", "reference", "value")
        for element, name in enumerate(names, 1):
            if ted.text(element):
                error[name] = ted.text(element)
                draft.header.note(f"errors[{len(found)}].{name}", ted, element)
        found.append(error)
    return found


def _reason(draft: Draft, loop: Sequence[Segment]) -> None:
    for segment in loop:
        if segment.fields[0] in (b"TED", b"NTE") and segment.text(2):
            draft.header.text("reason", segment, 2)
            return
