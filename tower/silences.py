"""Silences: mails that somebody asked not to get for a time. Clocks and cases go on.

A silence names what it is about, always ends, and says who asked for it and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tower.cases import Case
from tower.errors import TowerError

LONGEST = timedelta(days=90)  # what shall be quiet for longer belongs into the rule book
MATCHERS = ("rule", "category", "partner", "source", "po")


class NotASilence(TowerError):
    """The silence cannot be put down like this; the message says what would do."""


@dataclass(frozen=True, slots=True)
class Silence:
    """What is quiet, from when to when. Every matcher that is given must fit a case.

    partner   key of the case's partner
    source    of a silent source's own case
    po        number of the purchase order, with its lines
    ended_at  when somebody ended it before its time
    """

    id: int
    rule: str | None
    category: str | None
    partner: str | None
    source: str | None
    po: str | None
    from_at: datetime
    to_at: datetime
    reason: str
    author: str
    created_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None

    @property
    def until(self) -> datetime:
        return self.to_at if self.ended_at is None else min(self.to_at, self.ended_at)

    def covers(self, case: Case, at: datetime) -> bool:
        """Whether nobody is to be mailed about this case at an instant."""
        if not self.from_at <= at < self.until:
            return False
        subject = case.subject
        return (
            self.rule in (None, case.rule)
            and self.category in (None, case.category)
            and self.partner in (None, case.supplier)
            and (self.source is None or (subject.kind, subject.number) == ("source", self.source))
            and (
                self.po is None or (subject.kind in ("po", "po_line") and subject.number == self.po)
            )
        )

    @property
    def words(self) -> str:
        """Why nobody was mailed, as it is logged."""
        return (
            f"silence {self.id} until {self.to_at:%Y-%m-%d %H:%M} UTC, by {self.author}: "
            f"{self.reason}"
        )


def checked(
    matchers: dict[str, str | None], from_at: datetime, to_at: datetime, reason: str, author: str
) -> None:
    """Raise NotASilence with the next step, unless these make a silence."""
    unknown = sorted(matchers.keys() - set(MATCHERS))
    if unknown:
        raise NotASilence(f'"{unknown[0]}" matches nothing; write {", ".join(MATCHERS)}.')
    if not any(matchers.values()):
        raise NotASilence(
            f"A silence of everything is refused: name at least one of {', '.join(MATCHERS)}."
        )
    if to_at <= from_at:
        raise NotASilence("A silence ends after it begins. Give a later end.")
    if to_at - from_at > LONGEST:
        raise NotASilence(
            f"A silence ends within {LONGEST.days} days. For longer, change the rule book."
        )
    if not reason.strip():
        raise NotASilence("Say why: whoever misses a mail will ask.")
    if not author.strip():
        raise NotASilence("Say who asks for it.")
