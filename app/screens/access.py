"""Who may sign in, as what, who is signed in, and which machines hold keys."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import AccessLink
from app.parts import access_keys, access_page
from app.parts.filters import segments
from app.parts.header import header
from app.session import require
from db import accounts, keys, sessions

viewer = require("people.manage")
link = AccessLink.from_query(st.query_params)
header("Access", viewer)
segments("view", "View", access_page.VIEWS, link.view, "people")
with data.writing("people.manage") as conn:
    people = accounts.listing(conn)
    open_now = sessions.listing(conn, data.this_instant())
    held = keys.listed(conn, data.this_instant(), also_past=True) if link.view == "keys" else []
if link.view == "sessions":
    access_page.session_list(open_now, people, viewer)
elif link.view == "roles":
    access_page.roles()
elif link.view == "keys":
    access_keys.key_list(held, viewer)
else:
    access_page.people_list(people, open_now, viewer)
