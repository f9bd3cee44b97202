"""Explaining a clock: the time that did not count has a name, and silence has a reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tower.calendars import Calendar, CalendarSpec, HolidaySpec
from tower.cycles import Cycle, Fact, Verdict
from tower.explanation import Post, Step, closed_between, row_text, skipped, why_no_mail
from tower.zones import zone

BERLIN = zone("Europe/Berlin")
HQ = Calendar(
    "hq",
    CalendarSpec(
        zone="Europe/Berlin",
        open={"mon-fri": ["08:00-12:00", "13:00-17:00"]},
        holidays=HolidaySpec(country="DE", region="BE"),
        days={"2026-04-08": []},
    ),
)
assert HQ.spec.holidays is not None
NAMES = HQ.spec.holidays.dates(range(2026, 2027))  # in whatever language this machine speaks
GOOD_FRIDAY, EASTER_MONDAY = NAMES[date(2026, 4, 3)], NAMES[date(2026, 4, 6)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=BERLIN).astimezone(UTC)


def cycle(**more: Any) -> Cycle:
    return Cycle(
        **{
            "number": 1,
            "verdict": Verdict.BREACHED,
            "open": True,
            "paused": False,
            "started": at("04-02 16:00"),
            "due": at("04-07 15:00"),
            "facts": (),
            "next": None,
            "receipt": {"budget": "7bh"},
            **more,
        }
    )


@pytest.mark.parametrize(
    ("begin", "end", "why"),
    [
        ("03-31 11:00", "03-31 14:00", ["break"]),
        ("03-31 16:00", "04-01 09:00", ["night"]),
        ("03-31 06:00", "03-31 09:00", ["night"]),
        ("03-27 16:00", "03-30 09:00", ["weekend"]),
        ("04-02 16:00", "04-07 09:00", [f"{GOOD_FRIDAY}, weekend, {EASTER_MONDAY}"]),
        ("04-07 16:00", "04-09 09:00", ["closed on 2026-04-08"]),
        ("03-31 09:00", "03-31 10:00", []),
    ],
)
def test_closed_time_is_told_by_what_closed_it(begin: str, end: str, why: list[str]) -> None:
    told = closed_between(HQ, at(begin), at(end))
    assert [stretch.why for stretch in told] == why


def test_what_counts_and_what_is_skipped_add_up_to_the_whole() -> None:
    told = skipped(HQ, cycle())
    lost = sum((s.end - s.begin for s in told), timedelta(0))
    whole = cycle()
    assert whole.due is not None
    assert HQ.between(whole.started, whole.due) + lost == whole.due - whole.started


def test_clock_time_skips_nothing_but_pauses() -> None:
    pause = [at("04-02 17:00").isoformat(), at("04-03 09:00").isoformat()]
    told = skipped(HQ, cycle(receipt={"budget": "24h", "pauses": [pause]}))
    assert [(s.begin, s.end, s.why) for s in told] == [
        (at("04-02 17:00"), at("04-03 09:00"), "held")
    ]


@pytest.mark.parametrize(
    ("receipt", "text"),
    [
        ({"row": 3, "because": "supplier tier is A", "budget": "4bh"},
         "row 3: supplier tier is A -> 4bh"),
        ({"because": "otherwise", "budget": "2bd"}, "otherwise -> 2bd"),
        ({"row": 2, "because": "", "budget": "do_not_measure"},
         "row 2: everybody -> not measured"),
        ({"stated": {"attribute": "po.acknowledge_by", "value": "2026-04-09"}},
         "the document's own date: po.acknowledge_by = 2026-04-09"),
        ({}, ""),
    ],
)  # fmt: skip
def test_the_row_that_matched_is_named(receipt: dict[str, Any], text: str) -> None:
    assert row_text(receipt) == text


WARN = Step("warn", "low", None, at("04-07 10:00"))
BREACH = Step("breach", "medium", "business", at("04-07 15:00"))
ESCALATE = Step("escalate", "high", "business", at("04-08 15:00"))


def post(**more: Any) -> Post:
    return Post(
        **{"case_id": 7, "severity": "medium", "state": "new", "levels": ("breach",), **more}
    )


MAIL = [("anna", at("04-07 15:05"), "new")]
TOLD = [("anna", "open", "high", at("04-07 15:05"))]


@pytest.mark.parametrize(
    ("judged", "steps", "about", "said"),
    [
        (cycle(verdict=Verdict.PENDING), [Step("breach", "medium", "business", None)], None,
         ["nothing to tell: no level is reached yet"]),
        (cycle(verdict=Verdict.UNKNOWN, held_by="portal"), [], None,
         ["nothing is claimed while portal is silent"]),
        (cycle(verdict=Verdict.NOT_MEASURED, open=False, reason="the partner is not live"), [],
         None, ["not measured: the partner is not live"]),
        (cycle(), [WARN], None, ["warn: shown on screens only, the level names no policy"]),
        (cycle(), [BREACH], post(suppressed=[("anna", at("04-07 15:05"), "inhibited by case 3")]),
         ["case 7, anna: inhibited by case 3"]),
        (cycle(), [BREACH], post(waiting=[("anna", None)]),
         ["case 7, anna: waits for the daily summary"]),
        (cycle(), [BREACH], post(mails=MAIL, told=TOLD), []),
        (cycle(), [BREACH, ESCALATE],
         post(mails=MAIL, told=TOLD, levels=("breach", "escalate")),
         ["case 7, anna: told already, open as high at 2026-04-07 13:05Z"]),
        (cycle(), [BREACH], None, ["breach: no case was opened for it"]),
    ],
)  # fmt: skip
def test_each_silence_has_its_reason(
    judged: Cycle, steps: list[Step], about: Post | None, said: list[str]
) -> None:
    assert why_no_mail(judged, steps, about) == said


def test_a_fact_that_stands_is_what_a_step_reached() -> None:
    assert cycle(facts=(Fact("breach", at("04-07 15:00")),)).breached_at == BREACH.stands
