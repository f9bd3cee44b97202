"""Parts of the trace page that walk: lineage graph, hops, two of them side by side."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app import data
from app.components.lineage import lineage as draw
from app.components.sides import sides
from app.links import CaseLink, MailboxLink, TraceLink
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import MISSING, day_clock, many, plain
from app.session import Viewer
from db.reads import hops as hop_reads
from db.reads import lineage as lineage_reads
from db.reads.stories import Story
from tower.comparison import FieldDifference, Hop, Link, three_way
from tower.documents import Owners
from tower.lineage import STEP_WORDS, Graph, Node, around

DEPTHS = (1, 2, 3, 4, 8)
PROOF_WORDS = {"proved": "✓ proved", "claimed": "~ claimed", "gap": "✕ gap"}
CHANGE_WORDS = {
    "same": "= same",
    "reformatted": "≈ reformatted",
    "changed": "≠ changed",
    "lost": "− lost",
    "added": "+ added",
}


def lineage_part(story: Story, link: TraceLink, viewer: Viewer, event_id: str | None) -> None:
    """The chain around one node; a click makes that node the middle."""
    net = data.network(viewer.scope)
    if net is None:
        nothing_here("The lineage needs the network in force; none is, or it is not yours to see.")
        return
    with data.connected() as conn:
        graph = lineage_reads.lineage(conn, viewer.scope, story, Owners.of(net))
    start = _start(graph, story, link, event_id)
    if start is None:
        nothing_here("No event of this document is kept any more.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        depth = st.segmented_control(
            "Steps from the chosen node",
            DEPTHS,
            default=link.depth if link.depth in DEPTHS else 2,
            required=True,
            key="trace depth",
        )
        st.caption(f"{many(len(graph.nodes), 'node')} in the whole story")
    near = around(graph, start, int(depth or 2))
    clicked = draw(near, chosen=start, key="lineage")
    if clicked is not None and clicked != start:
        st.query_params["node"] = clicked
        st.query_params["depth"] = str(depth)
        st.rerun()
    if near.left_out:
        st.caption(f"{near.left_out} nodes more did not fit; choose one nearer to your question.")
    _chosen(near, graph.nodes[start])


def _start(graph: Graph, story: Story, link: TraceLink, event_id: str | None) -> str | None:
    """The node in the middle: the one of the address, an open case, else the event shown."""
    if link.node in graph.nodes:
        return link.node
    for case in reversed(story.cases):
        if case["state"] != "resolved" and f"case:{case['id']}" in graph.nodes:
            return f"case:{case['id']}"
    if event_id is not None and f"event:{event_id}" in graph.nodes:
        return f"event:{event_id}"
    return next((id_ for id_ in graph.nodes if id_.startswith("event:")), None)


def _chosen(near: Graph, node: Node) -> None:
    """The chosen node in words: its edges with what they rest on, and where it opens."""
    with st.container(border=True):
        name = STEP_WORDS[node.step]
        st.markdown(f"**{name}** {plain(node.label)} :gray[{plain(node.detail)}]")
        rows = [("from", near.nodes[e.one], e.basis) for e in near.edges if e.other == node.id] + [
            ("to", near.nodes[e.other], e.basis) for e in near.edges if e.one == node.id
        ]
        if rows:
            table(
                {
                    "Way": [way for way, _, _ in rows],
                    "Step": [STEP_WORDS[other.step] for _, other, _ in rows],
                    "What": [other.label for _, other, _ in rows],
                    "Detail": [other.detail for _, other, _ in rows],
                    "Rests on": [basis for _, _, basis in rows],
                },
                alt="Edges of the chosen node",
                key="trace edges",
                height=min(280, 36 + 31 * len(rows)),
            )
        _open(node)


def _open(node: Node) -> None:
    kind, _, rest = node.target.partition(":")
    if kind == "case":
        st.page_link(
            CaseLink.PAGE.file, label="Open the case", icon=":material/assignment:",
            query_params=CaseLink(id=int(rest)).to_query(),
        )  # fmt: skip
    elif kind == "mail" and data.in_demo():
        st.page_link(
            MailboxLink.PAGE.file, label="Read the mail", icon=":material/mail:",
            query_params=MailboxLink(mail=int(rest)).to_query(),
        )  # fmt: skip
    elif node.target and kind != "mail":
        st.page_link(
            TraceLink.PAGE.file, label=f"Open {node.target[:60]}", icon=":material/open_in_new:",
            query_params=TraceLink(ref=node.target).to_query(),
        )  # fmt: skip


# --- hops ----------------------------------------------------------------------------------------


def hops_part(story: Story, link: TraceLink, viewer: Viewer) -> None:
    """The messages on their way, what proves that one is the other's copy, and any two compared."""
    with data.connected() as conn:
        way = hop_reads.way(conn, viewer.scope, story)
    if not way.hops:
        nothing_here("No message of this document is kept any more.")
        return
    came: dict[int, Link] = {found.other: found for found in way.links}
    table(
        {
            "Document": [hop.group for hop in way.hops],
            "Step": [hop.step for hop in way.hops],
            "System": [hop.system for hop in way.hops],
            "When": [day_clock(hop.at, viewer.zone) for hop in way.hops],
            "From the hop before": [_proof(came.get(n)) for n in range(len(way.hops))],
            "Rests on": [came[n].basis if n in came else "" for n in range(len(way.hops))],
            "Content": [(hop.content_hash or "")[:12] or MISSING for hop in way.hops],
            "Bytes": [hop.bytes_hash[:12] or MISSING for hop in way.hops],
            "Message": [f"{hop.source}/{hop.key[:24]}" for hop in way.hops],
        },
        alt="Messages of this document in order",
        key="trace hops",
    )
    _compared(story, way, link, viewer)


def _proof(link: Link | None) -> str:
    return "first" if link is None else PROOF_WORDS[link.proof]


def _compared(story: Story, way: hop_reads.Way, link: TraceLink, viewer: Viewer) -> None:
    names = {f"{hop.source}/{hop.key}": hop for hop in way.hops}
    if len(names) < 2 or not viewer.may("payload.read"):
        return
    one, other = _pair(way, link, names)

    def called(name: str) -> str:
        hop: Hop = names[name]
        return f"{hop.step} · {hop.system} · {_when(hop.at, viewer)}"

    left, right = st.columns(2)
    with left:
        one = st.selectbox("Compare", list(names), list(names).index(one), called, key="hop one")
    with right:
        other = st.selectbox("with", list(names), list(names).index(other), called, key="hop other")
    if (one, other) != (link.one, link.other):
        st.query_params["one"], st.query_params["other"] = one, other
    with data.connected() as conn:
        found = hop_reads.compare(conn, viewer.scope, _key(one), _key(other), story.events)
    if found is None:
        st.caption("The bytes of one of them have expired, or are not yours to see.")
        return
    if found.same_bytes:
        st.caption("The bytes are the same.")
    else:
        at = f" at byte {found.first_difference:,}" if found.first_difference is not None else ""
        st.caption(f"{found.one.size:,} and {found.other.size:,} bytes; they first differ{at}.")
    if found.fields:
        _fields(found.fields)
    sides(found.parts, called(one), called(other), key="sides")


def _pair(way: hop_reads.Way, link: TraceLink, names: dict[str, Hop]) -> tuple[str, str]:
    """The two of the address; else the first two of a document whose content differs."""
    if link.one in names and link.other in names:
        return link.one or "", link.other or ""
    worst = sorted(way.links, key=lambda found: ("content differs" not in found.basis, found.one))
    if worst:
        a, b = way.hops[worst[0].one], way.hops[worst[0].other]
        return f"{a.source}/{a.key}", f"{b.source}/{b.key}"
    listed = list(names)
    return listed[0], listed[1]


def _key(name: str) -> tuple[str, str]:
    source, _, key = name.partition("/")
    return source, key


def _fields(found: tuple[FieldDifference, ...]) -> None:
    table(
        {
            "Field": [one.field for one in found],
            "Class": [CHANGE_WORDS[one.change] for one in found],
            "One": [MISSING if one.one is None else one.one.value for one in found],
            "as sent": [_sent(one, first=True) for one in found],
            "Other": [MISSING if one.other is None else one.other.value for one in found],
            "as sent ": [_sent(one, first=False) for one in found],
        },
        alt="Fields of both messages",
        key="trace differences",
        height=min(420, 36 + 31 * len(found)),
    )


def _sent(one: FieldDifference, *, first: bool) -> str:
    side = one.one if first else one.other
    if side is None:
        return ""
    if side.offset is None:
        return side.element
    return f"{side.raw if side.raw is not None else '#'} @ {side.offset:,}"


def agreement_part(story: Story, viewer: Viewer) -> None:
    """Ordered, answered and held by the ERP, line by line."""
    net = data.network(viewer.scope)
    erps = [] if net is None else [n for n, s in net.systems.items() if s.kind == "erp"]
    lines = [row for row in story.family if row["kind"] == "po_line"]
    rows = three_way(lines, erps)
    if not rows:
        nothing_here("Only lines of purchase orders are compared.")
        return
    differ = sum(not row.agrees for row in rows)
    st.caption(
        "Every line agrees." if not differ else f"{many(differ, 'value')} differ; they come first."
    )
    rows.sort(key=lambda row: row.agrees)
    table(
        {
            "Line": [row.line for row in rows],
            "Field": [row.field for row in rows],
            "Ordered": [row.ordered or MISSING for row in rows],
            "Answered": [row.answered or MISSING for row in rows],
            "Held by the ERP": [row.erp or MISSING for row in rows],
            "": ["= agree" if row.agrees else "≠ differ" for row in rows],
        },
        alt="Ordered, answered and held by the ERP",
        key="trace agreement",
    )


def _when(at: datetime, viewer: Viewer) -> str:
    return day_clock(at, viewer.zone)
