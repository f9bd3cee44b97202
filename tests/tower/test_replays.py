"""Verdicts of replays: what speaks against sending a message again."""

from __future__ import annotations

from dataclasses import replace

from tower.replays import FORCE, READY, REPROCESS, Facts, verdict


def test_of_original_and_edited_copy_the_second_is_a_duplicate_by_any_action() -> None:
    facts = Facts("deliver", "open", origins=frozenset({"q"}), target="ok", edited_sent=True)
    for action in (REPROCESS, FORCE):
        assert verdict(facts, action).word == "duplicate"
        assert verdict(facts, action).cause.startswith("copy_sent")
    assert verdict(replace(facts, edited_sent=False), REPROCESS) == READY
