"""The rules as people read them: a list with how each does, and one rule with all it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import streamlit as st

from app import data
from app.links import ExceptionsLink, RulesLink
from app.parts import case_queue
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import MISSING, count, percent, plain, severity
from app.session import Viewer
from db.reads import rule_figures
from db.reads.cases import CaseFilter, queue
from db.reads.rule_figures import RuleFigures
from tower.precision import JUDGEMENTS
from tower.rule_words import LevelRow, RuleWords, words
from tower.rulebook import RuleBook

MOST_CASES = 50
VERDICTS = {
    "met": "met",
    "met_late": "met late",
    "breached": "breached",
    "at_risk": "at risk",
    "pending": "pending",
    "unknown": "unknown",
    "not_measured": "not measured",
}


TIMED = ("deadline", "agreement")  # kinds that something can be in time for


def page(link: RulesLink, viewer: Viewer, now: datetime) -> None:
    """The list, or the one rule that the address names."""
    book = data.rulebook(viewer.scope)
    if book is None:
        nothing_here(
            "No rule book is in force yet.",
            next_step="It is taken over from sla_rules.yaml when the tower starts.",
        )
        return
    with data.connected() as conn:
        found = rule_figures.figures(conn, viewer.scope, now)
    if link.rule is not None:
        _one(link.rule, book, found, viewer, now)
        return
    said = [words(rule, book) for rule in book.rules]
    _doubted([found[w.id] for w in said if w.id in found])
    _list(said, found)
    _policies(book)


def _doubted(figures: Sequence[RuleFigures]) -> None:
    for one in figures:
        if one.precision.doubtful:
            st.warning(
                f"Of the last {JUDGEMENTS} judged alerts of **{plain(one.rule)}** only "
                f"{one.precision.latest_useful} were useful. The digest says so, too; nothing "
                "mutes itself.",
                icon=":material/thumb_down:",
            )


def _list(said: Sequence[RuleWords], found: Mapping[str, RuleFigures]) -> None:
    figures = [found.get(w.id) or rule_figures.nothing(w.id) for w in said]
    table(
        {
            "Rule": [w.id for w in said],
            "What it finds": [_capital(w.meaning) for w in said],
            "Cases in 30 days": [f.fires for f in figures],
            "By day": [list(f.by_day) for f in figures],
            "Open": [f.open_cases for f in figures],
            "Useful": [_precision(f) for f in figures],
            "On time": [
                percent(_on_time(f.verdicts) if w.kind in TIMED else None)
                for w, f in zip(said, figures, strict=True)
            ],
            "30 days before": [f.before for f in figures],
            "Mails": [f.mails for f in figures],
            "Expects": [w.sentences[0] for w in said],
        },
        alt="Rules with what they found in thirty days",
        key="rules",
        opens="Rule",
        opens_width=170,
        links=[RulesLink(rule=w.id) for w in said],
        config={
            "What it finds": st.column_config.TextColumn(width=190),
            "Cases in 30 days": st.column_config.NumberColumn("Cases, 30 d", width=90),
            "By day": st.column_config.BarChartColumn(
                width=110, y_min=0, help="cases that began, day by day (UTC)"
            ),
            "30 days before": st.column_config.NumberColumn("30 d before", width=90),
            "Open": st.column_config.NumberColumn(width=60),
            "On time": st.column_config.TextColumn(
                width=80,
                alignment="right",
                help="met, of what was met, met late or breached and fell due in 30 days",
            ),
            "Useful": st.column_config.TextColumn(
                width=92,
                alignment="right",
                help="useful, of all judged cases; a repaired case was useful",
            ),
            "Mails": st.column_config.NumberColumn(width=64, help="in 30 days"),
            "Expects": st.column_config.TextColumn(width="large"),
        },
    )
    gone = sorted(set(found) - {w.id for w in said} - _own(found))
    if gone:
        st.caption(f"No longer in the book, with history: {', '.join(gone)}.")


def _own(found: Mapping[str, RuleFigures]) -> set[str]:
    """What the tower says about itself is no rule of the book."""
    return {name for name in found if name.startswith("tower.")}


def _policies(book: RuleBook) -> None:
    st.subheader("Who is told, and when", anchor=False)
    policies = list(book.notify.items())
    table(
        {
            "Policy": [name for name, _ in policies],
            "To": [p.to.replace("case.owner", "the owner") for _, p in policies],
            "Else": [p.fallback for _, p in policies],
            "One mail per": [", ".join(p.group_by) for _, p in policies],
            "First after": [str(p.wait) for _, p in policies],
            "Then every": [str(p.every) for _, p in policies],
            "Hours": [p.hours for _, p in policies],
            "What is settled": [
                "at once" if p.closed == "at_once" else "in the digest" for _, p in policies
            ],
            "Digest": [None if p.digest is None else f"{p.digest:%H:%M}" for _, p in policies],
            "At most a day": [p.max_per_day for _, p in policies],
        },
        alt="Policies of telling people",
        key="policies",
    )
    exempt = [f"{e.when.sentence()} ({e.because})" for e in book.not_measured]
    if exempt:
        st.caption(f"Nobody is judged or mailed where {'; or '.join(exempt)}.")


# --- one rule -------------------------------------------------------------------------------------


def _one(
    rule_id: str,
    book: RuleBook,
    found: Mapping[str, RuleFigures],
    viewer: Viewer,
    now: datetime,
) -> None:
    rule = book.rule(rule_id)
    figures = found.get(rule_id)
    if rule is None and figures is None:
        nothing_here(f'There is no rule "{rule_id}".', back=RulesLink())
        return
    figures = figures or rule_figures.nothing(rule_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(rule_id, anchor=False, width="content")
        st.space("stretch")
        st.page_link(
            RulesLink.PAGE.file, label="All rules", icon=":material/arrow_back:", query_params={}
        )
    _cards(figures, timed=rule is None or rule.kind in TIMED)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if rule is None:
            nothing_here("This rule is not in the book any more; its history stays.")
        else:
            _says(words(rule, book))
    with right:
        _does(figures)
    _recent(rule_id, viewer, now)


def _cards(figures: RuleFigures, *, timed: bool) -> None:
    change = figures.fires - figures.before
    with st.container(horizontal=True):
        st.metric(
            "Cases in 30 days",
            count(figures.fires),
            f"{change:+,}" if change else None,
            delta_color="inverse",
            chart_data=list(figures.by_day),
            chart_type="bar",
            border=True,
            height="stretch",
        )
        st.metric("Open now", count(figures.open_cases), border=True, height="stretch")
        if timed:
            st.metric(
                "On time", percent(_on_time(figures.verdicts)), border=True, height="stretch",
                help="met, of what was met, met late or breached and fell due in 30 days",
            )  # fmt: skip
        judged = figures.precision
        st.metric(
            "Useful",
            percent(judged.share, 0),
            f"{judged.useful} of {judged.judged} judged" if judged.judged else "nobody judged yet",
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help="Judged on the case page: useful or false alarm. A repaired case was useful.",
        )
        st.metric("Mails in 30 days", count(figures.mails), border=True, height="stretch")


def _says(said: RuleWords) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(_capital(said.meaning))}** · about each {said.about}")
        st.markdown("\n".join(f"- {plain(sentence)}" for sentence in said.sentences))
        if said.advice:
            st.info(plain(said.advice), icon=":material/lightbulb:")
    if said.targets:
        with st.container(border=True):
            st.markdown("**How long they have**, the first line that fits counts")
            table(
                {
                    "Line": list(range(1, len(said.targets) + 1)),
                    "For whom": [t.whom for t in said.targets],
                    "Within": [t.within for t in said.targets],
                },
                alt="Table of times",
                key="targets",
                config={"Line": st.column_config.NumberColumn(width=56)},
            )
    with st.container(border=True):
        st.markdown("**Levels and who is told**")
        st.markdown("\n".join(level_line(level) for level in said.levels))
        st.caption(f"Its cases belong to the {said.owner}.")


def level_line(level: LevelRow, *, sign: str = "", when: str = "") -> str:
    """One level as a line that wraps on any width; ``when`` says when it was reached."""
    told = plain(level.told) if level.told else "nobody, shown on screens"
    return (
        f"{sign or '- '}**{plain(level.level)}**, {severity(level.severity)}, "
        f"{plain(when or level.when)}: {told}"
    )


def _does(figures: RuleFigures) -> None:
    with st.container(border=True):
        st.markdown("**Clocks that fell due in 30 days**")
        known = [(word, figures.verdicts.get(name, 0)) for name, word in VERDICTS.items()]
        told = [(word, n) for word, n in known if n]
        if told:
            table(
                {"Verdict": [w for w, _ in told], "Clocks": [n for _, n in told]},
                alt="Clocks by verdict",
                key="verdicts",
                config={"Clocks": st.column_config.NumberColumn(width=80)},
            )
        else:
            st.caption("None.")
    with st.container(border=True):
        st.markdown("**Noisiest in 30 days**")
        if figures.noisiest:
            table(
                {
                    "Who": [who for who, _ in figures.noisiest],
                    "Cases": [n for _, n in figures.noisiest],
                },
                alt="Who has most cases of this rule",
                key="noisiest",
                opens="Who",
                opens_width=170,
                links=[
                    ExceptionsLink(rule=figures.rule, supplier=who) for who, _ in figures.noisiest
                ],
                config={"Cases": st.column_config.NumberColumn(width=80)},
            )
        else:
            st.caption("No case.")


def _recent(rule_id: str, viewer: Viewer, now: datetime) -> None:
    wanted = CaseFilter(rule=rule_id, state="all", sort="newest")
    with data.connected() as conn:
        found = queue(conn, viewer.scope, wanted, now, limit=MOST_CASES)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Cases", anchor=False, width="content")
        if found.rows:
            st.caption(
                f"the newest {count(len(found.rows))} of {count(found.total)}; a shared cause "
                "stands for its cases",
                width="content",
            )
            st.space("stretch")
            st.page_link(
                ExceptionsLink.PAGE.file,
                label="Open ones in the queue",
                icon=":material/report:",
                query_params=ExceptionsLink(rule=rule_id).to_query(),
            )
    if found.rows:
        case_queue.rows_table(found.rows, now, key="rule cases", hours=data.hours(viewer.scope))
    else:
        nothing_here("This rule has found nothing yet.")


def _on_time(verdicts: Mapping[str, int]) -> float | None:
    due = sum(verdicts.get(word, 0) for word in ("met", "met_late", "breached"))
    return verdicts.get("met", 0) / due if due else None


def _precision(figures: RuleFigures) -> str:
    judged = figures.precision
    return MISSING if not judged.judged else f"{percent(judged.share, 0)} of {judged.judged}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
