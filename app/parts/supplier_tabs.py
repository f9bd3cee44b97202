"""The lower half of a supplier's page; only the tab that is open asks for anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from app import data, supplier_charts
from app.links import (
    ExceptionsLink,
    FiguresLink,
    Link,
    MailboxLink,
    PurchaseOrdersLink,
    SupplierLink,
    TraceLink,
)
from app.parts import customers_hurt
from app.parts.decisions import category_meaning
from app.parts.empty import nothing_here
from app.parts.filters import segments
from app.parts.kpi_row import value_words
from app.parts.mail_page import STATE_SIGN
from app.parts.pictures import picture
from app.parts.tables import table
from app.parts.words import MISSING, day_clock, many, money, percent, plain, severity
from app.session import Viewer
from db.reads.figures import Told
from db.reads.filters import Filter, Period
from db.reads.supplier_page import SupplierPage
from tower.kpi_catalogue import DEFINITIONS
from tower.scorecards import Component

TABS: Mapping[str, str] = {
    "figures": "Figures over time",
    "answers": "Chance of an answer",
    "orders": "Open orders",
    "exceptions": "Exceptions",
    "mails": "What we told them",
    "profile": "Contacts and channel",
}
TRENDS = (
    "ack_on_time",
    "first_confirm",
    "commit_reliability",
    "asn_on_time",
    "asn_valid",
    "otif",
    "ack_cycle_clock",
    "lead_time",
)
TREND_WEEKS = 13
TREND_PX = 330


def tabs(page: SupplierPage, link: SupplierLink, viewer: Viewer, narrowed: Filter) -> None:
    """The choice of a tab, and what it shows."""
    segments("tab", "Show", TABS, link.tab or "figures", "figures")
    match link.tab or "figures":
        case "answers":
            _outlook(page, viewer, narrowed)
        case "orders":
            _open_orders(page, link)
        case "exceptions":
            _exceptions(page, link)
        case "mails":
            _mails(page, viewer, narrowed)
        case "profile":
            _profile(page, viewer)
        case _:
            _trends(page, link, viewer, narrowed)


# --- figures over time ----------------------------------------------------------------------------


def _trends(page: SupplierPage, link: SupplierLink, viewer: Viewer, narrowed: Filter) -> None:
    weeks = replace(narrowed, period=Period.weeks(TREND_WEEKS, narrowed.period.end))
    _score(page, viewer, narrowed)
    st.caption(
        f"The last {TREND_WEEKS} weeks, from Mondays, UTC. The green band is where the target is "
        "met, the grey one the 95 % interval; ▼ missed it; a gap is a week with too few subjects. "
        "Click a point for what it counted."
    )
    courses = data.several_by(viewer.scope, weeks, tuple((kpi, ()) for kpi in TRENDS), "week")
    with st.grid(2, min_column_width=TREND_PX) as grid:
        for kpi, course in zip(TRENDS, courses, strict=True):
            with grid.cell(), st.container(border=True, height="stretch"):
                _trend(kpi, page.card.key, _since_first(course))


def _trend(kpi: str, supplier: str, points: Sequence[Told]) -> None:
    of = DEFINITIONS[kpi]
    if all(told.figure.value is None for told in points):
        st.subheader(of.name, anchor=False)
        most = max((told.figure.n for told in points), default=0)
        nothing_here(f"No data: at most {most} of {of.least} subjects in a week.")
        return
    picture(
        of.name,
        lambda: supplier_charts.course(of, points),
        {
            "Week of": [told.key for told in points],
            of.short: [
                told.figure.reason if told.figure.value is None else value_words(told.figure)
                for told in points
            ],
            "Sample": [told.figure.n for told in points],
            "95 % interval": [_interval(told.figure.interval) for told in points],
        },
        key=f"trend {kpi}",
        alt=f"{of.name} by week",
        about=f"{of.formula}. Left out: {of.outside}.",
        opens=lambda _: FiguresLink(id=kpi, supplier=supplier, period="90d", by="week"),
    )


def _since_first(points: Sequence[Told]) -> Sequence[Told]:
    """Without the weeks before anything of it was known."""
    begin = next((n for n, told in enumerate(points) if told.figure.n), 0)
    return points[begin:]


def _interval(bounds: tuple[float, float] | None) -> str:
    return MISSING if bounds is None else f"{percent(bounds[0])} to {percent(bounds[1])}"


def _score(page: SupplierPage, viewer: Viewer, narrowed: Filter) -> None:
    """What the score is made of, and where it pays to improve."""
    found = data.scorecards(viewer.scope, narrowed)
    if not found:
        return
    scored = found[0].score
    parts = sorted(scored.components, key=lambda c: -(c.lost or 0))
    said = scored.reason or (
        f"{scored.value:.0f} of 100, **{scored.standing}**"
        + ("" if scored.change is None else f", {scored.change:+.0f} against the period before")
        + f"; figures with {scored.weight:.0f} % of the weight have data"
    )
    with st.container(border=True):
        st.subheader("What the score is made of", anchor=False)
        st.markdown(f"{said}. Lead time: {_drift(found[0])}")
        table(
            {
                "Figure": [c.name for c in parts],
                "Value": [_component_words(c) for c in parts],
                "Target": [percent(c.target, 0) for c in parts],
                "Weight": [c.weight for c in parts],
                "Points": [c.points for c in parts],
                "Lost": [c.lost for c in parts],
                "Change": [
                    MISSING if c.change is None else f"{100 * c.change:+.1f} pp" for c in parts
                ],
                "Sample": [c.n for c in parts],
            },
            key="score parts",
            alt="Parts of the score, those that cost most points first",
            opens="Figure",
            opens_width=240,
            links=[
                FiguresLink(id=c.id, supplier=page.card.key, period=_period(narrowed))
                for c in parts
            ],
            config={
                "Points": st.column_config.NumberColumn(format="%.1f"),
                "Lost": st.column_config.NumberColumn(
                    format="%.1f", help="points that full marks would add"
                ),
            },
        )


def _period(narrowed: Filter) -> Any:
    return {7: "7d", 90: "90d"}.get(narrowed.period.days, "30d")


def _component_words(component: Component) -> str:
    return component.reason if component.value is None else percent(component.value)


def _drift(card: Any) -> str:
    drift = card.drift
    if drift.actual is None:
        return f"{drift.reason}."
    if drift.plan is None:
        return f"median {drift.actual:.0f} d, {drift.reason}."
    said = "has left its plan" if drift.drifted else "keeps its plan"
    basis = "agreed" if drift.basis == "agreed" else "asked for"
    return (
        f"median {drift.actual:.0f} d, {drift.plan:.0f} d {basis}: {said} "
        f"({drift.n} orders, {100 * drift.tolerance:.0f} % tolerated)."
    )


# --- chance of an answer --------------------------------------------------------------------------


def _outlook(page: SupplierPage, viewer: Viewer, narrowed: Filter) -> None:
    """How likely it answers in time, from how long its former answers took."""
    found = data.outlook(viewer.scope, page.card.key, narrowed.period.end)
    if found is None or found.in_time is None:
        nothing_here(
            "No data: too few answers to tell how likely the next one comes in time.",
            next_step="" if found is None else f"From {found.said}.",
        )
        return
    brier = found.forecasts.brier
    score = "" if brier is None else f" Brier score of former forecasts {brier:.3f} (0 is best)."
    st.markdown(
        f"**{percent(found.in_time, 0)}** of answers come within the "
        f"{found.budget:.1f} open hours that an order usually gets, by {plain(found.said)}.{score}"
    )
    with st.container(border=True):
        picture(
            "Answered after so many open hours",
            lambda: supplier_charts.survival(found),
            {
                "Open hours": [round(x, 2) for x, _ in found.points],
                "Answered": [percent(y) for _, y in found.points],
            },
            key="supplier outlook",
            alt="Share of orders answered by open hours since transmission",
            about="Orders that still wait are counted as waiting so long (Kaplan and Meier).",
        )
    if found.open:
        st.subheader("Waiting now", anchor=False)
        table(
            {
                "Order": [o.number for o in found.open],
                "Chance": [MISSING if o.chance is None else percent(o.chance, 0)
                           for o in found.open],
                "Waited": [f"{o.waited:.1f} of {o.budget:.1f} open h" for o in found.open],
                "Due": [day_clock(o.due_at, viewer.zone) for o in found.open],
            },
            key="supplier waits",
            alt="Orders that wait for an answer, the least likely first",
            opens="Order",
            links=[TraceLink(ref=o.ref) for o in found.open],
        )  # fmt: skip


# --- what is open ---------------------------------------------------------------------------------


def _open_orders(page: SupplierPage, link: SupplierLink) -> None:
    ages = page.open_ages
    if not ages:
        nothing_here("No purchase order of this supplier is open.")
        return
    same: dict[str, Any] = {"period": link.period, "supplier": page.card.key}

    def opens(point: Mapping[str, Any]) -> Link:
        awaits = point.get("customdata") in ("not answered", ["not answered"])
        return PurchaseOrdersLink(view="awaiting_ack" if awaits else "all", **same)

    with st.container(border=True):
        picture(
            "Open purchase orders by age",
            lambda: supplier_charts.open_orders(ages),
            {
                "Age": [a.band for a in ages],
                "Stage": [a.stage for a in ages],
                "Orders": [a.orders for a in ages],
                "Open value": [money(a.value, a.currency) for a in ages],
            },
            key="supplier open",
            alt="Open purchase orders by days since release and stage",
            about="Days since release. Click a bar for the orders.",
            note=f"{many(sum(a.orders for a in ages), 'order')} open now, whatever the period",
            opens=opens,
        )


def _exceptions(page: SupplierPage, link: SupplierLink) -> None:
    rows = page.categories
    if not rows:
        nothing_here("No exception of this supplier was opened in the period, none is open now.")
        return
    table(
        customers_hurt.told(
            {
                "Category": [category_meaning(r.category) for r in rows],
                "Open now": [r.open for r in rows],
                "Worst": [None if r.severity is None else severity(r.severity) for r in rows],
                "Opened": [r.opened for r in rows],
                "Healed without a hand": [r.healed for r in rows],
                "At risk": [money(r.value_at_risk, r.currency) for r in rows],
            }
        ),
        key="supplier exceptions",
        alt="Exceptions by category, most open first",
        opens="Category",
        opens_width=300,
        links=[
            ExceptionsLink(
                category=r.category,
                supplier=page.card.key,
                period=link.period,
                view="all",
                state=None if r.open else "all",
            )
            for r in rows
        ],
    )


# --- mails and profile ----------------------------------------------------------------------------


def _mails(page: SupplierPage, viewer: Viewer, narrowed: Filter) -> None:
    found = data.told(viewer.scope, narrowed, page.card.key)
    theirs = [mail for mail in found if mail.to_supplier]
    ours = [mail for mail in found if not mail.to_supplier]
    if not found:
        nothing_here(
            "No mail of the period went to this supplier or spoke of its cases.",
            next_step="Mails to suppliers go to partner.contact of a policy, to the address of "
            "the role alerts or ack in their profile.",
        )
        return
    network = data.network(viewer.scope)
    people = {} if network is None else {key: one.name for key, one in network.people.items()}
    for title, mails in ((f"To {plain(page.card.name)}", theirs), ("To us, about them", ours)):
        st.subheader(title, anchor=False)
        if not mails:
            st.caption("None in the period.")
            continue
        table(
            {
                "Subject": [m.subject for m in mails],
                "To": [
                    people.get(m.recipient, m.recipient.removeprefix("partner:")) for m in mails
                ],
                "When": [day_clock(m.sent_at or m.created_at, viewer.zone) for m in mails],
                "State": [f"{STATE_SIGN.get(m.state, '·')} {m.state}" for m in mails],
                "Cases": [m.cases for m in mails],
            },
            key=f"mails {title}",
            alt=f"Mails {title}, newest first",
            opens="Subject" if data.in_demo() else None,
            opens_width=430,
            links=[MailboxLink(mail=m.id, recipient=m.recipient) for m in mails],
        )


def _profile(page: SupplierPage, viewer: Viewer) -> None:
    card = page.card
    left, right = st.columns([2, 3])
    with left.container(border=True, height="stretch"):
        st.subheader("Contacts", anchor=False)
        if card.contacts:
            for role, who in card.contacts.items():
                st.markdown(f"{plain(role)}: **{plain(who)}**")
        else:
            st.caption("None stand in its profile (network.yaml, contacts).")
        for name, value in (
            ("Answers orders", card.acknowledges),
            ("Sends shipment notices", card.sends_asn),
            ("Functional acknowledgements agreed", card.expects_fa),
        ):
            st.markdown(f"{name}: **{'yes' if value else 'no'}**")
        st.markdown(f"Calendar: **{plain(card.calendar or 'the company calendar')}**")
    with right.container(border=True, height="stretch"):
        st.subheader("How its messages reach us", anchor=False)
        if not card.connected:
            st.caption("No message about an order of this supplier is known.")
            return
        rows = card.connected
        table(
            {
                "Feed": [c.source for c in rows],
                "Channel": [c.channel for c in rows],
                "Read by": [c.reader for c in rows],
                "Messages": [c.messages for c in rows],
                "Newest": [day_clock(c.last_at, viewer.zone) for c in rows],
            },
            key="supplier channels",
            alt="Feeds of the newest orders with interpreter and version",
            config={"Read by": st.column_config.TextColumn(help="interpreter or mapping, version")},
        )
        st.caption("By the messages about its 30 newest orders.")
