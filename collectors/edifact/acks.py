"""Whether documents arrived, could be read (CONTRL) and were accepted by the application (APERAK).

A CONTRL names what it answers by references of the other direction: the parties are swapped. What
*we* acknowledge is no verdict on us; it is told as a message sent, so that the story shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collectors.edifact.articles import reference
from collectors.edifact.draft import Draft, Spot
from collectors.edifact.ids import group_id, interchange_id, message_id
from collectors.edifact.reading import MessageReading
from collectors.edifact.tokens import Segment
from tower.codes import CONTRL_ACTION, UNKNOWN
from tower.edifact_codes import ADVICE_FUNCTION, SYNTAX_ERRORS

_LEVELS = {b"UCI": "interchange", b"UCF": "group", b"UCM": "set"}
_ACTION = {b"UCI": 4, b"UCF": 4, b"UCM": 3}  # where 0083 stands
ERRORS_LIMIT = 100
"""Of one verdict: a person reads the first ones."""


def read_syntax(reading: MessageReading) -> None:
    """CONTRL: one verdict for the interchange, and one for each group and message it names.

    "7" accepts all that no lower level refuses: those have a verdict of their own.
    """
    uci: Segment | None = None
    told = {b"UCI": 0, b"UCF": 0, b"UCM": 0}
    for group in reading.groups(b"UCI", b"UCF", b"UCM"):
        said = group[0]
        tag = said.fields[0]
        told[tag] += 1
        if tag == b"UCI":
            uci = said
        elif uci is None:
            break
        position = "" if tag == b"UCI" and told[tag] == 1 else f"/{said.tag.lower()}:{told[tag]}"
        _verdict(reading, uci or said, group, position)
    if uci is None:
        raise reading.missing("interchange (UCI)", reading.message.unh)


def _verdict(
    reading: MessageReading, uci: Segment, group: Sequence[Segment], position: str
) -> None:
    said = group[0]
    tag = said.fields[0]
    level, number = _LEVELS[tag], Spot(said, 1)
    reading.key(Spot(uci, 1), "reference of the interchange it answers")
    reading.key(number, f"reference of the {'message' if tag == b'UCM' else level} it answers")
    draft = reading.draft()
    header = draft.header
    reading.supplier(draft)
    header.default("answered", level, "what the verdict is about")
    header.text("interchange", uci, 1)
    if tag == b"UCF":
        header.text("group", said, 1)
    elif tag == b"UCM":
        header.text("set", said, 1)
        header.text("set_type", said, 2)
    errors = _errors(draft, group, level)
    sender, receiver = _sides(reading, uci)
    answered = {
        b"UCI": interchange_id(sender, receiver, number.text),
        b"UCF": group_id(sender, receiver, uci.text(1), number.text),
        b"UCM": message_id(sender, receiver, uci.text(1), number.text),
    }[tag]
    shown = "message" if tag == b"UCM" else level
    what = f"{said.text(2)} {number.text}" if tag == b"UCM" else f"{shown} {number.text}"
    _tell(reading, draft, Spot(said, _ACTION[tag]), answered, errors, what, position)


def _sides(reading: MessageReading, uci: Segment) -> tuple[str, str]:
    """Sender and receiver of the interchange that is answered: as UCI repeats them, else ours."""
    interchange = reading.message.interchange
    sender, receiver = uci.text(2), uci.text(3)
    if interchange is not None:
        sender, receiver = sender or interchange.receiver, receiver or interchange.sender
    return sender, receiver


def _tell(
    reading: MessageReading,
    draft: Draft,
    action: Spot,
    answered: str,
    errors: list[dict[str, Any]],
    what: str,
    position: str,
) -> None:
    verdict, code = reading.word(CONTRL_ACTION, "fa", action)
    moment = reading.moment()
    if not reading.parties.outbound and verdict not in (UNKNOWN, "none"):
        draft.header.spot("code", action)
        draft.header.word("verdict", verdict, action, "EDIFACT 0083")
        reading.emit(
            "fa.received",
            draft,
            moment,
            position=position,
            answers=(answered,),
            extra={"errors": errors} if errors else None,
        )
        return
    shown = reading.draft()
    reading.supplier(shown)
    said = {"none": "received, no verdict yet", UNKNOWN: "not understood"}.get(verdict, verdict)
    text = f"acknowledgement of {what}: {said.replace('_', ' ')}" + (f" ({code})" if code else "")
    shown.header.word("text", text, action, "EDIFACT 0083")
    shown.header.default("step", "functional acknowledgement", "type of the message")
    type_ = "message.sent" if reading.parties.outbound else "message.received"
    reading.emit(type_, shown, moment, position=position, answers=(answered,))


def _errors(draft: Draft, group: Sequence[Segment], level: str) -> list[dict[str, Any]]:
    """0085 of the level itself, then of its segments (UCS) and elements (UCD)."""
    said = group[0]
    found: list[dict[str, Any]] = []
    own = _ACTION[said.fields[0]] + 1
    if said.text(own):
        error = _error(draft, Spot(said, own), level, 0)
        _note(draft, error, 0, "segment", Spot(said, own + 1))
        _note(draft, error, 0, "element", Spot(said, own + 2))
        found.append(error)
    place: Spot | None = None
    for segment in group[1:]:
        nth = len(found)
        if nth >= ERRORS_LIMIT:
            break
        tag = segment.fields[0]
        if tag == b"UCS":
            place = Spot(segment, 1)
            if segment.text(2):
                error = _error(draft, Spot(segment, 2), "segment", nth)
                _note(draft, error, nth, "place", place)
                found.append(error)
        elif tag == b"UCD" and segment.code(1):
            error = _error(draft, Spot(segment, 1), "element", nth)
            if place is not None:
                _note(draft, error, nth, "place", place)
            for component, name in enumerate(("element", "component", "repetition"), 1):
                _note(draft, error, nth, name, Spot(segment, 2, component))
            found.append(error)
    return found


def _error(draft: Draft, spot: Spot, level: str, nth: int) -> dict[str, Any]:
    code = spot.text
    error: dict[str, Any] = {"level": level, "code": code}
    if code in SYNTAX_ERRORS:
        error["text"] = SYNTAX_ERRORS[code]
        draft.header.note(f"errors[{nth}].text", spot, "looked_up", "EDIFACT 0085")
    draft.header.note(f"errors[{nth}].code", spot)
    return error


def _note(draft: Draft, error: dict[str, Any], nth: int, name: str, spot: Spot) -> None:
    if spot.text:
        error[name] = spot.text
        draft.header.note(f"errors[{nth}].{name}", spot)


# --- application advice ---------------------------------------------------------------------------

_DOCUMENTS = ("ON", "AAK", "DQ", "IV", "PP", "ACW", "ACE", "AGO")  # 1153
_SHIPMENTS = ("AAK", "DQ")


def read_advice(reading: MessageReading) -> None:
    """APERAK: the content of a document was accepted or refused.

    Of a shipment notice (RFF+AAK, RFF+DQ) it is ``asn.accepted`` or ``asn.rejected``.
    """
    bgm = reading.first(b"BGM", "beginning of the advice")
    groups = list(reading.groups(b"ERC"))
    moment = reading.moment()
    inside = [*reading.head, *(s for group in groups for s in group)]
    document = reference(inside, *_DOCUMENTS)
    draft = reading.draft()
    header = draft.header
    reading.supplier(draft)
    errors = [_advised(draft, group, nth) for nth, group in enumerate(groups[:ERRORS_LIMIT])]
    verdict, spot, rule = _judged(reading, bgm, groups)
    order = reference(inside, "ON")
    if order is not None:
        header.spot("po", order)
        header.default("erp", reading.erp, "network.yaml company.erp")
    answers = _named(reading, reference(inside, "ACW", "AGO"))
    extra = {"errors": errors} if errors else None
    shipment = reference(inside, *_SHIPMENTS)
    if reading.parties.outbound:
        shown = reading.draft()
        reading.supplier(shown)
        told = f"advice on {document.text}" if document else "advice"
        shown.header.word("text", f"{told}: {verdict.replace('_', ' ')}", spot, rule)
        shown.header.default("step", "application advice", "type of the message")
        reading.emit("message.sent", shown, moment, answers=answers)
        return
    if shipment is not None and verdict != UNKNOWN and reading.parties.partner is not None:
        header.spot("asn", shipment)
        _reason(draft, groups)
        type_ = "asn.rejected" if verdict == "rejected" else "asn.accepted"
        reading.emit(type_, draft, moment, answers=answers, extra=extra)
        return
    if document is not None:
        header.spot("document", document)
    header.word("verdict", verdict, spot, rule)
    reading.emit("advice.received", draft, moment, answers=answers, extra=extra)


def _judged(
    reading: MessageReading, bgm: Segment, groups: Sequence[Sequence[Segment]]
) -> tuple[str, Spot, str]:
    """By BGM (1225, 4343), else by the error codes, whose meaning is agreed with each partner."""
    for element in (3, 4):
        spot = Spot(bgm, element)
        if spot.text in ADVICE_FUNCTION:
            return ADVICE_FUNCTION[spot.text], spot, "EDIFACT 1225 or 4343"
    codes = [Spot(group[0], 1) for group in groups if group[0].text(1)]
    if not codes:
        return "accepted", Spot(bgm, 1), "no error is told"
    words = [(reading.word({}, "advice", spot)[0], spot) for spot in codes]
    if bgm.text(1) == "313":  # application error and acknowledgement
        return "rejected", Spot(bgm, 1), "EDIFACT 1001"
    for wanted in ("rejected", UNKNOWN, "accepted_with_errors", "part_accepted"):
        for found, spot in words:
            if found == wanted:
                return found, spot, "codes.advice of the partner's profile"
    return "accepted", codes[0], "codes.advice of the partner's profile"


def _advised(draft: Draft, group: Sequence[Segment], nth: int) -> dict[str, Any]:
    error: dict[str, Any] = {"level": "document"}
    _note(draft, error, nth, "code", Spot(group[0], 1))
    for segment in group[1:]:
        if segment.fields[0] == b"FTX" and segment.text(4):
            _note(draft, error, nth, "text", Spot(segment, 4))
            break
    return error


def _reason(draft: Draft, groups: Sequence[Sequence[Segment]]) -> None:
    for group in groups:
        for segment in group:
            if segment.fields[0] == b"FTX" and draft.header.text("reason", segment, 4):
                return


def _named(reading: MessageReading, previous: Spot | None) -> tuple[str, ...]:
    """Our interchange or message, where the advice names it by its reference."""
    interchange = reading.message.interchange
    if previous is None or interchange is None:
        return ()
    sender, receiver = interchange.receiver, interchange.sender
    return (interchange_id(sender, receiver, previous.text),)
