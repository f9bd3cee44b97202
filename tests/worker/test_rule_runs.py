"""Rule tests: the shipped ones pass, notice every mutant, and fail with the place of the line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tower.errors import ConfigError
from tower.rulebook import load_rulebook
from worker import rule_runs
from worker.rule_runs import Run

ROOT = Path(__file__).resolve().parents[2]
RULES, NETWORK = ROOT / "sla_rules.yaml", ROOT / "network.yaml"
HOURS = """
calendars:
  hq: {zone: Europe/Berlin, open: {mon-fri: ["08:00-12:00", "13:00-17:00"]}}
"""
# As the design of the language writes it.
STORY = """
given: {rule: po.unacknowledged, calendar: hq, subject: {po.type: standard, supplier.tier: A, supplier.acknowledges: true}}
cases:
  - name: answered in time, reported a day later
    events:
      - {at: "2026-03-27 14:00", event: po.released}
      - {at: "2026-03-30 08:30", arrives: "2026-03-31 09:00", event: po.acknowledged}
    expect:
      - {at: "2026-03-30 09:09", verdict: at_risk}
      - {at: "2026-03-30 09:10", verdict: breached}
      - {at: "2026-03-30 09:15", mails: {owner: 1}}
      - {at: "2026-03-31 08:00", mails: {owner: 1}}  # digest: still open
      - {at: "2026-03-31 09:00", verdict: met, journal: ["retract:breach", "end:met"]}
"""  # noqa: E501
Load = Callable[..., list[Run]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Cases from the text of a file, with the shipped rule book or another."""

    def make(text: str, rules: Path = RULES) -> list[Run]:
        path = tmp_path / "a.yaml"
        path.write_text(text, encoding="utf-8")
        return rule_runs.load([path], rules, NETWORK)

    return make


def said(runs: list[Run]) -> list[str]:
    """What fails: field and message."""
    return [
        f"{problem.path.rpartition('.')[2]}: {problem.message}"
        for run in runs
        for problem in run.fails()
    ]


def shipped() -> list[Run]:
    return rule_runs.load(rule_runs.files((), RULES), RULES, NETWORK)


def test_every_rule_we_ship_has_tests_and_they_pass() -> None:
    runs = shipped()
    assert rule_runs.untested(runs) == []
    assert [str(problem) for run in runs for problem in run.fails()] == []


def test_no_mutant_of_the_shipped_book_survives() -> None:
    count, survivors = rule_runs.survivors(shipped())
    assert [str(survivor) for survivor in survivors] == []
    assert count > 150


@pytest.mark.parametrize(
    ("name", "survives"),
    [
        ("released a second later counts from the next morning", "clock.cut_off: 15:00 -> 15:15"),
        ("while we hold it, no time is counted", "clock.pause: left out"),
        ("shipping is an answer", "clock.stop[2]: asn.received left out"),
        ("a partner that is not live is not measured", "not_measured[0]: left out"),
    ],
)
def test_without_its_case_a_mutant_survives(name: str, survives: str) -> None:
    rule = "po.unacknowledged"
    runs = [r for r in shipped() if r.rule == rule and r.suite.body.cases[r.number].name != name]
    _, survivors = rule_runs.survivors(runs)
    assert any(str(survivor).endswith(f"{survives}, and no test fails") for survivor in survivors)


def test_holidays_breaks_and_settle_are_mutated_too() -> None:
    runs = [run for run in shipped() if run.rule == "po.unacknowledged"]
    names = {"a refusal is an answer"}
    few = [run for run in runs if run.suite.body.cases[run.number].name in names]
    told = [str(survivor) for survivor in rule_runs.survivors(few)[1]]
    for what in (
        "holidays left out",
        "breaks left out",
        "settle: left out",
        "within: 4bh -> 4.25bh",
    ):
        assert any(what in line for line in told), what
    assert all(line.startswith("sla_rules.yaml:") for line in told)


def test_the_story_of_the_design_passes(load: Load) -> None:
    assert said(load(HOURS + STORY)) == []


@pytest.mark.parametrize(
    ("line", "other", "message"),
    [
        ('09:09", verdict: at_risk', '09:10", verdict: at_risk',
         "verdict: verdict is breached, expected at_risk"),
        ('09:10", verdict: breached}', '09:10"}',
         "at: breach at 2026-03-30 09:10:00, which no line expects"),
        ("mails: {owner: 1}}\n", "}\n", "mails: mails went to owner 1, expected nobody"),
        ("mails: {owner: 1}}\n", "mails: {owner: 2}}\n",
         "mails: mails went to owner 1, expected owner 2"),
        ('"retract:breach", "end:met"', '"end:met"',
         "journal: journal is [retract:breach, end:met], expected [end:met]"),
        ("verdict: met,", "verdict: met_late,", "verdict: verdict is met, expected met_late"),
    ],
)  # fmt: skip
def test_what_goes_otherwise_is_told(load: Load, line: str, other: str, message: str) -> None:
    assert line in STORY
    assert message in said(load(HOURS + STORY.replace(line, other, 1)))


def test_a_failure_has_the_place_of_its_line(load: Load) -> None:
    text = HOURS + STORY.replace("verdict: at_risk", "verdict: met")
    [problem] = load(text)[0].fails()
    line = text.splitlines()[(problem.line or 0) - 1]
    assert line[(problem.col or 0) - 1 :].startswith("met}")


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("event: po.released", "event: po.relesed", '"po.relesed" is an unknown event'),
        ('at: "2026-03-27 14:00"', 'at: "2026-03-27"', '"2026-03-27" is not an instant'),
        ("verdict: at_risk", "verdict: late", '"late" is not a verdict'),
        ("po.type: standard", "po.typ: standard", '"po.typ" is nothing that a rule can ask about'),
        ('09:10", verdict', '07:10", verdict', "comes before the line above"),
        ("event: po.released", "do: take, event: po.released", "either an event happens or"),
        ("event: po.released", "event: po.released, says: {po_line.answer: x}",
         "po.released does not state po_line.answer"),
        ("rule: po.unacknowledged, ", "", "no rule is named"),
        ("    expect:", "    expects:", "is not known here"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_told_with_its_place(
    load: Load, right: str, wrong: str, message: str
) -> None:
    assert right in STORY
    with pytest.raises(ConfigError) as caught:
        load(HOURS + STORY.replace(right, wrong, 1))
    assert any(message in problem.message and problem.line for problem in caught.value.problems)


def test_an_unknown_rule_and_calendar_fail_their_cases(load: Load) -> None:
    told = [problem.message for problem in load(STORY.replace("po.unack", "po.un"))[0].fails()]
    assert told == ['"po.unnowledged" is not in the rule book']
    told = [p.message for p in load(STORY.replace("calendar: hq", "calendar: moon"))[0].fails()]
    assert told == ['"moon" is not a calendar']


def test_a_missing_rule_book_is_named(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"other\.yaml is neither in the folder"):
        load("rules: [other.yaml]\n" + STORY)


def test_mutants_of_any_field_that_may_be_left_out(load: Load, tmp_path: Path) -> None:
    """A rule with no word to spare has few mutants; each more word has its own."""
    body = """
version: 1
rules:
  - id: po.quick
    kind: deadline
    category: ACK_OVERDUE
    about: po
    clock: {start: po.released, stop: po.acknowledged}
    due: {otherwise: 4h}
    levels: {breach: {severity: low}}
"""
    book = load_rulebook(body)
    path = tmp_path / "book.yaml"
    path.write_text(body, encoding="utf-8")
    assert book.rule("po.quick") is not None
    text = """
rules: [book.yaml]
calendars: {hq: {zone: UTC, open: {daily: ["00:00-24:00"]}}}
given: {rule: po.quick}
cases:
  - name: late
    events: [{at: "2026-03-30 08:00", event: po.released}]
    expect:
      - {at: "2026-03-30 11:59", verdict: pending}
      - {at: "2026-03-30 12:00", verdict: breached}
"""
    count, survivors = rule_runs.survivors(load(text))
    found = {s.path.rpartition("po.quick].")[2] for s in survivors}
    assert found == {"clock.stop[0]", "levels.breach"}
    assert count == 7
