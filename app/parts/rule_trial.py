"""An edited rule book tried on the past: checked at once, judged by a worker, then compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from app import data
from app.links import RulesLink
from app.parts.empty import nothing_here
from app.parts.tables import go, height_of, table
from app.parts.words import ago, count, day_clock, many, plain, severity
from app.session import Viewer, draw_again
from db import rule_trials
from db.rule_trials import Trial
from tower.errors import ConfigError, Problem, TowerError
from tower.lint import Finding, lint
from tower.rulebook import load_rulebook

SPANS = {"7 days": 7, "14 days": 14, "30 days": 30, "90 days": 90}
NAME = "sla_rules.yaml"
EDITOR_PX = 420
LOOK_S = 1.0


def page(link: RulesLink, viewer: Viewer, now: datetime) -> None:
    """The editor, what is wrong with the text, and the trial that the address names."""
    if not viewer.scope.sees_all:
        nothing_here("Rule books are tried by our own people.")
        return
    body = data.rules_text(viewer.scope)
    if body is None:
        nothing_here("No rule book is in force yet.")
        return
    if link.trial is not None:
        _trial(link.trial, viewer)
    _editor(body, viewer, now)
    _earlier(link.trial, viewer, now)


def _editor(body: str, viewer: Viewer, now: datetime) -> None:
    with st.container(border=True):
        st.markdown("**Change the book here, or bring a file.** Nothing comes into force by this.")
        brought = st.file_uploader(
            "Rule book as a file", type=["yaml", "yml"], key="trial file",
            label_visibility="collapsed",
        )  # fmt: skip
        start = body
        if brought is not None:
            start = brought.getvalue().decode("utf-8", "replace")
        text = st.text_area(
            "Rule book",
            value=start,
            height=EDITOR_PX,
            key=f"trial text {hash(start)}",
            label_visibility="collapsed",
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            span = st.segmented_control(
                "Past", list(SPANS), default="30 days", required=True,
                label_visibility="collapsed", key="trial span",
            )  # fmt: skip
            wished = st.button(
                "Try it on the past", type="primary", icon=":material/science:", key="trial ask"
            )
            checked = st.button("Check only", icon=":material/spellcheck:", key="trial check")
            st.space("stretch")
            st.caption("the same text as in force" if text == body else "changed", width="content")
        if not (wished or checked):
            return
        problems, warnings = _mistakes(text, viewer)
        _say_mistakes(text, problems, warnings)
        if wished and not problems:
            try:
                with data.writing("house.configure") as conn:
                    number = rule_trials.ask(
                        conn, viewer.name, text, now - timedelta(days=SPANS[span]), now, now
                    )
            except TowerError as error:
                st.error(str(error))
                return
            go(RulesLink(view="try", trial=number))


def _mistakes(text: str, viewer: Viewer) -> tuple[Sequence[Problem], Sequence[Finding]]:
    """What refuses the book, and what is merely odd."""
    try:
        book = load_rulebook(text, NAME)
    except ConfigError as error:
        return error.problems or (Problem(NAME, None, None, "", str(error)),), ()
    found = lint(book, data.network(viewer.scope))
    errors = [one.problem for one in found if one.severity == "error"]
    return errors, [one for one in found if one.severity == "warning"]


def _say_mistakes(text: str, problems: Sequence[Problem], warnings: Sequence[Finding]) -> None:
    lines = text.splitlines()
    for one in problems[:50]:
        place = "" if one.line is None else f"**line {one.line}, column {one.col}:** "
        with st.container(border=True):
            st.markdown(f":red[✕] {place}{plain(one.message)}")
            if one.line is not None and 0 < one.line <= len(lines):
                st.code(f"{one.line:>4}  {lines[one.line - 1]}", language="yaml", wrap_lines=True)
            if one.next_step:
                st.caption(f"next: {plain(one.next_step)}")
    if len(problems) > 50:
        st.caption(f"and {len(problems) - 50} more")
    if not problems:
        st.success("No mistake was found.", icon=":material/check:")
    for odd in warnings[:20]:
        place = "" if odd.line is None else f"line {odd.line}: "
        st.caption(f":material/warning: {place}{plain(odd.message)}; {plain(odd.next_step)}")


# --- a trial --------------------------------------------------------------------------------------


def _trial(number: int, viewer: Viewer) -> None:
    with data.connected() as conn:
        found = rule_trials.get(conn, number)
    if found is None:
        nothing_here(f"There is no trial {number}.", back=RulesLink(view="try"))
    elif not found.over:
        _watched(number, viewer)
    else:
        _outcome(found, viewer.zone)


@st.fragment(run_every=LOOK_S)
def _watched(number: int, viewer: Viewer) -> None:
    """How far it is, looked at each second; the page is drawn anew when it is over."""
    with data.connected() as conn:
        found = rule_trials.get(conn, number)
    if found is None or found.over:
        draw_again()
    with st.container(border=True):
        _heading(found, viewer.zone)
        if found.state == "waiting":
            st.progress(0.0, text="waits for a worker; is one running? (Health)")
        else:
            share = found.done / found.total if found.total else 0.0
            text = "reads the past"
            if found.total:
                text = f"{count(found.done)} of {many(found.total, 'document')} judged"
            st.progress(min(share, 1.0), text=text)
        if st.button("Call it off", icon=":material/cancel:"):
            with data.writing("house.configure") as conn:
                rule_trials.cancel(conn, number, data.this_instant())
            st.rerun()


def _heading(found: Trial, zone: ZoneInfo) -> None:
    st.markdown(
        f"**Trial {found.id}** · {day_clock(found.begin_at, zone)} to "
        f"{day_clock(found.end_at, zone)} · asked by {plain(found.asked_by)}"
    )


def _outcome(found: Trial, zone: ZoneInfo) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            _heading(found, zone)
            st.space("stretch")
            st.page_link(
                RulesLink.PAGE.file,
                label="Close",
                icon=":material/close:",
                query_params=RulesLink(view="try").to_query(),
            )
        if found.state == "failed":
            st.error(f"It could not be tried: {plain(found.problem)}")
            return
        if found.state == "cancelled":
            st.caption("It was called off.")
            return
        if not found.answer:
            st.caption("Its outcome is no longer kept. Try it again.")
            return
        _figures(found.answer)
        _differences(found.answer, zone)
        _plan(found.answer, zone)


def _figures(answer: Mapping[str, Any]) -> None:
    compared = answer["compared"]
    mails = answer["mails"] - answer["mails_before"]
    with st.container(horizontal=True):
        st.metric("Alerts added", count(compared["added_total"]), border=True, height="stretch")
        st.metric("Alerts removed", count(compared["removed_total"]), border=True, height="stretch")
        st.metric("Alerts moved", count(compared["moved_total"]), border=True, height="stretch")
        st.metric(
            "Mails",
            count(answer["mails"]),
            f"{mails:+,} against the book in force" if mails else "as before",
            delta_color="inverse" if mails else "off",
            delta_arrow="auto" if mails else "off",
            border=True,
            height="stretch",
        )
    changed = ", ".join(f"{c['rule']} ({c['change']})" for c in answer["changes"]) or "none"
    words = f"Rules that differ: {changed}. {many(answer['documents'], 'document')}, "
    words += f"{many(answer['events'], 'event')}, {answer['seconds']:.1f} s."
    st.caption(plain(words))
    for one in answer["not_replayed"]:
        # Answers of before told names alone.
        told = one if isinstance(one, str) else f"{one['rule']}: {one['why']}"
        st.caption(plain(f"Not replayed: {told}."))


def _differences(answer: Mapping[str, Any], zone: ZoneInfo) -> None:
    compared = answer["compared"]
    for word, title in (("added", "Added"), ("removed", "Removed")):
        rows = compared[word]
        if rows:
            _of_total(title, len(rows), compared[f"{word}_total"])
            table(
                {
                    "Rule": [a["rule"] for a in rows],
                    "Subject": [a["subject"] for a in rows],
                    "Level": [a["level"] for a in rows],
                    "Severity": [severity(a["severity"]) for a in rows],
                    "True since": [_at(a["effective"], zone) for a in rows],
                    "Receipt": [a["receipt"] for a in rows],
                },
                alt=f"Alerts {word}",
                key=f"trial {word}",
                config={
                    "Receipt": st.column_config.TextColumn(width="large"),
                    "Severity": st.column_config.TextColumn(width=92),
                },
                height=height_of(len(rows), 320),
            )
    moved = compared["moved"]
    if moved:
        _of_total("Moved", len(moved), compared["moved_total"])
        table(
            {
                "Rule": [m["after"]["rule"] for m in moved],
                "Subject": [m["after"]["subject"] for m in moved],
                "Level": [m["after"]["level"] for m in moved],
                "Was true since": [_at(m["before"]["effective"], zone) for m in moved],
                "Would be": [_at(m["after"]["effective"], zone) for m in moved],
                "Receipt": [m["after"]["receipt"] for m in moved],
            },
            alt="Alerts moved",
            key="trial moved",
            config={"Receipt": st.column_config.TextColumn(width="large")},
            height=height_of(len(moved), 320),
        )
    if not any(compared[f"{word}_total"] for word in ("added", "removed", "moved")):
        st.caption("Over this span it says the same as the book in force.")


def _plan(answer: Mapping[str, Any], zone: ZoneInfo) -> None:
    plan = answer["plan"]
    clocks = plan["clocks"]
    st.markdown("**If it came into force now**")
    st.markdown(
        f"Of {count(clocks['open'])} open clocks {count(clocks['moved_total'])} would move, "
        f"{count(clocks['started'])} start and {count(clocks['ended'])} end; "
        f"{many(plan['opened_total'], 'case')} would open, {count(plan['closed_total'])} close."
    )
    for one in plan["summaries"]:
        st.caption(
            f"{plain(one['recipient'])} would hear of {one['opened']} opened and {one['closed']} "
            "closed in one summary."
        )
    if clocks["moved"]:
        _of_total("Clocks that move", len(clocks["moved"]), clocks["moved_total"])
        table(
            {
                "Rule": [m["rule"] for m in clocks["moved"]],
                "Subject": [m["subject"] for m in clocks["moved"]],
                "Was due": [_at(m["due_before"], zone) for m in clocks["moved"]],
                "Would be due": [_at(m["due_after"], zone) for m in clocks["moved"]],
                "Was": [m["verdict_before"] for m in clocks["moved"]],
                "Would be": [m["verdict_after"] for m in clocks["moved"]],
            },
            alt="Open clocks that would move",
            key="trial clocks",
            height=height_of(len(clocks["moved"]), 320),
        )


def _of_total(title: str, shown: int, total: int) -> None:
    of = "" if shown == total else f", the first {count(shown)}"
    st.markdown(f"**{title}** {count(total)}{of}")


def _at(text: str | None, zone: ZoneInfo) -> str | None:
    return None if text is None else day_clock(datetime.fromisoformat(text), zone)


def _earlier(current: int | None, viewer: Viewer, now: datetime) -> None:
    with data.connected() as conn:
        rows = [one for one in rule_trials.newest(conn) if one.id != current]
    if not rows:
        return
    st.subheader("Earlier trials", anchor=False)
    table(
        {
            "Trial": [f"Trial {one.id}" for one in rows],
            "State": [one.state for one in rows],
            "Asked": [ago(one.asked_at, now) for one in rows],
            "By": [one.asked_by for one in rows],
            "From": [day_clock(one.begin_at, viewer.zone) for one in rows],
            "To": [day_clock(one.end_at, viewer.zone) for one in rows],
        },
        alt="Earlier trials",
        key="trials",
        opens="Trial",
        links=[RulesLink(view="try", trial=one.id) for one in rows],
    )
