"""A week of a small pretend distributor: every planted fault is found, and nothing else."""

from __future__ import annotations

from tests.acceptance import shapes
from tests.acceptance.installation import Installation


def test_a_demo_of_one_week_finds_what_was_planted_and_tells_it_as_the_page_says(
    installed: Installation,
) -> None:
    words = ("demo", "--once", "--days", "7", "--suppliers", "10")
    answer = installed.tower(*words, "--json")
    assert answer.code == 0, answer
    told = answer.json
    assert shapes.faults(told, shapes.promised()["demo"]) == []
    assert told["planted"] > 0
    assert (told["found"], told["missed"], told["false"]) == (told["planted"], [], [])
    assert (told["precision"], told["recall"]) == (1.0, 1.0)
    for counted in told["by_category"].values():
        assert counted["found"] == counted["planted"]
    assert told["counts"]["raw_messages"] > 1000
    assert told["counts"]["mails"] > 0

    # Its orders are never mixed with somebody's own.
    again = installed.tower(*words)
    assert again.code == 5
    assert "Name an empty one" in again.err
