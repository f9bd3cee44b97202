"""Messages, errors, retries and latency per system and partner."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from app import data
from app.links import IntegrationsLink
from app.parts import integration_page, partner_checklist, route_table
from app.parts.empty import nothing_here
from app.parts.filters import PERIOD_NAMES, choose, filter_of, segments
from app.parts.header import header
from app.session import require
from db.reads import gateway
from db.reads import partners as reads

viewer = require("house.read")
link = IntegrationsLink.from_query(st.query_params)
now = data.this_minute()
fresh = header("Integrations", viewer)
with st.container(horizontal=True, vertical_alignment="center"):
    segments("period", "Period", PERIOD_NAMES, link.period, "30d")
    suppliers = dict(data.choices(viewer.scope).suppliers)
    choose("supplier", "Supplier", suppliers, link.supplier, "All suppliers", 220)
net = data.network(viewer.scope)
if link.supplier and net is not None:
    partner_checklist.one(viewer, net, link.supplier, now)
with data.connected(viewer.scope) as conn:
    partners = [] if link.supplier else reads.partners(conn, viewer.scope)
found = data.integrations(viewer.scope, filter_of(link, now), fresh.version)
if not found.hops:
    nothing_here(
        "No event reached the tower in this period.",
        next_step="Choose a longer period, or look at Health for feeds that are silent.",
    )
    if partners:
        partner_checklist.overview(partners, now)
    st.stop()
integration_page.cards(found.hops)
hops = [hop for hop in found.hops if link.hop in (None, hop.system)]
integration_page.course(found.days, link.hop)
integration_page.hop_table(hops, viewer)
integration_page.failures(found.failures, viewer)
with data.connected() as conn:
    routes = gateway.routes(conn, viewer.scope, now - timedelta(days=1), now)
if routes:
    st.markdown("**Routes of API gateways** :gray[last 24 hours, what is left of their limits]")
    route_table.route_table(routes, now)
if partners:
    partner_checklist.overview(partners, now)
