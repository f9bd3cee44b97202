"""All that screens read, and the only file that keeps anything between runs.

Every kept answer has the viewer's scope among its arguments, so that nobody gets what was kept for
somebody else, and the version of the data, so that nothing is shown after it changed. Times are
given as arguments, whole minutes, so that visitors of the same minute share an answer.

Whoever asks is signed in: that is looked up before anything that was kept is given out, for parts
of a page that draw themselves again do so without the page.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import streamlit as st
from plotly.graph_objects import Figure
from streamlit.runtime.caching.cache_utils import CachedFunc

from app import charts
from app.cookies import is_loopback, on_this_machine, token_in
from db import audit, configuration, sessions, switches
from db import engine as engines
from db.reads import (
    answering,
    connection,
    figures,
    freshness,
    fulfilment,
    kpis,
    lookup,
    mails,
    names,
    orders_at_risk,
    overview,
    purchase_orders,
    rules,
    supplier_page,
)
from db.reads import disagreements as disagreement_reads
from db.reads import integrations as integration_reads
from db.reads import item_curve as item_curves
from db.reads import scorecards as scorecard_reads
from db.reads import subjects as subject_reads
from db.reads.filters import Filter
from tower import settings
from tower.access import EVERYTHING, Permission, Scope
from tower.briefing import Changes
from tower.calendars import Calendar
from tower.errors import TowerError
from tower.kpis import Figure as KeyFigure
from tower.network import Network
from tower.rulebook import RuleBook

T = TypeVar("T")

# Sign-in reads this file before Streamlit's own server begins, which it would tell per function.
logging.getLogger("streamlit.runtime.caching.cache_data_api").setLevel(logging.ERROR)

TTL_S = 60  # an answer under one version may still age: cases get older without any event
MOST = 128  # kept answers per question
PAGE_ROWS = 200
MOST_DISAGREEMENTS = 1000
STATEMENT_TIMEOUT_S = 20.0
SETTLED = timedelta(minutes=5)  # figures over all suppliers are asked for no more often


def this_instant() -> datetime:
    """The current instant, for what is written down."""
    return datetime.now(UTC)


def this_minute() -> datetime:
    """The current instant, seconds cut off; read once per run and passed on."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


def settled(now: datetime) -> datetime:
    """The last full five minutes: where every visitor's question is the same, so is the answer."""
    return now - (now - datetime.min.replace(tzinfo=UTC)) % SETTLED


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


@st.cache_resource(max_entries=1, show_spinner=False)
def at_home() -> bool:
    """Whether this tower is for this machine alone: its address is, so it needs no TLS."""
    return is_loopback(urlsplit(settings.load().base_url).hostname or "")


def plain_cookies(host: str) -> bool:
    """Whether the cookie of a session has its plain name for a request with this Host header."""
    return at_home() and on_this_machine(host)


def _database() -> connection.Database:
    return _engine(_address())


@contextmanager
def house() -> Iterator[connection.Asking]:
    """One transaction before anybody is known: for accounts and sessions alone."""
    with _database().begin() as conn:
        yield conn


@contextmanager
def connected(scope: Scope | None = None) -> Iterator[connection.Asking]:
    """A connection to read with, as the database role of a viewer: of this run, if none is given.

    Somebody is signed in. The database itself then hides rows of others from what forgets to ask
    whose they are.
    """
    mine = _present().scope
    with connection.reading(_database(), mine if scope is None else scope) as conn:
        yield conn


@contextmanager
def writing(permission: Permission) -> Iterator[connection.Asking]:
    """One transaction for a wish of the viewer, who must be allowed it (AccessDenied): a note,
    taking or deciding a case.
    """
    _present(lately=False).scope.demand(permission)
    with _database().begin() as conn:
        yield conn


# --- who asks -------------------------------------------------------------------------------------

LATELY_S = 1.0  # one page asks a dozen questions; it is looked up once for all of them
_known: dict[str, tuple[float, sessions.Live | None]] = {}
_knowing = threading.Lock()
_handed: ContextVar[str | None] = ContextVar("token of whoever asked for a file", default=None)


class SignedOut(TowerError):
    """Nobody is signed in any more, or with other rights than when this was drawn."""

    def __init__(self) -> None:
        super().__init__("You are signed out. Sign in again; nothing was changed or lost.")


def session_token() -> str:
    """What the browser of this run sent when it connected; "" outside of a page."""
    if (handed := _handed.get()) is not None:
        return handed
    try:
        headers, cookies = st.context.headers, st.context.cookies
    except RuntimeError:  # no server runs
        return ""
    return token_in(cookies, plain=plain_cookies(headers.get("Host", "")))


def holder(token: str) -> sessions.Live | None:
    """Who this token belongs to now; always looked up."""
    if not token:
        return None
    at = time.monotonic()
    with connection.reading(_database()) as conn:
        live = sessions.look(conn, token, datetime.now(UTC))
    with _knowing:
        if len(_known) > 1000:
            _known.clear()
        _known[token] = (at, live)
    return live


def forget_holder(token: str) -> None:
    """The session of this token has just ended in this process."""
    with _knowing:
        _known.pop(token, None)


def signed_in(*, lately: bool = False) -> sessions.Live | None:
    """Who is before the screen of this run, None once the session ended. ``lately``: an answer may
    be a second old.
    """
    token = session_token()
    if lately:
        with _knowing:
            at, live = _known.get(token, (float("-inf"), None))
        if time.monotonic() - at < LATELY_S:
            return live
    return holder(token)


def later(step: Callable[[], T], permission: Permission = "data.export") -> Callable[[], T]:
    """``step`` for a download that is made when it is clicked: outside of any page, so on behalf of
    who sees the button now, if they are still signed in and allowed it then.
    """
    token = session_token()

    def made() -> T:
        mark = _handed.set(token)
        try:
            _present(lately=False).scope.demand(permission)
            return step()
        finally:
            _handed.reset(mark)

    return made


def still_active(live: sessions.Live) -> None:
    """The person did something: their half hour begins anew."""
    with house() as conn:
        sessions.touch(conn, live.session, datetime.now(UTC))


def _present(*, lately: bool = True) -> sessions.Live:
    live = signed_in(lately=lately)
    if live is None:
        raise SignedOut
    return live


def _entitled(scope: Scope) -> None:
    """Raise SignedOut unless this is the scope of who is signed in now."""
    mine = _present().scope
    if mine != scope and mine.role is not None:
        raise SignedOut


# --- the tower as a whole -------------------------------------------------------------------------


def fresh(scope: Scope) -> freshness.Freshness:
    """Never kept: this is what tells whether kept answers still hold (about two milliseconds)."""
    with connected(scope) as conn:
        return freshness.freshness(conn, scope, datetime.now(UTC))


def mail_trouble(scope: Scope) -> mails.Trouble:
    """Why people may not hear of cases now. Never kept."""
    with connected(scope) as conn:
        return mails.trouble(conn, scope, datetime.now(UTC))


def why_read_only() -> str:
    """Who switched changes off and why; "" while they are on. Never kept."""
    with connected(EVERYTHING) as conn:
        return switches.why_read_only(conn)


@st.cache_data(ttl=600, max_entries=MOST, show_spinner=False)
def choices(scope: Scope) -> lookup.Choices:
    """What the filter row offers; ten minutes old at most, for names hardly change."""
    with connected(scope) as conn:
        return lookup.choices(conn, scope, datetime.now(UTC))


def network(scope: Scope) -> Network | None:
    """The network in force, None before the first worker took one in.

    The whole of it is our own: viewers of some partners only get none.
    """
    if not scope.sees_all:
        return None
    with connected(scope) as conn:
        return names.network(conn)


def rulebook(scope: Scope) -> RuleBook | None:
    """The rule book in force; viewers of some partners only get none."""
    if not scope.sees_all:
        return None
    with connected(scope) as conn:
        return rules.rulebook(conn)


def rules_text(scope: Scope) -> str | None:
    """The rule book in force as it is written, None before the first activation."""
    if not scope.sees_all:
        return None
    with connected(scope) as conn:
        active = configuration.active(conn, configuration.RULES)
    return None if active is None else active.body


def hours(scope: Scope) -> Calendar | None:
    """The company's calendar: in its open hours the ages of cases are told, too."""
    with connected(scope) as conn:
        return names.company_hours(conn)


@st.cache_data(ttl=300, max_entries=4, show_spinner="Computing the chain of the audit anew")
def audit_verified(scope: Scope, version: int) -> audit.Verified:
    """Whether the audit is unbroken, at most five minutes old; ``version`` is its newest entry."""
    with connected(scope) as conn:
        return audit.verify(conn)


# --- overview -------------------------------------------------------------------------------------


@st.cache_resource(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def leader_figures(scope: Scope, narrowed: Filter, version: str) -> tuple[KeyFigure, ...]:
    with connected(scope) as conn:
        return kpis.leader_figures(conn, scope, narrowed, narrowed.period.end)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def needs_decision(scope: Scope, narrowed: Filter, version: str) -> tuple[overview.RootCause, ...]:
    with connected(scope) as conn:
        return overview.needs_decision(conn, scope, narrowed)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def case_flow(scope: Scope, narrowed: Filter, version: str) -> tuple[overview.DayCount, ...]:
    with connected(scope) as conn:
        return overview.case_flow(conn, scope, narrowed)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def open_ages(scope: Scope, narrowed: Filter, version: str) -> tuple[overview.AgeBand, ...]:
    with connected(scope) as conn:
        return overview.open_ages(conn, scope, narrowed, narrowed.period.end)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def ack_by_week(scope: Scope, narrowed: Filter, version: str) -> tuple[kpis.WeekShare, ...]:
    with connected(scope) as conn:
        return kpis.ack_by_week(conn, scope, narrowed, narrowed.period.end)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def changes(scope: Scope, narrowed: Filter, version: str) -> Changes:
    with connected(scope) as conn:
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


# --- key figures: by the period, as of whose end they are told; by the version only if one is given
# Figures are frozen and hold mappings that cannot be copied: they are kept as they are.

Switches = tuple[tuple[str, str], ...]
"""Choices of a definition as pairs, which can be a key."""
KeyFigures = tuple[KeyFigure, ...]
Asked = tuple[tuple[str, Switches], ...]
"""Figures, each with its choices: asked for in one transaction."""


@st.cache_resource(ttl=300, max_entries=2 * MOST, show_spinner=False)
def several(scope: Scope, narrowed: Filter, asked: Asked, version: str = "") -> KeyFigures:
    with connected(scope) as conn:
        chosen = [(kpi, dict(switches)) for kpi, switches in asked]
        return tuple(figures.several(conn, scope, chosen, narrowed, narrowed.period.end))


@st.cache_resource(ttl=300, max_entries=2 * MOST, show_spinner=False)
def several_by(
    scope: Scope, narrowed: Filter, asked: Asked, by: str
) -> tuple[tuple[figures.Told, ...], ...]:
    with connected(scope) as conn:
        chosen, end = [(kpi, dict(switches)) for kpi, switches in asked], narrowed.period.end
        return tuple(map(tuple, figures.several_by(conn, scope, chosen, by, narrowed, end)))


@st.cache_resource(ttl=300, max_entries=MOST, show_spinner=False)
def subjects(
    scope: Scope,
    narrowed: Filter,
    kpi: str,
    only: subject_reads.Only,
    after: str | None,
    switches: Switches = (),
    limit: int = PAGE_ROWS,
) -> subject_reads.SubjectPage:
    with connected(scope) as conn:
        return subject_reads.subjects(
            conn,
            scope,
            kpi,
            narrowed,
            narrowed.period.end,
            dict(switches),
            only=only,
            after=after,
            limit=limit,
        )


@st.cache_data(ttl=300, max_entries=MOST, show_spinner=False)
def scorecards(
    scope: Scope, narrowed: Filter, trend: int = 1
) -> tuple[scorecard_reads.SupplierCard, ...]:
    with connected(scope) as conn:
        return scorecard_reads.scorecards(conn, scope, narrowed, narrowed.period.end, trend=trend)


@st.cache_data(ttl=300, max_entries=MOST, show_spinner=False)
def supplier(scope: Scope, narrowed: Filter, key: str) -> supplier_page.SupplierPage | None:
    with connected(scope) as conn:
        return supplier_page.supplier_page(conn, scope, key, narrowed, narrowed.period.end)


@st.cache_data(ttl=300, max_entries=MOST, show_spinner=False)
def outlook(scope: Scope, key: str, now: datetime) -> answering.Answering | None:
    with connected(scope) as conn:
        return answering.answering(conn, scope, key, now)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def told(scope: Scope, narrowed: Filter, key: str) -> tuple[supplier_page.Told, ...]:
    with connected(scope) as conn:
        return supplier_page.told(conn, scope, key, narrowed.period)


@st.cache_data(ttl=300, max_entries=MOST, show_spinner=False)
def perfect_parts(scope: Scope, narrowed: Filter) -> Mapping[str, tuple[int, int]]:
    with connected(scope) as conn:
        return fulfilment.perfect_parts(conn, scope, narrowed, narrowed.period.end)


@st.cache_data(ttl=300, max_entries=MOST, show_spinner=False)
def discrepancies(scope: Scope, narrowed: Filter) -> tuple[fulfilment.DiscrepancyCount, ...]:
    with connected(scope) as conn:
        return fulfilment.discrepancies(conn, scope, narrowed)


@st.cache_data(ttl=300, max_entries=MOST, show_spinner=False)
def discrepancy_page(
    scope: Scope, narrowed: Filter, after: str | None, limit: int = PAGE_ROWS
) -> fulfilment.DiscrepancyPage:
    with connected(scope) as conn:
        return fulfilment.discrepancy_page(conn, scope, narrowed, after=after, limit=limit)


@st.cache_data(ttl=300, max_entries=MOST, show_spinner=False)
def invoices(scope: Scope, narrowed: Filter) -> fulfilment.Invoices:
    with connected(scope) as conn:
        return fulfilment.invoices(conn, scope, narrowed)


@st.cache_data(ttl=300, max_entries=MOST, show_spinner=False)
def cohorts(scope: Scope, narrowed: Filter) -> tuple[fulfilment.Cohort, ...]:
    with connected(scope) as conn:
        return fulfilment.cohorts(conn, scope, narrowed, narrowed.period.end)


# --- support --------------------------------------------------------------------------------------


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def integrations(scope: Scope, narrowed: Filter, version: str) -> integration_reads.Integrations:
    with connected(scope) as conn:
        return integration_reads.integrations(conn, scope, narrowed)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def disagreements(
    scope: Scope, now: datetime, version: str, also_done: bool
) -> tuple[list[disagreement_reads.Disagreement], bool]:
    net = network(scope)
    if net is None:
        return [], False
    with connected(scope) as conn:
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
    with connected(scope) as conn:
        return purchase_orders.purchase_orders(
            conn, scope, narrowed, view, narrowed.period.end, after=after, limit=limit
        )


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def risk_page(
    scope: Scope,
    narrowed: Filter,
    version: str,
    only: orders_at_risk.Only,
    after: str | None,
    limit: int = PAGE_ROWS,
) -> orders_at_risk.AtRiskPage:
    with connected(scope) as conn:
        return orders_at_risk.orders_at_risk(
            conn, scope, narrowed, only=only, after=after, limit=limit
        )


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def risk_groups(
    scope: Scope,
    narrowed: Filter,
    version: str,
    group: orders_at_risk.Group,
    only: orders_at_risk.Only,
) -> tuple[orders_at_risk.GroupRow, ...]:
    with connected(scope) as conn:
        return orders_at_risk.grouped(conn, scope, narrowed, group, only=only)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def risk_streams(
    scope: Scope, narrowed: Filter, version: str, only: orders_at_risk.Only
) -> tuple[orders_at_risk.Stream, ...]:
    with connected(scope) as conn:
        return orders_at_risk.streams(conn, scope, narrowed, only=only)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def risk_causes(scope: Scope, narrowed: Filter, version: str) -> tuple[str, ...]:
    with connected(scope) as conn:
        return orders_at_risk.causes(conn, scope, narrowed)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def risk_items(
    scope: Scope, narrowed: Filter, version: str, only: orders_at_risk.Only
) -> tuple[orders_at_risk.ItemAtRisk, ...]:
    with connected(scope) as conn:
        return orders_at_risk.items(conn, scope, narrowed, only=only)


@st.cache_data(ttl=TTL_S, max_entries=MOST, show_spinner=False)
def item_curve(
    scope: Scope, item: str, warehouse: str, now: datetime, version: str
) -> item_curves.ItemCurve | None:
    with connected(scope) as conn:
        return item_curves.item_curve(conn, scope, item, warehouse, now)


# --- at the door of everything that is kept -------------------------------------------------------


def _guarded(kept: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(kept)
    def asked(scope: Scope, *rest: Any, **named: Any) -> Any:
        _entitled(scope)
        return kept(scope, *rest, **named)

    return asked


# All at once and at the end, so that none is forgotten: whatever is kept for a scope.
_OF_NOBODY = ("_engine", "_address", "at_home", "in_demo")
for _name, _found in list(globals().items()):
    if isinstance(_found, CachedFunc) and _name not in _OF_NOBODY:
        globals()[_name] = _guarded(_found)
