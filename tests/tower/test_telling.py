"""Who hears what, decided from what stands and what was told; and the words of headers."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower.calendars import Calendar, CalendarSpec
from tower.telling import (
    CLOSED_UNTOLD,
    Item,
    Reason,
    Told,
    digest_due,
    group_due,
    length,
    moment,
    money,
    plan,
    reason_for,
    safe_words,
    subject,
)

HQ = Calendar(
    "hq",
    CalendarSpec(zone="Europe/Berlin", open={"mon-fri": ["08:00-12:00", "13:00-17:00"]}),
)
OPEN, CLOSED = Told("open", "medium"), Told("closed", "medium")


def item(number: int = 1, severity: str = "medium", **words: object) -> Item:
    return Item(number, severity, **{"open": True, **words})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (item(), Reason.NEW),
        (item(told=OPEN), None),
        (item(told=OPEN, severity="high"), Reason.WORSE),
        (item(told=OPEN, severity="low"), None),
        (item(told=OPEN, open=False), Reason.CLOSED),
        (item(told=CLOSED), Reason.AGAIN),
        (item(told=CLOSED, open=False), None),
        (item(open=False), None),
        (item(quiet="snoozed"), None),
        (item(told=OPEN, open=False, quiet="snoozed"), Reason.CLOSED),  # silenced or not
        (item(told=OPEN, owned=False), Reason.PASSED),
        (item(owned=False), None),
    ],
)
def test_why_somebody_must_hear_now(case: Item, reason: Reason | None) -> None:
    assert reason_for(case) == reason


def test_closings_ride_along_but_do_not_ride_alone() -> None:
    closing = item(1, told=OPEN, open=False)
    alone = plan([closing], closed_at_once=False, sent_today=0, max_per_day=None)
    assert (alone.send, alone.reasons) == (False, {})
    at_once = plan([closing], closed_at_once=True, sent_today=0, max_per_day=None)
    assert at_once.reasons == {1: Reason.CLOSED}
    along = plan([closing, item(2)], closed_at_once=False, sent_today=0, max_per_day=None)
    assert along.reasons == {1: Reason.CLOSED, 2: Reason.NEW}


def test_beyond_the_limit_only_what_is_critical_goes_out() -> None:
    many = [item(1), item(2, told=OPEN)]
    held = plan(many, closed_at_once=False, sent_today=20, max_per_day=20)
    assert (held.send, held.held, held.still) == (False, (1,), (2,))
    with_critical = [*many, item(3, "critical")]
    assert plan(with_critical, closed_at_once=False, sent_today=20, max_per_day=20).send


def test_what_is_never_told_is_logged_with_its_reason() -> None:
    made = plan(
        [item(1, open=False), item(2, quiet="snoozed")],
        closed_at_once=False,
        sent_today=0,
        max_per_day=None,
    )
    assert made.dropped == {1: CLOSED_UNTOLD, 2: "snoozed"}


states = st.builds(
    Item,
    case_id=st.integers(1, 50),
    severity=st.sampled_from(["low", "medium", "high", "critical"]),
    open=st.booleans(),
    told=st.none() | st.sampled_from([OPEN, CLOSED]),
    quiet=st.sampled_from(["", "snoozed"]),
    owned=st.booleans(),
)


@given(items=st.lists(states, unique_by=lambda i: i.case_id), sent=st.integers(0, 30))
def test_every_case_is_told_kept_dropped_or_held(items: list[Item], sent: int) -> None:
    made = plan(items, closed_at_once=True, sent_today=sent, max_per_day=20)
    told_closed = [i for i in items if i.told == OPEN and not i.open]
    if made.send:
        assert all(made.reasons[i.case_id] is Reason.CLOSED for i in told_closed)
    assert not made.reasons.keys() & set(made.still)
    for i in items:
        if i.case_id in made.dropped:
            assert i.told is None or i.told.what == "closed"


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}:00+02:00").astimezone(UTC)


def test_a_group_waits_for_more_and_for_office_hours() -> None:
    pace = {"wait": timedelta(minutes=5), "every": timedelta(minutes=30)}
    now = berlin("03-30T16:58")

    def due(last: datetime | None = None, critical: bool = False, hours: bool = True) -> datetime:
        return group_due(
            now, **pace, last_sent=last, critical=critical, hours=HQ if hours else None
        )

    assert due() == berlin("03-31T08:00")
    assert due(hours=False) == berlin("03-30T17:03")
    assert due(last=berlin("03-30T16:50"), hours=False) == berlin("03-30T17:20")
    assert due(critical=True) == now


def test_summaries_come_on_working_mornings() -> None:
    friday = datetime(2026, 3, 27, 7, tzinfo=UTC)  # 08:00, still winter time
    assert digest_due(friday, time(8), "Europe/Berlin", HQ) == berlin("03-30T08:00")
    assert digest_due(friday, time(8), "Europe/Berlin", None).weekday() == 5
    assert digest_due(berlin("03-30T08:00"), time(8), "Europe/Berlin", HQ) == berlin("03-31T08:00")


def test_a_subject_says_counts_what_and_whom() -> None:
    new = [Reason.NEW]
    assert subject(new, 3, ["ACK_OVERDUE"], ["ACME"]) == "[3 open, 1 new] PO not answered - ACME"
    assert subject([Reason.CLOSED], 0, ["ACK_OVERDUE"], ["A", "B"]) == (
        "[1 settled] PO not answered - 2 suppliers"
    )
    several = subject(new, 1, ["ACK_OVERDUE", "ASN_INVALID"], [])
    assert several == "[1 open, 1 new] 2 kinds of exceptions"


@given(st.text(max_size=300))
def test_no_partner_text_can_break_out_of_a_header(text: str) -> None:
    words = safe_words(text)
    assert len(words) <= 60
    assert "=?" not in words
    assert not set(words) & set('\r\n\t\0<>@"\u202e\u2066\u200f')


def test_figures_and_times_are_written_for_people() -> None:
    assert money(Decimal("12345.6"), "EUR") == "EUR 12,346"
    assert money(Decimal("9.5"), "EUR") == "EUR 9.50"
    assert money(None, "EUR") == "not priced"
    assert moment(berlin("03-30T09:00"), "Europe/Berlin") == (
        "Mon 30 Mar 2026 09:00 Europe/Berlin (07:00 UTC)"
    )
    assert moment(berlin("03-31T01:00"), "Europe/Berlin").endswith("(Mon 30 Mar 23:00 UTC)")
    assert [length(timedelta(minutes=m)) for m in (0, 12, 80, 60 * 28)] == [
        "under a minute", "12 min", "1 h 20 min", "1 d 4 h",
    ]  # fmt: skip
