"""What was planted, and how a list of found cases compares with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

COVERED = frozenset(
    {
        "ACK_OVERDUE",
        "ACK_REJECTED",
        "ASN_INVALID",
        "ASN_MISSING",
        "FA_OVERDUE",
        "ACK_NOT_IN_ERP",
        "SOURCE_SILENT",
        "PARTNER_ERRORS",
        "QUEUE_BACKLOG",
        "VOLUME_ANOMALY",
    }
)
"""Categories that a rule of the shipped rule book opens."""

SEEN_WITHIN = timedelta(hours=6)
"""A fault must be found this long after it came true: settling, reading, steps of history."""

NEVER_DUE = (timedelta(hours=12), timedelta(hours=4))
"""No fault of the history comes true this shortly before or after ``as_of``: it would be luck
whether it is found."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault put in on purpose.

    subject     reference of what it is about: "po:main:4500001234", "asn:KEY:123", "source::erp"
    also        other references under which the same fault may be told (the lines of the order)
    covered     a rule should open a case; else it is only known to be there
    planted_at  when the story with the fault begins
    due_at      from when it is true
    why         what happened, in a sentence
    """

    id: str
    category: str
    subject: str
    covered: bool
    planted_at: datetime
    due_at: datetime
    why: str
    also: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        return (self.subject, *self.also)

    def expected(self, at: datetime) -> bool:
        """Whether it must have been found at ``at``."""
        return self.covered and self.due_at + SEEN_WITHIN <= at

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "category": self.category,
            "subject": self.subject,
            "covered": self.covered,
            "planted_at": self.planted_at.isoformat(),
            "due_at": self.due_at.isoformat(),
            "why": self.why,
        }


@dataclass(slots=True)
class Score:
    """How found cases compare with the truth at one instant.

    found, expected  (category, subject) of cases; faults that had to be found
    missed, false    expected faults without a case; cases without a planted fault
    not_covered      planted faults of categories that no rule covers, by category
    """

    expected: int = 0
    found: int = 0
    missed: list[Planted] = field(default_factory=list)
    false: list[tuple[str, str]] = field(default_factory=list)
    by_category: dict[str, dict[str, int]] = field(default_factory=dict)
    not_covered: dict[str, int] = field(default_factory=dict)

    @property
    def precision(self) -> float | None:
        return 1 - len(self.false) / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        return 1 - len(self.missed) / self.expected if self.expected else None


def score(planted: Sequence[Planted], found: Iterable[tuple[str, str]], at: datetime) -> Score:
    """Compare cases, (category, subject reference) each, with what was planted.

    A fault that is true but need not be seen yet is neither missed nor a false alarm. Several cases
    for one fault (each line of an order) are all right.
    """
    cases = list(dict.fromkeys(found))
    told = set(cases)
    right = {(p.category, name) for p in planted if p.planted_at <= at for name in p.names()}
    expected = [p for p in planted if p.expected(at)]
    missed = [p for p in expected if not any((p.category, name) in told for name in p.names())]
    false = [case for case in cases if case not in right]
    by_category: dict[str, dict[str, int]] = {}
    for name, counts in (
        ("planted", Counter(p.category for p in expected)),
        ("found", Counter(category for category, _ in cases)),
        ("missed", Counter(p.category for p in missed)),
        ("false", Counter(category for category, _ in false)),
    ):
        for category, n in counts.items():
            row = by_category.setdefault(category, dict.fromkeys(_COLUMNS, 0))
            row[name] = n
    return Score(
        expected=len(expected),
        found=len(cases),
        missed=missed,
        false=false,
        by_category=dict(sorted(by_category.items())),
        not_covered=dict(
            sorted(Counter(p.category for p in planted if not p.covered and p.due_at <= at).items())
        ),
    )


_COLUMNS = ("planted", "found", "missed", "false")


class FaultBook:
    """Which order gets which fault: each category at its rate, spread evenly, never by chance.

    as_of   end of the history; see NEVER_DUE
    """

    # Share of orders. Late answers are the commonest trouble of a distributor, lost receipts rare.
    RATES = {  # noqa: RUF012  a constant table
        "ACK_OVERDUE": 0.026,
        "ACK_REJECTED": 0.012,
        "ACK_NOT_IN_ERP": 0.012,
        "FA_OVERDUE": 0.009,
        "ASN_INVALID": 0.018,
        "ASN_MISSING": 0.012,
        "ASN_SHORT": 0.008,
        "ASN_DUPLICATE": 0.005,
    }

    def __init__(self, as_of: datetime) -> None:
        self.as_of = as_of
        self.planted: list[Planted] = []
        self._credit = dict.fromkeys(self.RATES, 0.6)
        self._turn: Counter[str] = Counter()

    def earn(self, factor: float = 1.0) -> None:
        """One more order: every category comes a little nearer."""
        for category, rate in self.RATES.items():
            self._credit[category] += rate * factor

    def is_due(self, category: str) -> bool:
        return self._credit[category] >= 1

    def turn(self, category: str) -> int:
        """How often this category was planted: variants take turns."""
        return self._turn[category]

    def may_come_true(self, at: datetime) -> bool:
        before, after = NEVER_DUE
        return not self.as_of - before < at < self.as_of + after

    def plant(
        self,
        category: str,
        subject: str,
        planted_at: datetime,
        due_at: datetime,
        why: str,
        also: Sequence[str] = (),
        *,
        counted: bool = True,
    ) -> None:
        """Note a fault; ``counted`` ones take the turn of an order that would have had one."""
        if counted and category in self._credit:
            self._credit[category] -= 1
        self._turn[category] += 1
        self.planted.append(
            Planted(
                f"{category.lower()}-{self._turn[category]:03d}",
                category,
                subject,
                category in COVERED,
                planted_at,
                due_at,
                why,
                tuple(also),
            )
        )
