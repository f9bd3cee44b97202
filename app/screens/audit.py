"""Who did what, and whether nobody altered that."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import AuditLink
from app.parts import audit_page
from app.parts.empty import nothing_here
from app.parts.header import header
from app.session import require
from db import audit

viewer = require("audit.read")
link = AuditLink.from_query(st.query_params)
header("Audit", viewer)
if not viewer.scope.sees_all:
    nothing_here("The audit belongs to those who see all partners.")
    st.stop()
with data.connected() as conn:
    newest = audit.newest(conn)
    found = audit.entries(
        conn,
        under=link.subject,
        actor=link.actor,
        before=link.after,
        limit=audit_page.PAGE_ROWS,
    )
audit_page.chain(viewer.scope, newest)
if not newest:
    nothing_here(
        "Nobody did anything yet.",
        next_step="What people do to cases, ties, silences, dead letters and replays, and the "
        "switch that lets nobody change anything, is written down here.",
    )
    st.stop()
audit_page.narrow(link)
if not found:
    nothing_here("No entry fits these choices.", back=AuditLink())
    st.stop()
audit_page.entries(found, link, viewer)
