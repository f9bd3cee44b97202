"""Where events live, what their ids tie, and that nothing is guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower.correlation import (
    IDS_PER_ID,
    ROOTS_PER_ID,
    WIDEST,
    Link,
    Web,
    id_node,
    identifies,
    leads_from,
    place,
)
from tower.event import Event, ObjectRef
from tower.identity import document_home, id_home
from tower.vocabulary import make_event

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)

texts = st.sampled_from(("1", "2", "main", "ACME"))
references = st.builds(
    ObjectRef,
    kind=st.sampled_from(
        ("po", "po_line", "order", "order_line", "asn", "receipt", "invoice", "source", "partner")
    ),
    scope=texts,
    number=texts,
    line=st.sampled_from(("", "10")),
)
ids = st.lists(st.sampled_from(("a", "b", "c")), max_size=2).map(tuple)
events = st.builds(
    Event,
    id=st.uuids(),
    type=st.just("message.sent"),
    source=texts,
    raw_key=texts,
    position=st.just("item:0"),
    occurred_at=st.just(NOW),
    objects=st.lists(references, max_size=4).map(tuple),
    correlation_id=st.sampled_from((None, "a", "b")),
    causation_id=st.sampled_from((None, "c")),
    carries=ids,
    answers=ids,
)


@given(event=events)
def test_an_event_lives_where_its_anchor_says(event: Event) -> None:
    spot = place(event)
    assert (spot.node.kind, spot.node.text, spot.node.home) == event.anchor()


@given(event=events)
def test_each_tie_ends_where_its_event_lives_and_none_joins_two_orders(event: Event) -> None:
    spot = place(event)
    for tie in spot.ties:
        assert spot.node in (tie.one, tie.other)
        assert tie.one != tie.other
        assert not (tie.one.is_root and tie.other.is_root)


@given(event=events)
def test_an_event_without_order_is_tied_to_all_it_leads_from(event: Event) -> None:
    spot = place(event)
    if not spot.roots:
        tied = {node.home for tie in spot.ties for node in (tie.one, tie.other)}
        assert {node.home for node in leads_from(event)} <= tied | {spot.node.home}


def test_the_envelope_of_an_answer_says_nothing_about_the_order() -> None:
    event = make_event(
        "fa.received",
        {"answered": "set", "verdict": "accepted"},
        source="edi",
        raw_key="k",
        position="set:1",
        occurred_at=NOW,
        answers=("their set",),
        carries=("our interchange",),
    )
    assert place(event).ties == ()
    assert leads_from(event) == (id_node("their set"),)


# --- what ties lead to --------------------------------------------------------------------------

PO1, PO2 = document_home("po", "main", "1"), document_home("po", "main", "2")
A, B, C = id_home("a"), id_home("b"), id_home("c")
ASN = document_home("asn", "ACME", "S")


def web(*ties: tuple[int, int, int], useless: Any = ()) -> Web:
    """Ties with the instant since when; of the two ends the orders are known."""
    made = Web(useless=set(useless))
    for one, other, since in ties:
        for here, there in ((one, other), (other, one)):
            link = Link(there, "correlation", there in (PO1, PO2), since)
            made.links.setdefault(here, []).append(link)
            made.kinds[here] = "po" if here in (PO1, PO2) else "asn" if here == ASN else "id"
    return made


@pytest.mark.parametrize(
    ("ties", "found"),
    [
        ([], {}),
        ([(A, PO1, 5)], {PO1: (10, A)}),
        ([(A, PO1, 50)], {PO1: (50, A)}),  # the order can know it only since the tie was told
        ([(A, PO1, 50), (A, PO2, 3)], {PO1: (50, A), PO2: (10, A)}),
        ([(A, B, 20), (B, PO1, 30)], {PO1: (30, A)}),
        ([(A, B, 40), (B, C, 20), (C, PO1, 30)], {PO1: (40, A)}),
        ([(A, B, 90), (A, C, 20), (B, PO1, 1), (C, PO1, 1)], {PO1: (20, A)}),
        ([(A, B, 20), (B, PO1, 1), (B, PO2, 1)], {}),  # between two orders: not guessed
        ([(A, PO1, 1), (A, B, 1), (B, PO2, 1)], {PO1: (10, A)}),  # its own order, not a neighbour's
        ([(A, ASN, 20), (ASN, PO1, 1), (ASN, PO2, 30)], {PO1: (20, A), PO2: (30, A)}),
    ],
)
def test_an_event_reaches_what_its_ids_lead_to(ties: Any, found: Any) -> None:
    assert web(*ties).reach((A,), 10) == found


def test_an_id_that_identifies_nothing_leads_nowhere_and_is_not_walked_through() -> None:
    ties = ((A, PO1, 1), (B, A, 1))
    assert web(*ties, useless={A}).reach((A,), 10) == {}
    assert web(*ties, useless={A}).reach((B,), 10) == {}


def test_a_heap_of_ids_leads_nowhere() -> None:
    chain = [(id_home(str(n)), id_home(str(n + 1)), 1) for n in range(WIDEST + 1)]
    end = (id_home(str(WIDEST + 1)), PO1, 1)
    assert web(*chain[-WIDEST // 2 :], end).reach((chain[-WIDEST // 2][0],), 1)
    assert web(*chain, end).reach((id_home("0"),), 1) == {}


@pytest.mark.parametrize(
    ("roots", "others", "basis", "useful"),
    [
        (ROOTS_PER_ID, 0, "correlation", True),
        (ROOTS_PER_ID + 1, 0, "correlation", False),
        (ROOTS_PER_ID + 1, 0, "carries", True),  # a control number of a big interchange is none
        (0, IDS_PER_ID + 1, "correlation", False),
    ],
)
def test_a_correlation_id_that_ties_too_much_identifies_nothing(
    roots: int, others: int, basis: str, useful: bool
) -> None:
    links = [Link(n, basis, True, 1) for n in range(roots)]
    links += [Link(-n - 1, basis, False, 1) for n in range(others)]
    assert identifies(links) is useful
