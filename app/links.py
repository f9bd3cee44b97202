"""Addresses of pages: frozen records to and from query parameters.

The address is the state of a page, so that it can be mailed: a screen reads its record with
``from_query(st.query_params)`` and everything that leads somewhere carries a record. A parameter
that is missing, empty or not understood means its default, never an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlencode

from app.pages import (
    ACCESS,
    AUDIT,
    CASE,
    DEAD_LETTERS,
    EXCEPTIONS,
    FIGURES,
    FULFILMENT,
    HEALTH,
    INTEGRATIONS,
    MAILBOX,
    ORDERS_AT_RISK,
    OVERVIEW,
    PORTAL,
    PURCHASE_ORDERS,
    QUEUES,
    RECONCILIATION,
    REPLAYS,
    RULES,
    SUPPLIER,
    SUPPLIERS,
    TRACE,
    UNMATCHED,
    Page,
)
from tower.numerals import natural

LONGEST = 300  # characters of one parameter; a longer one is nobody's document number


PeriodWord = Literal["7d", "30d", "90d"]
ViewWord = Literal[
    "all",
    "awaiting_ack",
    "answered_not_in_erp",
    "asn_failed",
    "no_asn_due_soon",
    "rejected_lines",
    "short_confirmed",
    "date_moved",
    "ack_missed",
    "asn_late",
    "asn_refused",
    "otif_missed",
]
DateWord = Literal["first_confirmed", "last_confirmed", "requested"]
PerWord = Literal["line", "order", "value"]
SuppliersWord = Literal["table", "compare"]
SupplierTab = Literal["figures", "answers", "orders", "exceptions", "mails", "profile"]
FulfilmentBy = Literal["supplier", "buyer", "warehouse", "category"]
FulfilmentView = Literal["discrepancies", "invoices", "cohorts"]
SubjectsWord = Literal["all", "in", "hit", "miss", "out"]
GroupWord = Literal["line", "customer", "cause", "buyer"]
ToldWord = Literal["yes", "unknown"]
TraceTab = Literal["lines", "lineage", "hops", "agreement", "systems", "clocks", "cases", "related"]
WithinWord = Literal["7d", "30d", "90d", "all"]
BreakWord = Literal["quantity", "date", "price"]
CasesWord = Literal["causes", "all"]
CaseSortWord = Literal["consequence", "severity", "age", "newest"]
LettersWord = Literal["waiting", "archived", "ended", "all"]
AccessWord = Literal["people", "roles", "sessions", "keys"]
RulesWord = Literal["book", "explain", "try", "silences"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Base of all addresses; each field is one query parameter of the same name."""

    PAGE: ClassVar[Page]

    def to_query(self) -> dict[str, str]:
        """Only what differs from the default, so that addresses stay short."""
        found = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and value != "" and value != field.default:
                found[field.name] = str(value)
        return found

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        readers = _readers(cls)
        found: dict[str, Any] = {}
        for name, options in readers.items():
            text = query.get(name, "")[:LONGEST].strip()
            if not text or "\x00" in text:  # no document can carry it: the database takes none
                continue
            value = _read(text, options)
            if value is not None:
                found[name] = value
        return cls(**found)

    def url(self, base: str = "") -> str:
        """Path with query; with ``base`` (TOWER_BASE_URL) an address that can be mailed."""
        query = urlencode(self.to_query())
        return f"{base}/{self.PAGE.path}" + (f"?{query}" if query else "")


def _read(text: str, accepted: tuple[Any, ...]) -> Any:
    for kind in accepted:
        if kind is str:
            return text
        if kind is int:
            return natural(text)
        if kind is date:
            return _day(text)
        if kind == text:
            return text
    return None


def _day(text: str) -> date | None:
    """A day of this millennium, as 2026-03-27."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year < 3000 else None


_Readers = dict[str, tuple[Any, ...]]
_readers_of: dict[type, _Readers] = {}


def _readers(cls: type[Link]) -> _Readers:
    """What each field takes: ``str``, ``int``, ``date``, or the words of its Literal."""
    readers = _readers_of.get(cls)
    if readers is None:
        hints = get_type_hints(cls)
        readers = {f.name: _accepted(hints[f.name]) for f in dataclasses.fields(cls)}
        _readers_of[cls] = readers
    return readers


def _accepted(hint: Any) -> tuple[Any, ...]:
    origin = get_origin(hint)
    if origin is Literal:
        return get_args(hint)
    if origin is None:
        return (hint,)
    if origin is Union or origin.__name__ == "UnionType":
        return tuple(
            word for part in get_args(hint) if part is not type(None) for word in _accepted(part)
        )
    raise TypeError(f"a link cannot carry {hint}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered(Link):
    """Pages with the filter row; these parameters travel from page to page. ``goods``: a category
    of goods, as the ERP names it; ``category`` of an address is that of exceptions."""

    period: PeriodWord = "30d"
    supplier: str | None = None
    buyer: str | None = None
    warehouse: str | None = None
    goods: str | None = None


FILTER_NAMES = ("period", "supplier", "buyer", "warehouse", "goods")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewLink(Filtered):
    PAGE: ClassVar[Page] = OVERVIEW


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseOrdersLink(Filtered):
    """``after`` is the place in the list from which the page goes on (db.reads.paging)."""

    PAGE: ClassVar[Page] = PURCHASE_ORDERS
    view: ViewWord = "all"
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppliersLink(Filtered):
    """``date`` and ``per`` are the switches by which OTIF is counted; ``show`` is the table or a
    comparison: of suppliers ``one`` and ``other`` in the period, or, without ``other``, of ``one``
    in this period and the one before.
    """

    PAGE: ClassVar[Page] = SUPPLIERS
    date: DateWord = "first_confirmed"
    per: PerWord = "line"
    show: SuppliersWord = "table"
    one: str | None = None
    other: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplierLink(Link):
    """``id``: the partner's key in network.yaml."""

    PAGE: ClassVar[Page] = SUPPLIER
    id: str | None = None
    period: PeriodWord = "30d"
    tab: SupplierTab | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FulfilmentLink(Filtered):
    """``by``: what the figures are told apart by; ``view``: the list that is shown below."""

    PAGE: ClassVar[Page] = FULFILMENT
    by: FulfilmentBy = "supplier"
    date: DateWord = "first_confirmed"
    per: PerWord = "line"
    view: FulfilmentView = "discrepancies"
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresLink(Filtered):
    """``id``: the figure that is looked into; ``by``: what it is told apart by; ``show``: which of
    its subjects; ``switch``: choices of its definition other than the defaults, "date:requested";
    ``topic``: of cases, risks and hops only; ``after``: the place in the list from which the page
    goes on.
    """

    PAGE: ClassVar[Page] = FIGURES
    id: str | None = None
    by: str | None = None
    show: SubjectsWord = "all"
    switch: str | None = None
    topic: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersAtRiskLink(Filtered):
    """``told``: whether the house said that the customer was told; ``item``, ``site``: the item
    and the warehouse whose supply and demand are drawn.
    """

    PAGE: ClassVar[Page] = ORDERS_AT_RISK
    group: GroupWord = "line"
    cause: str | None = None
    customer: str | None = None
    told: ToldWord | None = None
    item: str | None = None
    site: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionsLink(Filtered):
    """``opened``, ``closed``: only cases opened or closed on this day (UTC)."""

    PAGE: ClassVar[Page] = EXCEPTIONS
    category: str | None = None
    severity: str | None = None
    owner: str | None = None
    age: str | None = None
    state: str | None = None
    rule: str | None = None
    opened: date | None = None
    closed: date | None = None
    view: CasesWord = "causes"
    sort: CaseSortWord = "consequence"
    after: str | None = None
    set: int | None = None  # a frozen set of cases


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLink(Link):
    PAGE: ClassVar[Page] = CASE
    id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLink(Link):
    """``ref``: "po:main:4500001234" for a document, or any number or id as a person types it.

    ``event``: number of the event whose bytes are shown, from 0 as they happened; ``byte``,
    ``long``: the place in them that is lit. ``node``, ``depth``: of the lineage walked from, and
    how far. ``one``, ``other``: messages ("source/key") compared. ``within``, ``text``: how
    far back text is searched, and that it is. ``known``: as known at this instant (ISO 8601).
    """

    PAGE: ClassVar[Page] = TRACE
    ref: str | None = None
    event: int | None = None
    tab: TraceTab | None = None
    node: str | None = None
    depth: int = 2
    one: str | None = None
    other: str | None = None
    byte: int | None = None
    long: int | None = None
    within: WithinWord = "30d"
    text: Literal["yes"] | None = None
    known: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuesLink(Link):
    PAGE: ClassVar[Page] = QUEUES
    queue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedLink(Link):
    """``ref``: the unmatched thing that is looked into, by its name in the list."""

    PAGE: ClassVar[Page] = UNMATCHED
    ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesLink(Link):
    """``rule``: the rule that is looked into; ``ref``: the document explained; ``trial``: number of
    a trial of an edited book.
    """

    PAGE: ClassVar[Page] = RULES
    view: RulesWord = "book"
    rule: str | None = None
    ref: str | None = None
    trial: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettersLink(Link):
    """``fingerprint``: the kind of failure that is looked into; ``letter``: the one of its letters
    that is, as ``str(LetterRef)``; ``after``: the last letter of the page before.
    """

    PAGE: ClassVar[Page] = DEAD_LETTERS
    states: LettersWord = "waiting"
    fingerprint: str | None = None
    letter: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaysLink(Link):
    """``items``: the state of the items shown; ``after``: number of the last one before them."""

    PAGE: ClassVar[Page] = REPLAYS
    id: int | None = None
    items: str | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLink(Link):
    """``subject``: what it was done to, or the beginning of it; ``after``: entries before it."""

    PAGE: ClassVar[Page] = AUDIT
    subject: str | None = None
    actor: str | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationsLink(Filtered):
    """``hop``: the system whose messages are looked into."""

    PAGE: ClassVar[Page] = INTEGRATIONS
    hop: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationLink(Link):
    """``kind``: the type of break; ``done``: also lines that are complete."""

    PAGE: ClassVar[Page] = RECONCILIATION
    kind: BreakWord | None = None
    supplier: str | None = None
    done: Literal["yes"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLink(Link):
    PAGE: ClassVar[Page] = ACCESS
    view: AccessWord = "people"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalLink(Link):
    """``order``: the purchase order that is answered, as "po:main:4500001234"; ``after``: orders
    before those that are shown."""

    PAGE: ClassVar[Page] = PORTAL
    order: str | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLink(Link):
    PAGE: ClassVar[Page] = HEALTH
    feed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxLink(Link):
    PAGE: ClassVar[Page] = MAILBOX
    recipient: str | None = None
    mail: int | None = None
