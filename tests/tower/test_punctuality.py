"""What came of a line by a day, and how late the rest was."""

from __future__ import annotations

import pytest

from tower.punctuality import came_by, late_unit_days

TWO = [("2026-03-01", "4"), ("2026-03-05", "6")]


def test_parts_received_in_time_add_up() -> None:
    days = ("2026-02-28", "2026-03-01", "2026-03-05")
    assert [came_by(TWO, day) for day in days] == ["0", "4", "10"]
    assert came_by(TWO, None) is None
    assert came_by([("2026-03-01", None)], "2026-03-01") is None


@pytest.mark.parametrize(
    ("arrivals", "due", "wanted", "days"),
    [
        (TWO, "2026-03-05", "10", "0"),
        (TWO, "2026-03-01", "10", "24"),  # 6 units, 4 days
        (TWO, "2026-02-27", "10", "44"),  # 4 x 2 + 6 x 6; February has 28 days
        (TWO, "2026-03-01", "5", "4"),  # of the second part only one unit was still wanted
        (TWO, "2026-03-01", "4", "0"),  # surplus is not late
        (TWO, None, "10", None),
        (TWO, "2026-03-01", None, None),
    ],
)
def test_late_units_count_their_days(
    arrivals: list[tuple[str, str | None]], due: str | None, wanted: str | None, days: str | None
) -> None:
    assert late_unit_days(arrivals, due, wanted) == days
