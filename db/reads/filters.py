"""What a question is narrowed to: a period and the parties."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import ColumnElement
from sqlalchemy.sql import ColumnCollection

from tower.access import Scope
from tower.identity import partner_id


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` up to, not including, ``end``; aware UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def days(self) -> int:
        return max(1, self.length.days)

    @property
    def parts(self) -> int:
        """Into how many points its course is drawn: days of a week, at most a dozen."""
        return min(self.days, 12)

    def previous(self) -> Period:
        """The period just before, of as many days; of the same length below one day."""
        whole = timedelta(days=self.length.days) or self.length
        return Period(self.start - whole, self.start)

    @classmethod
    def last(cls, days: int, now: datetime) -> Period:
        """So many whole days, UTC, and today up to ``now``."""
        moment = now.astimezone(UTC)
        begin = moment.date() - timedelta(days=days)
        return cls(datetime.combine(begin, time(), UTC), moment)

    @classmethod
    def weeks(cls, number: int, now: datetime) -> Period:
        """So many whole weeks from Mondays, UTC, and this one up to ``now``."""
        today = now.astimezone(UTC).date()
        return cls.last(7 * number + today.weekday(), now)


@dataclass(frozen=True, slots=True)
class Filter:
    """Narrowing of a question; None means no narrowing.

    supplier  key of a partner
    category  of goods, as the ERP names it
    topic     of cases the category of the exception, of what is at risk that of its cause, of
              messages document and hop
    """

    period: Period
    supplier: str | None = None
    buyer: str | None = None
    warehouse: str | None = None
    category: str | None = None
    topic: str | None = None


def within_scope(
    columns: ColumnCollection[str, ColumnElement[object]], scope: Scope
) -> list[ColumnElement[bool]]:
    """The condition that keeps a viewer to the rows of their partners, none for all partners."""
    ids = scope.partner_ids
    return [] if ids is None else [columns["partner_id"].in_(ids)]


def of_supplier(
    columns: ColumnCollection[str, ColumnElement[object]], supplier: str | None
) -> list[ColumnElement[bool]]:
    return [] if supplier is None else [columns["partner_id"] == partner_id(supplier)]
