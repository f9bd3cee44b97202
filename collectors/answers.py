"""Answers that are none: one rule for all formats, so that every channel tells the same story.

Lines outrank the header, but speak for themselves alone. An order is answered when something in the
answer really is; hold-only and unknown answers are shown in the story as a message and let the
answer clock run on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tower.codes import REAL_ANSWERS, UNKNOWN, combine_answer
from tower.vocabulary import ANSWER_WORDS

ANSWERING = frozenset({"po.acknowledged", "po.rejected", "po.change_answered"})


class Settled(NamedTuple):
    """The type and data an answer ends up with. ``finding`` is (code, message) or None."""

    type: str
    data: Mapping[str, Any]
    finding: tuple[str, str] | None = None


def settle(type_: str, data: Mapping[str, Any]) -> Settled:
    """An answer of any format as the tower tells it; other events pass unchanged.

    A refusal is ``po.rejected``: by the sender's word for the order, or where he gives none, by
    lines that are all refused. One without a word about the answer stays as its type says.
    """
    if type_ not in ANSWERING:
        return Settled(type_, data)
    finding = None
    if not _speaks_our_words(data):
        data, odd = _known_words(data)
        said = ", ".join(odd)
        finding = ("unknown_code", f"answer {said} is no word of the tower") if odd else None
    if type_ == "po.rejected":
        return Settled(type_, data, finding)
    header = data.get("answer")
    words = [line["answer"] for line in data.get("lines") or () if line.get("answer")]
    if not words and header is None:
        return Settled(type_, data, finding)
    answer, others = combine_answer(header or "none", words) if words else (header, None)
    if answer not in REAL_ANSWERS:
        return _no_answer(data, str(answer), finding)
    if answer != header:
        data = {**data, "answer": answer}
    if others is not None:
        data = {"others": others, **data}  # who tells it himself is not corrected
    if answer == "rejected" and type_ == "po.acknowledged":
        type_ = "po.rejected"
    return Settled(type_, data, finding)


def _speaks_our_words(data: Mapping[str, Any]) -> bool:
    """Whether nothing has to be changed, as in most answers; False when in doubt."""
    lines = data.get("lines")
    if not isinstance(lines, list) and lines is not None:
        return False
    for record in (data, *(lines or ())):
        if not isinstance(record, Mapping):
            return False
        word = record.get("answer")
        if word is not None and (not isinstance(word, str) or word not in ANSWER_WORDS):
            return False
    return True


def _known_words(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The data with every answer a word of the tower; the words that were not."""
    odd: list[str] = []

    def known(record: Mapping[str, Any]) -> dict[str, Any]:
        word = record.get("answer")
        if word is None or word == "":
            return dict(record)
        text = str(word).strip().casefold()
        if text not in ANSWER_WORDS:
            odd.append(f'"{str(word)[:40]}"')
            text = UNKNOWN
        return {**record, "answer": text}

    result = known(data)
    lines = result.get("lines")
    if isinstance(lines, list):
        result["lines"] = [known(x) if isinstance(x, Mapping) else x for x in lines]
    return result, sorted(set(odd))


def _no_answer(data: Mapping[str, Any], answer: str, finding: tuple[str, str] | None) -> Settled:
    said = {"on_hold": "answer on hold", "none": "no answer needed"}.get(
        answer, "answer not understood"
    )
    code = data.get("code")
    shown = {key: data[key] for key in ("po", "erp", "supplier") if key in data}
    shown["text"] = f"{said} ({code})" if code else said
    shown["step"] = "answer"
    if finding is None and answer != UNKNOWN:
        kind = "hold_only" if answer == "on_hold" else "no_answer"
        finding = (kind, f"{said}; the order stays unanswered")
    return Settled("message.received", shown, finding)
