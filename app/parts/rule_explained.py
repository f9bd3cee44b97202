"""Why each clock of a document says what it says."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

import streamlit as st

from app import data
from app.links import CaseLink, MailboxLink, RulesLink, TraceLink
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import day_clock, many, plain, span
from app.session import Viewer
from db.reads import explanations, stories
from db.reads.explanations import ClockExplained

LATE = ("breached", "met_late")
PRESSING = (*LATE, "at_risk", "unknown")  # shown whole; the others open by a click


def page(link: RulesLink, viewer: Viewer) -> None:
    """A box that takes any number, and the clocks of what it names."""
    st.session_state["explain ref"] = link.ref or ""
    st.text_input(
        "Number or id",
        key="explain ref",
        placeholder="Number of a purchase order, shipment notice or customer order",
        on_change=_write,
        icon=":material/search:",
    )
    if link.ref is None:
        nothing_here(
            "Every clock of a document is explained here: which line of the rule gave the time, "
            "the arithmetic, what was skipped, which sources could have told, and who was mailed.",
            next_step="Type a number, or come here from a case.",
        )
        return
    with data.connected() as conn:
        found = [
            one
            for one in stories.search(conn, viewer.scope, link.ref)
            if one.kind not in ("id", "raw")
        ]
        clocks = explanations.explain(conn, viewer.scope, found[0].ref) if len(found) == 1 else []
    if not found:
        nothing_here(
            f'No document is called "{link.ref}".',
            next_step="Write its number, or a reference like po:main:4500001234.",
        )
        return
    if len(found) > 1:
        st.caption(f'{many(len(found), "document")} are called "{plain(link.ref)}". Choose one:')
        for one in found[:20]:
            st.page_link(
                RulesLink.PAGE.file,
                label=f"{plain(one.title)} · {one.ref} · {one.status or ''}",
                query_params=RulesLink(view="explain", ref=one.ref).to_query(),
            )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(found[0].title)}** · {many(len(clocks), 'clock')}", width="content")
        st.space("stretch")
        st.page_link(
            TraceLink.PAGE.file,
            label="Trace",
            icon=":material/account_tree:",
            query_params=TraceLink(ref=found[0].ref).to_query(),
        )
    if not clocks:
        nothing_here("No rule has a clock on it.")
    pressing = [one for one in clocks if one.verdict in PRESSING]
    for n, explained in enumerate(pressing):
        with st.container(border=True):
            clock(explained, viewer.zone, key=f"pressing {n}")
    for n, explained in enumerate(one for one in clocks if one.verdict not in PRESSING):
        said = f"{explained.verdict.replace('_', ' ')} · **{plain(explained.rule)}**"
        where = f" · {plain(explained.subject)}, cycle {explained.cycle}"
        with st.expander(said + where, expanded=not pressing and len(clocks) == 1):
            clock(explained, viewer.zone, key=f"calm {n}")


def _write() -> None:
    said = st.session_state["explain ref"].strip()
    if said:
        st.query_params["ref"] = said
    else:
        st.query_params.pop("ref", None)


def clock(one: ClockExplained, zone: ZoneInfo, *, key: str) -> None:
    """One clock: verdict, arithmetic, evidence, levels, journal and what was told."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(one.verdict.replace("_", " "), color=_colour(one))
        st.markdown(f"**{plain(one.rule)}** · {plain(one.title)}", width="content")
        st.space("stretch")
        if one.case_id is not None:
            st.page_link(
                CaseLink.PAGE.file,
                label=f"Case {one.case_id}",
                icon=":material/assignment:",
                query_params=CaseLink(id=one.case_id).to_query(),
            )
    receipt(one, zone)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        levels(one)
        _journal(one, zone, key)
    with right:
        evidence(one, zone)
        _told(one, zone)


def _colour(one: ClockExplained) -> Literal["red", "green", "orange", "gray"]:
    if one.verdict in LATE:
        return "red"
    if one.verdict in ("at_risk", "unknown"):
        return "orange"
    return "green" if one.verdict == "met" else "gray"


def receipt(one: ClockExplained, zone: ZoneInfo) -> None:
    """The line that matched, the arithmetic, and the time that did not count."""
    if one.row:
        st.markdown(f"{_capital(plain(one.row))}")
    if one.receipt:
        st.markdown(plain(one.receipt))
    facts = [("started", one.started_at), ("due", one.due_at), ("ended", one.ended_at)]
    said = [f"{word} {day_clock(at, zone)}" for word, at in facts if at is not None]
    said.append(f"cycle {one.cycle}, rule version {one.rule_version}")
    st.caption(" · ".join(said))
    for stretch in one.skipped[:8]:
        st.caption(
            f":material/skip_next: {day_clock(stretch.begin, zone)} to "
            f"{day_clock(stretch.end, zone)} did not count: {plain(stretch.why)}"
        )
    if len(one.skipped) > 8:
        st.caption(f"and {len(one.skipped) - 8} more stretches that did not count")


def levels(one: ClockExplained) -> None:
    """The ladder of levels, reached ones filled."""
    if one.levels:
        steps = [
            f"{'●' if step.stands else '○'} **{plain(step.level)}** {step.severity}"
            + (f", told by {plain(step.notify)}" if step.notify else "")
            for step in one.levels
        ]
        st.markdown("  \n".join(steps))


def evidence(one: ClockExplained, zone: ZoneInfo) -> None:
    """The sources that could have brought what is missing, and how far they were read."""
    if not one.evidence:
        return
    st.caption("Sources that could have told")
    for source in one.evidence:
        far = (
            "never read"
            if source.complete_to is None
            else (f"complete to {day_clock(source.complete_to, zone)}")
        )
        if source.silent_from is not None:
            until = "now" if source.silent_to is None else day_clock(source.silent_to, zone)
            far += f", silent {day_clock(source.silent_from, zone)} to {until}"
        else:
            far += f", may be quiet for {span(source.waits_s)}"
        st.markdown(f"**{plain(source.source)}** {plain(far)}")


def _journal(one: ClockExplained, zone: ZoneInfo, key: str) -> None:
    if not one.journal:
        return
    table(
        {
            "True since": [day_clock(j["effective_at"], zone) for j in one.journal],
            "What": [j["name"] for j in one.journal],
            "Known": [day_clock(j["detected_at"], zone) for j in one.journal],
        },
        alt=f"Journal of {one.rule}",
        key=f"journal {key}",
    )


def _told(one: ClockExplained, zone: ZoneInfo) -> None:
    if one.mails:
        st.caption("Mails")
        for mail in one.mails[:6]:
            st.page_link(
                MailboxLink.PAGE.file,
                label=f"{day_clock(mail['created_at'], zone)} to {plain(mail['recipient'])}: "
                f"{mail['reason']}",
                icon=":material/mail:",
                query_params=MailboxLink(mail=mail["id"]).to_query(),
                help=mail["subject"],
            )
    for why in one.no_mail:
        st.caption(f":material/notifications_off: {plain(why)}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
