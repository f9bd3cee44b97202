"""The parts of the trace page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from app import data
from app.components.ladder import ladder
from app.components.payload import payload as payload_viewer
from app.components.waterfall import bars, waterfall
from app.components.whose import whose
from app.links import TraceLink, TraceTab
from app.parts import trace_known, trace_lineage
from app.parts.case_queue import rows_table
from app.parts.empty import nothing_here
from app.parts.reveal import reveal_box
from app.parts.send_again import send_again
from app.parts.tables import table
from app.parts.words import MISSING, clock, day, day_clock, many, money, plain
from app.session import Viewer
from db.reads import payloads
from db.reads.stories import Found, Story, StoryEvent
from tower.event import ObjectRef
from tower.holders import shares, stretches
from tower.ladder import rungs

KIND_WORDS = {
    "po": "Purchase order",
    "asn": "Shipment notice",
    "receipt": "Receipt",
    "invoice": "Invoice",
    "order": "Customer order",
}


VIEWS = {"fields": "Fields read", "elements": "All elements", "canonical": "As events"}


def search_box(link: TraceLink) -> None:
    """The box; what is typed becomes the address."""
    key = "trace ref"
    if st.session_state.get("trace address") != link.ref:
        st.session_state[key] = link.ref or ""
        st.session_state["trace address"] = link.ref
    st.text_input(
        "Number or id",
        key=key,
        placeholder="4500001234, SO-70001234, control number, file name, text of a payload …",
        icon=":material/search:",
        label_visibility="collapsed",
        on_change=_search,
        args=(key,),
    )


_OF_ONE_STORY = (
    "event", "tab", "node", "depth", "one", "other", "byte", "long", "text", "known",
)  # fmt: skip


def _search(key: str) -> None:
    typed = st.session_state[key].strip()
    for name in _OF_ONE_STORY:
        st.query_params.pop(name, None)
    if typed:
        st.query_params["ref"] = typed
    else:
        st.query_params.pop("ref", None)


def chosen(found: Sequence[Found], link: TraceLink) -> str | None:
    """The reference to open: the only thing found, or the document the address names exactly."""
    for one in found:
        if one.ref == link.ref:
            return _header_ref(one.ref)
    return _header_ref(found[0].ref) if len(found) == 1 else None


def _header_ref(ref: str) -> str:
    """A line opens its document."""
    for kind, header in (("po_line:", "po:"), ("order_line:", "order:")):
        if ref.startswith(kind):
            return header + ref.removeprefix(kind).rpartition(":")[0]
    return ref


def head(story: Story, viewer: Viewer) -> None:
    """Number, state, partner, value, and what is tied to it."""
    root = story.root
    if root is None:
        st.subheader(f"Id {plain(story.ref.removeprefix('id:'))}", anchor=False)
        st.caption(f"{many(len(story.events), 'event')} name only this id.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(
            f"{KIND_WORDS.get(root['kind'], root['kind'])} {plain(str(root['number']))}",
            anchor=False,
            width="content",
        )
        st.badge(str(root["status"]).replace("_", " "), color=_state_color(root))
        if root["answer"] in _ANSWERED:
            word = str(root["answer"]).replace("_", " ")
            st.badge(f"answer: {word}", color=_ANSWERED[root["answer"]])
        open_cases = [c for c in story.cases if c["state"] != "resolved"]
        if open_cases:
            st.badge(many(len(open_cases), "open case"), color="red", icon=":material/report:")
    facts = [
        ("supplier", _name(root["supplier"], viewer)),
        ("customer", root["customer_name"] or root["customer"]),
        ("buyer", root["buyer"]),
        ("warehouse", root["warehouse"]),
        ("value", None if root["value"] is None else money(root["value"], root["currency"])),
        ("requested", None if root["requested_date"] is None else day(root["requested_date"])),
        ("channel", root["channel"]),
    ]
    st.caption(" · ".join(f"{word} **{plain(str(value))}**" for word, value in facts if value))
    if not root["known"]:
        st.warning(
            "Others refer to this document, but nobody has told us of its creation yet.",
            icon=":material/help:",
        )


def _name(key: str | None, viewer: Viewer) -> str | None:
    if key is None:
        return None
    return dict(data.choices(viewer.scope).suppliers).get(key, key)


# How far an order is says nothing of what was answered.
_ANSWERED: dict[str, Any] = {
    "rejected": "red",
    "part_accepted": "orange",
    "accepted_with_changes": "orange",
}


def _state_color(root: Mapping[str, Any]) -> Any:
    if root["status"] in ("cancelled", "invalid"):
        return "red"
    return "green" if root["closed"] or root["status"] in ("received", "invoiced") else "blue"


def ladder_part(story: Story, now: datetime, viewer: Viewer) -> None:
    """The acknowledgement ladder of a purchase order."""
    if story.root is None or story.root["kind"] != "po":
        return
    lines = [row for row in story.family if row["kind"] == "po_line"]
    net = data.network(viewer.scope)
    partner = None if net is None else net.partners.get(story.root["supplier"] or "")
    steps = rungs(
        story.root,
        lines,
        story.clocks,
        expects_fa=True if partner is None else partner.expects_fa,
    )
    with st.container(border=True):
        ladder(steps, now, viewer.zone, key="ladder")


def _whose_clock(story: Story, now: datetime, viewer: Viewer) -> None:
    """Whose clock ran how long: the parts add up to the whole."""
    if story.root is None or story.root["kind"] != "po":
        return
    told = [(event.occurred_at, event.type) for event in story.events]
    found = stretches(told, now, data.hours(viewer.scope))
    if found:
        whose(shares(found), key="whose clock")


def waterfall_part(
    story: Story, link: TraceLink, now: datetime, viewer: Viewer
) -> StoryEvent | None:
    """All events in time; the event whose bytes to show."""
    rows, sentence = bars(story.events, viewer.zone)
    if not rows:
        nothing_here("No event of this document is kept any more.")
        return None
    st.markdown(f"**Events** :gray[{sentence}; choose one to see its bytes]")
    _whose_clock(story, now, viewer)
    number = link.event if link.event is not None else _telling(story.events)
    number = min(number, len(story.events) - 1)
    clicked = waterfall(story.events, viewer.zone, key="waterfall", chosen=number)
    if clicked is not None and clicked != link.event:
        st.query_params["event"] = str(clicked)
        st.rerun()
    return story.events[number]


def _telling(events: Sequence[StoryEvent]) -> int:
    """The event a visitor most likely came for: the newest failure or answer, else the newest."""
    for wanted in (("asn.rejected", "po.rejected", "message.failed"), ("po.acknowledged",)):
        for n in range(len(events) - 1, -1, -1):
            if events[n].type in wanted:
                return n
    return len(events) - 1


def payload_part(story: Story, event: StoryEvent | None, link: TraceLink, viewer: Viewer) -> None:
    """The bytes of one event's message and the values read from them."""
    if event is None or not viewer.may("payload.read"):
        return
    with data.connected() as conn:
        found = payloads.payload(conn, viewer.scope, event.source, event.raw_key)
    with st.container(border=True):
        st.markdown(
            f"**{event.type}** :gray[told by {event.system} through {event.source}, "
            f"{day_clock(event.occurred_at, viewer.zone)}, tied here by {event.basis}]"
        )
        if found is None:
            st.caption("The bytes of this message have expired; what it said is kept above.")
            return
        mine = [o for o in found.origins if o.event_id == event.event_id]
        _payload(found, mine, event.data, viewer, link)


def _payload(
    found: payloads.Payload,
    origins: Sequence[payloads.FieldOrigin],
    values: Mapping[str, Any] | None,
    viewer: Viewer,
    link: TraceLink,
) -> None:
    name = found.name or found.key
    st.caption(
        f"{plain(str(name))} · {len(found.body):,} bytes · received "
        f"{clock(found.received_at, viewer.zone)} {found.received_at:%Y-%m-%d} · "
        f"sha-256 {found.sha256[:16]}… · read by "
        + (", ".join(f"{r['interpreter']} v{r['version']}" for r in found.readings) or "nobody yet")
    )
    view = st.segmented_control(
        "Beside the bytes",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        default="fields",
        required=True,
        key="payload view",
        label_visibility="collapsed",
    )
    lit = None if link.byte is None else (link.byte, link.long or 1)
    if payload_viewer(
        found.body,
        origins,
        values,
        found.media_type,
        key="payload",
        view=view or "fields",
        hidden=found.hidden,
        lit=lit,
    ):
        st.caption("Shortened: the first 200,000 bytes are shown. The download has all of them.")
    if found.hidden:
        kinds = ", ".join(sorted({one.kind for one in found.hidden}))
        st.caption(f":material/visibility_off: Masked for you, as long as it is: {kinds}.")
    with st.container(horizontal=True):
        st.download_button(
            "Download as received",
            found.body,
            file_name=_file_name(found),
            mime="application/octet-stream",
            icon=":material/download:",
            on_click="ignore",
        )
        reveal_box(found, viewer)
        send_again(found, viewer)
    for reading in found.readings:
        for finding in reading["findings"]:
            st.caption(
                f":material/info: {plain(str(finding.get('code')))}: "
                f"{plain(str(finding.get('message')))}"
            )
    for letter in found.dead_letters:
        st.error(
            f"{plain(str(letter['cause']))}\n\n{plain(str(letter['advice']))}",
            icon=":material/report:",
        )
    for sighting in found.sightings[:5]:
        st.caption(
            f"seen again {day_clock(sighting['seen_at'], viewer.zone)}"
            + (f" as {plain(str(sighting['name']))}" if sighting["name"] else "")
        )


def _file_name(found: payloads.Payload) -> str:
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in found.name or found.key)
    return safe[:120] or "message"


def raw_page(ref: str, link: TraceLink, viewer: Viewer) -> None:
    """One raw message that was asked for by its key."""
    source, _, key = ref.removeprefix("raw:").partition("/")
    if not viewer.may("payload.read"):
        nothing_here(
            f"Your role ({viewer.role}) does not include the bytes of messages.",
            next_step="Support sees them; what they tell stands with their documents.",
        )
        return
    with data.connected() as conn:
        found = payloads.payload(conn, viewer.scope, source, key)
        told = payloads.events_of(conn, source, key, viewer.scope)
    if found is None:
        nothing_here("This message is known, but its bytes have expired.")
        return
    st.subheader(f"Message {plain(source)}/{plain(key[:24])}", anchor=False)
    with st.container(border=True):
        _payload(found, found.origins, None, viewer, link)
    if told:
        st.markdown("**Events read from it**")
        for event in told[:50]:
            roots = [o for o in event["objects"] if o[0] in ("po", "order", "asn")]
            st.page_link(
                TraceLink.PAGE.file,
                label=f"{event['type']} · {roots[0][2] if roots else event['anchor']}",
                query_params=TraceLink(
                    ref=str(ObjectRef(*roots[0][:3])) if roots else event["anchor"]
                ).to_query(),
            )


TABS: dict[TraceTab, str] = {
    "lines": "Lines",
    "lineage": "Lineage",
    "hops": "Hops and differences",
    "agreement": "Ordered, answered, ERP",
    "systems": "Values per system",
    "clocks": "Clocks",
    "cases": "Cases",
    "related": "Related",
}


def details(
    story: Story, now: datetime, viewer: Viewer, link: TraceLink, event: StoryEvent | None
) -> None:
    """Everything else about the document, in tabs that are drawn when opened."""
    standard: TraceTab = "lineage" if link.node else "hops" if link.one else "lines"
    st.session_state.setdefault("trace tab", link.tab or standard)
    if link.tab is not None and st.session_state.get("trace tab told") != link.tab:
        st.session_state["trace tab"] = link.tab
    st.session_state["trace tab told"] = link.tab
    picked = st.segmented_control(
        "Details",
        list(TABS),
        format_func=TABS.__getitem__,
        required=True,
        key="trace tab",
        label_visibility="collapsed",
        on_change=_open_tab,
    )
    match picked:
        case "lineage":
            shown = None if event is None else str(event.event_id)
            trace_lineage.lineage_part(story, link, viewer, shown)
        case "hops":
            trace_lineage.hops_part(story, link, viewer)
        case "agreement":
            trace_lineage.agreement_part(story, viewer)
        case "systems":
            _systems(story, now, viewer)
        case "clocks":
            _clocks(story, now, viewer)
            trace_known.journal_part(story, viewer)
        case "cases":
            _cases(story, now, viewer)
        case "related":
            _related(story, now, viewer)
        case _:
            _lines(story, now, viewer)


def _open_tab() -> None:
    st.query_params["tab"] = st.session_state["trace tab"]


def _lines(story: Story, _: datetime, __: Viewer) -> None:
    rows = [row for row in story.family if row["line"]]
    if not rows:
        nothing_here("No line of this document is known.")
        return
    goods = [r["category"] for r in rows]
    table(
        {
            "Line": [r["line"] for r in rows],
            "Item": [r["item"] for r in rows],
            "Status": [str(r["status"]).replace("_", " ") for r in rows],
            "Ordered": [_qty(r["ordered_qty"]) for r in rows],
            "Confirmed": [_qty(r["confirmed_qty"]) for r in rows],
            "Shipped": [_qty(r["shipped_qty"]) for r in rows],
            "Received": [_qty(r["received_qty"]) for r in rows],
            "Unit": [r["uom"] for r in rows],
            "Requested": [day(r["requested_date"]) for r in rows],
            "Confirmed for": [day(r["last_confirmed_date"]) for r in rows],
            "Price": [_qty(r["price"]) for r in rows],
            **({"Goods": goods} if any(goods) else {}),
        },
        alt="Lines of this document",
        key="trace lines",
    )


def _systems(story: Story, _: datetime, viewer: Viewer) -> None:
    found: list[tuple[str, str, str, str, str]] = []
    for row in story.family:
        for system, fields in (row["reports"] or {}).items():
            for name, told in fields.items():
                value, since = told if isinstance(told, list) else (told, "")
                found.append((row["line"] or "header", name, system, str(value), str(since)[:16]))
    if not found:
        nothing_here("No system has reported a shared field yet.")
        return
    found.sort()
    by_field: dict[tuple[str, str], set[str]] = {}
    for line, name, _system, value, _since in found:
        by_field.setdefault((line, name), set()).add(value)
    table(
        {
            "Line": [f[0] for f in found],
            "Field": [f[1].replace("_", " ") for f in found],
            "System": [f[2] for f in found],
            "Value": [f[3] for f in found],
            "Since (UTC)": [f[4].replace("T", " ") for f in found],
            "Agree": ["≠ differ" if len(by_field[f[0], f[1]]) > 1 else "=" for f in found],
        },
        alt="Values per system",
        key="trace systems",
    )


def _clocks(story: Story, _: datetime, viewer: Viewer) -> None:
    rows = story.clocks
    if not rows:
        nothing_here("No rule measures this document.")
        return
    table(
        {
            "Rule": [r["rule"] for r in rows],
            "Line": [r["line"] or MISSING for r in rows],
            "Verdict": [str(r["verdict"]).replace("_", " ") for r in rows],
            "Started": [_at(r["started_at"], viewer) for r in rows],
            "Due": [_at(r["due_at"], viewer) for r in rows],
            "Ended": [_at(r["ended_at"], viewer) for r in rows],
            "Held by": [r["held_by"] or "" for r in rows],
        },
        alt="Clocks of this document",
        key="trace clocks",
    )


def _cases(story: Story, now: datetime, _: Viewer) -> None:
    if not story.cases:
        nothing_here("No exception was ever opened for this document.")
        return
    rows_table(story.cases, now, key="trace cases")


def _related(story: Story, _: datetime, __: Viewer) -> None:
    if not story.related and not story.pegs:
        nothing_here("No shipment, receipt, invoice or customer order is tied to this document.")
        return
    for row in story.related:
        ref = str(ObjectRef(row["kind"], row["scope"], row["number"]))
        st.page_link(
            TraceLink.PAGE.file,
            label=f"{KIND_WORDS.get(row['kind'], row['kind'])} {row['number']} · "
            f"{str(row['status']).replace('_', ' ')}",
            icon=":material/link:",
            query_params=TraceLink(ref=ref).to_query(),
        )
    is_order = story.root is not None and story.root["kind"] == "order"
    for row in story.pegs:
        other = ("po", row["po"]) if is_order else ("order", row["order"])
        st.page_link(
            TraceLink.PAGE.file,
            label=f"Pegged: {row['order']} line {row['order_line']} ← {row['po']} line "
            f"{row['po_line']}, {_qty(row['qty'])}",
            icon=":material/keep:",
            query_params=TraceLink(ref=str(ObjectRef(other[0], row["scope"], other[1]))).to_query(),
        )


def _at(moment: datetime | None, viewer: Viewer) -> str:
    return MISSING if moment is None else day_clock(moment, viewer.zone)


def _qty(value: Any) -> str:
    if value is None:
        return MISSING
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
