"""Whether documents arrived and could be read: 997, 999 and the interchange receipt TA1.

An acknowledgement names what it answers by numbers of the other direction: the parties are swapped.
What *we* acknowledge is no verdict on us; it is told as a message sent, so that the story shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collectors.x12.draft import Draft
from collectors.x12.ids import group_id, interchange_id, set_id
from collectors.x12.reading import SetReading
from collectors.x12.tokens import Segment
from tower.codes import (
    ELEMENT_ERRORS,
    FA_GROUP,
    FA_INTERCHANGE,
    FA_SET,
    GROUP_ERRORS,
    INTERCHANGE_NOTES,
    SEGMENT_ERRORS,
    SET_ERRORS,
    UNKNOWN,
)
from tower.numerals import natural


def read_functional(reading: SetReading) -> None:
    """997 and 999: one verdict per set named, and one for the group where sets are not named."""
    ak1 = reading.first(b"AK1", "the group it answers")
    reading.key(ak1, 1, "kind of the group it answers")
    reading.key(ak1, 2, "number of the group it answers")
    answers: list[list[Segment]] = []
    ak9: Segment | None = None
    for segment in reading.segments:
        tag = segment.fields[0]
        if tag == b"AK2":
            answers.append([segment])
        elif tag == b"AK9":
            ak9 = segment
        elif answers and ak9 is None:
            answers[-1].append(segment)
    for n, segments in enumerate(answers, 1):
        _of_set(reading, ak1, ak9, segments, n)
    included = natural(ak9.text(2)) if ak9 is not None else None
    omitted = included is not None and included > len(answers)
    if ak9 is not None and (not answers or omitted):
        _of_group(reading, ak1, ak9, named=len(answers))
    elif ak9 is None and not answers:
        reading.first(b"AK9", "verdict on the group")


def read_receipt(reading: SetReading) -> None:
    """TA1: the interchange arrived and is sound, or not."""
    ta1 = reading.segments[0]
    number = reading.key(ta1, 1, "number of the interchange it answers")
    draft = _draft(reading, "interchange")
    draft.header.text("interchange", ta1, 1)
    errors: list[dict[str, Any]] = []
    note = ta1.text(5)
    if note and note != "000":
        errors.append(_error(draft, ta1, 5, INTERCHANGE_NOTES, "interchange", 0))
    answered: tuple[str, ...] = ()
    if reading.interchange is not None:
        here = reading.interchange
        answered = (interchange_id(here.receiver, here.sender, number),)
    _tell(reading, draft, ta1, 4, FA_INTERCHANGE, answered, errors, f"TA1 for interchange {number}")


# --- verdicts -------------------------------------------------------------------------------------


def _of_set(
    reading: SetReading, ak1: Segment, ak9: Segment | None, segments: list[Segment], n: int
) -> None:
    ak2 = segments[0]
    type_, number = ak2.text(1), reading.key(ak2, 2, "number of the set it answers")
    draft = _draft(reading, "set")
    header = draft.header
    header.text("group", ak1, 2)
    header.text("set", ak2, 2)
    header.text("set_type", ak2, 1)
    errors: list[dict[str, Any]] = []
    verdict: Segment | None = None
    faulty: Segment | None = None
    for segment in segments[1:]:
        tag = segment.fields[0]
        if tag in (b"AK5", b"IK5"):
            verdict = segment
            errors += _codes(draft, segment, 2, SET_ERRORS, "set", len(errors))
        elif tag in (b"AK3", b"IK3"):
            faulty = segment
            errors.append(_segment_error(draft, segment, len(errors)))
        elif tag in (b"AK4", b"IK4"):
            errors.append(_element_error(reading, draft, segment, faulty, len(errors)))
    answered: tuple[str, ...] = ()
    if reading.interchange is not None:
        here = reading.interchange
        answered = (set_id(here.receiver, here.sender, ak1.text(1), ak1.text(2), number),)
    said, element, table = (verdict, 1, FA_SET) if verdict is not None else (ak9, 1, FA_GROUP)
    what = f"{type_} {number} in group {ak1.text(2)}"
    if said is None:
        reading.find("missing_verdict", f"no verdict on {what}", ak2)
        return
    _tell(reading, draft, said, element, table, answered, errors, what, f"/ak2:{n}")


def _of_group(reading: SetReading, ak1: Segment, ak9: Segment, named: int) -> None:
    """The verdict on the group, for the sets that are not named.

    Under P (partly accepted) those are accepted: the refused ones are named.
    """
    draft = _draft(reading, "group")
    draft.header.text("group", ak1, 2)
    errors = _codes(draft, ak9, 5, GROUP_ERRORS, "group", 0)
    answered: tuple[str, ...] = ()
    if reading.interchange is not None:
        here = reading.interchange
        answered = (group_id(here.receiver, here.sender, ak1.text(1), ak1.text(2)),)
    table = {**FA_GROUP, "P": "accepted"} if named else FA_GROUP
    what = f"group {ak1.text(2)}"
    _tell(reading, draft, ak9, 1, table, answered, errors, what, "/ak9")


def _draft(reading: SetReading, answered: str) -> Draft:
    draft = reading.draft()
    reading.supplier(draft)
    draft.header.default("answered", answered, "what the verdict is about")
    return draft


def _tell(
    reading: SetReading,
    draft: Draft,
    said: Segment,
    element: int,
    table: Mapping[str, str],
    answered: tuple[str, ...],
    errors: list[dict[str, Any]],
    what: str,
    position: str = "",
) -> None:
    verdict, code = reading.word(table, "fa", said, element)
    moment = reading.moment()
    if not reading.parties.outbound and verdict != UNKNOWN:
        draft.header.text("code", said, element)
        draft.header.word("verdict", verdict, said, element, "X12 717, 715 or TA104")
        reading.emit(
            "fa.received",
            draft,
            moment,
            position=position,
            answers=answered,
            extra={"errors": errors} if errors else None,
        )
        return
    shown = reading.draft()
    reading.supplier(shown)
    text = f"acknowledgement of {what}: " + (
        verdict.replace("_", " ") if verdict != UNKNOWN else "not understood"
    )
    shown.header.word("text", text + (f" ({code})" if code else ""), said, element, "X12 717, 715")
    shown.header.default("step", "functional acknowledgement", "type of the set")
    reading.emit(
        "message.sent" if reading.parties.outbound else "message.received",
        shown,
        moment,
        position=position,
        answers=answered,
    )


# --- errors ---------------------------------------------------------------------------------------


def _codes(
    draft: Draft, segment: Segment, start: int, table: Mapping[str, str], level: str, first: int
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for element in range(start, len(segment.fields)):
        if segment.text(element):
            found.append(_error(draft, segment, element, table, level, first + len(found)))
    return found


def _error(
    draft: Draft, segment: Segment, element: int, table: Mapping[str, str], level: str, nth: int
) -> dict[str, Any]:
    code = segment.text(element)
    error: dict[str, Any] = {"level": level, "code": code}
    if code in table:
        error["text"] = table[code]
        draft.header.note(f"errors[{nth}].text", segment, element, "looked_up", "X12 error codes")
    draft.header.note(f"errors[{nth}].code", segment, element)
    return error


def _segment_error(draft: Draft, ak3: Segment, nth: int) -> dict[str, Any]:
    error = _error(draft, ak3, 4, SEGMENT_ERRORS, "segment", nth)
    for name, element in (("segment", 1), ("place", 2), ("loop", 3)):
        if ak3.text(element):
            error[name] = ak3.text(element)
            draft.header.note(f"errors[{nth}].{name}", ak3, element)
    return error


def _element_error(
    reading: SetReading, draft: Draft, ak4: Segment, faulty: Segment | None, nth: int
) -> dict[str, Any]:
    """AK401 is a composite: element, component, repetition."""
    error = _error(draft, ak4, 3, ELEMENT_ERRORS, "element", nth)
    if faulty is not None and faulty.text(1):
        error["segment"] = faulty.text(1)
        draft.header.note(f"errors[{nth}].segment", faulty, 1)
    pieces = ak4.pieces(1, reading.component)
    for n, name in enumerate(("element", "component", "repetition")[: len(pieces)]):
        if pieces[n].text:
            error[name] = pieces[n].text
            draft.header.note(f"errors[{nth}].{name}", ak4, 1, component=n + 1)
    for name, element in (("reference", 2), ("value", 4)):
        if ak4.text(element):
            error[name] = ak4.text(element)
            draft.header.note(f"errors[{nth}].{name}", ak4, element)
    return error
