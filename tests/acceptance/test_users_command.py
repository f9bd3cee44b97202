"""``tower users`` on a real installation."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance import shapes
from tests.acceptance.installation import Installation


def test_people_are_let_in_changed_and_kept_out(filled: Installation, tmp_path: Path) -> None:
    promised = shapes.promised()

    def asked(command: str, *words: str) -> dict[str, object]:
        answer: dict[str, object] = filled.tower("users", command, *words, "--json").json
        assert shapes.faults(answer, promised[f"users {command}"]) == []
        return answer

    made = asked("add", "Ana", "--role", "leader", "--full-name", "Ana Buyer", "--by", "kim")
    password = str(made["password"])
    assert len(password) >= 15
    file = tmp_path / "password"
    file.write_text("orchid ladder quartz seven\n", encoding="utf-8")
    given = asked("add", "root", "--role", "admin", "--password-file", str(file))
    assert given["password"] is None
    listed = filled.tower("users", "list", "--json")
    assert [one["name"] for one in listed.json["accounts"]] == ["ana", "root"]
    assert shapes.faults(listed.json, promised["users list"]) == []
    assert password not in listed.out
    assert "argon2" not in listed.out
    assert "Ana Buyer" in filled.tower("users", "list").out
    changed = asked("change", "ana", "--role", "support", "--grant", "replay.act")
    assert changed["account"]["grants"] == ["replay.act"]  # type: ignore[index]
    assert asked("reset", "ana")["password"] not in (None, password)
    assert asked("disable", "ana")["account"]["disabled_at"]  # type: ignore[index]
    assert asked("enable", "ana")["account"]["disabled_at"] is None  # type: ignore[index]
    assert asked("sessions") == {"sessions": []}
    assert asked("sign-out", "ana") == {"account": "ana", "ended": 0}


def test_what_cannot_be_is_said_with_what_can(filled: Installation, tmp_path: Path) -> None:
    for command in ("change", "disable", "enable", "reset", "sessions", "sign-out"):
        role = ("--role", "leader") if command == "change" else ()
        assert filled.tower("users", command, "nobody", *role).code == 3
    assert filled.tower("users", "add", "x", "--role", "boss").code == 2
    file = tmp_path / "password"
    file.write_text("password12345678\n", encoding="utf-8")
    weak = filled.tower("users", "add", "x", "--role", "leader", "--password-file", str(file))
    assert (weak.code, "easily guessed" in weak.err) == (1, True)
    lost = filled.tower("users", "add", "x", "--role", "partner")
    assert (lost.code, "names its partners" in lost.err) == (1, True)
    wrong = filled.tower("users", "add", "x", "--role", "leader", "--partner", "NOBODY")
    assert (wrong.code, "is no partner" in wrong.err) == (5, True)
