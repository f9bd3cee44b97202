"""Several cases at once: ticked or all that the choices show, frozen, counted, then acted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

import streamlit as st

from app import data
from app.links import ExceptionsLink
from app.parts.acting import wish
from app.parts.case_acts import RESOLUTIONS
from app.parts.case_queue import rows_table
from app.parts.tables import go, table
from app.parts.words import day_clock, many, plain
from app.session import Viewer
from db import case_sets
from db.case_sets import CaseSet
from db.reads import cases
from db.reads.cases import CaseFilter
from tower.case_sets import ACTIONS, MOST, Deed, SetRefused
from tower.cases import CAUSES

_BADGES = {"open": ":orange-badge[frozen]", "done": ":green-badge[done]"}


def freeze_bar(
    ticked: Sequence[Mapping[str, Any]],
    wanted: CaseFilter,
    total: int,
    viewer: Viewer,
    now: datetime,
) -> None:
    """Freeze what is ticked, or everything that the choices show."""
    if not viewer.scope.may("case.note"):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if ticked:
            label, numbers = (
                f"Act on {many(len(ticked), 'ticked case')} …",
                [r["id"] for r in ticked],
            )
            remark = f"{len(numbers)} ticked"
        else:
            st.caption("Tick cases to act on them alone.", width="content")
            label, numbers = f"Act on all {total} that are shown …", []
            remark = _words(wanted)
        if st.button(
            label,
            icon=":material/checklist:",
            disabled=not ticked and total > MOST,
            help=f"They are frozen and counted first. At most {MOST} at once.",
        ):
            made: list[CaseSet] = []

            def freeze(conn: Any) -> None:
                chosen = numbers or cases.numbers(conn, viewer.scope, wanted, now, limit=MOST + 1)
                at = data.this_instant()
                made.append(case_sets.freeze(conn, viewer.scope, chosen, viewer.name, remark, at))

            if wish(freeze, "case.decide"):
                go(ExceptionsLink(set=made[0].id))


def _words(wanted: CaseFilter) -> str:
    """The choices, as a remark: what counts are the frozen numbers."""
    told = {
        "state": wanted.state, "category": wanted.category, "severity": wanted.severity,
        "owner": wanted.owner, "supplier": wanted.supplier, "age": wanted.age,
        "rule": wanted.rule, "buyer": wanted.buyer, "warehouse": wanted.warehouse,
        "goods": wanted.goods, "opened": wanted.opened, "closed": wanted.closed,
    }  # fmt: skip
    return ", ".join(f"{name} {value}" for name, value in told.items() if value)


def set_page(set_id: int, viewer: Viewer, now: datetime) -> None:
    """One frozen set: its cases as they are now, what is done to them, what became of it."""
    try:
        with data.connected() as conn:
            one = case_sets.get(conn, set_id)
            rows = case_sets.rows(conn, viewer.scope, one)
    except SetRefused as error:
        st.error(plain(str(error)))
        st.page_link(ExceptionsLink.PAGE.file, label="All cases", icon=":material/arrow_back:")
        return
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{many(len(one.cases), 'case')}**, frozen as `{one.sha256[:12]}`",
                width="content",
                help=f"SHA-256 of the sorted numbers: {one.sha256}. Only these are acted on.",
            )
            st.markdown(_BADGES.get(one.state, ":gray-badge[put aside]"), width="content")
            st.space("stretch")
            st.page_link(ExceptionsLink.PAGE.file, label="All cases", icon=":material/arrow_back:")
        st.caption(
            f"picked by {plain(one.made_by)} {day_clock(one.made_at, viewer.zone)}"
            + (f" · {plain(one.remark)}" if one.remark else "")
        )
        hidden = len(one.cases) - len(rows)
        if hidden:
            st.caption(f"{many(hidden, 'case')} of it are not in your area.")
        if one.state == "open":
            _form(one, viewer, now)
        elif one.state == "done":
            _result(one, viewer)
    rows_table(rows, now, key="cases of the set", hours=data.hours(viewer.scope))


def _form(one: CaseSet, viewer: Viewer, now: datetime) -> None:
    action = st.segmented_control(
        "What to do", list(ACTIONS), format_func=ACTIONS.__getitem__, default="take",
        required=True, key="set action", label_visibility="collapsed",
    )  # fmt: skip
    until, to, how, cause = None, "", "repaired", None
    if action == "snooze":
        until = _until(viewer, now)
    elif action == "assign":
        network = data.network(viewer.scope)
        people = {} if network is None else {k: p.name for k, p in network.people.items()}
        to = st.selectbox("To", list(people), format_func=people.__getitem__, key="set to") or ""
    elif action == "resolve":
        left, right = st.columns(2)
        with left:
            ways = [way for way in RESOLUTIONS if way != "false_alarm"]
            how = st.selectbox("How", ways, format_func=RESOLUTIONS.__getitem__, key="set how")
        with right:
            cause = st.selectbox("Cause", CAUSES, index=len(CAUSES) - 1, key="set cause")
    text = ""
    if action in ("resolve", "false_alarm", "note"):
        text = st.text_input("In words", key="set text", placeholder="What was done or is known")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        typed = st.text_input(
            f"Type how many cases it is done to ({len(one.cases)})", key="set count", width=300
        )
        label = ACTIONS[action or "take"]
        if st.button(f"{label}: {many(len(one.cases), 'case')}", type="primary", key="set now"):
            if not typed.strip().isdecimal():
                st.error("Type the number of cases of this set.")
                return
            deed = Deed(action or "take", until, to, how, cause, text)
            at = data.this_instant()
            if wish(
                lambda conn: case_sets.act(
                    conn, viewer.scope, one.id, deed, count=int(typed), sha256=one.sha256,
                    who=viewer.name, now=at,
                ),
                "case.decide",
            ):  # fmt: skip
                st.rerun()
        if st.button("Put the set aside", type="tertiary", key="set drop"):
            at = data.this_instant()
            if wish(lambda conn: case_sets.drop(conn, one.id, viewer.name, at), "case.decide"):
                go(ExceptionsLink())


def _until(viewer: Viewer, now: datetime) -> datetime:
    local = now.astimezone(viewer.zone)
    first, second = st.columns(2)
    chosen = first.date_input("Quiet until", local.date() + timedelta(days=1),
                              min_value=local.date(), key="set day")  # fmt: skip
    hour = second.time_input("at", time(9, 0), step=900, key="set hour")
    return datetime.combine(chosen, hour, viewer.zone)


def _result(one: CaseSet, viewer: Viewer) -> None:
    done = sum(said == case_sets.DONE for said in one.outcome.values())
    refused = {number: said for number, said in one.outcome.items() if said != case_sets.DONE}
    at = "" if one.done_at is None else day_clock(one.done_at, viewer.zone)
    st.markdown(
        f"**{ACTIONS.get(one.action, one.action)}**: done to {many(done, 'case')}"
        + (f", not to {many(len(refused), 'case')}" if refused else "")
        + f" · {plain(one.done_by or '')} {at}"
    )
    if refused:
        table(
            {"Case": list(refused), "Why not": list(refused.values())},
            alt="Cases of the set to which nothing was done",
            key="refused of the set",
            config={"Why not": st.column_config.TextColumn(width="large")},
        )
