"""The work queue of exception cases."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import ExceptionsLink
from app.parts import case_queue, case_sets
from app.parts.empty import nothing_here
from app.parts.filters import choose, segments
from app.parts.header import header
from app.session import require
from db.reads import cases

viewer = require("house.read")
link = ExceptionsLink.from_query(st.query_params)
now = data.this_minute()
header("Exceptions", viewer)
if link.set is not None:
    case_sets.set_page(link.set, viewer, now)
    st.stop()
wanted = cases.CaseFilter(
    category=link.category,
    severity=link.severity,
    owner=link.owner,
    supplier=link.supplier,
    age=link.age,
    rule=link.rule,
    buyer=link.buyer,
    warehouse=link.warehouse,
    goods=link.goods,
    opened=link.opened,
    closed=link.closed,
    state=link.state or "open",
    view=link.view,
    sort=link.sort,
)
with data.connected() as conn:
    counts = cases.counts(conn, viewer.scope, now)
    groups = cases.groups(conn, viewer.scope, wanted, now)
    page = cases.queue(conn, viewer.scope, wanted, now, after=link.after)

with st.container(horizontal=True, vertical_alignment="center"):
    segments("severity", "Severity", case_queue.severities(counts), link.severity or "", "")
    kinds = case_queue.categories(counts)
    choose("category", "Category", kinds, link.category, "All categories", 180)
    choose("owner", "Owner", case_queue.numbered(counts["owner"]), link.owner, "All owners", 160)
    choose("state", "State", case_queue.numbered(counts["state"]), link.state, "Any state", 120)
    choose("age", "Age", case_queue.numbered(counts["age"]), link.age, "Any age", 120)
    offered = data.choices(viewer.scope)
    choose("supplier", "Supplier", dict(offered.suppliers), link.supplier, "All suppliers", 190)
    case_queue.narrowed(link, offered)

if not page.total:
    if any(counts["severity"].values()) or wanted.opened or wanted.closed:
        nothing_here("No case fits these choices.", back=ExceptionsLink())
    else:
        nothing_here(
            "No exception is open: no rule found anything late, failed or silent.",
            next_step="Cases open by the rules of sla_rules.yaml as soon as events arrive.",
        )
    st.stop()

with st.container(horizontal=True, vertical_alignment="center"):
    segments("view", "Show", case_queue.VIEWS, link.view, "causes")
    segments("sort", "Order", case_queue.SORTS, link.sort, "consequence")
    st.space("stretch")
    st.caption(case_queue.summary(counts), width="content")
if link.view == "all":
    case_queue.group_table(groups, now)


def first_thousand() -> cases.CasePage:
    """The queue from its beginning, for files; asked for when one is wanted."""
    with data.connected() as conn:
        return cases.queue(conn, viewer.scope, wanted, now, limit=1000)


ticked = case_queue.case_table(page, link.after, now, data.hours(viewer.scope), first_thousand)
case_sets.freeze_bar(ticked, wanted, page.total, viewer, now)
