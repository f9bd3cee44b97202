"""The form in which a supplier answers a purchase order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import streamlit as st

from app import data
from app.links import PortalLink
from app.parts.empty import nothing_here
from app.parts.words import MISSING, plain
from app.session import Viewer
from db.reads import portal as reads
from tower.errors import TowerError

if TYPE_CHECKING:
    from worker.portal_answers import Answer, LineAnswer

CHOICES: dict[Answer, str] = {
    "accept": "Confirm as ordered",
    "change": "Confirm with changes",
    "reject": "Reject",
}
TOLD = "portal told"


def form(ref: str, viewer: Viewer) -> None:
    """The order of the address, and its answer; one that is not the viewer's is not there."""
    with data.connected(viewer.scope) as conn:
        order = reads.order(conn, viewer.scope, ref)
    if order is None:
        nothing_here("There is no such order of yours.", back=PortalLink())
        return
    with st.container(border=True):
        st.subheader(f"Order {plain(order.number)}", anchor=False)
        told = st.session_state.pop(TOLD, None)
        if told is not None and told[0] == order.ref:
            st.success(told[1], icon=":material/task_alt:")
        given = "no answer yet" if order.answer in (None, "none") else str(order.answer)
        st.caption(f"Your answer as we know it: {plain(given.replace('_', ' '))}.")
        if order.closed:
            _lines(order, editable=False)
            st.caption("The order is closed and takes no answer.")
        elif not _available():
            _lines(order, editable=False)
            st.caption("Answers by form are not switched on here. Answer in the way we agreed.")
        elif viewer.may("po.answer"):
            _answer(order, viewer)


def _answer(order: reads.OwnOrder, viewer: Viewer) -> None:
    # Keyed by the revision: once the order has moved on, a second click meets no button.
    key = f"{order.ref} {order.rev}"
    chosen: Answer = st.segmented_control(
        "Your answer",
        list(CHOICES),
        format_func=lambda word: CHOICES[word],
        required=True,
        default="accept",
        key=f"answer {key}",
        label_visibility="collapsed",
    )
    with st.form(f"form {key}", border=False):
        edited = _lines(order, editable=chosen == "change", key=key)
        reason = ""
        if chosen != "accept":
            reason = st.text_input(
                "Reason", max_chars=500, key=f"reason {key}",
                placeholder="Why" if chosen == "reject" else "Why (may stay empty)",
            )  # fmt: skip
        sent = st.form_submit_button(CHOICES[chosen], type="primary", icon=":material/send:")
    if sent:
        _send(order, viewer, chosen, edited if chosen == "change" else (), reason)


def _lines(order: reads.OwnOrder, *, editable: bool, key: str = "") -> Sequence[dict[str, Any]]:
    """The lines; what is edited are quantity and day, by default those confirmed or ordered."""
    standing = [one for one in order.lines if not one.cancelled]
    columns: dict[str, list[Any]] = {
        "Line": [one.line for one in standing],
        "Item": [one.item for one in standing],
        "Description": [one.description for one in standing],
        "Unit": [one.uom for one in standing],
        "Ordered": [_number(one.ordered_qty) for one in standing],
        "Requested": [one.requested_date for one in standing],
    }
    if not editable:
        columns["Confirmed"] = [_number(one.confirmed_qty) for one in standing]
        columns["Confirmed for"] = [one.confirmed_date for one in standing]
    else:
        columns["Quantity"] = [
            _number(one.ordered_qty if one.confirmed_qty is None else one.confirmed_qty)
            for one in standing
        ]
        columns["Delivery"] = [one.confirmed_date or one.requested_date for one in standing]
    kinds = {
        "Ordered": pa.float64(), "Confirmed": pa.float64(), "Quantity": pa.float64(),
        "Requested": pa.date32(), "Confirmed for": pa.date32(), "Delivery": pa.date32(),
    }  # fmt: skip
    shown = pa.table(
        {name: pa.array(values, kinds.get(name, pa.string())) for name, values in columns.items()}
    )
    days = {
        name: st.column_config.DateColumn(format="DD MMM YYYY")
        for name in ("Requested", "Confirmed for", "Delivery")
    }
    if not editable:
        st.dataframe(shown, hide_index=True, column_config=days, placeholder=MISSING)
        return ()
    st.caption("Change quantity or day of delivery. Quantity 0: this line will not come.")
    edited = st.data_editor(
        shown,
        hide_index=True,
        placeholder=MISSING,
        key=f"lines {key}",
        disabled=["Line", "Item", "Description", "Unit", "Ordered", "Requested"],
        column_config={
            **days,
            "Quantity": st.column_config.NumberColumn(min_value=0, required=True),
        },
    )
    rows: list[dict[str, Any]] = edited.to_pylist()
    return rows


def _send(
    order: reads.OwnOrder,
    viewer: Viewer,
    chosen: Answer,
    edited: Sequence[dict[str, Any]],
    reason: str,
) -> None:
    from worker import portal_answers

    try:
        with data.writing("po.answer") as conn:
            engine = conn.engine
        new = portal_answers.take(
            engine,
            viewer.scope,
            viewer.name,
            order.ref,
            chosen,
            data.this_instant(),
            seen=order.rev,
            lines=[_promised(row) for row in edited],
            reason=reason,
        )
    except TowerError as error:
        st.error(plain(str(error)))
        return
    words = "Your answer is stored." if new else "This answer was known already."
    st.session_state[TOLD] = (order.ref, words)
    st.rerun()


def _promised(row: dict[str, Any]) -> LineAnswer:
    from worker.portal_answers import AnswerRefused, LineAnswer

    try:
        qty = Decimal(str(row["Quantity"]))
    except InvalidOperation:
        raise AnswerRefused(f"Line {row['Line']}: give a quantity. Nothing was changed.") from None
    day = row["Delivery"]
    return LineAnswer(str(row["Line"]), _trimmed(qty), day if isinstance(day, date) else None)


def _trimmed(qty: Decimal) -> Decimal:
    """40 for 40.0."""
    return qty if not qty.is_finite() or qty % 1 else qty.quantize(Decimal(1))


def _number(value: Decimal | None) -> float | None:
    found = None if value is None else float(value)
    return None if found is None or math.isnan(found) else found


def _available() -> bool:
    from worker import portal_answers

    with data.house() as conn:
        engine = conn.engine
    return portal_answers.available(engine)
