"""Depth, age, rates and consumers of message queues."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from app import data
from app.links import QueuesLink
from app.parts import queue_table, route_table
from app.parts.empty import nothing_here
from app.parts.header import header
from app.session import require
from db.reads import gateway, queues

viewer = require("house.read")
link = QueuesLink.from_query(st.query_params)
now = data.this_minute()
header("Queues", viewer, period="last 24 hours")
with data.connected() as conn:
    newest = queues.newest(conn, viewer.scope, now)
    routes = gateway.routes(conn, viewer.scope, now - timedelta(days=1), now)
if routes:
    route_table.route_table(routes, now)
if not newest and not routes:
    nothing_here(
        "No broker has been sampled in the last day.",
        next_step="Describe a source of kind rabbitmq in network.yaml; its counts appear here.",
    )
if not newest:
    st.stop()
queue_table.cards(newest, now)
queue_table.queue_table(newest, now)
shown = queue_table.named(newest, link.queue)
with data.connected() as conn:
    points = queues.over_time(
        conn, viewer.scope, shown.broker, shown.queue, now - timedelta(days=1), now
    )
queue_table.picture(shown, points, viewer)
