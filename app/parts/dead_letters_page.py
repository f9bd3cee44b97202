"""The parts of the page of dead letters: kinds of failure, their letters, what people do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import streamlit as st

from app import data
from app.links import DeadLettersLink, LettersWord, ReplaysLink, TraceLink
from app.parts.acting import wish
from app.parts.empty import nothing_here
from app.parts.letter_edit import edit_box
from app.parts.tables import ROW_PX, go, table
from app.parts.words import MISSING, ago, count, day_clock, many, money, plain
from app.session import Viewer
from db import letters, replay_wishes, replays
from db.letters import FailureNote, Group, Letter
from db.reads.connection import Asking
from tower.replays import (
    ACTIONS,
    FORCE,
    MOST_ITEMS,
    REINTERPRET,
    REPROCESS,
    RETRANSMIT,
    LetterRef,
)

PAGE_ROWS = 100

STATES: dict[str, str] = {
    "waiting": "Waiting",
    "archived": "Set aside",
    "ended": "Ended",
    "all": "All",
}
MEANS: Mapping[LettersWord, tuple[str, ...]] = {
    "waiting": ("open", "in_replay"),
    "archived": ("archived",),
    "ended": ("resolved", "superseded", "expired"),
    "all": letters.STATES,
}
STATE_WORDS = {
    "open": "○ open",
    "in_replay": "◐ in replay",
    "resolved": "● resolved",
    "superseded": "– superseded",
    "archived": "▽ set aside",
    "expired": "– expired",
}
KINDS = {"interpret": "could not be read", "deliver": "not delivered", "apply": "refused"}
ACTION_NAMES = {
    REINTERPRET: "Read again",
    REPROCESS: "Send back to its queue",
    FORCE: "Force: send although it took effect",
    RETRANSMIT: "Send to the partner again",
}


_OWN_NAME = re.compile(r"^Raw message \S+?:? (?=\S)")


def short(cause: str) -> str:
    """A cause without the name of the one message it was said of."""
    found = _OWN_NAME.sub("", cause)
    return found[:1].upper() + found[1:]


# --- kinds of failure -----------------------------------------------------------------------------


def group_table(groups: Sequence[Group], link: DeadLettersLink, now: datetime) -> None:
    """Kinds of failure, the dearest first; a click opens one."""
    total = sum(one.letters for one in groups)
    st.caption(
        f"{many(len(groups), 'kind')} of failure, {many(total, 'letter')}. Sorted by the value and "
        "the orders that hang on them."
    )
    table(
        {
            "What failed": [short(one.cause) for one in groups],
            "Kind": [KINDS.get(one.kind, one.kind) for one in groups],
            "Partner": [one.partner or None for one in groups],
            "Letters": [one.letters for one in groups],
            "14 days": [list(one.trend) for one in groups],
            "Open value": [money(one.value, one.currency) for one in groups],
            "POs": [one.orders or None for one in groups],
            "Orders": [one.customer_orders or None for one in groups],
            "Last": [ago(one.last_at, now) for one in groups],
            "First": [ago(one.first_at, now) for one in groups],
            "Notes": [one.notes or None for one in groups],
            "Source": [one.source for one in groups],
        },
        alt="Kinds of failure, by the value and the orders that hang on them",
        key="failures",
        opens="What failed",
        opens_width=330,
        links=[DeadLettersLink(states=link.states, fingerprint=one.fingerprint) for one in groups],
        config={
            "Kind": st.column_config.TextColumn(width=122),
            "Partner": st.column_config.TextColumn(width=96),
            "Letters": st.column_config.NumberColumn(width=64),
            "14 days": st.column_config.BarChartColumn(
                width=110, y_min=0, help="letters per day (UTC), the last 14 days"
            ),
            "Open value": st.column_config.TextColumn(
                width=92, alignment="right", help="of the purchase orders they speak of"
            ),
            "POs": st.column_config.NumberColumn(width=58),
            "Orders": st.column_config.NumberColumn(
                width=64, help="customer orders that those do not cover in time"
            ),
            "Last": st.column_config.TextColumn(width=98),
            "First": st.column_config.TextColumn(width=98),
            "Source": st.column_config.TextColumn(width=96),
            "Notes": st.column_config.NumberColumn(width=58),
        },
    )


def no_groups(link: DeadLettersLink) -> None:
    """Why there is nothing."""
    if link.states == "waiting":
        nothing_here(
            "No dead letter waits: every message was read, and nothing captured from a broker is "
            "open.",
            next_step="Messages that cannot be read come here by themselves; those that a broker "
            "gave up with: tower broker capture SOURCE QUEUE.",
        )
    else:
        nothing_here(f"No dead letter is {STATES[link.states].lower()}.", back=DeadLettersLink())


def group_head(
    group: Group, counts: Mapping[str, int], link: DeadLettersLink, viewer: Viewer
) -> None:
    """What it is, what to do about it, how much hangs on it."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(short(group.cause))}**", width="stretch")
            st.page_link(
                DeadLettersLink.PAGE.file,
                label="All kinds",
                icon=":material/arrow_back:",
                query_params=DeadLettersLink(states=link.states).to_query(),
            )
        if group.advice:
            st.info(plain(group.advice), icon=":material/lightbulb:")
        with st.container(horizontal=True):
            st.metric("Letters", count(group.letters), border=True)
            st.metric("Waiting", count(counts.get("open", 0) + counts.get("in_replay", 0)),
                      border=True)  # fmt: skip
            st.metric("Purchase orders", count(group.orders), border=True)
            st.metric("Customer orders", count(group.customer_orders), border=True)
            st.metric("Open value", money(group.value, group.currency), border=True)
        st.caption(
            " · ".join(
                [
                    KINDS.get(group.kind, group.kind),
                    f"source {plain(group.source)}",
                    *([f"partner {plain(group.partner)}"] if group.partner else []),
                    f"code {plain(group.code)}",
                    f"first {day_clock(group.first_at, viewer.zone)}",
                    f"last {day_clock(group.last_at, viewer.zone)}",
                    f"14 days {spark(group.trend)}",
                    plain(group.fingerprint),
                ]
            )
        )


def spark(numbers: Sequence[int]) -> str:
    """Numbers as bars in one line of text, the oldest first."""
    most = max(numbers, default=0)
    return "".join("·" if not n else "▁▂▃▄▅▆▇█"[round(7 * n / most)] for n in numbers)


# --- letters --------------------------------------------------------------------------------------


def letter_table(
    page: Sequence[Letter],
    documents: Mapping[LetterRef, str],
    counts: Mapping[str, int],
    link: DeadLettersLink,
    now: datetime,
) -> list[Letter]:
    """The letters of the kind; those that were ticked."""
    total = sum(counts.get(state, 0) for state in MEANS[link.states])
    st.subheader("Letters", anchor=False)
    if not page:
        nothing_here(
            f"None of this kind is {STATES[link.states].lower()} now.",
            next_step=", ".join(f"{n:,} {s}" for s, n in sorted(counts.items())),
            back=replace(link, states="all", letter=None, after=None),
        )
        return []
    click = "letters click"
    links = [replace(link, letter=str(one.ref)) for one in page]
    shown = pa.table(
        {
            "Message": [one.ref.key for one in page],
            "State": [STATE_WORDS.get(one.state, one.state) for one in page],
            "Attempt": [one.ref.attempt for one in page],
            "Speaks of": pa.array([documents.get(one.ref) for one in page], pa.string()),
            "Received": [ago(one.received_at, now) for one in page],
            "Cause": [short(one.cause) for one in page],
            "At byte": pa.array([one.offset for one in page], pa.int64()),
        }
    )
    chosen = st.dataframe(
        shown,
        hide_index=True,
        key=f"letters {link.after or ''}",
        on_select="rerun",
        selection_mode="multi-row",
        row_height=ROW_PX,
        height=min(440, ROW_PX * (len(page) + 1) + 3),
        placeholder=MISSING,
        alt="Dead letters of this kind, newest first; tick those to act on",
        column_config={
            "Message": st.column_config.ButtonColumn(
                "Message", width=230, type="tertiary", alignment="left", key=click,
                on_click=_open, args=(click, tuple(links)),
            ),
            "State": st.column_config.TextColumn(width=98),
            "Attempt": st.column_config.NumberColumn(width=72),
            "Speaks of": st.column_config.TextColumn(width=150),
            "Received": st.column_config.TextColumn(width=100),
            "Cause": st.column_config.TextColumn(width=330),
            "At byte": st.column_config.NumberColumn(width=72),
        },
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"showing {count(len(page))} of {count(total)}, newest first", width="content")
        st.space("stretch")
        if link.after is not None and st.button(
            "First page", icon=":material/first_page:", type="tertiary"
        ):
            go(replace(link, after=None))
        if len(page) == PAGE_ROWS and st.button(
            "Next page", icon=":material/chevron_right:", icon_position="right", type="tertiary"
        ):
            go(replace(link, after=str(page[-1].ref)))
    rows = chosen["selection"]["rows"]
    return [page[n] for n in rows if n < len(page)]


def _open(click: str, links: Sequence[DeadLettersLink]) -> None:
    row = st.session_state[click].row
    if 0 <= row < len(links):
        go(links[row])


# --- what people do -------------------------------------------------------------------------------


def actions(
    group: Group,
    picked: Sequence[Letter],
    counts: Mapping[str, int],
    link: DeadLettersLink,
    viewer: Viewer,
) -> None:
    """Replay, set aside and restore, on what was ticked or, to replay, on all that is open."""
    if not viewer.scope.may("replay.ask"):
        st.caption("Replaying and setting aside are not for your role.")
        return
    open_now = counts.get("open", 0)
    refs = [one.ref for one in picked]
    states = {one.state for one in picked}
    with st.container(horizontal=True, vertical_alignment="center"):
        if picked:
            st.markdown(f"**{many(len(picked), 'letter')}** ticked", width="content")
        elif open_now:
            st.caption("Tick letters to act on them alone.", width="content")
        if picked or open_now:
            with st.popover("Replay …", icon=":material/replay:", type="primary"):
                _replay(group, picked, open_now, viewer)
        if picked and states == {"open"}:
            with st.popover("Set aside …", icon=":material/archive:"):
                _move("Set aside", letters.archive, refs, link, viewer)
        elif picked and states == {"archived"}:
            with st.popover("Open again …", icon=":material/unarchive:"):
                _move("Open again", letters.restore, refs, link, viewer)
        elif picked:
            st.caption("Only open letters can be set aside, and those set aside opened again.")


def _move(
    word: str,
    act: Callable[..., int],
    refs: Sequence[LetterRef],
    link: DeadLettersLink,
    viewer: Viewer,
) -> None:
    why = st.text_input("Why", key=f"{word} why", placeholder="What you know; it is kept")
    if st.button(f"{word} {many(len(refs), 'letter')}", key=f"{word} now",
                 disabled=not why.strip()):  # fmt: skip
        now = data.this_instant()
        if wish(lambda conn: act(conn, viewer.scope, refs, viewer.name, why, now)):
            go(replace(link, letter=None, after=None))


def _replay(group: Group, picked: Sequence[Letter], open_now: int, viewer: Viewer) -> None:
    """Freeze a selection and have it tried dry."""
    usual = REINTERPRET if group.kind == "interpret" else REPROCESS
    offered = [usual] if usual == REINTERPRET else [REPROCESS, FORCE]
    with st.form("replay", border=False):
        action = st.radio(
            "How",
            offered,
            format_func=ACTION_NAMES.__getitem__,
            captions=[ACTIONS[one] for one in offered],
        )
        most = min(open_now, MOST_ITEMS)
        slice_of = most
        if picked:
            st.caption(f"Only what is ticked: {many(len(picked), 'letter')}.")
        else:
            slice_of = st.number_input(
                f"How many of the {count(open_now)} open, the oldest first",
                1,
                most,
                most,
                help=f"At most {MOST_ITEMS:,} go into one replay.",
            )
        st.caption(
            "Nothing is sent yet: the selection is frozen, a worker tries it dry and gives every "
            "letter its verdict. You confirm on the next page."
        )
        if not st.form_submit_button("Freeze and try dry", icon=":material/lock:", type="primary"):
            return
    network = data.network(viewer.scope)
    if network is None:
        st.error("No network is in force yet: tower up takes network.yaml in.")
        return
    now = data.this_instant()
    made: list[replays.Replay] = []

    def freeze(conn: Asking) -> None:
        refs = [one.ref for one in picked]
        remark = f"{len(refs)} ticked of {group.fingerprint}"
        if not refs:
            found = letters.letters(
                conn,
                viewer.scope,
                fingerprint=group.fingerprint,
                states=("open",),
                limit=MOST_ITEMS,
            )
            refs = [one.ref for one in found[::-1][:slice_of]]
            remark = f"open letters of {group.fingerprint}"
        made.append(
            replay_wishes.draft(
                conn, network, viewer.scope, action, refs, viewer.name, now, remark=remark
            )
        )

    if wish(freeze):
        go(ReplaysLink(id=made[0].id))


def notes_box(group: Group, notes: Sequence[FailureNote], viewer: Viewer) -> None:
    """What people know of this kind of failure; it stays when its letters are long repaired."""
    with st.container(border=True):
        st.markdown("**Notes**")
        if not notes:
            st.caption("Nobody wrote anything about this kind of failure yet.")
        for note in notes:
            st.markdown(
                f"**{plain(note.author)}** :gray[{day_clock(note.at, viewer.zone)}]  \n"
                f"{plain(note.text)}"
            )
        with st.form("failure note", border=False, clear_on_submit=True):
            said = st.text_area("Note", height=80, placeholder="What you found out",
                                label_visibility="collapsed")  # fmt: skip
            if st.form_submit_button("Add note", icon=":material/edit_note:"):
                now = data.this_instant()
                if wish(
                    lambda conn: letters.add_note(conn, group.fingerprint, viewer.name, said, now),
                    "case.note",
                ):
                    st.rerun()


def letter_box(ref: LetterRef, link: DeadLettersLink, viewer: Viewer) -> None:
    """One letter: its attempts, its bytes, the replays its message was in."""
    with data.connected() as conn:
        found = letters.by_refs(conn, viewer.scope, [ref])
        tries: list[Letter] = []
        items: list[replays.Item] = []
        if found:
            tries = letters.attempts(conn, viewer.scope, ref.source, found[0].message_key)
            items = replays.of_message(conn, ref.source, found[0].message_key)
    if not found:
        nothing_here("There is no such letter in your area.", back=replace(link, letter=None))
        return
    one = found[0]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(one.ref.key)}**", width="content")
            st.space("stretch")
            st.page_link(
                TraceLink.PAGE.file,
                label="The message as it came",
                icon=":material/description:",
                query_params=TraceLink(ref=f"{one.ref.source}/{one.ref.key}").to_query(),
            )
            st.page_link(
                DeadLettersLink.PAGE.file,
                label="Close",
                icon=":material/close:",
                query_params=replace(link, letter=None).to_query(),
            )
        st.markdown(plain(one.cause))
        st.caption(plain(one.advice))
        st.markdown("**Attempts**")
        table(
            {
                "Attempt": [t.ref.attempt for t in tries],
                "State": [STATE_WORDS.get(t.state, t.state) for t in tries],
                "Failed": [day_clock(t.received_at, viewer.zone) for t in tries],
                "Since": [day_clock(t.state_at, viewer.zone) for t in tries],
                "Cause": [t.cause for t in tries],
            },
            alt="Failed attempts of this message",
            key="attempts",
            config={"Cause": st.column_config.TextColumn(width="large")},
        )
        if items:
            st.markdown("**Replays of it**")
            table(
                {
                    "Replay": [str(item.replay_id) for item in items],
                    "Item": [item.n for item in items],
                    "State": [item.state.replace("_", " ") for item in items],
                    "Attempt": [item.new_attempt for item in items],
                    "Cause": [item.cause for item in items],
                },
                alt="Replays this message was in",
                key="replays of it",
                opens="Replay",
                opens_width=90,
                links=[ReplaysLink(id=item.replay_id) for item in items],
                config={"Cause": st.column_config.TextColumn(width="large")},
            )
        edit_box(one, viewer)
