"""A masked value is shown one by one, with a reason, and every showing is written down."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from db import audit, edited_copies
from db.ingest import store
from db.reads.hops import compare
from db.reads.lineage import of_message
from db.reads.payloads import payload
from db.reads.search import find
from db.reveals import RevealRefused, reveal
from tests.db.stories import NET, at, message
from tower.access import Role, Scope, scope_of
from tower.errors import AccessDenied
from tower.replays import LetterRef

NOW = at(5)
MASKED = Scope(reveals=frozenset())
BODY = b'{"po": "45", "price": 12.75}'
PLACE = ("erp", "m1", BODY.index(b"12.75"))


def test_one_value_is_shown_and_written_down_without_its_value(database: Engine) -> None:
    with database.begin() as conn:
        store(conn, [message("m1", "erp", [], at(1), BODY)], net=NET, now=NOW)
    with database.begin() as conn:
        found = payload(conn, MASKED, "erp", "m1")
        assert found is not None
        assert found.body == b'{"po": "45", "price": #####}'
        assert found.sha256 != ""
        assert reveal(conn, MASKED, "kim", PLACE, "claim 7", NOW) == b"12.75"
    with database.connect() as conn:
        (entry,) = audit.entries(conn, subject="message:erp/m1")
        assert (entry.act.actor, entry.act.action) == ("kim", "value.revealed")
        assert entry.act.detail["why"] == "claim 7"
        assert entry.act.detail["class"] == "price"
        assert "12.75" not in str(entry.act.detail)
        for place, why, said in (
            (PLACE, " ", "Say why"),
            (("erp", "m1", 1), "x", "Nothing is masked"),
            (("erp", "m2", 1), "x", "not kept"),
        ):
            with pytest.raises(RevealRefused, match=said):
                reveal(conn, MASKED, "kim", place, why, NOW)
    stranger = Scope(frozenset({"BOLT"}), reveals=frozenset())
    with database.connect() as conn, pytest.raises(RevealRefused, match="not yours"):
        reveal(conn, stranger, "eve", PLACE, "x", NOW)


@pytest.mark.parametrize("role", ["leader", "admin", "read-only"])
def test_roles_that_read_no_bytes_are_refused_by_every_read_of_them(
    database: Engine, role: Role
) -> None:
    """In the functions themselves, not in the pages that call them."""
    scope = scope_of(role, None)
    assert not scope.may("payload.read")
    letter = LetterRef("erp", "m1", 1)
    with database.connect() as conn:
        for read in (
            lambda: payload(conn, scope, "erp", "m1"),
            lambda: compare(conn, scope, ("erp", "m1"), ("erp", "m2"), ()),
            lambda: reveal(conn, scope, "kim", PLACE, "claim 7", NOW),
            lambda: edited_copies.original(conn, scope, letter),
            lambda: of_message(conn, scope, "erp", "m1"),
        ):
            with pytest.raises(AccessDenied):
                read()
        assert "your role does not include it" in find(conn, scope, "12.75", NOW).not_searched[0]
