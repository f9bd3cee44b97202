"""What is missing in a set of numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tower.sequences import JUMP, Island, gaps

AT = datetime(2026, 3, 2, tzinfo=UTC)


def islands(*numbers: int) -> list[Island]:
    """Each number came an hour after the one given before it."""
    when = {n: AT + timedelta(hours=place) for place, n in reversed([*enumerate(numbers)])}
    found: list[list[int]] = []
    for n in sorted(when):
        if found and found[-1][-1] == n - 1:
            found[-1].append(n)
        else:
            found.append([n])
    return [Island(one[0], one[-1], min(when[n] for n in one), "edi") for one in found]


def missing(*numbers: int) -> list[str]:
    return [str(gap) for gap in gaps(islands(*numbers))]


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ((1,), []),
        ((1, 2, 3), []),
        ((1, 2, 4), ["3"]),
        ((4, 2, 1, 4), ["3"]),
        ((7, 8, 11, 12, 13, 15), ["9-10", "14"]),
        ((1, 2, 3, 10), []),  # four of ten: the sender counts for others, too
        ((1, 2, 3, 4, 5, 10), ["6-9"]),
        # It began to count anew; each run is looked at for itself.
        ((1, 2, 4, 999_999_997, 999_999_999), ["3", "999999998"]),
        ((1, 2, 3 + JUMP), []),
        ((1, 2, 4, 5000, 5900), ["3"]),
    ],
)
def test_numbers_between_others_are_missing(numbers: tuple[int, ...], found: list[str]) -> None:
    assert missing(*numbers) == found


def test_a_gap_is_seen_when_any_later_number_has_come_and_late_ones_do_not_move_that() -> None:
    seen = {str(gap): gap.seen_at for gap in gaps(islands(1, 2, 3, 4, 9, 7, 6))}
    assert seen == {"5": AT + timedelta(hours=4), "8": AT + timedelta(hours=4)}
    # What came of another run is not later.
    found = gaps(islands(999_999_998, 999_999_999, 1, 3))
    assert [(str(gap), gap.seen_at) for gap in found] == [("2", AT + timedelta(hours=3))]


def test_nothing_is_missing_where_nothing_came() -> None:
    assert gaps([]) == []
