"""How what a person wishes for on a page of support is written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import data
from app.parts.words import plain
from db.replays import OwnReplay
from tower.access import Permission
from tower.errors import TowerError


def wish(step: Callable[[Any], object], permission: Permission = "replay.ask") -> bool:
    """Write a wish in one transaction; a refusal is shown as its sentence. True if it was taken."""
    refused = ""
    try:
        with data.writing(permission) as conn:
            try:
                step(conn)
            except OwnReplay as error:
                refused = str(error)  # that it was tried is kept in the audit
    except TowerError as error:
        refused = str(error)
    if refused:
        st.error(plain(refused), icon=":material/block:")
    return not refused
