"""Every shared sample against a second opinion.

``expected_edifact.json`` was made by a small checker that knows nothing of this code. Where the two
disagree, the disagreement stands in DISAGREEMENTS with the reason; anything else fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collectors.edifact.envelope import EnvelopeReader
from tests.collectors.edifact.conftest import build_network
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
LISTING = SHARED / "expected_edifact.json"
EXPECTED: list[dict[str, Any]] = json.loads(LISTING.read_text()) if LISTING.exists() else []

pytestmark = pytest.mark.skipif(
    not EXPECTED, reason="the shared samples (../shared/data) are not here"
)

READ = {"ORDERS", "ORDRSP", "DESADV", "RECADV", "INVOIC", "APERAK"}
NO_TYPE = "UNH has no type; the checker writes a question mark, here it is empty."
NOT_COUNTED = (
    "UNT has no reference: the checker calls it malformed and looks no further, here the missing "
    "reference and the wrong count are two findings."
)

# file -> facts that differ: reason
DISAGREEMENTS: dict[str, dict[str, str]] = {
    "edifact/edi-net/edifact.Issue121.ElementList.Conditions.edi": {
        "messages": NO_TYPE,
        "problems": NOT_COUNTED,
    },
    "edifact/edi-net/edifact.Issue121.ElementList.edi": {
        "messages": NO_TYPE,
        "problems": NOT_COUNTED,
    },
    "edifact/edi-net/edifact.Issue170.ElementList.edi": {
        "messages": NO_TYPE,
        "problems": NOT_COUNTED,
    },
    "edifact/edi-net/edifact.Issue174.edi": {"messages": NO_TYPE, "problems": NOT_COUNTED},
    # Its count is right: the missing reference alone is told, as the checker does.
    "edifact/edi-net/edifact.Issue98.edi": {"messages": NO_TYPE},
}

_PROBLEMS = (  # the checker's sentence, our finding or dead letter
    (r"UNT count (?P<got>\S*) but (?P<expected>\d+)", "unt_count"),
    (r"UNT ref (?P<got>\S*) != UNH (?P<expected>\S*)", "unt_number"),
    (r"UNT malformed", "unt_number"),
    (r"UNE ref != UNG ref", "une_number"),
    (r"UNZ count (?P<got>\S*) but (?P<expected>\d+)", "unz_count"),
    (r"UNZ ref (?P<got>\S*) != UNB (?P<expected>\S*)", "unz_number"),
    (r"UNB without UNZ at end", "truncated"),
)
# What only we look at.
_OURS_ALONE = {"not_in_character_set", "stray_segment"}


def _problem(text: str) -> tuple[str, str, str]:
    for pattern, code in _PROBLEMS:
        match = re.match(pattern, text)
        if match:
            groups = match.groupdict()
            return code, groups.get("expected", ""), groups.get("got", "")
    return text, "", ""


def _facts_of(body: bytes) -> dict[str, Any]:
    reader = EnvelopeReader(body, "sample")
    messages, codes = [], []
    for message in reader:
        assoc = message.unh.text(2, 5)
        messages.append((message.type, message.version, assoc, message.reference))
        codes.append([s.text(2) for s in message.segments if s.tag == "BGM"])
    problems = [
        (f.code, *(("", "") if _is_unnumbered(f.code, f.got) else (f.expected, f.got)))
        for f in reader.findings
        if f.code not in _OURS_ALONE
    ]
    problems += [(letter.code, "", "") for letter in reader.dead_letters]
    return {
        "interchanges": reader.interchanges,
        "messages": messages,
        "codes": codes,
        "una": next((una.decode() for una in reader.una if una), None),
        "problems": sorted(problems),
    }


def _is_unnumbered(code: str, got: str) -> bool:
    """The checker tells the numbers of neither a missing reference nor of a group."""
    return code == "une_number" or (code == "unt_number" and not got)


def _facts_expected(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "interchanges": entry["interchanges"],
        "messages": [(m["type"], m["version"], m["assoc"], m["ref"]) for m in entry["messages"]],
        "codes": [
            [code.split("+")[1] for code in m["codes"] if code.startswith("BGM")]
            for m in entry["messages"]
        ],
        "una": entry["una"],
        "problems": sorted(_problem(text) for text in entry["problems"]),
    }


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: entry["file"])
def test_counts_references_and_problems_agree_with_the_second_opinion(
    entry: dict[str, Any],
) -> None:
    found = _facts_of((SHARED / entry["file"]).read_bytes())
    expected = _facts_expected(entry)
    different = {name for name in expected if found[name] != expected[name]}
    assert different == set(DISAGREEMENTS.get(entry["file"], {})), (found, expected)


def test_what_the_disagreements_say_is_all_there_is_to_them() -> None:
    """The differences themselves, so that a second reason cannot hide behind the first."""
    by_file = {entry["file"]: entry for entry in EXPECTED}
    for file, reasons in DISAGREEMENTS.items():
        found = _facts_of((SHARED / file).read_bytes())
        expected = _facts_expected(by_file[file])
        if "messages" in reasons:
            as_ours = [("", *m[1:]) if m[0] == "?" else m for m in expected["messages"]]
            assert found["messages"] == as_ours
        if "problems" in reasons:
            more = [p for p in found["problems"] if p not in expected["problems"]]
            assert [p for p in expected["problems"] if p not in found["problems"]] == []
            assert [code for code, _, _ in more] == ["unt_count"]


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: entry["file"])
def test_every_message_gives_events_a_finding_or_a_dead_letter(
    read: Read, entry: dict[str, Any]
) -> None:
    body = (SHARED / entry["file"]).read_bytes()
    reading = read(body, build_network(us=[], them=[], feed_partner="ACME"))
    assert "crash" not in {letter.code for letter in reading.dead_letters}
    for n, one in enumerate(entry["messages"], 1):
        place = f"message:{n}"
        events = [e for e in reading.events if e.position.split("/")[0] == place]
        letters = [d for d in reading.dead_letters if d.position == place]
        unsupported = [
            f for f in reading.findings if f.position == place and f.code == "unsupported"
        ]
        assert len([x for x in (events, letters, unsupported) if x]) == 1, place
        assert bool(unsupported) == (one["type"] not in READ)
    for letter in reading.dead_letters:
        assert letter.cause
        assert letter.advice
        assert letter.offset is not None


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: entry["file"])
def test_numbers_of_documents_agree_with_the_second_opinion(
    read: Read, entry: dict[str, Any]
) -> None:
    body = (SHARED / entry["file"]).read_bytes()
    reading = read(body, build_network(us=[], them=[], feed_partner="ACME"))
    found = {
        e.data.get(name)
        for e in reading.events
        for name in ("po", "asn", "receipt", "invoice")
        if e.type in ("po.released", "receipt.posted", "invoice.received", "credit.received")
    } - {None}
    named = {"ORDERS", "DESADV", "RECADV", "INVOIC"}
    expected = {
        code.split("+")[1]
        for m in entry["messages"]
        if m["type"] in named
        for code in m["codes"]
        if code.startswith("BGM")
    }
    assert found == expected


def test_samples_that_another_program_wrote_down_mean_what_they_say(read: Read) -> None:
    """Values that a person reads in the sample itself."""
    network = build_network(us=[], them=[], feed_partner="ACME")
    body = (SHARED / "edifact/pydifact/invoice1.edi").read_bytes()
    (credit,) = read(body, network).events
    assert credit.type == "credit.received"
    assert (credit.data["total"], credit.data["currency"]) == ("1960.29", "EUR")
    (line,) = credit.data["lines"]
    # 3630.1724 for each hundred; 54 of them are the 1960.29 of the sample.
    assert (line["price"], line["qty"], line["po"]) == ("36.301724", "54", "X18V00003")
    body = (SHARED / "edifact/smooks/edg/recadv/recadv.txt").read_bytes()
    (receipt,) = read(body, network).events
    assert (receipt.data["receipt"], receipt.data["warehouse"]) == (
        "20220808112809950",
        "GCCN33",
    )
    assert receipt.occurred_at.isoformat() == "2022-08-22T22:00:00+00:00"  # DTM+50, in Berlin
