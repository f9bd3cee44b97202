"""``tower keys`` on a real installation."""

from __future__ import annotations

from tests.acceptance import shapes
from tests.acceptance.installation import Installation


def test_a_key_is_made_once_listed_and_revoked(filled: Installation) -> None:
    promised = shapes.promised()
    made = filled.tower("keys", "add", "erp", "--scope", "push", "--by", "kim", "--json").json
    assert shapes.faults(made, promised["keys add"]) == []
    assert made["key"].startswith(f"tower_{made['id']}_")
    listed = filled.tower("keys", "list", "--json")
    assert shapes.faults(listed.json, promised["keys list"]) == []
    assert made["id"] in listed.out
    assert made["key"] not in listed.out
    assert "erp" in filled.tower("keys", "list").out
    gone = filled.tower("keys", "revoke", made["id"], "--why", "test", "--json").json
    assert (shapes.faults(gone, promised["keys revoke"]), gone["state"]) == ([], "revoked")
    assert filled.tower("keys", "list", "--json").json == {"keys": []}
    assert filled.tower("keys", "revoke", "nothing").code == 3
    assert filled.tower("keys", "add", "x", "--scope", "pull").code == 2
    wrong = filled.tower("keys", "add", "x", "--scope", "push", "--partner", "NOBODY")
    assert (wrong.code, "no partner" in wrong.err) == (1, True)
