"""The tower about itself."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import HealthLink
from app.parts import health_page
from app.parts.header import header
from app.session import require
from db import health, sources
from db.reads import unmatched

viewer = require("house.read")
link = HealthLink.from_query(st.query_params)
now = data.this_minute()
header("Health of the tower", viewer)
net = data.network(viewer.scope)
with data.connected() as conn:
    feeds = sources.states(conn) if viewer.scope.sees_all else []
    beats = health.processes(conn)
    waiting = health.backlog(conn, now)
    size = health.database_size(conn)
    server = health.server_version(conn)
    files = health.files(conn)
    flows, flows_total = unmatched.unmatched(conn, viewer.scope, limit=100)
    letters, letters_total = unmatched.dead_letters(conn, viewer.scope, limit=100)

health_page.cards(feeds, net, beats, waiting, size, server, now)
health_page.problems(files)
health_page.feed_table(feeds, net, now)
health_page.process_table(beats, now)
health_page.letter_table(letters, letters_total, now)
health_page.unmatched_table(flows, flows_total, now)
