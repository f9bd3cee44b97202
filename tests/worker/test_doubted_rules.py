"""Once a week the summary names rules whose alerts people mostly find useless."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from tests.worker.test_telling import text_of

JUDGED = text(
    """
    INSERT INTO exception_case (fingerprint, cycle, category, severity, state, resolution, rule,
        level, kind, scope, number, clock_cycle, title, owner, owner_letter, policy, opened_at,
        detected_at, resolved_at, verdict, judged_at)
    SELECT 'judged ' || n, 1, category, severity, 'resolved', 'false_alarm', rule, level, kind,
        scope, 'J' || n, 1, title, owner, owner_letter, policy, opened_at, detected_at, opened_at,
        CASE WHEN n <= 7 THEN 'useful' ELSE 'false_alarm' END, opened_at
    FROM exception_case, generate_series(1, 20) AS n
    """
)
NAMED = "Alerts that mostly help nobody: po.unacknowledged (7 of 20 useful)"


def test_the_first_summary_of_a_week_names_a_doubted_rule_and_the_next_does_not(
    house: Any,
) -> None:
    house.released("4711", "03-26 08:00")
    house.live("03-26 14:00")
    with house.engine.begin() as conn:
        conn.execute(JUDGED)
    house.live("03-27 08:30")
    house.live("03-30 08:30")
    house.live("03-31 08:30")
    summaries = [m for m in house.mails() if m.reason == "digest"]
    days = {m.created_at.isoweekday(): NAMED in text_of(m).replace("\n", " ") for m in summaries}
    assert days == {5: False, 1: True, 2: False}
