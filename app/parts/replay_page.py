"""The parts of the page of one replay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import streamlit as st

from app import data
from app.links import AuditLink, ReplaysLink
from app.parts.acting import wish
from app.parts.dead_letters_page import ACTION_NAMES
from app.parts.replay_list import state_of
from app.parts.tables import go
from app.parts.words import ago, count, day_clock, many, plain, span
from app.session import Viewer, draw_again
from db import replay_wishes, replays
from db.reads import repairs
from db.reads.connection import Asking
from db.reads.repairs import Verdicts
from db.replays import Item, Replay
from tower.access import Permission
from tower.replays import (
    GRANTED,
    REINTERPRET,
    RETRANSMIT,
    RUNNING,
    VERDICT_VALID,
    WAYS,
    Counters,
    ReplayRefused,
)

LOOK_AGAIN_S = 2.0  # how often a page of a replay that moves asks how far it is

_BADGE = {
    "drafted": "gray",
    "awaiting_approval": "orange",
    "running": "blue",
    "paused": "orange",
    "done": "green",
    "refused": "red",
    "cancelled": "red",
}
_VERDICT_SIGNS = {
    "ready": ":green[● ready]",
    "duplicate": ":orange[– duplicate]",
    "blocked": ":red[▲ blocked]",
    "": ":gray[○ not yet tried]",
}
COUNTED = (
    ("waiting", "waiting", "gray"),
    ("in_flight", "in flight", "blue"),
    ("resolved", "resolved", "green"),
    ("failed_again", "failed again", "red"),
    ("uncertain", "uncertain", "orange"),
    ("returned", "returned", "red"),
    ("duplicate", "duplicate", "gray"),
    ("blocked", "blocked", "gray"),
    ("skipped", "skipped", "gray"),
    ("cancelled", "cancelled", "gray"),
)


def moves(one: Replay) -> bool:
    """Whether something may change without anybody touching the page."""
    return (
        one.state in (*RUNNING, "awaiting_approval")
        or (one.state == "drafted" and one.checked_at is None)
        or bool(one.counters.in_flight)
    )


@st.fragment(run_every=LOOK_AGAIN_S)
def _look(replay_id: int, drawn: tuple[Any, ...]) -> None:
    with data.connected() as conn:
        if _drawn(replays.get(conn, replay_id)) != drawn:
            draw_again()


def watch(one: Replay) -> None:
    """Draw the page again as soon as the replay went on; draws nothing itself."""
    if moves(one):
        _look(one.id, _drawn(one))


def _drawn(one: Replay) -> tuple[Any, ...]:
    return (one.state, one.checked_at, one.counters)


# --- what it is -----------------------------------------------------------------------------------


def state_line(one: Replay) -> None:
    """State, action, where it goes, and the ways to others."""
    colour = _BADGE.get(one.state, "gray")
    st.markdown(f":{colour}-badge[{plain(state_of(one))}]", width="content")
    st.markdown(f"**{ACTION_NAMES[one.action]}**", width="content", help=WAYS[one.action])
    if one.action == RETRANSMIT:
        st.markdown(f"by the outlet **{plain(one.target)}**", width="content")
    elif one.action != REINTERPRET:
        st.markdown(f"into the queues of **{plain(one.target)}**", width="content")
    st.page_link(
        ReplaysLink.PAGE.file, label="All replays", icon=":material/list:", query_params={}
    )
    st.page_link(
        AuditLink.PAGE.file,
        label="Audit",
        icon=":material/fact_check:",
        query_params=AuditLink(subject=one.subject).to_query(),
    )


def what(one: Replay) -> str:
    """What its items are."""
    return "message" if one.action == RETRANSMIT else "letter"


def picked(one: Replay, viewer: Viewer) -> None:
    """The frozen selection, and who did what to it."""
    with st.container(border=True):
        st.markdown(
            f"**{many(one.n_items, what(one))} picked**, frozen as `{one.sha256[:12]}`",
            help=f"SHA-256 of the sorted ids: {one.sha256}. Only these are ever sent.",
        )
        said = [
            f"drafted by **{plain(one.requested_by)}** {day_clock(one.drafted_at, viewer.zone)}",
        ]
        if one.approved_by and one.approved_at:
            said.append(
                f"approved by **{plain(one.approved_by)}** "
                f"{day_clock(one.approved_at, viewer.zone)}"
            )
        if one.ended_at:
            said.append(f"ended {day_clock(one.ended_at, viewer.zone)}")
        if one.signed_by and one.signed_at:
            said.append(
                f"signed off by **{plain(one.signed_by)}** {day_clock(one.signed_at, viewer.zone)}"
            )
        st.markdown(" · ".join(said))
        if one.reason:
            st.markdown(f"Reason: {plain(one.reason)}")
        if one.end_reason:
            word = "Paused" if one.state == "paused" else "Last word"
            st.markdown(f"{word}: {plain(one.end_reason)}")
        facts = [plain(one.remark)] if one.remark else []
        if one.action != REINTERPRET:
            pace = one.pace
            ahead = f"{pace.canary} first, the rest when one of them took effect" if pace.canary \
                else "none goes ahead"  # fmt: skip
            facts += [
                ahead,
                f"{pace.per_second:g} per second",
                f"ends above {pace.stop_above:.0%} failures",
                f"effect expected within {span(pace.effect_within.total_seconds())}",
            ]
        st.caption(" · ".join(facts))


# --- the dry run ----------------------------------------------------------------------------------


def dry_run(one: Replay, said: Sequence[Verdicts], viewer: Viewer, now: datetime) -> None:
    """Verdicts with their reasons, and how old they are."""
    if one.state in ("cancelled", "refused") and one.confirmed_at is None:
        return
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Dry run**", width="content")
            if one.checked_at is None:
                st.caption("a worker makes it; this page follows by itself", width="content")
            else:
                st.caption(_age(one, one.checked_at, now), width="content")
            st.space("stretch")
            if one.state == "drafted" and one.checked_at is not None and st.button(
                "Check again", icon=":material/refresh:", type="tertiary"
            ):  # fmt: skip
                at = data.this_instant()
                if wish(lambda conn: replay_wishes.ask_check(conn, one.id, viewer.name, at)):
                    st.rerun()
        if one.checked_at is None:
            st.progress(0.0, text=f"{many(one.n_items, what(one))} wait for their verdict")
            return
        lines = []
        for verdict in said:
            sign = _VERDICT_SIGNS.get(verdict.word, plain(verdict.word))
            why = f" · {plain(verdict.cause.replace('_', ' '))}: {plain(verdict.said)}" \
                if verdict.cause else ""  # fmt: skip
            lines.append(f"{sign} **{count(verdict.items)}**{why}")
        st.markdown("  \n".join(lines))


def _age(one: Replay, checked_at: datetime, now: datetime) -> str:
    said = ago(checked_at, now)
    if one.state != "drafted":
        return f"{said}; each letter is looked at once more before it goes"
    left = VERDICT_VALID - (now - checked_at)
    if left < timedelta(0):
        return f":orange[{said}: too old to be confirmed, check again]"
    return f"{said}, good for another {max(1, int(left.total_seconds() // 60))} min"


# --- progress -------------------------------------------------------------------------------------


def progress(one: Replay) -> None:
    """Counters that add up to the frozen count."""
    if one.confirmed_at is None:
        return
    c = one.counters
    with st.container(border=True):
        st.markdown("**Progress**")
        st.progress(
            min(1.0, c.resolved / max(1, c.total)),
            text=f"{count(c.resolved)} of {count(c.total)} resolved: "
            + ("they can be read now" if one.action == REINTERPRET else "their effect was seen"),
        )
        shown = [
            f":{colour}[**{count(getattr(c, name))}** {word}]"
            for name, word, colour in COUNTED
            if getattr(c, name)
        ]
        st.markdown(" + ".join(shown) + f" = **{count(c.total)}**")
        st.caption(_next(one, c))


def _next(one: Replay, c: Counters) -> str:
    """What happens now."""
    if one.state == "awaiting_approval":
        return "Nothing goes out before another person approves."
    if one.state == "paused":
        return "Nothing more goes out; what was sent still waits for its effect."
    if one.state == "running" and c.waiting and c.in_flight and one.pace.canary:
        return "What went ahead waits for its effect; the rest follows when one of it is seen."
    if c.uncertain:
        return "What is uncertain is never sent again by itself: a person or its effect decides."
    if c.in_flight:
        return "Sent is not resolved: the business document must move after it."
    if one.state == "running":
        return "A worker takes the next letters."
    return "Nothing of it moves any more."


# --- what people decide ---------------------------------------------------------------------------


def decisions(one: Replay, said: Sequence[Verdicts], viewer: Viewer, now: datetime) -> None:
    """The one thing to do now, by the state it is in, to whom it is allowed."""
    if not viewer.scope.may(_needed(one)):
        st.caption("What is done with this replay is not for your role; an administrator can say.")
    elif one.state == "drafted":
        _confirm(one, said, viewer, now)
    elif one.state == "awaiting_approval":
        _approve(one, viewer)
    elif one.state in RUNNING:
        _steer(one, viewer)
    elif one.confirmed_at is not None:
        _close(one, viewer)


def _needed(one: Replay) -> Permission:
    """What somebody must be allowed to decide about a replay as it stands."""
    if one.state == "awaiting_approval":
        return "replay.approve"
    return "replay.act" if one.action in GRANTED else "replay.ask"


def _confirm(one: Replay, said: Sequence[Verdicts], viewer: Viewer, now: datetime) -> None:
    ready = sum(verdict.items for verdict in said if verdict.word == "ready")
    fresh = one.checked_at is not None and now - one.checked_at <= VERDICT_VALID
    with st.container(border=True):
        st.markdown("**Confirm**")
        if one.checked_at is None:
            st.caption("First the dry run.")
        elif not ready:
            st.caption("Nothing of it is ready to go. Mend what the dry run names, then check "
                       "again.")  # fmt: skip
        elif not fresh:
            st.caption("The dry run is too old. Check again.")
        else:
            _confirm_form(one, ready, viewer)
        with st.popover("Discard the draft …", icon=":material/delete:"):
            _with_reason("Discard", one, replays.cancel, viewer)


def _confirm_form(one: Replay, ready: int, viewer: Viewer) -> None:
    # Made when the form is drawn: a second click brings the same one and starts nothing more.
    key = f"token of replay {one.id} {one.checked_at}"
    token = st.session_state.setdefault(key, uuid4())
    if one.needs_approval:
        st.warning(f"A second person must approve: {plain(one.needs_approval)}.",
                   icon=":material/group:")  # fmt: skip
    verb = "are read again" if one.action == REINTERPRET else "go out"
    with st.form(f"confirm {one.id}", border=False):
        typed = st.text_input(
            f"Type how many {verb}", placeholder="the number that the dry run calls ready"
        )
        why = st.text_input("Reason", placeholder="What was mended, why it is right to go")
        if st.form_submit_button("Confirm", icon=":material/check:", type="primary"):
            number = typed.strip().replace(",", "")
            if not number.isascii() or not number.isdigit():
                st.error("Type the number of letters that the dry run calls ready.")
                return
            at = data.this_instant()
            if wish(
                lambda conn: replays.confirm(
                    conn,
                    one.id,
                    count=int(number[:9]),
                    sha256=one.sha256,
                    reason=why,
                    token=token,
                    who=viewer.name,
                    now=at,
                )
            ):
                st.rerun()


def _approve(one: Replay, viewer: Viewer) -> None:
    with st.container(border=True):
        st.markdown("**Approval**")
        st.markdown(
            f"**{plain(one.requested_by)}** asks for it; another person must look: "
            f"{plain(one.needs_approval)}."
        )
        own = viewer.name == one.requested_by or not viewer.may("replay.approve")
        if viewer.name == one.requested_by:
            st.caption("You asked for it yourself: somebody else signs in and approves it.")
        with st.container(horizontal=True):
            if st.button("Approve", icon=":material/thumb_up:", type="primary", disabled=own):
                at = data.this_instant()
                if wish(
                    lambda conn: replays.approve(conn, one.id, viewer.name, at), "replay.approve"
                ):
                    st.rerun()
            with st.popover("Refuse …", icon=":material/thumb_down:"):
                _with_reason("Refuse", one, replays.refuse, viewer, "replay.approve")


def _steer(one: Replay, viewer: Viewer) -> None:
    with st.container(border=True):
        st.markdown("**Steer**")
        with st.container(horizontal=True):
            if one.state == "running":
                with st.popover("Pause …", icon=":material/pause:"):
                    _with_reason("Pause", one, replays.pause, viewer)
            elif st.button("Go on", icon=":material/play_arrow:", type="primary"):
                at = data.this_instant()
                if wish(lambda conn: replays.resume(conn, one.id, viewer.name, "", at)):
                    st.rerun()
            with st.popover("Cancel …", icon=":material/cancel:"):
                _with_reason("Cancel", one, replays.cancel, viewer)
        st.caption(
            "Pause and cancel hold what is not yet being sent. Nothing is rolled back: what was "
            "sent stays sent and still waits for its effect."
        )


def _close(one: Replay, viewer: Viewer) -> None:
    with st.container(border=True):
        st.markdown("**Result**")
        c = one.counters
        st.markdown(
            f"{count(c.resolved)} resolved, {count(c.failed)} failed, "
            f"{count(c.uncertain + c.in_flight)} not known yet, "
            f"{count(c.total - c.resolved - c.failed - c.uncertain - c.in_flight)} never sent."
        )
        if c.failed:
            st.page_link(
                ReplaysLink.PAGE.file,
                label="What failed",
                icon=":material/error:",
                query_params=ReplaysLink(
                    id=one.id, items="failed_again" if c.failed_again else "returned"
                ).to_query(),
            )
            if one.action != RETRANSMIT and st.button(
                "Pick what failed",
                icon=":material/replay:",
                help="A new draft of the letters that are open because of it",
            ):
                _again(one, viewer)
        if one.signed_by is not None:
            st.caption(f"{plain(one.signed_by)} signed it off.")
        elif st.button(
            "Sign off",
            icon=":material/done_all:",
            type="primary",
            help="You looked at the result; until then it stays on the list",
        ):
            at = data.this_instant()
            if wish(lambda conn: replays.sign_off(conn, one.id, viewer.name, at)):
                st.rerun()


def _again(one: Replay, viewer: Viewer) -> None:
    """Draft a new replay of what failed, and open it."""
    network, at = data.network(viewer.scope), data.this_instant()
    made: list[Replay] = []

    def freeze(conn: Asking) -> None:
        refs = repairs.failed_letters(conn, one.id)
        if network is None or not refs:
            raise ReplayRefused("Nothing that failed is open any more; look at its letters.")
        remark = f"what failed in replay {one.id}"
        made.append(
            replay_wishes.draft(
                conn, network, viewer.scope, one.action, refs, viewer.name, at, remark=remark
            )
        )

    if wish(freeze):
        go(ReplaysLink(id=made[0].id))


def _with_reason(
    word: str, one: Replay, act: Any, viewer: Viewer, permission: Permission = "replay.ask"
) -> None:
    """A reason and the button that does it."""
    with st.form(f"{word} {one.id}", border=False):
        why = st.text_input("Why", key=f"{word} {one.id} why", placeholder="It is kept")
        if st.form_submit_button(f"{word} it"):
            at = data.this_instant()
            if wish(lambda conn: act(conn, one.id, viewer.name, why, at), permission):
                st.rerun()


def uncertain_box(one: Replay, uncertain: Sequence[Item], viewer: Viewer) -> None:
    """What nobody knows of: a person finds out and says."""
    if not uncertain or not viewer.scope.may(_needed(one)):
        return
    with st.container(border=True):
        st.markdown(f"**{many(one.counters.uncertain, 'letter')} uncertain**")
        st.caption(
            "Sent, but the broker's answer is not known, or no effect was seen in time. Look into "
            "the queue and its consumer, or ask the partner; sending again could do it twice."
        )
        with st.form(f"decide {one.id}", border=False, clear_on_submit=True):
            n = st.selectbox(
                "Item",
                [item.n for item in uncertain],
                format_func={
                    i.n: f"{i.n}: {i.ref.key[:60]}: {i.cause}"[:140] for i in uncertain
                }.__getitem__,
            )
            arrived = st.radio(
                "What became of it", ["It arrived", "Nobody has it"], index=None, horizontal=True
            )
            why = st.text_input("How you found out")
            if st.form_submit_button("Say so", icon=":material/gavel:"):
                if arrived is None:
                    st.error("Say whether it arrived.")
                    return
                at = data.this_instant()
                if wish(
                    lambda conn: replays.decide(
                        conn,
                        one.id,
                        n,
                        arrived=arrived == "It arrived",
                        who=viewer.name,
                        why=why,
                        now=at,
                    )
                ):
                    st.rerun()
