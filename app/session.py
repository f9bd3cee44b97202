"""Who looks: the viewer of this run, what may be seen and done, in which zone times are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from app import data
from tower.access import Permission, Role, Scope

_BY_ITSELF = "drawn again by itself"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person before the screen. ``zone`` is that of their browser, UTC if it does not tell.

    ``name`` is what they sign in with, which the audit and histories keep.
    """

    name: str
    scope: Scope
    zone: ZoneInfo
    full_name: str = ""

    @property
    def role(self) -> Role | None:
        return self.scope.role

    def may(self, permission: Permission) -> bool:
        """Whether this viewer may do this."""
        return self.scope.may(permission)


def current_viewer() -> Viewer:
    """The viewer of this run, from their session; asked anew at each run, never kept.

    Raises SignedOut (app/data.py) once the session has ended.
    """
    live = data.signed_in()
    if live is None:
        raise data.SignedOut
    return Viewer(live.name, live.scope, _browser_zone(), live.full_name)


def require(permission: Permission) -> Viewer:
    """The viewer, who may see this page; for others it says so and ends here.

    The first line of each screen.
    """
    viewer = current_viewer()
    if not viewer.may(permission):
        st.title("Not for your role", anchor=False)
        st.caption(
            f":material/lock: You are signed in as {viewer.name} ({viewer.role}), which does not "
            f"include this page ({permission}). An administrator of the tower can change that."
        )
        st.stop()
    return viewer


def came() -> Viewer | None:
    """The viewer at the begin of a run, None if nobody is signed in. What a person does keeps the
    session alive; what a page does by itself does not.
    """
    live = data.signed_in()
    if live is None:
        return None
    if not st.session_state.pop(_BY_ITSELF, False):
        data.still_active(live)
    return Viewer(live.name, live.scope, _browser_zone(), live.full_name)


def draw_again() -> NoReturn:
    """Run the page again because something changed, not because a person did something."""
    st.session_state[_BY_ITSELF] = True
    st.rerun()


def _browser_zone() -> ZoneInfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
