"""The parts of the health page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from app.links import TraceLink, UnmatchedLink
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import MISSING, ago, count, many, span
from db.health import Backlog, FileInForce, ProcessBeat
from db.reads.unmatched import Unmatched
from db.sources import SourceState
from tower.network import Network

STATE_SIGN = {
    "up": "● up",
    "new": "○ never read",
    "down": "✕ down",
    "stopped": "■ stopped",
    "throttled": "▲ throttled",
    "silent": "✕ silent",
}


def feed_state(feed: SourceState, net: Network | None, now: datetime) -> str:
    """The word for a feed: its own state, or silent where its rhythm is overdue."""
    source = None if net is None else net.sources.get(feed.source)
    if (
        source is not None
        and feed.complete_to is not None
        and now - feed.complete_to > source.silent_after
    ):
        return "silent"
    if feed.state == "new" and feed.complete_to is not None:
        return "up"
    return feed.state


def cards(
    feeds: Sequence[SourceState],
    net: Network | None,
    beats: Sequence[ProcessBeat],
    waiting: Backlog,
    size: int,
    server: str,
    now: datetime,
) -> None:
    """Six figures that say whether the tower itself sees and speaks."""
    good = sum(feed_state(f, net, now) == "up" for f in feeds)
    workers = [b for b in beats if b.role == "worker"]
    seen = max((b.at for b in workers), default=None)
    late = None if waiting.oldest_timer is None else (now - waiting.oldest_timer).total_seconds()
    with st.container(horizontal=True):
        st.metric("Feeds up", f"{good} of {len(feeds)}", border=True, height="stretch")
        st.metric("Worker last seen", ago(seen, now), border=True, height="stretch")
        st.metric(
            "Clocks overdue",
            count(waiting.timers_due),
            None if not late or late < 60 else f"oldest {span(late)}",
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
        )
        st.metric(
            "Mails waiting",
            count(waiting.mails_waiting),
            f"{waiting.mails_failed} refused" if waiting.mails_failed else None,
            delta_color="inverse",
            border=True,
            height="stretch",
        )
        st.metric(
            "Open dead letters", count(waiting.dead_letters_open), border=True, height="stretch"
        )
        st.metric(
            "Database",
            f"{size / 1e6:,.0f} MB",
            f"Postgres {server.split()[0]}",
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
        )


def problems(files: Sequence[FileInForce]) -> None:
    """Refused configuration files, in their own words."""
    for found in files:
        if found.problem:
            st.warning(
                f"A newer {found.name} file was refused; the one of "
                f"{found.activated_at:%d %b %H:%M} UTC stays in force.",
                icon=":material/rule:",
            )
            st.code(found.problem, language=None)


def feed_table(feeds: Sequence[SourceState], net: Network | None, now: datetime) -> None:
    """Every feed: how far it is complete, what it brought, what it complains of."""
    st.subheader("Feeds", anchor=False)
    if not feeds:
        nothing_here("No feed is known.", next_step="Describe sources in network.yaml.")
        return
    sources = {} if net is None else net.sources
    rows = sorted(feeds, key=lambda f: (feed_state(f, net, now) == "up", f.source))
    table(
        {
            "Feed": [f.source for f in rows],
            "State": [STATE_SIGN.get(w, w) for f in rows for w in [feed_state(f, net, now)]],
            "System": [sources[f.source].system if f.source in sources else MISSING for f in rows],
            "Kind": [
                sources[f.source].kind.replace("_", " ") if f.source in sources else MISSING
                for f in rows
            ],
            "Complete to": [ago(f.complete_to, now) for f in rows],
            "Newest event": [ago(f.newest_at, now) for f in rows],
            "Silent after": [
                span(sources[f.source].silent_after.total_seconds())
                if f.source in sources
                else MISSING
                for f in rows
            ],
            "Failures": [f.failures or None for f in rows],
            "Message": [f.message or None for f in rows],
        },
        alt="Feeds, those in trouble first",
        key="feeds",
        config={"Message": st.column_config.TextColumn(width="large")},
    )


def process_table(beats: Sequence[ProcessBeat], now: datetime) -> None:
    """Processes of the last day."""
    st.subheader("Processes", anchor=False)
    if not beats:
        nothing_here("No process has been heard of.", next_step="Start a worker: tower up.")
        return
    table(
        {
            "Process": [b.process for b in beats],
            "Role": [b.role for b in beats],
            "State": ["● alive" if b.alive(now) else "✕ lost" for b in beats],
            "Last beat": [ago(b.at, now) for b in beats],
            "Running": [span((b.at - b.started_at).total_seconds()) for b in beats],
            "Errors": [b.detail.get("errors") for b in beats],
            "Version": [b.version for b in beats],
        },
        alt="Processes of the last day",
        key="processes",
    )


def letter_table(rows: Sequence[Mapping[str, Any]], total: int, now: datetime) -> None:
    """Messages, or parts of them, that nobody could use."""
    st.subheader("Dead letters", anchor=False)
    if not rows:
        nothing_here("Every message could be read.")
        return
    st.caption(f"showing {count(len(rows))} of {many(total, 'open dead letter')}")
    table(
        {
            "Message": [f"{r['source']}/{r['key'][:16]}" for r in rows],
            "Cause": [r["cause"] for r in rows],
            "Next": [r["advice"] for r in rows],
            "Part": [r["position"] or "whole" for r in rows],
            "Partner": [r["partner"] or MISSING for r in rows],
            "Received": [ago(r["received_at"], now) for r in rows],
        },
        alt="Open dead letters, newest first",
        key="letters",
        opens="Message",
        links=[TraceLink(ref=f"{r['source']}/{r['key']}") for r in rows],
        config={
            "Cause": st.column_config.TextColumn(width="large"),
            "Next": st.column_config.TextColumn(width="large"),
        },
    )


def unmatched_table(rows: Sequence[Unmatched], total: int, now: datetime) -> None:
    """What reached no known document."""
    st.subheader("Unmatched", anchor=False)
    if not rows:
        nothing_here("Every event reached a known document.")
        return
    st.caption(f"showing {count(len(rows))} of {many(total, 'unmatched flow')}")
    table(
        {
            "What": [r.anchor for r in rows],
            "Tried": [r.tried for r in rows],
            "Events": [r.n_events for r in rows],
            "Newest": [ago(r.last_at, now) for r in rows],
        },
        alt="Unmatched flows, newest first",
        key="unmatched",
        opens="What",
        links=[UnmatchedLink(ref=r.anchor) for r in rows],
    )
