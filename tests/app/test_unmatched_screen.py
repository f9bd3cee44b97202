"""Support looks into what did not correlate, ties it, and takes the tie back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine
from streamlit.testing.v1 import AppTest

from db import ties
from db.ingest import store
from tests.app.conftest import Open
from tests.db.stories import NET, Teller, line, po, released
from tests.db.test_ingest_stories import NOW
from tower.access import EVERYTHING

WRONG, RIGHT = "po:main:4500001243", "po:main:4500001234"


@pytest.fixture
def told(database: Engine) -> Iterator[Connection]:
    """An order, and an answer under a number with two signs exchanged."""
    t = Teller()
    answer = {**po("4500001243"), "answer": "accepted", "lines": [line("10")]}
    items = [
        t.tell("po.released", released("4500001234"), hours=0),
        t.tell("po.acknowledged", answer, hours=3, carries=("x-9",)),
    ]
    with database.begin() as conn:
        store(conn, items, net=NET, now=NOW)
    with database.connect() as conn:
        yield conn


def text_of(at: AppTest) -> str:
    return "\n".join(str(one.value) for one in (*at.markdown, *at.caption, *at.subheader))


def button(at: AppTest, label: str) -> None:
    [one] = [b for b in at.button if b.label == label]
    one.click().run()
    assert not at.exception, at.exception


def test_a_tie_is_asked_for_with_its_reason_and_can_be_undone(
    screens: Open, told: Connection
) -> None:
    at = screens("unmatched", ref=WRONG)
    assert not at.exception, at.exception
    assert "two signs are exchanged" in " ".join(c for r in at.radio for c in r.proto.captions)
    assert at.radio[0].value == RIGHT
    button(at, "Tie by hand")
    assert [e.value for e in at.error] == [
        "Say why: those who come after must be able to judge it."
    ]
    assert ties.ties(told, EVERYTHING) == []
    [why] = [one for one in at.text_input if one.label == "Why"]
    why.input("typo, Kim confirmed")
    button(at, "Tie by hand")
    [made] = ties.ties(told, EVERYTHING)
    assert (made.what, made.order, made.why) == (WRONG, RIGHT, "typo, Kim confirmed")
    assert (made.made_by, made.state) == ("local", "asked")
    told.rollback()

    at = screens("unmatched", ref=WRONG)
    assert "any more" in text_of(at)
    assert "Tied by hand" in text_of(at)
    [why] = [one for one in at.text_input if one.label == "Why it is wrong"]
    why.input("another order").run()
    button(at, "Undo it")
    [made] = ties.ties(told, EVERYTHING)
    assert (made.state, made.undone_why) == ("undoing", "another order")


def test_an_order_can_be_named_instead_of_the_one_offered(screens: Open, told: Connection) -> None:
    at = screens("unmatched", ref=WRONG)
    [named] = [one for one in at.text_input if one.label == "Another order"]
    [why] = [one for one in at.text_input if one.label == "Why"]
    why.input("x")
    named.input("4711")
    button(at, "Tie by hand")
    assert "po:ERP:NUMBER" in at.error[0].value
    [named] = [one for one in at.text_input if one.label == "Another order"]
    named.input("po:main:404")
    button(at, "Tie by hand")
    assert "no known purchase or customer order" in at.error[0].value
    assert ties.ties(told, EVERYTHING) == []
