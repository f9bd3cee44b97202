"""Envelopes are read tolerantly; what is odd is written down, what is missing is a dead letter."""

from __future__ import annotations

from collections.abc import Callable

from collectors.envelope_faults import FINDINGS_LIMIT
from collectors.x12.envelope import EnvelopeReader, TransactionSet

Wrap = Callable[..., bytes]


def outcome(body: bytes) -> tuple[list[TransactionSet], EnvelopeReader]:
    reader = EnvelopeReader(body, "test")
    return [one for one in reader if isinstance(one, TransactionSet)], reader


def codes(reader: EnvelopeReader) -> list[str]:
    return [finding.code for finding in reader.findings]


def test_a_sound_interchange_has_no_findings(wrap: Wrap) -> None:
    sets, reader = outcome(wrap("855 BAK*00*AD*1~", "855 BAK*00*AD*2~"))
    assert [(s.type, s.control, len(s.segments)) for s in sets] == [
        ("855", "0001", 3),
        ("855", "0002", 3),
    ]
    assert reader.findings == reader.dead_letters == []


def test_wrong_counts_and_numbers_are_findings_and_the_sets_are_given(wrap: Wrap) -> None:
    body = (
        wrap("855 BAK*00*AD*1~")
        .replace(b"SE*3*0001", b"SE*9*0007")
        .replace(b"GE*1*1", b"GE*4*2")
        .replace(b"IEA*1*000000001", b"IEA*3*000000009")
    )
    sets, reader = outcome(body)
    assert len(sets) == 1
    assert [(f.code, f.expected, f.got) for f in reader.findings] == [
        ("se_count", "3", "9"),
        ("se_number", "0001", "0007"),
        ("ge_count", "1", "4"),
        ("ge_number", "1", "2"),
        ("iea_count", "1", "3"),
        ("iea_number", "000000001", "000000009"),
    ]
    for finding in reader.findings:
        assert finding.offset is not None
        assert body[finding.offset :].startswith(finding.got.encode())


def test_zeros_in_front_of_a_control_number_are_no_difference(wrap: Wrap) -> None:
    _, reader = outcome(wrap("855 BAK*00*AD*1~").replace(b"IEA*1*000000001", b"IEA*1*1"))
    assert reader.findings == []


def test_a_byte_order_mark_and_line_ends_do_not_matter(wrap: Wrap) -> None:
    body = b"\xef\xbb\xbf\r\n" + wrap("855 BAK*00*AD*1~").replace(b"~", b"~\r\n  ")
    sets, reader = outcome(body)
    assert [len(s.segments) for s in sets] == [3]
    assert reader.findings == reader.dead_letters == []


def test_interchanges_with_other_delimiters_follow_each_other(wrap: Wrap) -> None:
    first = wrap("855 BAK*00*AD*1~")
    second = wrap("855 BAK*00*AD*2~").replace(b"*", b"|").replace(b"~", b"'")
    sets, reader = outcome(first + b"\n\n" + second + b"\r\n" + first)
    assert [s.segments[1].text(3) for s in sets] == ["1", "2", "1"]
    assert reader.interchanges == 3
    assert reader.findings == reader.dead_letters == []


def test_what_is_no_x12_around_interchanges_is_skipped_and_found(wrap: Wrap) -> None:
    one = wrap("855 BAK*00*AD*1~")
    sets, reader = outcome(b"From: someone\n\n" + one + b"%%EOF%%" + one + b"bye")
    assert len(sets) == 2
    assert codes(reader) == ["junk", "junk", "junk"]


def test_sets_without_any_envelope_are_read(wrap: Wrap) -> None:
    sets, reader = outcome(b"ST*855*0001~BAK*00*AD*1~SE*3*0001~ST*855*0002~BAK*00*AD*2~SE*3*0002")
    assert [s.control for s in sets] == ["0001", "0002"]
    assert codes(reader) == ["no_envelope"]
    assert reader.dead_letters == []


def test_a_group_without_isa_is_read() -> None:
    body = b"GS*PR*A*B*20260302*1430*1*X*004010\nST*855*1\nBAK*00*AD*1\nSE*3*1\nGE*1*1\n"
    sets, reader = outcome(body)
    assert sets[0].group is not None
    assert sets[0].group.functional_id == "PR"
    assert codes(reader) == ["no_envelope"]


def test_a_file_cut_inside_a_set_gives_the_sets_before_the_cut(wrap: Wrap) -> None:
    body = wrap("855 BAK*00*AD*1~", "855 BAK*00*AD*2~REF*ZZ*abc~")
    cut = body[: body.index(b"REF") + 4]
    sets, reader = outcome(cut)
    assert [s.control for s in sets] == ["0001"]
    (letter,) = reader.dead_letters
    assert (letter.code, letter.position, letter.offset) == ("truncated", "set:2", len(cut))
    assert "no SE" in letter.cause
    assert letter.advice


def test_a_file_cut_between_sets_says_that_more_may_be_missing(wrap: Wrap) -> None:
    body = wrap("855 BAK*00*AD*1~")
    cut = body[: body.index(b"GE*")]
    sets, reader = outcome(cut)
    assert len(sets) == 1
    (letter,) = reader.dead_letters
    assert (letter.code, letter.position, letter.offset) == ("truncated", "interchange:1", len(cut))
    assert "no IEA" in letter.cause


def test_a_last_trailer_without_its_terminator_is_no_cut(wrap: Wrap) -> None:
    sets, reader = outcome(wrap("855 BAK*00*AD*1~").removesuffix(b"~"))
    assert len(sets) == 1
    assert reader.findings == reader.dead_letters == []


def test_an_interchange_cut_by_the_next_one_does_not_cost_the_next(wrap: Wrap) -> None:
    whole = wrap("855 BAK*00*AD*1~")
    sets, reader = outcome(whole[: whole.index(b"SE*")] + whole)
    assert [s.ordinal for s in sets] == [2]
    (letter,) = reader.dead_letters
    assert (letter.code, letter.position) == ("truncated", "set:1")
    assert letter.offset == whole.index(b"SE*")


def test_a_set_that_never_ends_is_a_dead_letter_and_its_neighbours_are_read(wrap: Wrap) -> None:
    body = wrap("855 BAK*00*AD*1~", "855 BAK*00*AD*2~", "855 BAK*00*AD*3~")
    sets, reader = outcome(body.replace(b"SE*3*0002~", b""))
    assert [s.control for s in sets] == ["0001", "0003"]
    (letter,) = reader.dead_letters
    assert (letter.code, letter.position) == ("set_not_closed", "set:2")


def test_missing_group_envelopes_are_findings(wrap: Wrap) -> None:
    body = wrap("855 BAK*00*AD*1~")
    sets, reader = outcome(body.replace(b"GS*", b"XX*"))
    assert len(sets) == 1
    assert codes(reader) == [
        "stray_segment", "set_without_group", "ge_without_gs", "iea_count",
    ]  # fmt: skip
    sets, reader = outcome(body.replace(b"GE*1*1~", b""))
    assert len(sets) == 1
    assert codes(reader) == ["ge_missing"]


def test_a_test_interchange_is_marked(wrap: Wrap) -> None:
    _, reader = outcome(wrap("855 BAK*00*AD*1~").replace(b"*P*:", b"*T*:"))
    assert codes(reader) == ["test_interchange"]


def test_noise_brings_no_more_findings_than_a_person_reads(wrap: Wrap) -> None:
    body = wrap(*["855 BAK*00*AD*1~"] * 500).replace(b"SE*3", b"SE*4")
    sets, reader = outcome(body)
    assert len(sets) == 500
    assert len(reader.findings) == FINDINGS_LIMIT + 1
    assert codes(reader)[-1] == "more_findings"
