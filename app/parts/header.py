"""The line on top of every page: its title, the period, how fresh the data are, who is silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from app import data
from app.components.doors import own_password, sign_out
from app.pages import HEALTH
from app.parts import mail_page
from app.parts.words import ago, clock, day_clock, plain
from app.session import Viewer, draw_again
from db.reads.freshness import Freshness

STALE = timedelta(minutes=30)  # no feed at all read for so long: the tower itself may stand still
LOOK_AGAIN_S = 15  # how often an open page asks whether the data changed


def header(title: str, viewer: Viewer, *, period: str = "") -> Freshness:
    """Draw the line and return the freshness, whose version every kept answer of the page needs.

    ``title`` is text: it may be words of others.
    """
    fresh = data.fresh(viewer.scope)
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="left"):
        st.title(plain(title), anchor=False, width="content")
        if period:
            st.caption(period, width="content")
        st.space("stretch")
        _stamp(fresh, viewer)
        account(viewer)
    switched_off = data.why_read_only()
    if switched_off:
        st.warning(f"The tower is read-only: {plain(switched_off)}", icon=":material/lock:")
    mail_page.banner(data.mail_trouble(viewer.scope), viewer.zone)
    watch(fresh.version, viewer)
    return fresh


def _stamp(fresh: Freshness, viewer: Viewer) -> None:
    if fresh.as_of is None:
        st.caption(":material/schedule: no feed was read yet", width="content")
    else:
        st.caption(
            _as_of(fresh.as_of, datetime.now(UTC), viewer),
            width="content",
            help=f"{fresh.as_of:%Y-%m-%d %H:%M:%S} UTC is the newest good read of "
            f"{fresh.n_feeds} feeds.",
        )
    if not fresh.silent:
        return
    names = ", ".join(
        f"{feed.source} (complete to {ago(feed.complete_to, datetime.now(UTC))})"
        for feed in fresh.silent[:8]
    )
    st.page_link(
        HEALTH.file,
        label=f"{len(fresh.silent)} feed{'s' if len(fresh.silent) > 1 else ''} silent",
        icon=":material/sensors_off:",
        help=f"Figures that rest on a silent feed may miss facts: {names}",
    )


def account(viewer: Viewer) -> None:
    """Who is signed in, what they see, and the way out."""
    with st.popover(plain(viewer.name), icon=":material/account_circle:", type="tertiary"):
        st.markdown(f"**{plain(viewer.full_name or viewer.name)}**")
        partners = viewer.scope.partners
        sees = "all partners" if partners is None else plain(", ".join(sorted(partners)))
        st.caption(f"{viewer.role or 'operator'} · sees {sees}")
        own_password(key="own password")
        sign_out(key="sign out")


def _as_of(newest: datetime, now: datetime, viewer: Viewer) -> str:
    """The instant itself while it is of today; its age too, and amber, once it is stale."""
    zone = viewer.zone
    today = newest.astimezone(zone).date() == now.astimezone(zone).date()
    text = f":material/schedule: as of {(clock if today else day_clock)(newest, zone)}"
    return text if now - newest < STALE else f":orange[{text}, {ago(newest, now)}]"


@st.fragment(run_every=LOOK_AGAIN_S)
def watch(version: str, viewer: Viewer) -> None:
    """Draw the page again once the data changed; draws nothing itself."""
    if data.fresh(viewer.scope).version != version:
        draw_again()
