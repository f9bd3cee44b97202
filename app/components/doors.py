"""The ways in and out: real links and forms, for both must load a whole new page.

What Streamlit knows of the browser's cookies is from the moment it connected.
"""

from __future__ import annotations

import streamlit as st

from app.components.asset import asset

_out = st.components.v2.component(
    "tower_sign_out",
    html='<form class="door" method="post" action="/signout"><button>Sign out</button></form>',
    css=asset("doors.css"),
)
_in = st.components.v2.component(
    "tower_sign_in",
    html='<a class="door" href="/signin" target="_self">Sign in</a>',
    css=asset("doors.css"),
    js=asset("doors.js"),
)
_own = st.components.v2.component(
    "tower_own_password",
    html='<a class="door" href="/password" target="_self">Change password</a>',
    css=asset("doors.css"),
)


def own_password(*, key: str) -> None:
    """A link to the page where one changes one's own password."""
    _own(key=key)


def sign_out(*, key: str) -> None:
    """A button that ends the session and leads to sign-in."""
    _out(key=key)


def to_sign_in(*, key: str) -> None:
    """A link to sign-in that comes back to the page of now."""
    _in(key=key)
