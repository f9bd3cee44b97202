"""The page of a partner: its scorecard, its open orders, its rejected documents."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app import data
from app.links import PortalLink
from app.parts.empty import nothing_here
from app.parts.header import account, watch
from app.parts.pager import pager
from app.parts.po_list import LADDER_HELP, glyphs
from app.parts.scorecard_table import standing_words
from app.parts.tables import table
from app.parts.words import MISSING, clock, day_clock, many, percent, plain
from app.session import Viewer
from db.reads import portal as reads
from db.reads.filters import Filter, Period
from tower.kpi_catalogue import DEFINITIONS

SCORED_DAYS = 30
MOST_CARDS = 10  # rejected documents that are told in full; more are a table


def top(viewer: Viewer) -> None:
    """Title and account; of our feeds, mails and switches a partner is told nothing."""
    fresh = data.fresh(viewer.scope)
    names = dict(data.choices(viewer.scope).suppliers)
    own = viewer.scope.partners
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title("Your orders", anchor=False, width="content")
        if own is not None:
            st.caption(plain(", ".join(sorted(names.get(k, k) for k in own))), width="content")
        st.space("stretch")
        if fresh.as_of is not None:
            st.caption(
                f":material/schedule: as of {clock(fresh.as_of, viewer.zone)}", width="content"
            )
        account(viewer)
    watch(fresh.version, viewer)


def card(viewer: Viewer, now: datetime) -> None:
    """The score of the last 30 days, what it is made of, and which rules it rests on."""
    narrowed = Filter(Period.last(SCORED_DAYS, data.settled(now)))
    found = [] if viewer.scope.partners is None else data.scorecards(viewer.scope, narrowed)
    with st.container(border=True):
        st.subheader("Your scorecard", anchor=False)
        if not found:
            nothing_here(
                "No scorecard is kept for this account.",
                next_step="It is there for suppliers that are measured. Ask your contact with us.",
            )
            return
        for one in found:
            scored = one.score
            said = scored.reason or f"{scored.value:.0f} of 100, {standing_words(one)}"
            whose = f"**{plain(one.name)}**: " if len(found) > 1 else ""
            st.markdown(f"{whose}{said}, last {SCORED_DAYS} days.")
            parts = sorted(scored.components, key=lambda c: -(c.lost or 0))
            table(
                {
                    "Figure": [c.name for c in parts],
                    "Value": [c.reason if c.value is None else percent(c.value) for c in parts],
                    "Target": [percent(c.target, 0) for c in parts],
                    "Weight": [c.weight for c in parts],
                    "Sample": [c.n for c in parts],
                },
                key=f"own score {one.supplier}",
                alt="Parts of your score, those that cost most points first",
                config={
                    "Target": st.column_config.TextColumn(help="full marks from here on"),
                    "Weight": st.column_config.NumberColumn(help="against those of the others"),
                    "Sample": st.column_config.NumberColumn(help="so many were counted"),
                },
            )
        with st.expander("How it is counted"):
            st.caption(
                "The score is 100 times the sum of weight x min(1, value / target), over the "
                "weights that have data."
            )
            for part in found[0].score.components:
                if part.id in DEFINITIONS:
                    of = DEFINITIONS[part.id]
                    st.markdown(
                        f"**{plain(of.name)}**: {plain(of.formula)}. Left out: {plain(of.outside)}."
                    )


def orders(viewer: Viewer, link: PortalLink, now: datetime) -> None:
    """Open orders, overdue answers first; a number opens the form to answer."""
    with data.connected(viewer.scope) as conn:
        found = reads.open_orders(conn, viewer.scope, now, after=link.after or 0)
    st.subheader("Open purchase orders", anchor=False)
    if not found.total.rows:
        nothing_here("No purchase order is open with you.")
        return
    late = f":red[▲ {many(found.overdue, 'answer')} overdue], " if found.overdue else ""
    st.markdown(
        f"{late}{many(found.awaited, 'order')} without your answer, "
        f"{found.total.rows:,}{'+' if found.total.capped else ''} open. "
        "Click a number to answer."
    )
    table(
        {
            "Order": [row.number for row in found.rows],
            "Answer": [_answer(row) for row in found.rows],
            "Answer due": [
                MISSING if row.due_at is None else day_clock(row.due_at, viewer.zone)
                for row in found.rows
            ],
            "Ladder": [glyphs(row.ladder) for row in found.rows],
            "Lines": [row.n_lines for row in found.rows],
            "Expected": [row.expected for row in found.rows],
            "Released": [
                None if row.released_at is None else row.released_at.astimezone(viewer.zone)
                for row in found.rows
            ],
        },
        key="own orders",
        alt="Your open purchase orders, overdue answers first",
        opens="Order",
        opens_width=150,
        links=[PortalLink(order=row.ref, after=link.after) for row in found.rows],
        config={
            "Answer": st.column_config.TextColumn(width=190),
            "Answer due": st.column_config.TextColumn(width=150),
            "Ladder": st.column_config.TextColumn(width=110, help=LADDER_HELP),
            "Lines": st.column_config.NumberColumn(width=60),
            "Expected": st.column_config.DateColumn(width=110, format="DD MMM YYYY"),
            "Released": st.column_config.DatetimeColumn(width=120, format="DD MMM HH:mm"),
        },
        height=None if len(found.rows) < 10 else 400,
    )
    begin = link.after or 0
    following = begin + len(found.rows)
    if begin or following < found.total.rows:
        pager(
            len(found.rows),
            found.total.rows,
            capped=found.total.capped,
            after=str(begin) if begin else None,
            following=str(following) if following < found.total.rows else None,
        )
    if found.rules:
        st.caption("What we expect of these orders: " + " ".join(map(plain, found.rules)))


def rejected(viewer: Viewer) -> None:
    """What of this partner's could not be taken: why, where, and what to do."""
    with data.connected(viewer.scope) as conn:
        found = reads.rejected(conn, viewer.scope)
    st.subheader("Rejected documents", anchor=False)
    if not found:
        nothing_here("Nothing that you sent is rejected.")
        return
    if len(found) <= MOST_CARDS:
        for one in found:
            with st.container(border=True, gap="xsmall"):
                st.markdown(
                    f"**{one.kind} {plain(one.document)}** · {day_clock(one.at, viewer.zone)}"
                )
                where = f" ({plain(one.position)})" if one.position else ""
                st.markdown(f":red[✕] {plain(one.cause)}{where}")
                st.caption(f":material/arrow_forward: {plain(one.advice)}")
        return
    table(
        {
            "When": [day_clock(one.at, viewer.zone) for one in found],
            "What": [one.kind for one in found],
            "Document": [one.document for one in found],
            "Cause": [one.cause for one in found],
            "Where": [one.position or None for one in found],
            "What to do": [one.advice for one in found],
        },
        key="own rejected",
        alt="Your documents that were rejected, the newest first",
        config={
            "When": st.column_config.TextColumn(width=120),
            "What": st.column_config.TextColumn(width=110),
            "Document": st.column_config.TextColumn(width=130),
            "Cause": st.column_config.TextColumn(width=220),
            "Where": st.column_config.TextColumn(width=105),
            "What to do": st.column_config.TextColumn(width=200),
        },
    )


def _answer(row: reads.OpenOrder) -> str:
    if row.overdue:
        return "▲ overdue"
    if row.awaited:
        return "○ waits for you"
    return (row.answer or "given").replace("_", " ")
