"""What a partner is told of a case: its own document, what is missing, what we ask for.

Nothing else: no customer, no value, no severity, and no words that somebody wrote for us (title,
advice, receipt). A kind of exception that is not here is never told to a partner.
"""

from __future__ import annotations

from dataclasses import dataclass

from tower.cases import Case
from tower.telling import safe_words

_DOCUMENTS = {"po": "Order", "po_line": "Order", "asn": "Shipment notice"}

_WORDS = {
    "ACK_OVERDUE": (
        "has no answer yet", "Please confirm it, change it or reject it."),
    "CHANGE_ACK_OVERDUE": (
        "was changed, and the change has no answer yet", "Please answer the change."),
    "ACK_QTY_VARIANCE": (
        "was answered with another quantity", "Please check it and tell us what will come."),
    "ACK_DATE_VARIANCE": (
        "was answered with a later date", "Please check it and tell us the earliest date."),
    "ACK_PRICE_VARIANCE": (
        "was answered with another price", "Please check it and send the agreed price."),
    "PO_DELAYED": (
        "is overdue", "Please tell us when the goods will come."),
    "FA_OVERDUE": (
        "has no functional acknowledgement", "Please check that it arrived in your system."),
    "FA_REJECTED": (
        "was refused by your translator", "Please tell us what it did not like."),
    "ASN_MISSING": (
        "has no shipment notice yet", "Please send it, or tell us when the goods will leave."),
    "ASN_INVALID": (
        "did not pass our checks", "Please send a corrected one."),
    "ASN_DUPLICATE": (
        "came twice with different content", "Please tell us which one holds."),
    "ASN_UNMATCHED": (
        "names an order or line that we do not know", "Please check the order number on it."),
    "ASN_SHORT": (
        "ships less than was confirmed", "Please tell us when the rest will come."),
}  # fmt: skip

TOLD_CATEGORIES = frozenset(_WORDS)
"""Kinds of exceptions of which a partner is told."""


@dataclass(frozen=True, slots=True)
class PartnerWords:
    """``document`` "Order 4711, line 10"; ``what`` is the matter; ``ask`` what we wish."""

    document: str
    what: str
    ask: str


def partner_words(case: Case) -> PartnerWords | None:
    """What its partner is told of a case, None where it is no affair of a partner's."""
    kind, words = _DOCUMENTS.get(case.subject.kind), _WORDS.get(case.category)
    if kind is None or words is None or case.supplier is None:
        return None
    name = f"{kind} {safe_words(case.subject.number)}"
    if case.subject.line:
        name += f", line {safe_words(case.subject.line)}"
    return PartnerWords(name, *words)
