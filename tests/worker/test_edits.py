"""Copy, edit, send: bytes that were mended go in the place of the original."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from db import replays
from db.tables import raw_message
from tests.worker.replaying import Dock, body
from tower.access import EVERYTHING
from tower.replays import ReplayRefused
from worker import edits

pytestmark = pytest.mark.rabbitmq


def test_an_edited_copy_goes_in_the_place_of_the_original(dock: Dock) -> None:
    (letter,) = dock.dead(1)
    mended = body(0).replace("ü".encode(), b"ue")
    made = edits.edit(dock.engine, dock.net, EVERYTHING, letter.ref, mended, "kim", dock.clock())
    assert [line[0] for line in made.diff if "note" in line] == ["-", "+"]
    one = dock.check(made.replay)
    assert one.needs_approval == "a payload was edited"
    dock.approve(dock.confirm(one))
    dock.advance()
    original = dock.draft([letter.ref])
    assert [i.verdict for i in dock.items(original)] == ["blocked"]  # the copy is under way
    ((properties, content),) = dock.arrived()
    assert (content, properties.message_id) == (mended, "m-0-2")
    dock.applied(0)
    dock.advance()
    assert dock.states(one) == ["resolved"]
    assert [i.verdict for i in dock.items(dock.draft([letter.ref]))] == ["blocked"]
    with dock.engine.connect() as conn:
        kept = conn.execute(
            select(raw_message.c.key).where(raw_message.c.key == letter.ref.key)
        ).all()
    assert len(kept) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw.replace(b"4500000000", b"4500000009"), "po is locked"),
        (lambda raw: raw, "Nothing was changed"),
        (lambda raw: raw + b" " * 1_000_001, "are more than"),
    ],
)
def test_an_edit_that_changes_what_is_locked_is_refused(dock: Dock, change: Any, said: str) -> None:
    (letter,) = dock.dead(1)
    with pytest.raises(ReplayRefused, match=said):
        edits.edit(
            dock.engine, dock.net, EVERYTHING, letter.ref, change(body(0)), "kim", dock.clock()
        )
    with dock.engine.connect() as conn:
        assert replays.listing(conn) == []
