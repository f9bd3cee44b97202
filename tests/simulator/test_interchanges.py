"""X12 as it comes out: whole envelopes, numbers that answer each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from simulator.emissions import Emissions, FileDrop
from simulator.x12 import DIALECTS

if TYPE_CHECKING:
    from conftest import Reading, SetRead

OUR_ISA = "01:061728394"


def is_repeated(drop: FileDrop) -> bool:
    return drop.name.endswith("_again.edi")


def test_every_envelope_counts_right(reading: Reading) -> None:
    assert reading.envelope_faults == []
    assert {s.type for s in reading.sets} == {"850", "860", "855", "865", "856", "810", "997"}


def test_isa_is_106_bytes_in_every_dialect(emissions: Emissions) -> None:
    heads = Counter[tuple[str, str, str, str]]()
    for drop in emissions.files:
        if drop.door in ("edi_in", "edi_out"):
            text = drop.body[:106].decode("ascii")
            assert text.startswith("ISA")
            assert text.count(text[3]) == 16
            heads[text[3], text[104], text[105], text[84:89]] += 1
    assert set(heads) == {(d.element, d.component, d.terminator, d.version[:5]) for d in DIALECTS}


def _by_set(sets: list[SetRead]) -> dict[tuple[str, str, str, str, str], SetRead]:
    """Each set where it came first; the same bytes may have come again."""
    found: dict[tuple[str, str, str, str, str], SetRead] = {}
    for s in sets:
        found.setdefault((s.sender, s.receiver, s.functional_id, s.group, s.control), s)
    return found


def test_every_997_names_a_set_that_went_the_other_way_before(reading: Reading) -> None:
    sent = _by_set(reading.sets)
    answered = Counter[str]()
    for receipt in (s for s in reading.sets if s.type == "997"):
        functional_id, group = receipt.value("AK1", 1), receipt.value("AK1", 2)
        controls, types = receipt.values("AK2", 2), receipt.values("AK2", 1)
        assert controls
        for control, type_ in zip(controls, types, strict=True):
            found = sent[receipt.receiver, receipt.sender, functional_id, group, control]
            assert found.type == type_
            assert found.arrived < receipt.arrived
            answered[type_] += 1
        assert receipt.value("AK9", 2) == str(len(controls))
    assert set(answered) == {"850", "860", "855", "865", "856", "810"}


def test_interchange_numbers_rise_by_one_per_partner_and_direction(emissions: Emissions) -> None:
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for drop in sorted(emissions.files, key=lambda drop: drop.at):
        if drop.door in ("edi_in", "edi_out") and not is_repeated(drop):
            text = drop.body.decode("ascii")
            isa = text[:105].split(text[3])
            numbers[isa[6], isa[8]].append(int(isa[13]))
    assert len(numbers) > 200
    assert all(seen == list(range(1, len(seen) + 1)) for seen in numbers.values())


def test_some_interchanges_carry_several_sets(reading: Reading) -> None:
    orders = Counter((s.receiver, s.isa) for s in reading.sets if s.type == "850")
    answers = Counter((s.sender, s.isa) for s in reading.sets if s.type == "855")
    assert max(orders.values()) > 1
    assert max(answers.values()) > 1


def test_repeated_files_have_the_same_bytes_under_another_name(emissions: Emissions) -> None:
    first = {d.name: d.body for d in emissions.files if d.door == "edi_in" and not is_repeated(d)}
    again = [d for d in emissions.files if d.door == "edi_in" and is_repeated(d)]
    assert again
    assert all(first[d.name.replace("_again", "")] == d.body for d in again)


def test_some_partners_tell_that_they_have_the_interchange(emissions: Emissions) -> None:
    answers = [d for d in emissions.files if d.door == "edi_in" and b"TA1" in d.body[:200]]
    assert answers
    for drop in answers:
        text = drop.body.decode("ascii")
        receipt = text.split(text[105])[1].strip("\r\n").split(text[3])
        assert receipt[0] == "TA1"
        assert len(receipt) == 6
        assert receipt[4:] == ["A", "000"]
