"""``tower silence``, ``tower mail`` and ``tower audit self`` on a real installation."""

from __future__ import annotations

from tests.acceptance.installation import Installation


def test_a_silence_is_put_down_listed_and_ended(filled: Installation) -> None:
    wrong = filled.tower("silence", "add", "--reason", "x", "--for", "2h", "--json")
    assert (wrong.code, "name at least one" in wrong.err) == (1, True)
    made = filled.tower(
        "silence", "add", "--po", "4711", "--reason", "upkeep", "--for", "2h", "--by", "kim",
        "--json",
    ).json["silence"]  # fmt: skip
    assert (made["po"], made["author"]) == ("4711", "kim")
    [listed] = filled.tower("silence", "list", "--json").json["silences"]
    assert (listed["state"], listed["silence"]["id"]) == ("active", made["id"])
    assert "PO 4711" in filled.tower("silence", "list").out
    ended = filled.tower("silence", "end", str(made["id"]), "--json").json["silence"]
    assert ended["ended_at"]
    assert filled.tower("silence", "end", str(made["id"])).code == 3


def test_dead_addresses_and_the_audit_are_told(filled: Installation) -> None:
    assert filled.tower("mail", "undeliverable", "--json").json == {"undeliverable": []}
    assert filled.tower("mail", "retry", "nobody@example.org").code == 3
    audit = filled.tower("audit", "self", "--json").json
    assert [check["name"] for check in audit["checks"]] == ["outbox", "sources", "timers", "told"]
