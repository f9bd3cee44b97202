"""The entry script of the screens: page settings and navigation."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import data
from app.components.doors import to_sign_in
from app.pages import DEMO, OVERVIEW, PAGES, PORTAL, Page
from app.parts.memory import keep_filters
from app.session import Viewer, came

HERE = Path(__file__).parent
ICON = HERE / "static" / "favicon.svg"
LOOK_AGAIN_S = 10

st.set_page_config(
    page_title="Tower", page_icon=ICON, layout="wide", initial_sidebar_state="collapsed"
)
st.logo(str(ICON), size="large")

viewer = came()
if viewer is None:
    st.title("You are signed out", anchor=False)
    st.caption("Nothing was changed or lost.")
    to_sign_in(key="sign in")
    st.stop()


def shown(page: Page, viewer: Viewer) -> bool:
    """Pages without a section are reached by links; those of the demo stand there only in it.

    A page that the viewer may not see is there, too, and says why it shows nothing.
    """
    if page.section is None or not viewer.may(page.needs):
        return False
    return page.section != DEMO or data.in_demo()


@st.fragment(run_every=LOOK_AGAIN_S)
def leave_when_over() -> None:
    """Blank a page that nobody touches soon after its session was ended; draws nothing."""
    if data.signed_in() is None:
        st.rerun()


sections: dict[str, list[st.Page]] = {}
for page in PAGES:
    sections.setdefault(page.section if page.section is not None else "Support", []).append(
        st.Page(
            HERE / page.file,
            title=page.title,
            icon=page.icon,
            url_path=page.path or None,
            default=not page.path,
            visibility="visible" if shown(page, viewer) else "hidden",
            help=page.help,
        )
    )

chosen = st.navigation(sections, position="top")
if not chosen.url_path and viewer.may(PORTAL.needs) and not viewer.may(OVERVIEW.needs):
    st.switch_page(HERE / PORTAL.file)  # the front page is the house's
keep_filters(chosen.url_path)
leave_when_over()
chosen.run()
