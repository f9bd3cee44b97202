"""The story as it was known at an instant, and what was said of its clocks when."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from app import data
from app.links import TraceLink
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import MISSING, day_clock
from app.session import Viewer
from db.reads import known
from db.reads.stories import Story
from tower.documents import Owners
from tower.timeline import RECALCULATED

NOW = "now"
MOST_STOPS = 200
_KEY = "trace known"


def as_known(
    story: Story, link: TraceLink, now: datetime, viewer: Viewer
) -> tuple[Story | None, datetime]:
    """The story at the instant that the slider or the address names, and that instant; now
    without one. None if nothing was known then, which is said."""
    asked = _instant(link.known)
    stops = _stops(story)
    if asked is not None and asked not in stops:
        stops = sorted([*stops, asked])
    options = [*(at.isoformat() for at in stops), NOW]
    chosen = NOW if asked is None else asked.isoformat()
    if st.session_state.get(_KEY) not in options or st.session_state.get("trace knew") != chosen:
        st.session_state[_KEY] = chosen
    st.session_state["trace knew"] = chosen
    if len(options) > 1:
        st.select_slider(
            "As known at",
            options,
            key=_KEY,
            format_func=lambda stop: (
                NOW if stop == NOW else day_clock(datetime.fromisoformat(stop), viewer.zone)
            ),
            on_change=_choose,
            help="Stops where a message came in or a clock was judged.",
        )
    if asked is None:
        return story, now
    net = data.network(viewer.scope)
    if net is None:
        nothing_here("No network is in force yet.", next_step="tower up takes network.yaml in.")
        return None, asked
    with data.connected() as conn:
        then = known.as_known_at(conn, viewer.scope, story, asked, Owners.of(net))
    if then is None:
        nothing_here(
            f"Nothing was known of this document at {day_clock(asked, viewer.zone)}.",
            next_step="Move the slider to a later time.",
        )
        return None, asked
    st.info(
        f"As known at {day_clock(asked, viewer.zone)}: what came in or was judged later is left "
        f"out. {known.NOT_KEPT}",
        icon=":material/history:",
    )
    return then, asked


def _choose() -> None:
    chosen = st.session_state[_KEY]
    st.query_params.pop("event", None)
    if chosen == NOW:
        st.query_params.pop("known", None)
    else:
        st.query_params["known"] = chosen


def _instant(text: str | None) -> datetime | None:
    """The instant that an address names; None if it names none."""
    try:
        found = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else found.replace(tzinfo=UTC)


def _stops(story: Story) -> list[datetime]:
    """When something became known, the newest ones."""
    told = {event.received_at for event in story.events}
    told |= {row["detected_at"] for row in story.journal}
    return sorted(told)[-MOST_STOPS:]


def journal_part(story: Story, viewer: Viewer) -> None:
    """Verdicts that are others now, and all that was said of the clocks."""
    overturned = [row for row in story.journal if row["name"] == RECALCULATED]
    if overturned:
        st.markdown("**Verdicts that were recalculated**")
        table(
            {
                "Known": [day_clock(row["detected_at"], viewer.zone) for row in overturned],
                "Rule": [row["rule"] for row in overturned],
                "Line": [row["line"] or MISSING for row in overturned],
                "Was": [_word(row["why"].get("was")) for row in overturned],
                "Is now": [_word(row["why"].get("now")) for row in overturned],
                "Because": [row["why"].get("because", "") for row in overturned],
            },
            alt="Verdicts that were recalculated",
            key="trace recalculated",
        )
    if story.journal:
        with st.expander("What was said when"):
            table(
                {
                    "Known": [day_clock(r["detected_at"], viewer.zone) for r in story.journal],
                    "Rule": [row["rule"] for row in story.journal],
                    "Line": [row["line"] or MISSING for row in story.journal],
                    "What": [row["name"] for row in story.journal],
                    "True since": [
                        day_clock(r["effective_at"], viewer.zone) for r in story.journal
                    ],
                },
                alt="Journal of the clocks",
                key="trace journal",
            )


def _word(verdict: str | None) -> str:
    return "not measured any more" if verdict is None else verdict.replace("_", " ")
