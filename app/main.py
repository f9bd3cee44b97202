"""The entry script of the screens: page settings and navigation."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import data
from app.links import DEMO, PAGES, Page
from app.parts.memory import keep_filters

HERE = Path(__file__).parent
ICON = HERE / "static" / "favicon.svg"

st.set_page_config(
    page_title="Tower", page_icon=ICON, layout="wide", initial_sidebar_state="collapsed"
)
st.logo(str(ICON), size="large")


def shown(page: Page) -> bool:
    """Pages without a section are reached by links; those of the demo stand there only in it."""
    return page.section is not None and (page.section != DEMO or data.in_demo())


sections: dict[str, list[st.Page]] = {}
for page in PAGES:
    sections.setdefault(page.section if page.section is not None else "Support", []).append(
        st.Page(
            HERE / page.file,
            title=page.title,
            icon=page.icon,
            url_path=page.path or None,
            default=not page.path,
            visibility="visible" if shown(page) else "hidden",
            help=page.help,
        )
    )

chosen = st.navigation(sections, position="top")
keep_filters(chosen.url_path)
chosen.run()
