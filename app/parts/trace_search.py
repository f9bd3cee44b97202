"""What the box of the trace page found: things of that name, and messages with that text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import streamlit as st

from app import data
from app.links import TraceLink, WithinWord
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import MISSING, day_clock, many, plain
from app.session import Viewer
from db.reads import search
from db.reads.search import Answer, TextHit
from db.reads.stories import Found

WINDOWS: dict[WithinWord, timedelta | None] = {
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "all": None,
}
_WORDS = {"7d": "7 days", "30d": "30 days", "90d": "90 days", "all": "all that is kept"}


def answer_for(link: TraceLink, viewer: Viewer, now: datetime) -> Answer:
    """Things of exactly this name; the text of messages only if there is none, or it is wanted."""
    with data.connected() as conn:
        return search.find(
            conn,
            viewer.scope,
            link.ref or "",
            now,
            window=WINDOWS[link.within],
            in_text="always" if link.text else "if_nothing_else",
        )


def answered(answer: Answer, link: TraceLink, viewer: Viewer) -> None:
    """All that was found, and what was not looked at."""
    if not answer.found and not answer.hits:
        nothing_here(
            f"Nothing was found for “{link.ref}”.",
            next_step="Searched: document numbers, references like po:main:4500001234, "
            "correlation, message and control ids, keys, file names, headers and the text of "
            "messages. What was not searched stands below.",
        )
    if answer.found:
        st.markdown(f"**{many(len(answer.found), 'thing')} of this name**")
        for found in answer.found:
            _named(found)
    if answer.hits is not None:
        _window(link)
    if answer.hits:
        more = " and more" if answer.more else ""
        st.markdown(f"**{many(len(answer.hits), 'message')}{more} with this text**")
        _hits(answer.hits, viewer)
    if answer.not_searched:
        with st.expander("What was not searched", expanded=not answer.hits):
            for sentence in answer.not_searched:
                st.markdown(f"- {plain(sentence)}")


def _window(link: TraceLink) -> None:
    chosen = st.segmented_control(
        "Text of the last",
        list(WINDOWS),
        format_func=_WORDS.__getitem__,
        default=link.within,
        required=True,
        key="trace within",
    )
    if chosen and chosen != link.within:
        st.query_params["within"] = chosen
        st.rerun()


def _named(found: Found) -> None:
    supplier = f" · {found.supplier}" if found.supplier else ""
    st.page_link(
        TraceLink.PAGE.file,
        label=f"{found.title} · {found.status}{supplier}",
        icon=":material/chevron_right:",
        query_params=TraceLink(ref=found.ref).to_query(),
    )


def _hits(hits: Sequence[TextHit], viewer: Viewer) -> None:
    """A row per message; a click opens it with the found bytes lit."""
    table(
        {
            "Message": [hit.name or hit.key[:40] for hit in hits],
            "Received": [day_clock(hit.received_at, viewer.zone) for hit in hits],
            "Where": [hit.where if hit.offset is None else f"byte {hit.offset:,}" for hit in hits],
            "Text": [hit.excerpt for hit in hits],
            "Documents": [", ".join(hit.documents[:4]) or MISSING for hit in hits],
            "Source": [hit.source for hit in hits],
        },
        alt="Messages with this text, newest first",
        key="trace hits",
        opens="Message",
        links=[TraceLink(ref=hit.ref, byte=hit.offset, long=hit.length) for hit in hits],
    )


def also_in_text(link: TraceLink) -> None:
    """The way from a document to the messages that only mention its name."""
    st.page_link(
        TraceLink.PAGE.file,
        label=f"Search the text of messages for “{plain(link.ref or '')}”",
        icon=":material/manage_search:",
        query_params=replace(TraceLink(ref=link.ref), text="yes").to_query(),
    )
