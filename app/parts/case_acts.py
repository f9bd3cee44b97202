"""What a person does to a case: written as wishes, the worker does what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

import streamlit as st

from app import data
from app.parts.words import day_clock, plain
from app.session import Viewer
from db import cases as wishes
from db.reads.cases import CaseDetail
from tower.access import Permission
from tower.cases import BY_HAND, CAUSES
from tower.errors import TowerError
from tower.root_causes import KIND

RESOLUTIONS = {
    "repaired": "Repaired: somebody mended it",
    "accepted": "Accepted: left as it is",
    "false_alarm": "False alarm: it was never wrong",
}
VERDICTS = {"useful": "Useful", "false_alarm": "False alarm"}
ICONS = {"useful": ":material/thumb_up:", "false_alarm": ":material/thumb_down:"}
REASONS = {
    "useful": ("we acted on it", "we would have missed it", "good to know early"),
    "false_alarm": (
        "it had been done, and was not reported",
        "agreed with the partner",
        "the rule is too strict here",
        "wrong data",
    ),
}


def acts(found: CaseDetail, viewer: Viewer, now: datetime) -> None:
    """Take, give back, wait, snooze, assign, resolve, and a note."""
    case = found.case
    if not viewer.may("case.note"):
        return
    with st.container(border=True):
        st.markdown("**Act**")
        if case["state"] != "resolved" and viewer.may("case.decide"):
            with st.container(horizontal=True):
                _take(case, viewer, now)
                _wait(case, viewer, now)
                _snooze(case, viewer, now)
                _assign(case, viewer, now)
                _resolve(case, viewer, now)
        with st.form("note", border=False, clear_on_submit=True):
            said = st.text_area("Note", height=80, placeholder="What you know or did")
            if st.form_submit_button("Add note", icon=":material/edit_note:") and said.strip():
                _do(
                    lambda conn: wishes.note(
                        conn, viewer.scope, case["id"], viewer.name, said, now
                    ),
                    "case.note",
                )


def _take(case: Any, viewer: Viewer, now: datetime) -> None:
    if case["state"] != "taken" and st.button(
        "Take", icon=":material/back_hand:", help="Yours for four hours; then it is raised again"
    ):
        _do(lambda conn: wishes.take(conn, viewer.scope, case["id"], viewer.name, now))
    if case["state"] != "new" and st.button("Give back", icon=":material/undo:"):
        _do(lambda conn: wishes.release(conn, viewer.scope, case["id"], viewer.name, now))


def _until(label: str, viewer: Viewer, now: datetime, key: str) -> datetime:
    """A day and an hour in the viewer's zone, by default tomorrow morning."""
    local = now.astimezone(viewer.zone)
    first, second = st.columns(2)
    chosen = first.date_input(
        label, local.date() + timedelta(days=1), min_value=local.date(), key=f"{key} day"
    )
    hour = second.time_input("at", time(9, 0), step=900, key=f"{key} hour")
    return datetime.combine(chosen, hour, viewer.zone)


def _wait(case: Any, viewer: Viewer, now: datetime) -> None:
    with st.popover("Wait", icon=":material/hourglass_top:", disabled=case["state"] == "waiting"):
        on = st.text_input("On whom", key="wait on", placeholder="the supplier, the carrier ...")
        until = _until("Ask again", viewer, now, "wait")
        if st.button("Leave it waiting", key="wait now"):
            _do(
                lambda conn: wishes.wait(
                    conn, viewer.scope, case["id"], viewer.name, on, until, now
                )
            )


def _snooze(case: Any, viewer: Viewer, now: datetime) -> None:
    with st.popover("Snooze", icon=":material/snooze:"):
        until = _until("Quiet until", viewer, now, "snooze")
        st.caption("Its age runs on. What is still open then is told.")
        if st.button("Snooze it", key="snooze now"):
            _do(lambda conn: wishes.snooze(conn, viewer.scope, case["id"], viewer.name, until, now))


def _assign(case: Any, viewer: Viewer, now: datetime) -> None:
    network = data.network(viewer.scope)
    others = (
        {}
        if network is None
        else {key: person.name for key, person in network.people.items() if key != case["owner"]}
    )
    with st.popover("Assign", icon=":material/person:", disabled=not others):
        to = st.selectbox("To", list(others), format_func=lambda key: others[key], key="assign to")
        if st.button("Pass it on", key="assign now") and to is not None:
            _do(lambda conn: wishes.assign(conn, viewer.scope, case["id"], viewer.name, to, now))


def _resolve(case: Any, viewer: Viewer, now: datetime) -> None:
    with st.popover("Resolve", icon=":material/task_alt:"):
        how = st.radio("How", BY_HAND, format_func=RESOLUTIONS.__getitem__, key="resolve how")
        cause = st.selectbox("Cause", CAUSES, index=len(CAUSES) - 1, key="resolve cause")
        text = st.text_input("What was done", key="resolve text")
        if case["kind"] == KIND:
            st.caption(
                "Repaired: cases still open under it are told by themselves. Accepted and false "
                "alarm settle them with it."
            )
        elif how == "repaired":
            st.caption("If it is still true next business morning, it comes back.")
        if st.button("Resolve it", key="resolve now", disabled=not text.strip()):
            _do(
                lambda conn: wishes.resolve(
                    conn, viewer.scope, case["id"], viewer.name, how, text, now, cause
                )
            )


def feedback(found: CaseDetail, viewer: Viewer, now: datetime) -> None:
    """Was the alert worth telling? One click and a reason."""
    case = found.case
    if not viewer.may("case.decide"):
        return
    with st.container(border=True):
        st.markdown("**Was this alert useful?**")
        if case["verdict"] is not None:
            judged = case["judged_at"]
            at = "" if judged is None else f", {day_clock(judged, viewer.zone)}"
            last = [n for n in found.notes if n["kind"] == "judged"]
            said = f": {plain(last[-1]['text'].partition(': ')[2])}" if last else ""
            st.caption(f"{ICONS[case['verdict']]} {VERDICTS[case['verdict']].lower()}{said}{at}")
        with st.container(horizontal=True):
            for verdict, label in VERDICTS.items():
                with st.popover(label, icon=ICONS[verdict]):
                    reason = st.selectbox(
                        "Because",
                        REASONS[verdict],
                        index=0,
                        accept_new_options=True,
                        key=f"reason {verdict}",
                    )
                    if verdict == "false_alarm" and case["state"] != "resolved":
                        st.caption("The case is closed by it.")
                    if st.button(f"Say {label.lower()}", key=f"say {verdict}"):
                        _judge(case["id"], verdict, reason or "", viewer, now)


def _judge(case_id: int, verdict: str, reason: str, viewer: Viewer, now: datetime) -> None:
    _do(lambda conn: wishes.judge(conn, viewer.scope, case_id, viewer.name, verdict, reason, now))


def _do(wish: Callable[[Any], object], permission: Permission = "case.decide") -> None:
    """Write a wish and draw the page anew; a refusal is shown as its sentence."""
    try:
        with data.writing(permission) as conn:
            wish(conn)
    except TowerError as error:
        st.error(plain(str(error)))
        return
    st.rerun()
