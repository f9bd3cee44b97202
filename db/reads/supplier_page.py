"""One supplier: its ladder as a funnel, how fast it answers, what is open, what we told it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from db.reads.counting import LONGEST_ORDER
from db.reads.filters import Filter, Period, within_scope
from db.reads.kpi_answers import ACK
from db.reads.overview import IS_OPEN, SEVERITIES, severity_rank
from db.reads.rules import rules_of
from db.tables import clock, document, event, exception_case, ingest_ledger, outbox, partner
from tower.access import Scope
from tower.identity import item_key, partner_id
from tower.ladder import LABELS
from tower.root_causes import KIND

PARTNER = "partner:"  # before the key of a supplier that is a mail's recipient
NEWEST_ORDERS = 30  # looked at for how a supplier is connected now
MOST_MAILS = 200


@dataclass(frozen=True, slots=True)
class Connected:
    """One way by which messages about a supplier's orders reach us, by its newest orders.

    reader   interpreter or mapping that read them, with its version
    """

    source: str
    channel: str | None
    reader: str
    messages: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Card:
    """Who a supplier is. ``contacts``: role -> address; ``zone`` is its own."""

    key: str
    name: str
    tier: str | None
    stage: str
    template: str
    country: str | None
    zone: str
    channel: str | None
    acknowledges: bool
    sends_asn: bool
    expects_fa: bool
    calendar: str | None
    contacts: Mapping[str, str]
    connected: tuple[Connected, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder over all purchase orders released in a period.

    whose     who holds the order before this rung: ours, gateway, partner, erp
    reached   orders that got here, by its own report or by a later one
    told      orders of which somebody reported this rung with its time
    of        orders that could get here
    p50_s     seconds from the last rung reported before; None = no time was told
    """

    name: str
    label: str
    whose: str
    reached: int
    told: int
    of: int
    p50_s: float | None
    p90_s: float | None


@dataclass(frozen=True, slots=True)
class AnswerBin:
    """Orders answered within ``low`` to ``high`` hours of their transmission, by verdict.

    ``high`` None = later still; ``low`` None = not answered yet.
    """

    low: float | None
    high: float | None
    in_time: int
    late: int

    @property
    def name(self) -> str:
        if self.low is None:
            return "no answer"
        if self.high is None:
            return f"> {_hours(self.low)}"
        return f"{_hours(self.low, bare=True)}-{_hours(self.high)}"


@dataclass(frozen=True, slots=True)
class Answers:
    """How long answers took that fell due in a period.

    allowed_h   median of the hours between transmission and due instant; its p10 and p90 beside.
                None = nothing fell due
    """

    bins: tuple[AnswerBin, ...]
    allowed_h: float | None
    allowed_low_h: float | None
    allowed_high_h: float | None


@dataclass(frozen=True, slots=True)
class OpenAge:
    """Open purchase orders of one age since release and stage; value in the currency of most."""

    band: str
    stage: str
    orders: int
    value: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """Exceptions of one category: opened in the period, of these healed by themselves, open now."""

    category: str
    opened: int
    healed: int
    open: int
    severity: str | None
    value_at_risk: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """A mail to the supplier, or one to us that speaks of its cases."""

    id: int
    to_supplier: bool
    recipient: str
    subject: str
    reason: str
    state: str
    created_at: datetime
    sent_at: datetime | None
    cases: int


@dataclass(frozen=True, slots=True)
class SupplierPage:
    """Everything but the key figures, which db/reads/figures.py tells."""

    card: Card
    funnel: tuple[Step, ...] = ()
    answers: Answers = field(default_factory=lambda: Answers((), None, None, None))
    open_ages: tuple[OpenAge, ...] = ()
    categories: tuple[CategoryRow, ...] = ()


def supplier_page(
    conn: Connection, scope: Scope, key: str, narrowed: Filter, now: datetime
) -> SupplierPage | None:
    """The page of one supplier; None if the viewer may not see it or nobody knows it."""
    found = card(conn, scope, key)
    if found is None:
        return None
    return SupplierPage(
        card=found,
        funnel=funnel(conn, scope, key, narrowed.period),
        answers=answers(conn, scope, key, narrowed.period),
        open_ages=open_ages(conn, scope, key, now),
        categories=categories(conn, scope, key, narrowed.period),
    )


# --- who it is ------------------------------------------------------------------------------------


def card(conn: Connection, scope: Scope, key: str) -> Card | None:
    """Profile of a supplier as the network in force has it, and how its messages reach us."""
    p = partner.c
    row = conn.execute(
        select(partner).where(p.partner_id == partner_id(key), *within_scope(p, scope))
    ).one_or_none()
    if row is None:
        return None
    profile: Mapping[str, Any] = row.profile
    return Card(
        key=row.key,
        name=row.name,
        tier=row.tier,
        stage=row.stage,
        template=row.template,
        country=row.country,
        zone=row.zone,
        channel=row.channel,
        acknowledges=bool(profile.get("acknowledges", True)),
        sends_asn=bool(profile.get("sends_asn", True)),
        expects_fa=bool(profile.get("expects_fa", False)),
        calendar=profile.get("calendar"),
        contacts=dict(profile.get("contacts") or {}),
        connected=_connected(conn, scope, key) if scope.sees_all else (),
    )


def _connected(conn: Connection, scope: Scope, key: str) -> tuple[Connected, ...]:
    """By the newest orders of a supplier: looking through all messages would read months."""
    d, e, i = document.c, event.c, ingest_ledger.c
    newest = (
        select(d.home_key)
        .where(d.kind == "po", d.partner_id == partner_id(key), *within_scope(d, scope))
        .order_by(d.released_at.desc().nulls_last())
        .limit(NEWEST_ORDERS)
        .scalar_subquery()
    )
    told = (
        select(e.source, e.raw_key, func.max(e.channel).label("channel"),
               func.max(e.received_at).label("at"))
        .where(e.home_key.in_(newest), e.partner_id == partner_id(key))
        .group_by(e.source, e.raw_key)
        .cte("told")
        .prefix_with("MATERIALIZED")
    )  # fmt: skip
    keys = conn.execute(select(told.c.source, told.c.raw_key, told.c.channel, told.c.at)).all()
    if not keys:
        return ()
    ids = {item_key(row.source, row.raw_key): row for row in keys}
    read = conn.execute(
        select(i.item_key, i.interpreter, i.version).where(i.item_key.in_(list(ids)))
    )
    found: dict[tuple[str, str | None, str], list[datetime]] = {}
    for row in read:
        by = ids[row.item_key]
        place = (by.source, by.channel, f"{row.interpreter} {row.version}")
        found.setdefault(place, []).append(by.at)
    return tuple(
        Connected(source, channel, reader, len(at), max(at))
        for (source, channel, reader), at in sorted(
            found.items(), key=lambda pair: (-len(pair[1]), pair[0][0], pair[0][2])
        )
    )


# --- the ladder -----------------------------------------------------------------------------------


_MILESTONES: tuple[tuple[str, str, str], ...] = (
    ("sent", "transmitted_at", "ours"),
    ("transport", "transport_acked_at", "gateway"),
    ("functional", "func_acked_at", "partner"),
    ("answer", "acknowledged_at", "partner"),
    ("applied", "applied_at", "erp"),
)


def funnel(conn: Connection, scope: Scope, key: str, period: Period) -> tuple[Step, ...]:
    """How many of the orders released in the period reached each rung, and how long each took.

    A rung that nobody reported counts as reached once a later one was. Times are from the newest
    rung below that was reported; a rung reported before it took no time of its own.
    """
    d = document.c
    columns: list[ColumnElement[Any]] = [func.count().label("orders")]
    times = [d[name] for _, name, _ in _MILESTONES]
    for place, (name, _, _) in enumerate(_MILESTONES):
        at = times[place]
        before = func.greatest(d.released_at, *times[:place])
        # greatest() leaves nulls out: without the condition what never came would count as at once.
        took = case((at.is_not(None), func.greatest(func.extract("epoch", at - before), 0)))
        columns += [
            func.count(func.coalesce(*times[place:]) if times[place + 1 :] else at).label(
                f"{name}_reached"
            ),
            func.count(at).label(f"{name}_told"),
            *(
                func.percentile_cont(share).within_group(took).label(f"{name}_{word}")
                for share, word in ((0.5, "p50"), (0.9, "p90"))
            ),
        ]
    columns += [
        func.count(case((d.agrees.is_(True), 1))).label("agrees"),
        func.count(d.agrees).label("compared"),
    ]
    row = conn.execute(
        select(*columns).where(
            d.kind == "po",
            d.line == "",
            d.known,
            d.partner_id == partner_id(key),
            d.released_at >= period.start,
            d.released_at < period.end,
            *within_scope(d, scope),
        )
    ).one()
    got = row._mapping
    if not row.orders:
        return ()
    steps = [
        Step(
            name,
            LABELS[name],
            whose,
            got[f"{name}_reached"],
            got[f"{name}_told"],
            row.orders,
            _seconds(got[f"{name}_p50"]),
            _seconds(got[f"{name}_p90"]),
        )
        for name, _, whose in _MILESTONES
    ]
    steps.append(
        Step("agrees", LABELS["agrees"], "erp", row.agrees, row.compared, row.orders, None, None)
    )
    return tuple(steps)


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)


# --- how fast it answers --------------------------------------------------------------------------

HOURS = (1, 2, 4, 8, 16, 24, 48, 72, 120)
"""Edges of the distribution of answer times."""


def answers(conn: Connection, scope: Scope, key: str, period: Period) -> Answers:
    """Hours from transmission to the first answer; of orders whose answer fell due then."""
    c, d = clock.c, document.c
    begin = func.coalesce(d.transmitted_at, d.released_at)
    hours = cast(func.extract("epoch", d.acknowledged_at - begin) / 3600, Double)
    allowed = func.extract("epoch", c.due_at - begin) / 3600
    due = (
        select(
            func.width_bucket(hours, cast(list(map(float, HOURS)), ARRAY(Double))).label("place"),
            c.verdict,
            allowed.label("allowed"),
        )
        .join_from(
            clock,
            document,
            and_(d.home_key == c.home_key, d.kind == "po", d.line == "", d.number == c.number),
        )
        .where(
            c.rule.in_(rules_of(conn, ACK)),
            c.partner_id == partner_id(key),
            # Few orders are this supplier's: they are found by it, their clocks by their home.
            d.partner_id == partner_id(key),
            d.released_at >= period.start - LONGEST_ORDER,
            c.due_at >= period.start,
            c.due_at < period.end,
            c.verdict.in_(("met", "met_late", "breached")),
            *within_scope(c, scope),
        )
        .cte("due")
        .prefix_with("MATERIALIZED")
    )  # fmt: skip
    spread = [
        select(func.percentile_cont(share).within_group(due.c.allowed)).scalar_subquery()
        for share in (0.1, 0.5, 0.9)
    ]
    rows = conn.execute(
        select(due.c.place, due.c.verdict, func.count(), *spread).group_by(
            due.c.place, due.c.verdict
        )
    ).all()
    if not rows:
        return Answers((), None, None, None)
    low, middle, high = rows[0][3:]  # the same in every row
    counted: dict[tuple[int | None, bool], int] = {}
    for row in rows:
        place, verdict, n = row[:3]
        at = (place, verdict == "met")
        counted[at] = counted.get(at, 0) + n
    edges: list[tuple[int | None, float | None, float | None]] = [
        (place, float(HOURS[place - 1]) if place else 0.0, _edge(place))
        for place in range(len(HOURS) + 1)
    ]
    edges.append((None, None, None))
    bins = tuple(
        AnswerBin(begin_h, end_h, counted.get((place, True), 0), counted.get((place, False), 0))
        for place, begin_h, end_h in edges
    )
    return Answers(bins, _seconds(middle), _seconds(low), _seconds(high))


def _edge(place: int) -> float | None:
    return float(HOURS[place]) if place < len(HOURS) else None


def _hours(hours: float, *, bare: bool = False) -> str:
    """ "8 h", from two days on "3 d"."""
    number, unit = (hours / 24, " d") if hours >= 48 else (hours, " h")
    return f"{number:g}{'' if bare and hours < 48 else unit}"


# --- what is open ---------------------------------------------------------------------------------

AGES: tuple[tuple[str, timedelta | None], ...] = (
    ("< 1 d", timedelta(days=1)),
    ("1-3 d", timedelta(days=3)),
    ("3-7 d", timedelta(days=7)),
    ("7-14 d", timedelta(days=14)),
    ("14-30 d", timedelta(days=30)),
    ("> 30 d", None),
)
STAGES = ("not answered", "answered", "under way")


def open_ages(conn: Connection, scope: Scope, key: str, now: datetime) -> tuple[OpenAge, ...]:
    """Open purchase orders by age since their release, in clock days, and by how far they are."""
    d = document.c
    limits = [(d.released_at > now - limit, band) for band, limit in AGES if limit is not None]
    band = case(*limits, else_=AGES[-1][0]).label("band")
    stage = case(
        (or_(d.shipped_at.is_not(None), d.goods_received_at.is_not(None)), STAGES[2]),
        (d.acknowledged_at.is_not(None), STAGES[1]),
        else_=STAGES[0],
    ).label("stage")
    rows = conn.execute(
        select(band, stage, d.currency, func.count().label("n"), func.sum(d.open_value).label("v"))
        .where(
            d.kind == "po",
            d.line == "",
            d.known,
            ~d.closed,
            d.partner_id == partner_id(key),
            d.released_at <= now,
            *within_scope(d, scope),
        )
        .group_by(band, stage, d.currency)
    ).all()
    orders: dict[str | None, int] = {}
    for row in rows:
        orders[row.currency] = orders.get(row.currency, 0) + row.n
    told = max(orders, key=lambda c: (orders[c], c or ""), default=None)
    counted: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        kept = counted.setdefault((row.band, row.stage), [0, None])
        kept[0] += row.n
        if row.currency == told and row.v is not None:
            kept[1] = row.v
    return tuple(
        OpenAge(name, stage, counted[name, stage][0], counted[name, stage][1], told)
        for name, _ in AGES
        for stage in STAGES
        if (name, stage) in counted
    )


# --- exceptions and mails -------------------------------------------------------------------------


def categories(conn: Connection, scope: Scope, key: str, period: Period) -> tuple[CategoryRow, ...]:
    """Exceptions by category: those opened in the period and those open now, most open ahead."""
    c = exception_case.c
    opened = and_(c.opened_at >= period.start, c.opened_at < period.end)
    rows = conn.execute(
        select(
            c.category,
            func.count(case((opened, 1))).label("opened"),
            func.count(case((and_(opened, c.resolution == "healed"), 1))).label("healed"),
            func.count(case((IS_OPEN, 1))).label("open"),
            func.max(case((IS_OPEN, severity_rank))).label("rank"),
            func.sum(case((IS_OPEN, c.value_at_risk))).label("value"),
            func.max(c.currency).label("currency"),
        )
        .where(
            c.partner_id == partner_id(key),
            c.kind != KIND,
            or_(opened, IS_OPEN),
            *within_scope(c, scope),
        )
        .group_by(c.category)
        .order_by(func.count(case((IS_OPEN, 1))).desc(), func.count().desc(), c.category)
    )
    return tuple(
        CategoryRow(
            row.category,
            row.opened,
            row.healed,
            row.open,
            SEVERITIES.get(row.rank),
            row.value if scope.sees_value_at_risk else None,
            row.currency,
        )
        for row in rows
    )


def told(
    conn: Connection, scope: Scope, key: str, period: Period, limit: int = MOST_MAILS
) -> tuple[Told, ...]:
    """Mails of the period to a supplier and, to our people, about its cases; newest first.

    A viewer of some partners sees what was sent to these.
    """
    o, c = outbox.c, exception_case.c
    recipient = f"{PARTNER}{key}"
    about: ColumnElement[bool] = o.recipient == recipient
    if scope.sees_all:
        mine = conn.execute(
            select(func.array_agg(c.id)).where(
                c.partner_id == partner_id(key), or_(c.opened_at >= period.start, IS_OPEN)
            )
        ).scalar_one()
        about = or_(about, o.cases.op("&&")(cast(mine or [], ARRAY(BigInteger))))
    elif scope.partner_ids is None or partner_id(key) not in scope.partner_ids:
        return ()
    rows = conn.execute(
        select(
            o.id,
            (o.recipient == recipient).label("to_supplier"),
            o.recipient,
            o.subject,
            o.reason,
            o.state,
            o.created_at,
            o.sent_at,
            func.cardinality(o.cases).label("cases"),
        )
        .where(o.created_at >= period.start, o.created_at < period.end, about)
        .order_by(o.id.desc())
        .limit(min(limit, 1000))
    )
    return tuple(Told(**row._mapping) for row in rows)
