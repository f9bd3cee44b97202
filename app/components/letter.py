"""A mail's HTML in a closed frame: no script runs in it and it cannot reach the page around it."""

from __future__ import annotations

import streamlit as st

from app.components.asset import asset

_mount = st.components.v2.component(
    "tower_letter",
    html='<iframe class="letter" title="Mail as sent"></iframe>',
    css=asset("letter.css"),
    js=asset("letter.js"),
)


def letter(html: str, *, key: str) -> None:
    """Draw the mail; its links lead the whole page on, as they do from a mail program."""
    _mount(key=key, data={"html": html})
