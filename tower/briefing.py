"""What changed since yesterday, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """New cases of one category, and how many suppliers they concern."""

    category: str
    cases: int
    suppliers: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What moved within the last hours. ``closed``: resolution -> number of cases."""

    hours: int
    opened: tuple[CategoryCount, ...]
    closed: Mapping[str, int]
    worst_supplier: str | None
    worst_opened: int
    orders_hit: int
    value_hit: Decimal | None
    currency: str | None
    released: int
    answered: int
    feeds_silent: tuple[str, ...]
    feeds_back: tuple[str, ...]


CATEGORY_WORDS: Mapping[str, tuple[str, str]] = {
    "ACK_OVERDUE": ("unanswered purchase order", "unanswered purchase orders"),
    "ACK_REJECTED": ("refused order", "refused orders"),
    "ACK_NOT_IN_ERP": ("answer missing in the ERP", "answers missing in the ERP"),
    "ASN_INVALID": ("failed shipment notice", "failed shipment notices"),
    "ASN_MISSING": ("missing shipment notice", "missing shipment notices"),
    "FA_OVERDUE": (
        "missing functional acknowledgement",
        "missing functional acknowledgements",
    ),
    "SOURCE_SILENT": ("silent feed", "silent feeds"),
}
"""How the commonest categories are said within a sentence; others by their own name."""

MOST_CATEGORIES = 3


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence; ``about`` says what it counts: customers, opened, closed, feeds, orders; "" =
    nothing.
    """

    words: str
    about: str


def told(changes: Changes) -> tuple[Sentence, ...]:
    """The briefing, most important first; one sentence says so when nothing moved."""
    parts = {
        "customers": _customers(changes),
        "opened": _opened(changes),
        "closed": _closed(changes),
        "feeds": _feeds(changes),
        "orders": _orders(changes),
    }
    found = tuple(Sentence(words, about) for about, part in parts.items() for words in part)
    return found or (Sentence(f"Nothing moved in the last {changes.hours} hours.", ""),)


def sentences(changes: Changes) -> tuple[str, ...]:
    """The briefing as words alone."""
    return tuple(one.words for one in told(changes))


def category_words(category: str, n: int) -> str:
    """ "3 failed shipment notices"; a category without words of its own: "2 of queue backlog"."""
    words = CATEGORY_WORDS.get(category)
    if words is None:
        return f"{n:,} of {_spelled(category)}"
    return f"{n:,} {words[0] if n == 1 else words[1]}"


def _spelled(category: str) -> str:
    """ "ASN_SHORT" as "ASN short": small letters but for the usual abbreviations."""
    short = {"asn": "ASN", "fa": "FA", "erp": "ERP", "po": "PO", "id": "ID"}
    return " ".join(short.get(word, word) for word in category.lower().split("_"))


def _customers(changes: Changes) -> list[str]:
    if not changes.orders_hit:
        return []
    worth = ""
    if changes.value_hit is not None:
        worth = f", worth {changes.currency or ''} {changes.value_hit:,.0f}".replace("  ", " ")
    return [f"{_many(changes.orders_hit, 'more customer order')} came to be at risk{worth}."]


def _opened(changes: Changes) -> list[str]:
    total = sum(item.cases for item in changes.opened)
    if not total:
        return ["No exception was opened."] if changes.closed else []
    named = [category_words(item.category, item.cases) for item in changes.opened]
    shown = named[:MOST_CATEGORIES]
    rest = sum(item.cases for item in changes.opened[MOST_CATEGORIES:])
    if rest:
        shown.append(f"{rest:,} other{'' if rest == 1 else 's'}")
    found = [f"{_many(total, 'exception')} opened: {_listed(shown)}."]
    if changes.worst_supplier and changes.worst_opened >= 3:
        found.append(f"{changes.worst_supplier} caused most of them ({changes.worst_opened:,}).")
    return found


def _closed(changes: Changes) -> list[str]:
    total = sum(changes.closed.values())
    if not total:
        return []
    words = {
        "healed": "healed without a hand",
        "repaired": "repaired",
        "accepted": "accepted as it stands",
        "false_alarm": "false alarm",
        "merged": "merged",
    }
    order = list(words)
    parts = [
        f"{count:,} {words.get(how, how)}"
        for how, count in sorted(
            changes.closed.items(), key=lambda p: order.index(p[0]) if p[0] in order else 9
        )
    ]
    return [f"{_many(total, 'exception')} closed: {_listed(parts)}."]


def _feeds(changes: Changes) -> list[str]:
    found = []
    if changes.feeds_silent:
        verb = "feed went silent" if len(changes.feeds_silent) == 1 else "feeds went silent"
        found.append(
            f"{len(changes.feeds_silent)} {verb}: {_listed(list(changes.feeds_silent[:5]))}. What "
            "rests on it is not judged until it is back."
        )
    if changes.feeds_back:
        verb = "feed is back" if len(changes.feeds_back) == 1 else "feeds are back"
        found.append(f"{len(changes.feeds_back)} {verb}: {_listed(list(changes.feeds_back[:5]))}.")
    return found


def _orders(changes: Changes) -> list[str]:
    if not changes.released and not changes.answered:
        return []
    return [
        f"{_many(changes.released, 'purchase order')} released, "
        f"{changes.answered:,} answered by suppliers."
    ]


def _many(n: int, one: str) -> str:
    return f"{n:,} {one}{'' if n == 1 else 's'}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
