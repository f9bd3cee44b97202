"""The parts of the integrations page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import streamlit as st

from app import charts
from app.links import IntegrationsLink, TraceLink
from app.parts.tables import table
from app.parts.words import MISSING, day_clock, many, span
from app.session import Viewer
from db.reads.integrations import DayLoad, Failure, HopLoad


def cards(hops: Sequence[HopLoad]) -> None:
    """Four figures over all that is shown."""
    events = sum(hop.events for hop in hops)
    failed = sum(hop.failed + hop.dead_letters for hop in hops)
    columns = st.columns(4)
    columns[0].metric("Events", f"{events:,}", border=True)
    columns[1].metric(
        "Failed", f"{failed:,}", border=True,
        help="Failed, dead-lettered or rejected messages, and dead letters.",
    )  # fmt: skip
    columns[2].metric("Retries", f"{sum(hop.retried for hop in hops):,}", border=True)
    columns[3].metric(
        "Dead letters open", f"{sum(hop.dead_letters_open for hop in hops):,}", border=True
    )


def hop_table(hops: Sequence[HopLoad], viewer: Viewer) -> None:
    """One row per system and partner, most errors first."""
    st.markdown("**By system and partner** :gray[most errors first]")
    table(
        {
            "System": [hop.system for hop in hops],
            "Partner": [hop.partner_name or MISSING for hop in hops],
            "Events": [hop.events for hop in hops],
            "Failed": [hop.failed for hop in hops],
            "Dead": [hop.dead_letters for hop in hops],
            "Open": [hop.dead_letters_open for hop in hops],
            "Error rate": [f"{hop.error_rate:.1%}" for hop in hops],
            "Retries": [hop.retried for hop in hops],
            "Half in": [_span(hop.p50_s) for hop in hops],
            "95 % in": [_span(hop.p95_s) for hop in hops],
            "Clock ahead": [hop.ahead or None for hop in hops],
            "Newest": [
                MISSING
                if hop.last_at is None
                else f"{hop.last_at.astimezone(viewer.zone):%d %b %H:%M}"
                for hop in hops
            ],
        },
        alt="Load, errors and latency by system and partner",
        key="integration hops",
        opens="System",
        links=[IntegrationsLink(hop=hop.system, supplier=hop.partner) for hop in hops],
        config=_HOPS,
    )


# All of them side by side on a window of 1024 pixels.
_HOPS = {
    "Events": st.column_config.NumberColumn(width=54),
    "Failed": st.column_config.NumberColumn(width=50),
    "Dead": st.column_config.NumberColumn(width=48, help="Dead letters."),
    "Open": st.column_config.NumberColumn(width=50, help="Dead letters that are still open."),
    "Error rate": st.column_config.TextColumn(width=74),
    "Retries": st.column_config.NumberColumn(width=56),
    "Half in": st.column_config.TextColumn(
        width=72, help="From happening to reaching the tower: half take no longer."
    ),
    "95 % in": st.column_config.TextColumn(
        width=72, help="From happening to reaching the tower: 95 of 100 take no longer."
    ),
    "Clock ahead": st.column_config.NumberColumn(
        width=84, help="Events that reached us before they happened by their own clock."
    ),
    "Newest": st.column_config.TextColumn(width=92, help="In your own time."),
}


def _span(seconds: float | None) -> str:
    if seconds is None:
        return MISSING
    return f"{seconds:.0f} s" if seconds < 60 else span(seconds)


def course(days: Sequence[DayLoad], hop: str | None) -> None:
    """Events and failures per day; of one system where one is chosen."""
    events: dict[date, int] = defaultdict(int)
    failed: dict[date, int] = defaultdict(int)
    for one in days:
        if hop is None or one.system == hop:
            events[one.day] += one.events
            failed[one.day] += one.failed
    if not events:
        return
    st.markdown(f"**Events per day** :gray[{hop or 'all systems'}, days in UTC]")
    figure = charts.days_of_hop(sorted(events), events, failed)
    st.plotly_chart(figure, key="integration course", config=charts.CONFIG)


def failures(found: Sequence[Failure], viewer: Viewer) -> None:
    """What fails most, by fingerprint."""
    if not found:
        st.caption("Nothing became a dead letter in this period.")
        return
    st.markdown(f"**What fails most** :gray[{many(len(found), 'fingerprint')}]")
    table(
        {
            "Newest message": [one.message[:48] for one in found],
            "Count": [one.count for one in found],
            "Open": [one.open for one in found],
            "Code": [one.code for one in found],
            "Cause": [one.cause for one in found],
            "Source": [one.source for one in found],
            "Partners": [", ".join(one.partners) or MISSING for one in found],
            "First": [day_clock(one.first_at, viewer.zone) for one in found],
            "Last": [day_clock(one.last_at, viewer.zone) for one in found],
            "Fingerprint": [one.fingerprint for one in found],
        },
        alt="Dead letters by fingerprint",
        key="integration failures",
        opens="Newest message",
        links=[TraceLink(ref=f"raw:{one.message}") for one in found],
    )
