"""All that screens read, and the only file that keeps anything between runs.

Every kept answer has the viewer's scope among its arguments, so that nobody gets what was kept for
somebody else, and the version of the data, so that nothing is shown after it changed. Times are
given as arguments, whole minutes, so that visitors of the same minute share an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import streamlit as st
from plotly.graph_objects import Figure

from app import charts
from db import audit, configuration, switches
from db import engine as engines
from db.reads import (
    connection,
    freshness,
    kpis,
    lookup,
    mails,
    names,
    orders_at_risk,
    overview,
    purchase_orders,
    rules,
)
from db.reads import disagreements as disagreement_reads
from db.reads import integrations as integration_reads
from db.reads.filters import Filter
from tower import settings
from tower.access import Scope
from tower.briefing import Changes
from tower.calendars import Calendar
from tower.kpis import Figure as KeyFigure
from tower.network import Network
from tower.rulebook import RuleBook

TTL_S = 60  # an answer under one version may still age: cases get older without any event
MOST = 128  # kept answers per question
PAGE_ROWS = 200
MOST_DISAGREEMENTS = 1000
STATEMENT_TIMEOUT_S = 20.0


def this_instant() -> datetime:
    """The current instant, for what is written down."""
    return datetime.now(UTC)


def this_minute() -> datetime:
    """The current instant, seconds cut off; read once per run and passed on."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


# --- the database ---------------------------------------------------------------------------------


@st.cache_resource(max_entries=2, show_spinner=False, on_release=lambda kept: kept.dispose())
def _engine(address: str) -> connection.Database:
    return connection.database(address, timeout_s=STATEMENT_TIMEOUT_S)


@st.cache_resource(ttl=TTL_S, max_entries=1, show_spinner=False)
def _address() -> str:
    """Looked up again each minute, for the embedded server may have been started anew."""
    return engines.address(settings.load())


@st.cache_resource(max_entries=1, show_spinner=False)
def in_demo() -> bool:
    """Whether `tower demo` runs here: its network lies in a folder of its own."""
    chosen = settings.load()
    return chosen.network.parent == chosen.home / "demo"


def _database() -> connection.Database:
    return _engine(_address())


@contextmanager
def connected() -> Iterator[connection.Asking]:
    """A connection for questions that are asked anew at each run (the pages of support)."""
    with connection.reading(_database()) as conn:
        yield conn


@contextmanager
def writing() -> Iterator[connection.Asking]:
    """One transaction for a wish of the viewer: a note, taking or deciding a case."""
    with _database().begin() as conn:
        yield conn


def fresh(scope: Scope) -> freshness.Freshness:
    """Never kept: this is what tells whether kept answers still hold (about two milliseconds)."""
    with connected() as conn:
        return freshness.freshness(conn, scope, datetime.now(UTC))


def mail_trouble(scope: Scope) -> mails.Trouble:
    """Why people may not hear of cases now. Never kept."""
    with connected() as conn:
        return mails.trouble(conn, scope, datetime.now(UTC))


def why_read_only() -> str:
    """Who switched changes off and why; "" while they are on. Never kept."""
    with connected() as conn:
        return switches.why_read_only(conn)


@st.cache_data(ttl=600, max_entries=MOST, show_spinner=False)
def choices(scope: Scope) -> lookup.Choices:
    """What the filter row offers; ten minutes old at most, for names hardly change."""
    with connected() as conn:
        return lookup.choices(conn, scope, datetime.now(UTC))


def network(scope: Scope) -> Network | None:
    """The network in force, None before the first worker took one in.

    The whole of it is our own: viewers of some partners only get none.
    """
    if not scope.sees_all:
        return None
    with connected() as conn:
        return names.network(conn)


def rulebook(scope: Scope) -> RuleBook | None:
    """The rule book in force; viewers of some partners only get none."""
    if not scope.sees_all:
        return None
    with connected() as conn:
        return rules.rulebook(conn)


def rules_text(scope: Scope) -> str | None:
    """The rule book in force as it is written, None before the first activation."""
    if not scope.sees_all:
        return None
    with connected() as conn:
        active = configuration.active(conn, configuration.RULES)
    return None if active is None else active.body


def hours(scope: Scope) -> Calendar | None:
    """The company's calendar: in its open hours the ages of cases are told, too."""
    with connected() as conn:
        return names.company_hours(conn)


@st.cache_data(ttl=300, max_entries=4, show_spinner="Computing the chain of the audit anew")
def audit_verified(scope: Scope, version: int) -> audit.Verified:
    """Whether the audit is unbroken, at most five minutes old; ``version`` is its newest entry."""
    with connected() as conn:
        return audit.verify(conn)


# --- overview -------------------------------------------------------------------------------------


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def leader_figures(scope: Scope, narrowed: Filter, version: str) -> tuple[KeyFigure, ...]:
    with connected() as conn:
        return kpis.leader_figures(conn, scope, narrowed, narrowed.period.end)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def needs_decision(
    scope: Scope, narrowed: Filter, version: str
) -> tuple[overview.RootCause, ...]:
    with connected() as conn:
        return overview.needs_decision(conn, scope, narrowed)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def case_flow(scope: Scope, narrowed: Filter, version: str) -> tuple[overview.DayCount, ...]:
    with connected() as conn:
        return overview.case_flow(conn, scope, narrowed)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def open_ages(scope: Scope, narrowed: Filter, version: str) -> tuple[overview.AgeBand, ...]:
    with connected() as conn:
        return overview.open_ages(conn, scope, narrowed, narrowed.period.end)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def ack_by_week(scope: Scope, narrowed: Filter, version: str) -> tuple[kpis.WeekShare, ...]:
    with connected() as conn:
        return kpis.ack_by_week(conn, scope, narrowed, narrowed.period.end)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def changes(scope: Scope, narrowed: Filter, version: str) -> Changes:
    with connected() as conn:
        return overview.changes(conn, scope, narrowed, narrowed.period.end)


# --- pictures: building one costs more than asking for its rows ----------------------------------


@st.cache_resource(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def case_flow_picture(scope: Scope, narrowed: Filter, version: str) -> Figure:
    return charts.case_flow(case_flow(scope, narrowed, version))


@st.cache_resource(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def open_ages_picture(scope: Scope, narrowed: Filter, version: str) -> Figure:
    return charts.open_ages(open_ages(scope, narrowed, version))


@st.cache_resource(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def ack_heat_picture(scope: Scope, narrowed: Filter, version: str) -> Figure:
    return charts.ack_heat(ack_by_week(scope, narrowed, version))


# --- support --------------------------------------------------------------------------------------


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def integrations(
    scope: Scope, narrowed: Filter, version: str
) -> integration_reads.Integrations:
    with connected() as conn:
        return integration_reads.integrations(conn, scope, narrowed)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def disagreements(
    scope: Scope, now: datetime, version: str, also_done: bool
) -> tuple[list[disagreement_reads.Disagreement], bool]:
    net = network(scope)
    if net is None:
        return [], False
    with connected() as conn:
        return disagreement_reads.disagreements(
            conn, scope, net, now, open_only=not also_done, limit=MOST_DISAGREEMENTS
        )


# --- lists ----------------------------------------------------------------------------------------


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def po_page(
    scope: Scope,
    narrowed: Filter,
    version: str,
    view: purchase_orders.View,
    after: str | None,
    limit: int = PAGE_ROWS,
) -> purchase_orders.PoPage:
    with connected() as conn:
        return purchase_orders.purchase_orders(
            conn, scope, narrowed, view, narrowed.period.end, after=after, limit=limit
        )


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def risk_page(
    scope: Scope,
    narrowed: Filter,
    version: str,
    cause: str | None,
    after: str | None,
    limit: int = PAGE_ROWS,
) -> orders_at_risk.AtRiskPage:
    with connected() as conn:
        return orders_at_risk.orders_at_risk(
            conn, scope, narrowed, cause=cause, after=after, limit=limit
        )


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def risk_groups(
    scope: Scope,
    narrowed: Filter,
    version: str,
    group: orders_at_risk.Group,
    cause: str | None,
) -> tuple[orders_at_risk.GroupRow, ...]:
    with connected() as conn:
        return orders_at_risk.grouped(conn, scope, narrowed, group, cause=cause)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def risk_streams(
    scope: Scope, narrowed: Filter, version: str, cause: str | None
) -> tuple[orders_at_risk.Stream, ...]:
    with connected() as conn:
        return orders_at_risk.streams(conn, scope, narrowed, cause=cause)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def risk_causes(scope: Scope, narrowed: Filter, version: str) -> tuple[str, ...]:
    with connected() as conn:
        return orders_at_risk.causes(conn, scope, narrowed)
