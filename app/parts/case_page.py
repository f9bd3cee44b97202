"""The parts of the page of one case."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from app.links import CaseLink, MailboxLink, RulesLink, TraceLink
from app.parts import case_queue
from app.parts.rule_book import level_line
from app.parts.tables import height_of, table
from app.parts.words import MISSING, ago, day, day_clock, many, money, plain, severity, span
from db.reads.cases import CaseDetail
from tower.access import Scope
from tower.calendars import Calendar
from tower.event import ObjectRef
from tower.receipts import receipt_text
from tower.root_causes import KIND
from tower.rule_words import words
from tower.rulebook import RuleBook

MOST_MAILS = 8


_NO_DOCUMENT = ("source", "queue", "partner", "supplier")
_HEADERS = {"po_line": "po", "affected": "po", "order_line": "order"}


def title(found: CaseDetail) -> str:
    return str(found.case["title"])


def subject_ref(case: Mapping[str, Any]) -> str | None:
    """The document that the case is about, as Trace takes it; None for our own systems."""
    if case["home_key"] is None or case["kind"] in (*_NO_DOCUMENT, KIND):
        return None
    kind = _HEADERS.get(case["kind"], case["kind"])
    return str(ObjectRef(kind, case["scope"], case["number"]))


def banner(found: CaseDetail, now: datetime, zone: ZoneInfo, hours: Calendar | None) -> None:
    """State, severity, owner, age and the way to the document, in one line."""
    case = found.case
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.markdown(f"**{severity(case['severity'])}**", width="content")
        st.markdown(case_queue.category_words(case["category"]), width="content")
        state = case["state"] if not case["resolution"] else f"resolved, {case['resolution']}"
        st.badge(state.replace("_", " "), color="green" if case["resolution"] else "orange")
        until = case["taken_until"] if case["state"] == "taken" else case["snoozed_until"]
        if until is not None and case["state"] in ("taken", "snoozed", "waiting"):
            on = case["why"].get("waits_on") if case["state"] == "waiting" else None
            said = f"on {plain(on)} until" if on else "until"
            st.caption(f"{said} {day_clock(until, zone)}", width="content")
        st.markdown(f"owner **{plain(case['owner'])}**", width="content")
        end, word = (case["resolved_at"], "was open") if case["resolved_at"] else (now, "open")
        age = f"{word} {span((end - case['opened_at']).total_seconds())}"
        open_age = case_queue.open_hours(case, now, hours)
        if open_age is not None:
            age += f" ({open_age / timedelta(hours=1):.1f} open hours)"
        st.markdown(
            age,
            width="content",
            help=f"since {case['opened_at']:%Y-%m-%d %H:%M} UTC: clock time, and the owner's hours",
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
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"Rule **{_safe(case['rule'])}** reached “{_safe(case['level'])}”", width="content"
            )
            st.space("stretch")
            st.page_link(
                RulesLink.PAGE.file,
                label="The rule",
                icon=":material/rule:",
                query_params=RulesLink(rule=case["rule"]).to_query(),
            )
            ref = subject_ref(case)
            if ref is not None:
                st.page_link(
                    RulesLink.PAGE.file,
                    label="Explain",
                    icon=":material/calculate:",
                    query_params=RulesLink(view="explain", ref=ref).to_query(),
                )
        if receipt:
            st.markdown(_safe(receipt))
        facts = [("effective", case["opened_at"]), ("due", case["due_at"])]
        facts.append(("known to us", case["detected_at"]))
        st.caption(
            " · ".join(f"{word} {day_clock(at, zone)}" for word, at in facts if at is not None)
        )
        if version:
            st.caption(f"rule version {version}")
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


def consequence(found: CaseDetail) -> None:
    """Why it stands where it stands in the queue: priority as the product it is."""
    case = found.case
    factors = case["why"].get("priority")
    with st.container(border=True):
        st.markdown("**Priority**")
        if case["kind"] == KIND:
            st.markdown(
                "No case under it has a known value at risk."
                if case["priority"] is None
                else f"**{case['priority']:,.0f}**, the sum of its open cases"
            )
            return
        if not factors:
            st.caption("Not weighed: no document of a customer or supplier stands behind it.")
            return
        currency = factors.get("currency")
        value = _amount(factors.get("value"), currency)
        if case["priority"] is None:
            st.markdown("None: nothing at risk is known.")
        else:
            st.markdown(
                f"**{case['priority']:,.0f}** = {plain(value)} × {factors['urgency']:g} × "
                f"{factors['confidence']:g}"
            )
        urgent = MISSING if factors["urgency"] is None else f"{factors['urgency']:.2f}"
        st.markdown(
            f"- **Value** {plain(value)}: {plain(_value_words(factors))}\n"
            f"- **Urgency** {urgent}: {plain(_need_words(factors))}\n"
            f"- **Confidence** {factors['confidence']:.2f}: {plain(_sure_words(factors))}"
        )


def _amount(text: Any, currency: str | None) -> str:
    return money(None if text is None else float(text), currency)


def _value_words(factors: Mapping[str, Any]) -> str:
    currency = factors.get("currency")
    parts = []
    if factors.get("value_at_risk") is not None:
        parts.append(f"{_amount(factors['value_at_risk'], currency)} of affected order lines")
    if float(factors.get("unpegged_value") or 0):
        parts.append(f"a tenth of {_amount(factors['unpegged_value'], currency)} nobody waits for")
    if factors.get("unpriced_lines"):
        parts.append(f"{many(factors['unpriced_lines'], 'line')} without a price left out")
    return "; ".join(parts) or "nothing is known to be at risk"


def _need_words(factors: Mapping[str, Any]) -> str:
    need = factors.get("need_date")
    if need is None:
        return "no date is known by which it is needed"
    return f"needed by {day(date.fromisoformat(need))}; 1 once that is past, half 8 open h before"


def _sure_words(factors: Mapping[str, Any]) -> str:
    parts = factors.get("sure")
    if parts:
        return " × ".join(f"{word} {figure:g}" for word, figure in parts)
    return "how sure it is that it hurts"


def impact(found: CaseDetail, scope: Scope) -> None:
    """Customer order lines that are hit; who does not see all partners is told their number."""
    case = found.case
    if not scope.sees_value_at_risk:
        return
    with st.container(border=True):
        st.markdown("**Customers hit**")
        value = money(case["value_at_risk"], case["currency"])
        if case["orders_affected"] and not scope.sees_customers:
            st.caption(
                f"{many(case['orders_affected'], 'customer order')}, {value} open value at risk. "
                "Which ones is told to those who see all suppliers."
            )
            return
        if not found.impacts:
            st.caption(
                "No customer order is pegged to what is late here."
                if case["home_key"] is not None or case["kind"] == KIND
                else "A silent source hits no order by itself: clocks that need it wait."
            )
            return
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
            height=height_of(len(found.impacts), 340),
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


def mails(found: CaseDetail, zone: ZoneInfo) -> None:
    """Who was told what, and why somebody was not."""
    with st.container(border=True):
        st.markdown("**Told**")
        if found.parent is not None and found.parent["state"] != "resolved":
            st.caption(f"Told in case {found.parent['id']}, which it shares a cause with.")
        elif not found.mails and not found.suppressed:
            st.caption("Nobody was mailed yet.")
        believes = [t for t in found.told if t["what"] == "open"]
        if believes:
            st.caption(
                "believe it open: "
                + ", ".join(f"{plain(t['recipient'])} ({t['role']})" for t in believes)
            )
        handed = {d["outbox_id"]: d for d in found.deliveries}
        if len(found.mails) > MOST_MAILS:
            st.caption(f"the newest {MOST_MAILS} of {many(len(found.mails), 'mail')} that name it")
        for mail in reversed(found.mails[-MOST_MAILS:]):
            st.page_link(
                MailboxLink.PAGE.file,
                label=f"{day_clock(mail['created_at'], zone)} to {mail['recipient']}: "
                f"{'summary' if mail['reason'] == 'digest' else mail['reason']}"
                f"{_handed(mail, handed.get(mail['id']))}",
                icon=":material/mail:",
                query_params=MailboxLink(mail=mail["id"]).to_query(),
                help=mail["subject"],
            )
        for quiet in found.suppressed[-5:]:
            st.caption(
                f"{day_clock(quiet['at'], zone)} {quiet['recipient']} not mailed: {quiet['reason']}"
            )


def _handed(mail: Mapping[str, Any], last: Mapping[str, Any] | None) -> str:
    """What became of a mail; nothing where it simply was accepted."""
    if mail["state"] == "sent":
        return ""
    said = f", {mail['state']}"
    if last is not None and last["outcome"] != "accepted":
        said += f" ({last['outcome']} {last['code'] or ''})".replace(" )", ")")
    return said


def ladder(found: CaseDetail, book: RuleBook | None, zone: ZoneInfo) -> None:
    """The levels of its rule: which were reached and when, and which come next."""
    case = found.case
    rule = book.rule(case["rule"]) if book is not None else None
    if rule is None or book is None or case["kind"] == KIND:
        return
    reached = {
        j["name"]: j["effective_at"] for j in found.journal if j["cycle"] == case["clock_cycle"]
    }
    standing = set(case["levels"])
    with st.container(border=True):
        st.markdown("**Levels**")
        lines = [
            level_line(
                row,
                sign="● " if row.level in standing or row.level in reached else "○ ",
                when=f"since {day_clock(reached[row.level], zone)}" if row.level in reached else "",
            )
            for row in words(rule, book).levels
        ]
        st.markdown("  \n".join(lines))
        if found.chain is not None:
            _chain(found.chain, zone)


def _chain(chain: Mapping[str, Any], zone: ZoneInfo) -> None:
    """Who is told too while nobody takes it, as its policy stood when it was told."""
    if chain["stopped"]:
        st.caption("Its reminders and steps have stopped.")
        return
    parts = []
    for n, step in enumerate(chain["steps"]):
        sign = "●" if n < chain["next_step"] else "○"
        parts.append(f"{sign} {plain(str(step.get('to', '')))} after {step.get('after', '')}")
    if chain["repeat"]:
        parts.append(f"reminded every {chain['repeat']}")
    if parts:
        st.caption(
            f"While nobody takes it, from {day_clock(chain['started_at'], zone)}: "
            + " · ".join(parts)
        )


def parent(found: CaseDetail) -> None:
    """The root cause that it hangs under."""
    above = found.parent
    if above is None:
        return
    told = "which tells people" if above["state"] != "resolved" else "which is settled"
    st.page_link(
        CaseLink.PAGE.file,
        label=f"Shares its cause with others: {plain(above['title'])}, {told}",
        icon=":material/hub:",
        query_params=CaseLink(id=above["id"]).to_query(),
    )


def children(found: CaseDetail, now: datetime, hours: Calendar | None) -> None:
    """The cases under a root cause, open ones first."""
    if found.case["kind"] != KIND:
        return
    n = sum(c["state"] != "resolved" for c in found.children)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Its cases", anchor=False, width="content")
        st.caption(
            f"{many(len(found.children), 'case')}, {n:,} open. Each keeps its clock and its "
            "history, and is told by itself if it outlives this one.",
            width="content",
        )
    if found.children:
        case_queue.rows_table(found.children, now, key="children", hours=hours)


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
