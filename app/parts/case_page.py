"""The parts of the page of one case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from app import data
from app.links import MailboxLink, TraceLink
from app.parts import case_queue
from app.parts.tables import table
from app.parts.words import ago, day, day_clock, many, money, severity, span
from app.session import Viewer
from db import cases as wishes_db
from db.reads.cases import CaseDetail
from tower.cases import BY_HAND, CAUSES
from tower.errors import TowerError
from tower.event import ObjectRef
from tower.receipts import receipt_text

MOST_MAILS = 8
SNOOZE = {"4 hours": 4, "1 day": 24, "3 days": 72, "7 days": 168}
RESOLUTION_WORDS = {
    "repaired": "Repaired: somebody mended it",
    "accepted": "Accepted: left as it is",
    "false_alarm": "False alarm: it was never wrong",
}


def title(found: CaseDetail) -> str:
    return str(found.case["title"])


def subject_ref(case: Mapping[str, Any]) -> str | None:
    """The document that the case is about, as Trace takes it; None for our own systems."""
    if case["home_key"] is None or case["kind"] in ("source", "queue"):
        return None
    kind = {"po_line": "po", "order_line": "order"}.get(case["kind"], case["kind"])
    return str(ObjectRef(kind, case["scope"], case["number"]))


def banner(found: CaseDetail, now: datetime, zone: ZoneInfo) -> None:
    """State, severity, owner, age and the way to the document, in one line."""
    case = found.case
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.markdown(f"**{severity(case['severity'])}**", width="content")
        st.markdown(case_queue.category_words(case["category"]), width="content")
        state = case["state"] if not case["resolution"] else f"resolved, {case['resolution']}"
        st.badge(state.replace("_", " "), color="green" if case["resolution"] else "orange")
        st.markdown(f"owner **{case['owner']}**", width="content")
        end, word = (case["resolved_at"], "was open") if case["resolved_at"] else (now, "open")
        st.markdown(
            f"{word} {span((end - case['opened_at']).total_seconds())}",
            width="content",
            help=f"since {case['opened_at']:%Y-%m-%d %H:%M} UTC, clock time",
        )
        st.caption(f"case {case['id']}", width="content")
        st.space("stretch")
        ref = subject_ref(case)
        if ref is not None:
            st.page_link(
                TraceLink.PAGE.file,
                label=f"Trace {ref.split(':')[0].upper()} {case['number']}",
                icon=":material/account_tree:",
                query_params=TraceLink(ref=ref).to_query(),
            )


def why(found: CaseDetail, now: datetime, zone: ZoneInfo) -> None:
    """The rule, its arithmetic and what the clock did."""
    case = found.case
    with st.container(border=True):
        st.markdown("**Why**")
        receipt = receipt_text(case["why"])
        version = case["why"].get("rule_version", "")
        st.markdown(f"Rule **{_safe(case['rule'])}** reached “{_safe(case['level'])}”")
        if receipt:
            st.markdown(_safe(receipt))
        facts = [("effective", case["opened_at"]), ("due", case["due_at"])]
        facts.append(("known to us", case["detected_at"]))
        st.caption(
            " · ".join(f"{word} {day_clock(at, zone)}" for word, at in facts if at is not None)
        )
        factors = case["why"].get("priority")
        if factors:
            st.caption(f"priority {_factors(factors, case)} · rule version {version}")
        if case["held_subjects"]:
            st.caption(f"{many(case['held_subjects'], 'clock')} held while this source is silent")
        if found.journal:
            with st.expander("Journal of the clock"):
                table(
                    {
                        "When": [day_clock(j["effective_at"], zone) for j in found.journal],
                        "What": [j["name"] for j in found.journal],
                        "Known": [day_clock(j["detected_at"], zone) for j in found.journal],
                        "Cycle": [j["cycle"] for j in found.journal],
                    },
                    alt="Journal of the clock",
                    key="case journal",
                )


def _factors(factors: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """The priority as the product it is."""
    said = [f"urgency {factors['urgency']}", f"confidence {factors['confidence']}"]
    value = factors.get("value_at_risk") or factors.get("unpegged_value")
    if value is not None:
        kind = "at risk" if factors.get("value_at_risk") else "unpegged, counted a tenth"
        said.insert(0, f"{money(float(value), factors.get('currency'))} {kind}")
    rank = "" if case["priority"] is None else f"{case['priority']:,.0f} = "
    return rank + " x ".join(said)


def impact(found: CaseDetail) -> None:
    """Customer order lines that are hit."""
    case = found.case
    with st.container(border=True):
        st.markdown("**Customers hit**")
        if not found.impacts:
            st.caption(
                "No customer order is pegged to what is late here."
                if case["home_key"] is not None
                else "A silent source hits no order by itself: clocks that need it wait."
            )
            return
        value = money(case["value_at_risk"], case["currency"])
        st.caption(f"{case_queue.affected(found.impacts)}, {value} open value at risk")
        table(
            {
                "Order": [i["order"] for i in found.impacts],
                "Line": [i["order_line"] for i in found.impacts],
                "Customer": [i["customer_name"] or i["customer"] for i in found.impacts],
                "Promised": [day(i["promise_date"]) for i in found.impacts],
                "Expected": [day(i["projected_date"]) for i in found.impacts],
                "Days late": [i["days_late"] for i in found.impacts],
                "Open value": [money(i["open_value"], i["currency"]) for i in found.impacts],
                "Date rests on": [i["basis"] for i in found.impacts],
            },
            alt="Affected customer order lines",
            key="case impact",
            height=min(340, 35 * (len(found.impacts) + 1) + 3),
        )


def history(found: CaseDetail, zone: ZoneInfo) -> None:
    """Everything that happened to the case, the newest last."""
    with st.container(border=True):
        st.markdown("**History**")
        for note in found.notes:
            st.markdown(
                f"{day_clock(note['at'], zone)} · **{_safe(note['author'])}** · "
                f"{_safe(note['text'])}"
            )


def next_step(found: CaseDetail) -> None:
    """What to do now."""
    if found.case["advice"] and found.case["state"] != "resolved":
        st.info(_safe(found.case["advice"]), icon=":material/lightbulb:")


def wishes(found: CaseDetail, viewer: Viewer, now: datetime) -> None:
    """Take, snooze, note, resolve: written as wishes, the worker does what follows from them."""
    case = found.case
    with st.container(border=True):
        st.markdown("**Act**")
        if case["state"] != "resolved":
            with st.container(horizontal=True):
                if case["state"] != "taken" and st.button("Take", icon=":material/back_hand:"):
                    _do(
                        lambda conn: wishes_db.take(
                            conn, viewer.scope, case["id"], viewer.name, now
                        )
                    )
                with st.popover("Snooze", icon=":material/snooze:"):
                    length = st.radio("Until in", list(SNOOZE), key="snooze length")
                    if st.button("Snooze it", key="snooze now"):
                        until = now + timedelta(hours=SNOOZE[length])
                        _do(
                            lambda conn: wishes_db.snooze(
                                conn, viewer.scope, case["id"], viewer.name, until, now
                            )
                        )
                with st.popover("Resolve", icon=":material/task_alt:"):
                    how = st.radio(
                        "How", BY_HAND, format_func=RESOLUTION_WORDS.__getitem__, key="resolve how"
                    )
                    cause = st.selectbox(
                        "Cause", CAUSES, index=len(CAUSES) - 1, key="resolve cause"
                    )
                    text = st.text_input("What was done", key="resolve text")
                    if st.button("Resolve it", key="resolve now", disabled=not text.strip()):
                        _do(
                            lambda conn: wishes_db.resolve(
                                conn,
                                viewer.scope,
                                case["id"],
                                viewer.name,
                                how,
                                text,
                                now,
                                cause,
                            )
                        )
        with st.form("note", border=False, clear_on_submit=True):
            said = st.text_area("Note", height=80, placeholder="What you know or did")
            if st.form_submit_button("Add note", icon=":material/edit_note:") and said.strip():
                _do(
                    lambda conn: wishes_db.note(
                        conn, viewer.scope, case["id"], viewer.name, said, now
                    )
                )


def _do(wish: Callable[[Any], object]) -> None:
    """Write a wish and draw the page anew; a refusal is shown as its sentence."""
    try:
        with data.writing() as conn:
            wish(conn)
    except TowerError as error:
        st.error(str(error))
        return
    st.rerun()


def mails(found: CaseDetail, zone: ZoneInfo) -> None:
    """Who was told what, and why somebody was not."""
    with st.container(border=True):
        st.markdown("**Told**")
        if not found.mails and not found.suppressed:
            st.caption("Nobody was mailed yet.")
        if len(found.mails) > MOST_MAILS:
            st.caption(f"the newest {MOST_MAILS} of {many(len(found.mails), 'mail')} that name it")
        for mail in reversed(found.mails[-MOST_MAILS:]):
            st.page_link(
                MailboxLink.PAGE.file,
                label=f"{day_clock(mail['created_at'], zone)} to {mail['recipient']}: "
                f"{'summary' if mail['reason'] == 'digest' else mail['reason']}",
                icon=":material/mail:",
                query_params=MailboxLink(mail=mail["id"]).to_query(),
                help=mail["subject"],
            )
        for quiet in found.suppressed[-5:]:
            st.caption(
                f"{day_clock(quiet['at'], zone)} {quiet['recipient']} not mailed: {quiet['reason']}"
            )


def related(found: CaseDetail, now: datetime) -> None:
    """Other open cases of the same document."""
    if not found.related:
        return
    with st.container(border=True):
        st.markdown("**Related open cases**")
        for other in found.related[:8]:
            st.page_link(
                "screens/case.py",
                label=f"{severity(other['severity'])} · {other['title']} · "
                f"{ago(other['opened_at'], now)}",
                query_params={"id": str(other["id"])},
            )


def _safe(text: str) -> str:
    """Partner text as text: characters that mean something to Markdown lose their meaning."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|<>$~:" else c for c in str(text))
