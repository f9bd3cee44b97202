"""The rule book as people read it: how each rule does, why a clock says so, what a change does."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import RulesLink
from app.parts import rule_book, rule_explained, rule_trial, silence_list
from app.parts.filters import segments
from app.parts.header import header
from app.session import require

VIEWS = {
    "book": "Rule book",
    "explain": "Explain",
    "try": "Try a change",
    "silences": "Silences",
}

viewer = require("house.read")
link = RulesLink.from_query(st.query_params)
now = data.this_minute()
header("Rules", viewer)
segments("view", "View", VIEWS, link.view, "book")
if link.view == "explain":
    rule_explained.page(link, viewer)
elif link.view == "try":
    rule_trial.page(link, viewer, now)
elif link.view == "silences":
    silence_list.page(viewer, now)
else:
    rule_book.page(link, viewer, now)
