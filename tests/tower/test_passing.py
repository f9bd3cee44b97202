"""What time alone does to a kept clock is what the fold says from all signs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.tower.test_clocks import RELEASED, at, custom, judge, only, sign
from tower.cycles import Cycle, Verdict
from tower.passing import passed
from tower.signs import Evidence, Spell

LEVELS = {
    "two": "warn: {at: 50%, severity: low}, hurry: {at: 75%, severity: low}",
    "at due": "warn: {at: 75%, severity: low}, now: {at: -0m, severity: low}",
}
EDI = Evidence("edi", timedelta(hours=12), pull=False)


def rule(levels: str, settle: str = "10m"):  # type: ignore[no-untyped-def]
    return custom(
        "- id: po.late\n  kind: deadline\n  category: ACK_OVERDUE\n  about: po\n"
        "  clock: {start: po.released, stop: po.acknowledged, "
        "pause: {from: po.held, to: po.unheld}}\n"
        f"  due: {{otherwise: 4bh}}\n  settle: {settle}\n  evidence: [edi]\n"
        f"  levels: {{{levels}, breach: {{severity: medium, notify: n}}}}\n"
    )


@pytest.mark.parametrize("settle", ["10m", "0m"])
@pytest.mark.parametrize("levels", sorted(LEVELS))
def test_a_clock_that_time_moved_is_the_clock_judged_anew(levels: str, settle: str) -> None:
    """From each instant to each later one, until more than a warning comes."""
    late = rule(LEVELS[levels], settle)
    moments = ["03-27 14:00", "03-27 16:00", "03-27 16:59", "03-27 17:00", "03-30 08:00",
               "03-30 09:00", "03-30 09:10"]  # fmt: skip
    told = 0
    for begin, first in enumerate(moments):
        before = only(judge(late, [RELEASED], first, evidence=(EDI,)))
        for then in moments[begin + 1 :]:
            anew = only(judge(late, [RELEASED], then, evidence=(EDI,)))
            found = passed(before.to_json(), at(then))
            if found is None:
                assert anew.facts == before.facts or anew.breached_at or settle == "0m"
                continue
            told += 1
            assert found.state == anew.to_json()
            assert Cycle.from_json(found.state) == anew
            assert (found.next, found.wait) == (anew.next, late.rule.settle.length)
            assert [(f.name, f.effective) for f in anew.facts[len(before.facts) :]] == list(
                found.warnings
            )
            assert anew.verdict is Verdict.AT_RISK
    assert told >= 6


def test_more_than_a_warning_is_left_to_the_fold() -> None:
    late = rule(LEVELS["two"])
    kept = only(judge(late, [RELEASED], "03-27 14:00", evidence=(EDI,))).to_json()
    assert passed(kept, at("03-27 15:59")) is None  # nothing yet
    assert passed(kept, at("03-30 09:09")) is not None
    assert passed(kept, at("03-30 09:10")) is None  # the breach, too
    assert passed({k: v for k, v in kept.items() if k != "ahead"}, at("03-27 16:00")) is None


def test_a_clock_that_hears_of_a_silence_rests_or_is_over_says_nothing_of_what_is_ahead() -> None:
    late = rule(LEVELS["two"])
    over = Spell("edi", at("03-26 08:00"), at("03-26 20:00"), at("03-27 08:00"))
    heard = only(judge(late, [RELEASED], "03-27 14:00", spells=[over], evidence=(EDI,)))
    other = only(
        judge(late, [RELEASED], "03-27 14:00", spells=[Spell("x", *[at("03-27 08:00")] * 2)],
              evidence=(EDI,))
    )  # fmt: skip
    held = only(judge(late, [RELEASED, sign("po.held", "03-27 15:00")], "03-27 15:30"))
    done = only(judge(late, [RELEASED, sign("po.acknowledged", "03-27 15:00")], "03-27 15:30"))
    assert [c.ahead is None for c in (heard, other, held, done)] == [True, False, True, True]
