"""Silences: mails that somebody asked not to get, for a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from app import data
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import day_clock, many
from app.session import Viewer
from db import silences
from db.reads.silences import Listed, listing
from tower.categories import CATEGORIES
from tower.errors import TowerError

LENGTHS = {"4 hours": 4, "1 day": 24, "3 days": 72, "1 week": 168, "4 weeks": 672}
SIGNS = {"active": "● in force", "coming": "○ to come", "over": "– over"}


def page(viewer: Viewer, now: datetime) -> None:
    """The list, and forms that put one down and end one."""
    with data.connected() as conn:
        found = listing(conn, viewer.scope, now)
    st.caption(
        "A silence keeps mails back, nothing else: clocks run, cases open, age and close. What is "
        "still open at its end is told then."
    )
    if found:
        _table(found, viewer.zone)
    else:
        nothing_here("No silence is in force, to come, or ended in the last thirty days.")
    if viewer.scope.sees_all and viewer.may("house.configure"):
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _put_down(viewer, now)
        with right:
            _end([one for one in found if one.state != "over"], viewer, now)


def about(one: Listed) -> str:
    """What a silence fits, in words."""
    s = one.silence
    parts = [
        f"{word} {value}"
        for word, value in (
            ("rule", s.rule),
            ("category", s.category),
            ("partner", s.partner),
            ("source", s.source),
            ("PO", s.po),
        )
        if value
    ]
    return ", ".join(parts)


def _table(found: Sequence[Listed], zone: ZoneInfo) -> None:
    table(
        {
            "State": [SIGNS[one.state] for one in found],
            "About": [about(one) for one in found],
            "From": [day_clock(one.silence.from_at, zone) for one in found],
            "Until": [day_clock(one.silence.until, zone) for one in found],
            "Open cases": [one.open_cases for one in found],
            "Reason": [one.silence.reason for one in found],
            "By": [one.silence.author for one in found],
            "No.": [one.silence.id for one in found],
        },
        alt="Silences",
        key="silences",
        config={
            "Open cases": st.column_config.NumberColumn(width=90),
            "No.": st.column_config.NumberColumn(width=56),
            "Reason": st.column_config.TextColumn(width="medium"),
        },
    )


def _put_down(viewer: Viewer, now: datetime) -> None:
    book = data.rulebook(viewer.scope)
    with st.form("silence", border=True):
        st.markdown("**Put one down**")
        first, second = st.columns(2)
        rule = first.selectbox(
            "Rule", [r.id for r in book.rules] if book else [], index=None, placeholder="any rule"
        )
        category = second.selectbox(
            "Category", list(CATEGORIES), index=None, placeholder="any category"
        )
        partners = dict(data.choices(viewer.scope).suppliers)
        partner = first.selectbox(
            "Partner", list(partners), index=None, placeholder="any partner",
            format_func=lambda key: partners.get(key, key),
        )  # fmt: skip
        source = second.text_input("Source", placeholder="any source")
        po = first.text_input("Purchase order", placeholder="any order")
        length = second.selectbox("For", list(LENGTHS), index=1)
        reason = st.text_input("Reason", placeholder="Why nobody needs a mail")
        if st.form_submit_button("Put down", icon=":material/notifications_off:"):
            try:
                with data.writing("house.configure") as conn:
                    silences.add(
                        conn,
                        matchers={
                            "rule": rule,
                            "category": category,
                            "partner": partner,
                            "source": source,
                            "po": po,
                        },
                        from_at=now,
                        to_at=now + timedelta(hours=LENGTHS[length]),
                        reason=reason,
                        author=viewer.name,
                        now=now,
                    )
            except TowerError as error:
                st.error(str(error))
            else:
                st.rerun()


def _end(standing: Sequence[Listed], viewer: Viewer, now: datetime) -> None:
    with st.container(border=True):
        st.markdown("**End one before its time**")
        if not standing:
            st.caption("None is in force or to come.")
            return
        named = {
            one.silence.id: f"No. {one.silence.id}: {about(one)}, "
            f"{many(one.open_cases, 'open case')}"
            for one in standing
        }
        number = st.selectbox(
            "Silence", list(named), format_func=lambda n: named[n], key="silence to end"
        )
        if st.button("End it", icon=":material/notifications_active:"):
            try:
                with data.writing("house.configure") as conn:
                    silences.end(conn, number, author=viewer.name, now=now)
            except TowerError as error:
                st.error(str(error))
            else:
                st.rerun()
