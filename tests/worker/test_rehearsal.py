"""A rule test says what the worker does: its journal and mails, written down, pass as a test."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from db.tables import outbox, transition
from tests.worker.conftest import BERLIN, NETWORK, House
from tower.network import load_network
from tower.rulebook import RuleBook, load_rulebook
from tower.timeline import RECALCULATED
from worker import rule_runs

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = {"anna": "owner", "ben": "owner", "it_integration": "owner"}


def local(at: datetime) -> str:
    return at.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S.%f")


def written_down(house: House, rule: str, events: list[tuple[str, str, str]], subject: str) -> str:
    """What the worker did about one rule, as a file of rule tests."""
    t, o = transition.c, outbox.c
    lines: dict[datetime, tuple[list[str], dict[str, int]]] = {}
    for row in house.rows(select(transition).where(t.rule == rule).order_by(t.detected_at, t.n)):
        if row.name != RECALCULATED:  # sums up entries; rule tests do not list it
            lines.setdefault(row.detected_at, ([], {}))[0].append(row.name)
    ours = {case.id for case in house.cases() if case.rule == rule}
    for mail in house.rows(select(outbox).order_by(o.id)):
        if ours & set(mail.cases):
            who = PEOPLE.get(mail.recipient, mail.recipient)
            mails = lines.setdefault(mail.created_at, ([], {}))[1]
            mails[who] = mails.get(who, 0) + 1
    told = "\n".join(
        f'      - {{at: "{at}", arrives: "{arrives}", event: {event}}}'
        for at, arrives, event in events
    )
    expected = "\n".join(
        f'      - {{at: "{local(at)}", journal: {str(names).replace(chr(39), chr(34))}, '
        f"mails: {{{', '.join(f'{who}: {n}' for who, n in mails.items())}}}}}"
        for at, (names, mails) in sorted(lines.items())
    )
    return f"""
calendars:
  hq: {{zone: Europe/Berlin, open: {{mon-fri: ["08:00-12:00", "13:00-17:00"]}}}}
given: {{rule: {rule}, subject: {subject}}}
cases:
  - name: as it was
    events:
{told}
    expect:
{expected}
"""


STORIES = {
    "in time, told a day later": [
        ("po.released", "03-27 14:00", "03-27 14:00"),
        ("po.acknowledged", "03-30 08:30", "03-31 09:00"),
    ],
    "never": [("po.released", "03-27 14:00", "03-27 14:00")],
    "late, then again": [
        ("po.released", "03-27 14:00", "03-27 14:00"),
        ("po.acknowledged", "03-30 11:00", "03-30 11:20"),
        ("po.released", "03-30 11:30", "03-30 11:30"),
    ],
    "found late": [("po.released", "03-27 14:00", "03-31 08:55")],
    "held": [
        ("po.released", "03-27 14:00", "03-27 14:00"),
        ("po.held", "03-27 15:00", "03-30 16:00"),
        ("po.unheld", "03-31 08:00", "03-31 08:00"),
    ],
    "refused": [
        ("po.released", "03-27 14:00", "03-27 14:00"),
        ("po.rejected", "03-27 15:00", "03-27 15:00"),
        ("po.acknowledged", "04-01 15:00", "04-01 15:00"),
    ],
}


@pytest.mark.parametrize("name", STORIES)
def test_a_rehearsal_says_what_the_worker_did(
    engine: Engine, shipped_rules: RuleBook, tmp_path: Path, name: str
) -> None:
    story = STORIES[name]
    one_zone = NETWORK.replace("Europe/London", "Europe/Berlin")  # rule tests know no other
    house = House(engine, load_network(one_zone, "network.yaml"), shipped_rules)
    for event, at, arrives in story:
        house.tell(event, {"po": "4711", "erp": "main", "supplier": "ACME"}, at, arrives=arrives)
    house.live("04-03 12:00")
    events = [(f"2026-{at}", f"2026-{arrives}", event) for event, at, arrives in story]
    subject = "{supplier.tier: A, supplier.acknowledges: true}"
    seen = 0
    for rule in ("po.unacknowledged", "po.rejected"):
        text = written_down(house, rule, events, subject)
        if "journal" not in text:
            continue
        seen += text.count("mails: {owner")
        path = tmp_path / f"{rule}.yaml"
        path.write_text(text, encoding="utf-8")
        [run] = rule_runs.load([path], ROOT / "sla_rules.yaml", ROOT / "network.yaml")
        assert [str(problem) for problem in run.fails()] == []
    assert seen


def test_a_rehearsal_reminds_and_escalates_as_the_worker_does(
    engine: Engine, shipped_text: str, tmp_path: Path
) -> None:
    words = '    digest: "08:00"\n'
    changed = shipped_text.replace(
        words, f"{words}    repeat: 3bh\n    escalate: [{{after: 5bh, to: purchasing_lead}}]\n", 1
    )
    rules = tmp_path / "sla_rules.yaml"
    rules.write_text(changed, encoding="utf-8")
    house = House(engine, load_network(NETWORK, "network.yaml"), load_rulebook(changed))
    house.tell("po.released", {"po": "4711", "erp": "main", "supplier": "ACME"}, "03-27 14:00")
    house.live("04-01 12:00")
    assert {m.reason for m in house.mails()} >= {"reminder", "escalated"}
    events = [("2026-03-27 14:00", "2026-03-27 14:00", "po.released")]
    subject = "{supplier.tier: A, supplier.acknowledges: true}"
    path = tmp_path / "story.yaml"
    path.write_text(written_down(house, "po.unacknowledged", events, subject), encoding="utf-8")
    [run] = rule_runs.load([path], rules, ROOT / "network.yaml")
    assert [str(problem) for problem in run.fails()] == []
