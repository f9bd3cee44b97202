"""Who looks: the viewer of this run, what may be seen, in which zone times are shown."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from tower.access import EVERYTHING, Scope


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person before the screen. ``zone`` is that of their browser, UTC if it does not tell."""

    name: str
    scope: Scope
    zone: ZoneInfo


def current_viewer() -> Viewer:
    """The viewer of this run; asked anew at each run, never kept.

    The screens answer this machine only (TOWER_UI_HOST takes nothing but loopback addresses), and
    whoever sits at it may read the database anyway, so here the viewer sees everything.
    """
    return Viewer(name="local", scope=EVERYTHING, zone=_browser_zone())


def _browser_zone() -> ZoneInfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
