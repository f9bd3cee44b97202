"""An answer is told alike by every channel; what is no answer lets the clock run on."""

from __future__ import annotations

from typing import Any

import pytest

from collectors.answers import settle

PO = {"po": "4500", "erp": "main", "supplier": "ACME"}


def lines(*words: str | None) -> list[dict[str, Any]]:
    return [{"line": str(n), "answer": word} if word else {"line": str(n)}
            for n, word in enumerate(words, start=1)]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "words", "type_", "answer"),
    [
        ("accepted", (), "po.acknowledged", "accepted"),
        ("ACCEPTED ", (), "po.acknowledged", "accepted"),
        ("rejected", (), "po.rejected", "rejected"),
        (None, ("accepted", "accepted"), "po.acknowledged", "accepted"),
        (None, ("accepted", "rejected"), "po.acknowledged", "part_accepted"),
        (None, ("rejected", "rejected"), "po.rejected", "rejected"),
        ("rejected", ("accepted",), "po.acknowledged", "accepted"),
        ("accepted", ("rejected",), "po.acknowledged", "part_accepted"),
        ("accepted_with_changes", ("rejected",), "po.rejected", "rejected"),
        ("part_accepted", ("rejected", "rejected"), "po.rejected", "rejected"),
        ("rejected", ("rejected",), "po.rejected", "rejected"),
        ("accepted", ("on_hold", "accepted"), "po.acknowledged", "part_accepted"),
        ("rejected", ("on_hold",), "po.rejected", "rejected"),
    ],
)
def test_lines_outrank_the_header(
    header: str | None, words: tuple[str, ...], type_: str, answer: str
) -> None:
    data = {**PO, "lines": lines(*words)}
    if header:
        data["answer"] = header
    settled = settle("po.acknowledged", data)
    assert (settled.type, settled.data["answer"], settled.finding) == (type_, answer, None)


@pytest.mark.parametrize(
    ("header", "words", "others"),
    [
        ("accepted", (), None),
        ("accepted", ("accepted",), None),
        ("accepted", ("rejected",), "accepted"),
        ("accepted", ("backordered",), "accepted"),
        ("accepted_with_changes", ("accepted",), "none"),
        ("accepted_with_changes", ("rejected",), "none"),
        (None, ("accepted",), "none"),
        (None, ("rejected",), "none"),
        ("rejected", ("rejected",), None),
        ("rejected", ("accepted",), "none"),
    ],
)
def test_lines_speak_for_themselves_alone(
    header: str | None, words: tuple[str, ...], others: str | None
) -> None:
    data = {**PO, "lines": lines(*words)}
    if header:
        data["answer"] = header
    for type_ in ("po.acknowledged", "po.change_answered"):
        assert settle(type_, data).data.get("others") == others
    assert settle("po.acknowledged", {**data, "others": "none"}).data["others"] == "none"


@pytest.mark.parametrize(
    ("header", "words", "text", "code"),
    [
        ("on_hold", (), "answer on hold", "hold_only"),
        ("accepted", ("on_hold", "on_hold"), "answer on hold", "hold_only"),
        ("none", (), "no answer needed", "no_answer"),
        ("perhaps", (), "answer not understood", "unknown_code"),
        (None, ("perhaps",), "answer not understood", "unknown_code"),
    ],
)
def test_what_only_holds_is_a_message_and_no_answer(
    header: str | None, words: tuple[str, ...], text: str, code: str
) -> None:
    data = {**PO, "lines": lines(*words), "code": "AH"}
    if header:
        data["answer"] = header
    settled = settle("po.acknowledged", data)
    assert settled.type == "message.received"
    assert settled.data == {**PO, "text": f"{text} (AH)", "step": "answer"}
    assert settled.finding is not None
    assert settled.finding[0] == code


def test_an_answer_without_any_word_and_other_events_pass_as_they_are() -> None:
    data = {**PO, "lines": lines(None)}
    assert settle("po.acknowledged", data) == ("po.acknowledged", data, None)
    assert settle("po.rejected", PO) == ("po.rejected", PO, None)
    assert settle("po.answer_applied", {**PO, "answer": "rejected"}).type == "po.answer_applied"
    assert settle("po.change_answered", {**PO, "answer": "rejected"}).type == "po.change_answered"
