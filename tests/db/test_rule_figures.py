"""How rules do: fires, open cases, verdicts, and precision as people judged it."""

from __future__ import annotations

from sqlalchemy import Connection

from db.reads import precision, rule_figures
from db.reads.cases import CaseFilter, counts, queue
from tests.desk import Desk
from tower.access import EVERYTHING, Scope
from tower.precision import Precision

BIRCH = Scope(frozenset({"birch"}))


def judged(desk: Desk, n: int, verdict: str | None, **columns: object) -> None:
    desk.case(f"46{n:04}", verdict=verdict, judged_at=desk.at(minutes=n), **columns)


def test_precision_counts_the_last_word_about_each_alert(connection: Connection) -> None:
    desk = Desk()
    judged(desk, 1, "useful")
    judged(desk, 2, "false_alarm", resolved_at=desk.now, resolution="false_alarm")
    judged(desk, 3, None, resolved_at=desk.now, resolution="repaired")
    judged(desk, 4, None, resolved_at=desk.now, resolution="false_alarm")
    judged(desk, 5, None, resolved_at=desk.now, resolution="healed")
    judged(desk, 6, None)
    judged(desk, 7, "useful", resolved_at=desk.now, resolution="false_alarm")
    # Settled with its cause: one judgement, not one per case.
    judged(desk, 8, None, resolved_at=desk.now, resolution="false_alarm", parent_id=1)
    desk.write(connection)
    found = precision.by_rule(connection, EVERYTHING)
    assert found == {"po.unacknowledged": Precision("po.unacknowledged", 3, 2, 5, 3)}
    assert found["po.unacknowledged"].share == 0.6
    assert precision.by_rule(connection, BIRCH) == {}


def test_a_rule_is_doubted_by_its_latest_twenty_judgements(connection: Connection) -> None:
    desk = Desk()
    for n in range(10):
        judged(desk, n, "useful" if n < 9 else "false_alarm")
    for n in range(10, 19):
        judged(desk, n, "false_alarm")
    desk.write(connection)
    assert precision.doubtful(connection, EVERYTHING) == []  # nineteen judgements only
    judged(desk, 19, "false_alarm")
    for n in range(20, 60):
        judged(desk, n, "useful")  # long ago: it was fine once
    desk.write(connection)
    [doubted] = precision.doubtful(connection, EVERYTHING)
    assert (doubted.rule, doubted.latest, doubted.latest_useful) == ("po.unacknowledged", 20, 9)


def test_figures_of_thirty_days_and_the_thirty_before(connection: Connection) -> None:
    desk = Desk()
    for number, days in (("1", 0.1), ("2", 3), ("3", 29), ("4", 31), ("5", 61)):
        desk.case(number, opened=desk.at(days=days))
    desk.case("6", "birch", opened=desk.at(days=1), resolved_at=desk.at(hours=1))
    desk.case("ACME|ACK_OVERDUE", kind="cause", opened=desk.at(days=1))
    desk.clock("1", "breached", desk.at(days=1))
    desk.clock("2", "met", desk.at(days=2))
    desk.clock("3", "met", desk.at(days=40))
    desk.write(connection)
    found = rule_figures.figures(connection, EVERYTHING, desk.now)["po.unacknowledged"]
    assert (found.fires, found.before, found.open_cases, found.causes) == (4, 1, 5, 1)
    assert (len(found.by_day), sum(found.by_day), found.by_day[-1]) == (30, 4, 1)
    assert found.verdicts == {"breached": 1, "met": 1}
    assert found.noisiest == (("acme", 3), ("birch", 1))
    mine = rule_figures.figures(connection, BIRCH, desk.now)["po.unacknowledged"]
    assert (mine.fires, mine.noisiest) == (1, (("birch", 1),))


def test_the_queue_shows_causes_for_their_cases_in_any_order(connection: Connection) -> None:
    desk = Desk()
    old = desk.case("1", opened=desk.at(days=9), severity="low", priority=5.0)
    cause = desk.case("ACME|ACK_OVERDUE", kind="cause", opened=desk.at(days=1), priority=7.0)
    child = desk.case("2", opened=desk.at(days=1), severity="high", parent_id=cause, priority=7.0)
    high = desk.case("3", opened=desk.at(days=2), severity="high", priority=1.0)
    freed = desk.case("4", opened=desk.at(days=3), parent_id=999)
    desk.write(connection)

    def shown(**wanted: str) -> list[int]:
        page = queue(connection, EVERYTHING, CaseFilter(**wanted), desk.now)
        assert page.total == len(page.rows)
        return [row["id"] for row in page.rows]

    assert shown() == [cause, old, high, freed]
    assert shown(view="all") == [child, old, high, freed]
    assert shown(sort="age") == [old, freed, high, cause]
    assert shown(sort="newest") == [cause, high, freed, old]
    assert shown(sort="severity") == [high, cause, freed, old]
    told = counts(connection, EVERYTHING, desk.now)
    assert told["shown"] == {"lines": 4, "cases": 4, "causes": 1}
    assert told["severity"] == {"high": 1, "low": 1, "medium": 2}
    for sort in ("consequence", "age", "newest", "severity"):
        seen, after = [], None
        for _ in range(4):
            page = queue(
                connection, EVERYTHING, CaseFilter(sort=sort), desk.now, after=after, limit=1
            )
            seen += [row["id"] for row in page.rows]
            after = page.following
        assert (seen, after) == (shown(sort=sort), None)
