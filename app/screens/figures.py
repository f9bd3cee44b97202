"""What each key figure means, how it moves, and everything it counted."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app import data
from app.links import FiguresLink
from app.parts import figure_page, figure_subjects
from app.parts.filters import filter_of, filter_row
from app.parts.header import header
from app.session import require
from tower.kpi_catalogue import DEFINITIONS, told_to

viewer = require("house.read")
link = FiguresLink.from_query(st.query_params)
of = DEFINITIONS.get(link.id or "") if link.id in told_to(viewer.scope) else None
header("Key figures" if of is None else of.name, viewer)
filter_row(link, viewer)
figure_page.chooser(link, viewer)
narrowed = replace(filter_of(link, data.settled(data.this_minute())), topic=link.topic)
if of is None:
    figure_page.catalogue(link, viewer)
    st.stop()

switches = figure_page.switches(of, link)
figure = data.several(viewer.scope, narrowed, ((of.id, switches),))[0]
left, right = st.columns([3, 9])
with left.container(border=True, height="stretch"):
    figure_page.card(figure)
with right.container(border=True, height="stretch"):
    figure_page.told_apart(of, link, viewer, narrowed, switches)
figure_subjects.subjects(of, figure, link, viewer, narrowed, switches)
