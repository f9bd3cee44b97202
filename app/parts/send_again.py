"""A document of ours that is to go to its partner once more: asked for where its bytes are seen."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import ReplaysLink
from app.parts.acting import wish
from app.parts.tables import go
from app.parts.words import plain
from app.session import Viewer
from db import replay_wishes, sent_documents
from db.reads.payloads import Payload
from db.replays import Replay
from tower.replays import LetterRef
from tower.retransmits import SENDABLE


def send_again(found: Payload, viewer: Viewer) -> None:
    """Draft sending a message again; nothing where no way leads out of the house, it is none of
    ours, or the viewer may not.
    """
    network = data.network(viewer.scope)
    if network is None or not viewer.scope.may("replay.act"):
        return
    outlet = replay_wishes.outlet_of(network, found.source)
    if not outlet:
        return
    ref = LetterRef(found.source, found.key, 0)
    with data.connected() as conn:
        sent = sent_documents.documents(conn, viewer.scope, [ref]).get(ref)
    if sent is None or not sent.types & frozenset(SENDABLE):
        return  # it came from a partner, or tells of nothing that we send
    with st.popover("Send to the partner again …", icon=":material/outbound:"):
        st.markdown(f"These bytes leave the company by the outlet **{plain(outlet)}**.")
        st.caption(
            "Nothing is sent yet. A worker looks first whether the partner has it already "
            "(acknowledged, answered): what it has never goes again. Then you confirm, and another "
            "person approves."
        )
        reply = st.text_input(
            "What the partner said",
            key="partner said",
            placeholder="who was asked, when, and what they said",
            help="Needed where the partner's `resend` is ask_partner; kept in the audit.",
        )
        if st.button("Freeze and try dry", icon=":material/lock:", key="send again"):
            now = data.this_instant()
            made: list[Replay] = []
            if wish(
                lambda conn: made.append(
                    replay_wishes.retransmit(
                        conn,
                        network,
                        viewer.scope,
                        [(found.source, found.key)],
                        viewer.name,
                        now,
                        reply=reply,
                    )
                ),
                "replay.act",
            ):
                go(ReplaysLink(id=made[0].id))
