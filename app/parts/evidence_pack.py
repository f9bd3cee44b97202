"""The evidence pack of a supplier: made when it is wanted, noted in the audit."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

import streamlit as st

from app import data
from app.session import Viewer
from db import audit
from db.reads.filters import Filter
from db.reads.supplier_pack import supplier_pack
from db.reads.supplier_page import Card


def pack_button(card: Card, viewer: Viewer, narrowed: Filter) -> None:
    """Downloads the zip of the period; asks for it only when it is clicked."""
    period = narrowed.period
    st.download_button(
        "Evidence pack",
        data=data.later(lambda: _made(card.key, viewer, narrowed)),
        file_name=f"{card.key.lower()}-{period.start:%Y%m%d}-{period.end:%Y%m%d}.zip",
        mime="application/zip",
        icon=":material/folder_zip:",
        on_click="ignore",
        key="evidence pack",
        help="Figures of the period with everything they counted, orders, exceptions and what was "
        "mailed to the supplier, as one zip that tower verify-bundle checks. Noted in the audit.",
    )


def _made(key: str, viewer: Viewer, narrowed: Filter) -> bytes:
    now = data.this_instant()
    with data.writing("data.export") as conn:
        body = supplier_pack(
            conn, viewer.scope, key, narrowed, now, by=viewer.name, program=version("tower")
        )
        if body is None:
            return b""
        detail = {
            "from": narrowed.period.start.isoformat(),
            "to": narrowed.period.end.isoformat(),
            "sha256": hashlib.sha256(body).hexdigest(),
            "size": len(body),
        }
        audit.record(conn, viewer.name, "bundle.exported", f"supplier:{key}", detail, now)
    return body
