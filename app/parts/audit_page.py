"""The parts of the page of the audit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from app import data
from app.links import AuditLink, Link, ReplaysLink
from app.parts.tables import go, table
from app.parts.words import count, day_clock, many
from app.session import Viewer
from db.audit import Entry
from tower.access import Scope
from tower.numerals import natural

PAGE_ROWS = 200
BY_ITSELF = 20_000
"""Entries up to which the chain is computed anew as soon as one more is there."""


def chain(scope: Scope, newest: int) -> None:
    """Whether every entry still fits the one before it."""
    if not newest:
        return
    if newest > BY_ITSELF and not st.session_state.get("verify the audit"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{count(newest)} entries, not verified in this session", width="content")
            st.button("Verify", icon=":material/verified:", key="verify the audit")
        return
    found = data.audit_verified(scope, newest)
    if found.broken_at is None:
        st.caption(
            f":green[:material/verified: verified up to {count(found.entries)}]: every entry fits "
            f"the one before it; last hash {found.last_hash.hex()[:16]}"
        )
    else:
        st.error(
            f"The chain breaks at entry {count(found.broken_at)}: it, or one before it, was "
            "altered or removed after it was written. Find out who can write to the database.",
            icon=":material/gpp_bad:",
        )


def narrow(link: AuditLink) -> None:
    """By what it was done to and by whom; both are in the address."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with (
        row.form("audit filter", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        subject = st.text_input(
            "What", link.subject or "", placeholder="replay:7", width=260,
            help="The beginning of it: replay:7 with its items, letter:broker, failure:v1:...",
        )  # fmt: skip
        actor = st.text_input("Who", link.actor or "", placeholder="anybody", width=180)
        if st.form_submit_button("Show", icon=":material/filter_alt:"):
            go(AuditLink(subject=subject.strip() or None, actor=actor.strip() or None))


def entries(found: Sequence[Entry], link: AuditLink, viewer: Viewer) -> None:
    """The entries, newest first; what it was done to opens it, or narrows to it."""
    table(
        {
            "To what": [one.act.subject for one in found],
            "What": [one.act.action for one in found],
            "Who": [one.act.actor for one in found],
            "When": [day_clock(one.at, viewer.zone) for one in found],
            "Entry": [one.n for one in found],
            "Detail": [_detail(one) for one in found],
            "Hash": [one.hash.hex()[:12] for one in found],
        },
        alt="Audit, newest first",
        key="audit",
        opens="To what",
        opens_width=220,
        links=[_opens(one) for one in found],
        config={
            "What": st.column_config.TextColumn(width=170),
            "Who": st.column_config.TextColumn(width=110),
            "When": st.column_config.TextColumn(width=150),
            "Entry": st.column_config.NumberColumn(width=70),
            "Detail": st.column_config.TextColumn(width=470),
            "Hash": st.column_config.TextColumn(width=110),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"showing {many(len(found), 'entry', 'entries')}, newest first",
                   width="content")  # fmt: skip
        st.space("stretch")
        if link.after is not None and st.button(
            "Newest", icon=":material/first_page:", type="tertiary"
        ):
            go(replace(link, after=None))
        if len(found) == PAGE_ROWS and st.button(
            "Older", icon=":material/chevron_right:", icon_position="right", type="tertiary"
        ):
            go(replace(link, after=found[-1].n))


def _detail(one: Entry) -> str:
    """What else is known, a reason before all."""
    told = dict(one.act.detail)
    parts = [str(told.pop("reason"))] if told.get("reason") else []
    for name, value in told.items():
        if value in ("", None):
            continue
        text = str(value)[:12] if name == "sha256" else value
        plain_text = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
        parts.append(f"{name} {plain_text}")
    return " · ".join(parts)[:400]


def _opens(one: Entry) -> Link:
    kind, _, rest = one.act.subject.partition(":")
    number = natural(rest.partition("/")[0])
    if kind == "replay" and number is not None:
        return ReplaysLink(id=number)
    return AuditLink(subject=one.act.subject)
