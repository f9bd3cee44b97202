"""The code lists, value by value: public tables are wrong often enough."""

from __future__ import annotations

import pytest

from tower import codes

HEADER = {
    "AC": "accepted_with_changes", "AD": "accepted", "AE": "accepted", "AH": "on_hold",
    "AK": "accepted", "AP": "accepted", "AT": "accepted", "NA": "none", "RD": "rejected",
    "RF": "rejected", "RJ": "rejected", "RO": "rejected",
}  # fmt: skip
LINE = {
    "IA": "accepted", "AA": "accepted", "AC": "accepted", "AR": "accepted",
    "IC": "accepted_with_changes", "IQ": "accepted_with_changes", "IP": "accepted_with_changes",
    "DR": "accepted_with_changes", "IE": "accepted_with_changes", "SP": "accepted_with_changes",
    "IS": "substituted", "IB": "backordered", "BP": "backordered",
    "IH": "on_hold", "IF": "on_hold", "IW": "on_hold",
    "IR": "rejected", "ID": "rejected", "R1": "rejected", "R2": "rejected", "R3": "rejected",
    "R4": "rejected", "R5": "rejected", "R6": "rejected", "R7": "rejected", "R8": "rejected",
    "R9": "rejected",
}  # fmt: skip
ORDRSP = {
    "29": "accepted", "28": "accepted_with_changes", "30": "accepted_with_changes",
    "34": "accepted_with_changes", "4": "accepted_with_changes", "27": "rejected", "9": "none",
    "12": "none",
}  # fmt: skip
ORDRSP_LINE = {
    "5": "accepted", "3": "accepted_with_changes", "6": "accepted_with_changes",
    "24": "accepted_with_changes", "1": "accepted_with_changes", "7": "rejected",
    "2": "rejected", "4": "none", "11": "none",
}  # fmt: skip
FA_SET = {
    "A": "accepted", "E": "accepted_with_errors", "R": "rejected", "M": "rejected",
    "W": "rejected", "X": "rejected",
}  # fmt: skip
ACTIONS = {
    "AI": "add", "CA": "change", "PC": "change", "QD": "change", "QI": "change", "DI": "delete",
    "NC": "none",
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "meant"),
    [
        (codes.ANSWER_HEADER, HEADER),
        (codes.ANSWER_LINE, LINE),
        (codes.ORDRSP_HEADER, ORDRSP),
        (codes.ORDRSP_LINE, ORDRSP_LINE),
        (codes.FA_SET, FA_SET),
        (codes.FA_GROUP, {**FA_SET, "P": "part_accepted"}),
        (
            codes.FA_INTERCHANGE,
            {"A": "accepted", "E": "accepted_with_errors", "R": "rejected"},
        ),
        (codes.CONTRL_ACTION, {"4": "rejected", "7": "accepted", "8": "none"}),
        (codes.CHANGE_ACTION, ACTIONS),
    ],
    ids=[
        "header",
        "line",
        "ordrsp",
        "ordrsp_line",
        "fa_set",
        "fa_group",
        "ta1",
        "contrl",
        "change",
    ],
)
def test_each_code_means_what_the_glossary_says(
    table: dict[str, str], meant: dict[str, str]
) -> None:
    assert dict(table) == meant


def test_every_word_of_an_answer_list_is_a_word_of_the_vocabulary() -> None:
    for table in (codes.ANSWER_HEADER, codes.ANSWER_LINE, codes.ORDRSP_HEADER, codes.ORDRSP_LINE):
        assert set(table.values()) <= codes.ANSWER_WORDS


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        (["accepted", "accepted"], "accepted"),
        (["accepted", "backordered"], "backordered"),
        (["accepted", "substituted"], "substituted"),
        (["accepted", "rejected"], "accepted_with_changes"),
        (["accepted", "on_hold"], "accepted_with_changes"),
        (["rejected", "on_hold"], "on_hold"),
        (["rejected", "unknown"], "unknown"),
        (["on_hold", "unknown"], "on_hold"),
        ([], "none"),
    ],
)
def test_parts_of_a_line_combine_to_one_word(parts: list[str], word: str) -> None:
    assert codes.combine_parts(parts) == word
    assert codes.combine_parts(reversed(parts)) == word


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["accepted"], "accepted"),
        (["accepted", "backordered"], "accepted_with_changes"),
        (["accepted", "rejected"], "part_accepted"),
        (["substituted", "on_hold"], "part_accepted"),
        (["rejected", "rejected"], "rejected"),
        (["rejected", "on_hold"], "rejected"),
        (["on_hold", "unknown"], "on_hold"),
        (["unknown"], "unknown"),
        ([], "none"),
    ],
)
def test_lines_of_an_order_combine_to_one_word(lines: list[str], word: str) -> None:
    assert codes.combine_lines(lines) == word
    assert codes.combine_lines(reversed(lines)) == word


def test_a_profile_gives_a_code_another_meaning_only_in_the_towers_words() -> None:
    profile = {"ack_line": {"ZZ": "on_hold", "IA": "yes please"}}
    assert codes.word(codes.ANSWER_LINE, "ZZ", profile, "ack_line") == "on_hold"
    assert codes.word(codes.ANSWER_LINE, "IA", profile, "ack_line") == "accepted"
    assert codes.word(codes.ANSWER_LINE, "Q7", profile, "ack_line") == codes.UNKNOWN
    assert codes.word(codes.ANSWER_HEADER, "ZZ", profile, "ack_header") == codes.UNKNOWN


def test_a_date_of_shipping_is_no_date_of_delivery() -> None:
    assert not codes.SHIP_DATES & codes.DELIVERY_DATES
    assert codes.date_kind("010") == codes.date_kind("068") == "ship"
    assert codes.date_kind("002") == codes.date_kind("067") == "delivery"
    assert codes.date_kind("003") == codes.UNKNOWN
