"""Every shared sample against a second opinion.

``expected_x12.json`` was made by a small checker that knows nothing of this code. Where the two
disagree, the disagreement stands in DISAGREEMENTS with the reason; anything else fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collectors.x12.envelope import EnvelopeReader, TransactionSet
from tower.event import Event
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
LISTING = SHARED / "expected_x12.json"
EXPECTED: list[dict[str, Any]] = json.loads(LISTING.read_text()) if LISTING.exists() else []

pytestmark = pytest.mark.skipif(
    not EXPECTED, reason="the shared samples (../shared/data) are not here"
)

NUMBERED = {"850", "855", "856", "860", "861", "865", "810", "997", "999", "940", "943", "945"}
"""Sets whose numbers the checker notes."""

READ = NUMBERED | {"180", "214", "820", "824", "846", "944"}

# file -> (facts that differ, reason)
DISAGREEMENTS: dict[str, tuple[set[str], str]] = {
    "x12/x12-types/extracted/v004010_940_test_940_edge_cases_valid_2.edi": (
        {"groups", "sets", "hl", "ack", "versions", "problems"},
        "ISA16 is the two characters {}; taking } as terminator hides all segments. The byte "
        "before the first GS shows the real terminator, and the set is read.",
    ),
    "x12/x12-types/extracted/v004010_940_test_940_invalid_isa_missing_fields.edi": (
        {"groups", "sets", "hl", "ack", "versions", "problems"},
        "The ISA lacks six elements, so there is no separator 16 in it. The byte before the first "
        "GS shows the terminator, and the set is read.",
    ),
    "x12/walmartlabs-gozer/x12.missing.ISA.txt": (
        {"groups", "sets", "hl", "ack", "versions", "problems"},
        "Without ISA the checker took ~ as terminator; the first segment shows that it is the line "
        "end, and the three sets are read.",
    ),
    "x12/walmartlabs-gozer/x12.no.line.break.no.delim.txt": (
        {"interchanges", "problems"},
        "There is no terminator at all. The checker counts the ISA as an interchange; here the "
        "payload is a dead letter, since no segment can be told from the next.",
    ),
    "x12/edi-net/x12.850.edi": (
        {"problems"},
        "Blanks in the ISA are two-byte no-break spaces: 106 characters as the checker counts, 122 "
        "bytes as the standard does. A finding isa_not_fixed, read by separators.",
    ),
}

_PROBLEMS = (  # the checker's sentence, our finding
    (r"SE01=(?P<got>\S*) but (?P<expected>\d+) segments", "se_count"),
    (r"SE02=(?P<got>\S*) != ST02=(?P<expected>\S*)", "se_number"),
    (r"GE01=(?P<got>\S*) but (?P<expected>\d+) sets", "ge_count"),
    (r"GE02=(?P<got>\S*) != GS06=(?P<expected>\S*)", "ge_number"),
    (r"IEA01=(?P<got>\S*) but (?P<expected>\d+) groups", "iea_count"),
    (r"IEA02=(?P<got>\S*) != ISA13=(?P<expected>\S*)", "iea_number"),
    (r"ISA not fixed width", "isa_not_fixed"),
    (r"ISA16 empty", "isa16_odd"),
    (r"no ISA envelope", "no_envelope"),
    (r"GE without GS", "ge_without_gs"),
    (r"no ISA/GS/ST", "no_envelope"),
)
# What only we look at, or what follows from a fault that the checker names once.
_OURS_ALONE = {"test_interchange", "stray_segment", "set_without_group", "iea_without_isa"}


def _problem(text: str) -> tuple[str, str, str]:
    for pattern, code in _PROBLEMS:
        match = re.match(pattern, text)
        if match:
            groups = match.groupdict()
            return code, groups.get("expected", ""), groups.get("got", "")
    return text, "", ""


def _facts_of(body: bytes) -> dict[str, Any]:
    reader = EnvelopeReader(body, "sample")
    sets = [one for one in reader if isinstance(one, TransactionSet)]
    problems = [
        (f.code, *((f.expected, f.got) if f.code.endswith(("_count", "_number")) else ("", "")))
        for f in reader.findings
        if f.code not in _OURS_ALONE
    ]
    problems += [(letter.code, "", "") for letter in reader.dead_letters]
    return {
        "interchanges": reader.interchanges,
        "groups": reader.groups,
        "sets": [(one.type, one.control, len(one.segments)) for one in sets],
        "hl": [[s.text(3) for s in one.segments if s.tag == "HL"] for one in sets],
        "ack": [[s.text(1) for s in one.segments if s.tag == "ACK"] for one in sets],
        "versions": list(dict.fromkeys(one.group.version for one in sets if one.group)),
        "problems": sorted(problems),
    }


def _facts_expected(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "interchanges": entry["interchanges"],
        "groups": entry["groups"],
        "sets": [(one["type"], one["ctrl"], one["segs"]) for one in entry["sets"]],
        "hl": [one["hl"] for one in entry["sets"]],
        "ack": [one["ack"] for one in entry["sets"]],
        "versions": list(dict.fromkeys(entry["versions"])),
        "problems": sorted(_problem(text) for text in entry["problems"]),
    }


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: entry["file"])
def test_counts_numbers_and_problems_agree_with_the_second_opinion(entry: dict[str, Any]) -> None:
    found = _facts_of((SHARED / entry["file"]).read_bytes())
    expected = _facts_expected(entry)
    different = {name for name in expected if found[name] != expected[name]}
    allowed, reason = DISAGREEMENTS.get(entry["file"], (set(), "none"))
    assert different == allowed, (reason, found, expected)


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: entry["file"])
def test_every_set_gives_events_a_finding_or_a_dead_letter(
    read: Read, entry: dict[str, Any]
) -> None:
    body = (SHARED / entry["file"]).read_bytes()
    reading = read(body)
    assert "crash" not in {letter.code for letter in reading.dead_letters}
    sets = [one for one in EnvelopeReader(body, "sample") if isinstance(one, TransactionSet)]
    for one in sets:
        place = one.position
        events = [e for e in reading.events if e.position.split("/")[0] == place]
        letters = [d for d in reading.dead_letters if d.position == place]
        unsupported = [
            f for f in reading.findings if f.position == place and f.code == "unsupported"
        ]
        assert len([x for x in (events, letters, unsupported) if x]) == 1, place
        assert bool(unsupported) == (one.type not in READ)
        for letter in letters:
            assert letter.cause
            assert letter.advice
            assert letter.offset is not None
    if not sets:
        assert reading.dead_letters


def _references(event: Event) -> set[tuple[str, str]]:
    """What an event refers to, in the checker's words."""
    data = event.data
    if event.type.startswith("po."):
        return {("PO", data["po"])}
    if event.type == "message.sent":  # an order to a warehouse that is no release
        return {("DEPORD", data["text"].split()[2].rstrip(":"))}
    if event.type.startswith("order."):
        return {("DEPORD", data["order"])}
    if event.type == "transfer.shipped":
        return {("DEPORD", data["transfer"])}
    if event.type.startswith("asn."):
        return {("ASN", data["asn"])} | {("PO", line["po"]) for line in data["lines"]}
    if event.type.startswith("receipt."):
        return {("RCPT", data["receipt"])}
    if event.type.startswith(("invoice.", "credit.")):
        orders = {("PO", line["po"]) for line in data["lines"] if "po" in line}
        return {("INV", data["invoice"])} | orders
    return {("ACKED", f"{data['set_type']}/{data['set']}")}


# The checker looks at BIG04 only, and notes it also where it is empty.
PO_FROM_LINES = {
    "x12/edi-net/x12.810c.edi": {("PO", "DO091003")},
    "x12/edi-net/x12.810d.edi": {("PO", "DO091003"), ("PO", "DO091004")},
}


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: entry["file"])
def test_references_agree_with_the_second_opinion(read: Read, entry: dict[str, Any]) -> None:
    reading = read((SHARED / entry["file"]).read_bytes())
    found: set[tuple[str, str]] = set()
    for event in reading.events:
        nth = int(event.position.partition("/")[0].partition(":")[2])
        # A set that the checker does not see stands in DISAGREEMENTS.
        if nth <= len(entry["sets"]) and entry["sets"][nth - 1]["type"] in NUMBERED:
            found |= _references(event)
    expected = {
        (kind, number)
        for one in entry["sets"]
        if one["type"] in NUMBERED
        for kind, number in one["refs"]
        # The customer's own number of an order to a warehouse has no place in the event.
        if number and not (one["type"] == "940" and kind == "PO")
    }
    expected |= PO_FROM_LINES.get(entry["file"], set())
    assert found == expected


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: entry["file"])
def test_codes_agree_with_the_second_opinion(read: Read, entry: dict[str, Any]) -> None:
    reading = read((SHARED / entry["file"]).read_bytes())
    said = [code for one in entry["sets"] if one["type"] in READ for code in one["codes"]]
    events = reading.events
    answers = {c.rsplit("/", 1)[1] for c in said if c.startswith(("BAK", "BCA"))}
    assert {e.data["code"] for e in events if e.type.startswith("po.") and "code" in e.data} == (
        answers
    )
    verdicts = [c.split(":")[1] for c in said if c.startswith(("AK5", "IK5"))]
    assert [e.data["code"] for e in events if e.type == "fa.received"] == verdicts
    for code in said:
        if code.startswith("BEG01:"):
            assert code == "BEG01:00"
            assert "po.released" in {e.type for e in events}
        if code.startswith("BCH01/02:01"):
            assert "po.cancelled" in {e.type for e in events}
