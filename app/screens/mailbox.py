"""The mails that the tower sent, as their recipients see them."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import MailboxLink
from app.parts import mail_page
from app.parts.empty import nothing_here
from app.parts.filters import choose
from app.parts.header import header
from app.session import require
from db.reads import mails

viewer = require("house.read")
link = MailboxLink.from_query(st.query_params)
now = data.this_minute()
header("Mailbox", viewer)
with data.connected() as conn:
    people = mails.recipients(conn, viewer.scope)
    listed = mails.newest(conn, viewer.scope, recipient=link.recipient)
    number = link.mail if link.mail is not None else (listed[0].id if listed else None)
    opened = None if number is None else mails.mail(conn, viewer.scope, number)
    attempts = [] if number is None else mails.deliveries(conn, viewer.scope, number)
if not people:
    nothing_here(
        "No mail was written yet.",
        next_step="Mails are written when a case has waited for its group's time.",
    )
    st.stop()
choose(
    "recipient",
    "Recipient",
    {name: f"{name} ({n:,})" for name, n in people.items()},
    link.recipient,
    "Everybody",
    240,
)
left, right = st.columns([4, 5], gap="medium")
with left:
    mail_page.mail_list(listed, link.recipient, viewer.zone)
with right:
    if opened is None:
        nothing_here("There is no such mail.")
    else:
        mail_page.mail(*opened, attempts, viewer.zone)
