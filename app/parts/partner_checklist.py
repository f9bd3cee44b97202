"""Partners by stage, and the checklist of one of them with what was really seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import streamlit as st

from app import data
from app.links import IntegrationsLink
from app.parts.tables import table
from app.parts.words import MISSING, ago, day_clock, many
from app.session import Viewer
from db.reads import partners as reads
from db.reads.partners import PartnerRow
from tower.network import Network
from tower.onboarding import checklist, ready

STATES = {
    "done": ":green-badge[:material/check: done]",
    "open": ":orange-badge[:material/schedule: open]",
    "wrong": ":red-badge[:material/error: wrong]",
    "not_asked": ":gray-badge[not asked]",
}
STAGES: dict[str, Literal["orange", "green", "gray"]] = {
    "onboarding": "orange",
    "live": "green",
    "paused": "gray",
    "ended": "gray",
}
NEXT = {
    "onboarding": "Nothing is missing: write `stage: live` in partners.{key} of network.yaml.",
    "live": "Nothing is missing.",
    "paused": "Nothing is missing; it is not measured until `stage: live` is written.",
    "ended": "Nothing more is expected of it.",
}


def one(viewer: Viewer, net: Network, key: str, now: datetime) -> None:
    """The checklist of one partner: state, evidence and the next step of each line."""
    profile = net.partners.get(key)
    if profile is None:
        return
    with data.connected(viewer.scope) as conn:
        seen = reads.evidence(conn, viewer.scope, key, profile, now)
    items = checklist(key, profile, net, seen)
    missing = [item for item in items if item.state in ("open", "wrong")]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Checklist** {_plain(profile.name)}", width="content")
            st.badge(profile.stage, color=STAGES[profile.stage])
            st.caption(f"{profile.template} :gray[what was seen in 90 days]", width="content")
        if ready(items):
            st.markdown(f":green[:material/check_circle:] {NEXT[profile.stage].format(key=key)}")
        else:
            first = next((i for i in missing if i.state == "wrong"), missing[0])
            st.markdown(
                f"{len(missing)} of {len(items)} missing. "
                f"**Next:** {_plain(first.label)}: {_plain(first.next_step or first.what)}"
            )
        st.table(
            {
                "": [STATES[item.state] for item in items],
                "What": [_plain(item.label) for item in items],
                "Evidence": [_plain(item.what) for item in items],
                "Last": [
                    MISSING if item.last_at is None else day_clock(item.last_at, viewer.zone)
                    for item in items
                ],
                "Next step": [_plain(item.next_step) or MISSING for item in items],
            },
            hide_index=True,
            border="horizontal",
        )


def overview(rows: Sequence[PartnerRow], now: datetime) -> None:
    """All partners, those that are brought in first; a row opens its checklist."""
    counts = Counter(row.stage for row in rows)
    told = ", ".join(f"{counts[stage]:,} {stage}" for stage in STAGES if counts[stage])
    st.markdown(f"**Partners** :gray[{told or 'none is described in network.yaml'}]")
    if not rows:
        return
    table(
        {
            "Partner": [row.name for row in rows],
            "Stage": [row.stage for row in rows],
            "Template": [row.template for row in rows],
            "Feeds": [", ".join(row.feeds) or MISSING for row in rows],
            "Last heard": [ago(row.last_at, now) for row in rows],
            "Open documents": [row.open_documents for row in rows],
            "Dead letters": [row.dead_letters for row in rows],
        },
        alt=f"{many(len(rows), 'partner')} with stage and when they were last heard",
        key="partners by stage",
        opens="Partner",
        links=[IntegrationsLink(supplier=row.key) for row in rows],
        height=None,
    )


def _plain(text: str) -> str:
    """Names come from a file and from partners: nothing of them is a sign of Markdown."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()<>#+!|~$:" else sign for sign in text)
