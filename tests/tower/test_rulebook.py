"""The rule book: the shipped one is sound, each mistake says where it is and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import jsonschema
import pytest

from tower.categories import CATEGORIES, OWNERS, Severity
from tower.errors import ConfigError
from tower.lint import lint
from tower.network import load_network
from tower.rule_schema import SCHEMA_PATH, rule_schema, schema_text
from tower.rulebook import (
    KINDS,
    DeadlineRule,
    Rule,
    RuleBook,
    judging_hash,
    load_rulebook,
    render_title,
    title_of,
)
from tower.strict_yaml import load
from tower.vocabulary import EVENT_TYPES

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "sla_rules.yaml").read_text(encoding="utf-8")

HEAD = """\
version: 1
notify:
  desk: {fallback: lead, group_by: [recipient], wait: 1m, every: 5m, digest: "08:00"}
rules:
- id: po.late
  kind: deadline
  category: ACK_OVERDUE
  title: "PO {po.number}"
  about: po
  clock: {start: po.released, stop: po.acknowledged}
  due: {otherwise: 4bh}
  levels:
    warn: {at: 75%, severity: low}
    breach: {severity: medium, notify: desk}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_rulebook(text, "r.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_the_shipped_rule_book_fits_the_shipped_network_without_a_finding() -> None:
    book = load_rulebook(SHIPPED)
    network = load_network((ROOT / "network.yaml").read_text(encoding="utf-8"), "network.yaml")
    assert [str(finding) for finding in lint(book, network)] == []
    assert {rule.id for rule in book.rules} >= {
        "po.unacknowledged",
        "fa.overdue",
        "asn.failed",
        "asn.missing",
        "po.answer_not_applied",
        "source.silent",
    }


def test_the_small_book_of_these_tests_is_sound() -> None:
    assert load_rulebook(HEAD).rules[0].id == "po.late"


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "advice"),
    [
        ("4bh", "4 hours", "11:20", '"4 hours" is not a duration', "4bh (open hours)"),
        ("4bh", "1d", "11:20", '"1d" is not a duration', "1bd"),
        ("4bh", "4", "11:20", "4 is not a duration", "4bh"),
        ("75%", "100%", "13:16", "is not between 0% and 100%", "breach"),
        ("75%", "+8bh", "13:16", "a warning comes before due", "-8bh"),
        ("po.released", "po.relased", "10:18", '"po.relased" is an unknown event', "po.released"),
        ("ACK_OVERDUE", "ACK_OVERDU", "7:13", "is not a category", "ACK_OVERDUE"),
        ("kind: deadline", "kind: trend", "6:9", "kind trend is not known to this", "deadline"),
        ("kind: deadline", "kind: dedline", "6:9", "kind dedline is not known", "deadline"),
        ("about: po\n", "about: shipment\n", "9:10", '"shipment" is not a known word', "'asn'"),
        ("medium", "bad", "14:24", '"bad" is not a known word', "'critical'"),
        ("notify: desk", "notify: dsk", "14:40", '"dsk" is not a policy', "desk"),
        ("  title:", "  titel:", "8:3", "is not known here", "misspelling"),
        ("{po.number}", "{po.nubmer}", "8:10", "{po.nubmer} is not known", "po.number"),
        ("{po.number}", "{supplier.name", "8:10", "a brace is left over", "write"),
        ("id: po.late", "id: Late", "5:7", "is not written as expected", "match"),
        ("stop: po.ack", "stopp: po.ack", "10:31", "is not known here", "misspelling"),
        ("stop: po.acknowledged", "stop: []", "10:37", "the list is empty", "name at least"),
        ("start: po.released, ", "", "10:10", "needs either start or anchor", "start:"),
        ("stop: po.acknowledged", "stop: po.released", "10:37", "is under start too", "cannot"),
        ("  due: {otherwise: 4bh}\n", "", "5:3", "due is missing", "otherwise"),
        ("otherwise: 4bh", "targets: []", "11:8", "some subjects match no row", "otherwise"),
        ("breach:", "brach:", "5:3", "levels lack breach", "write breach"),
        ("version: 1", "version: 2", "1:10", "2 is not a known word", "1"),
        ('digest: "08:00"', "digest: 8", "3:78", '"8" is not a time of day', "15:00"),
        (', digest: "08:00"', "", "3:9", "digest that has no time", "08:00"),
        ("wait: 1m", "wait: 1bd", "3:55", '"1bd" cannot be used here', "4h"),
        ("warn:", "held:", "13:11", '"held" cannot name a level', "another"),
    ],
)
def test_a_mistake_is_reported_at_its_line_and_column(
    old: str, new: str, place: str, message: str, advice: str
) -> None:
    text = HEAD.replace(old, new)
    assert text != HEAD
    found = problems(text)
    [problem] = [line for line in found if message in line]
    assert problem.startswith(f"r.yaml:{place}  ")
    assert advice in problem.partition("next: ")[2]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("{when: {po.type: rush}, within: 1h}, {when: {po.type: rush}, within: 2h}", "targets[1]"),
        (
            "{when: {supplier.tier: [A, B]}, within: 1h}, "
            "{when: {supplier.tier: A, po.type: rush}, within: 2h}",
            "row 1 matches all of it",
        ),
        ("{within: 1h}, {when: {po.type: rush}, within: 2h}", "targets[1]: is never reached"),
        ("{within: 1h}", "otherwise: is never reached"),
        ("{when: {po.tier: A}, within: 1h}", '"po.tier" is not known here'),
        ("{when: {asn.number: A}, within: 1h}", '"asn.number" is not known here'),
    ],
)
def test_rows_nobody_reaches_and_questions_nobody_can_answer_are_refused(
    rows: str, message: str
) -> None:
    assert any(
        message in line
        for line in problems(HEAD.replace("otherwise", f"targets: [{rows}], otherwise"))
    )


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_the_file() -> None:
    text = HEAD.replace("4bh", "4 hours").replace("75%", "120%").replace("wait: 1m", "wait: soon")
    assert [line.split(":")[1] for line in problems(text)] == ["3", "11", "13"]


def test_two_rules_with_one_id_and_rules_that_silence_each_other_are_refused() -> None:
    rule = HEAD.partition("rules:\n")[2]
    twice = problems(HEAD + rule)
    assert any("rule 1 has this id too" in line for line in twice)
    circle = (HEAD + rule.replace("po.late", "po.later")).replace(
        "  due:", "  inhibited_by: [{rule: po.later, same: [partner]}]\n  due:", 1
    )
    load_rulebook(circle)
    back = "inhibited_by: [{rule: po.late, same: [partner]}]\n"
    first, second = circle.split("- id: po.later")
    closed = first + "- id: po.later\n  " + back + second.lstrip("\n")
    assert sum("silence each other" in line for line in problems(closed)) == 2


def test_names_that_the_network_does_not_know_are_found() -> None:
    network = load_network((ROOT / "network.yaml").read_text(encoding="utf-8"), "network.yaml")
    text = HEAD.replace("  due:", "  calendar: hg\n  evidence: [edi, portl]\n  due:")
    found = [str(f) for f in lint(load_rulebook(text, "r.yaml"), network)]
    assert len(found) == 3
    assert '"lead" is nobody in the network' in found[0]
    assert (
        'calendar: "hg" is not a calendar of the network\n    next: known calendars: hq,'
        in found[1]
    )
    assert 'evidence[1]: "portl" is no source or system' in found[2]


def test_a_rule_that_tells_nobody_or_has_no_evidence_is_a_warning_not_an_error() -> None:
    book = load_rulebook(HEAD.replace(", notify: desk", ""))
    found = lint(book)
    assert {f.severity for f in found} == {"warning"}
    assert len(found) == 2
    assert str(found[0]).startswith("warning: sla_rules.yaml:5:3")


def test_only_the_judging_part_of_a_rule_moves_its_version() -> None:
    def version(text: str) -> str:
        book = load_rulebook(text)
        return judging_hash(book.rules[0], book)

    before = version(HEAD)
    for old, new in [
        ("PO {po.number}", "Order {po.number}"),
        ("severity: medium", "severity: high"),
        (", notify: desk", ""),
        ("ACK_OVERDUE", "PO_DELAYED"),
    ]:
        assert version(HEAD.replace(old, new)) == before
    for old, new in [
        ("4bh", "5bh"),
        ("75%", "80%"),
        ("stop: po.acknowledged", "stop: [po.acknowledged, po.rejected]"),
        ("  due:", "  settle: 1m\n  due:"),
        ("rules:", "not_measured: [{when: {supplier.tier: C}}]\nrules:"),
    ]:
        assert version(HEAD.replace(old, new)) != before


def test_a_title_is_one_line_and_shows_what_is_not_known() -> None:
    hostile = {"po.number": "4711\r\nBcc: all@example.com", "supplier.name": None}
    said = render_title("PO {po.number} of {supplier.name}", hostile)
    assert said == "PO 4711 Bcc: all@example.com of ?"


def test_a_rule_without_a_title_is_named_by_its_category() -> None:
    rule = load_rulebook(HEAD.replace('  title: "PO {po.number}"\n', "")).rules[0]
    assert title_of(rule, {"po.number": "7"}) == "PO not answered: 7"


def test_the_owner_is_the_rules_own_or_the_categorys() -> None:
    assert load_rulebook(HEAD).rules[0].owner_letter == "D"
    owned = HEAD.replace("  due:", "  owner: buyer\n  due:")
    assert load_rulebook(owned).rules[0].owner_letter == "B"


def test_the_schema_in_the_repository_is_that_of_the_models() -> None:
    kept = (ROOT / SCHEMA_PATH).read_text(encoding="utf-8")
    assert kept == schema_text(), "the models have changed; see tower/rule_schema.py"


def test_the_schema_is_draft_7_and_accepts_what_the_loader_accepts() -> None:
    schema = rule_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    for text in (SHIPPED, HEAD):
        data, _ = load(text, "r.yaml")
        assert list(validator.iter_errors(data)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("4bh", "4 hours"),
        ("75%", "soon"),
        ("po.released", "po.relased"),
        ("ACK_OVERDUE", "ACK_OVERDU"),
        ("kind: deadline", "kind: trend"),
        ("medium", "bad"),
        ("  title:", "  titel:"),
        ("otherwise: 4bh", "targets: [{when: {po.type: {gee: 1}}, within: 1h}], otherwise: 4bh"),
        ("version: 1", "version: 2"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(old: str, new: str) -> None:
    data, _ = load(HEAD.replace(old, new), "r.yaml")
    validator = jsonschema.Draft7Validator(rule_schema())
    assert list(validator.iter_errors(data))


def test_every_kind_of_the_language_is_a_model() -> None:
    models = {get_args(model.model_fields["kind"].annotation)[0] for model in get_args(Rule)}
    assert models == set(KINDS)
    assert len(KINDS) == 8


AGREEMENT = """\
- id: line.apart
  kind: agreement
  category: SYSTEM_STATE_MISMATCH
  about: po_line
  compare: [{a: edi.confirmed_qty, b: erp.confirmed_qty}]
  within: 30m
  evidence: erp
  levels: {breach: {severity: low, notify: desk}}
"""


@pytest.mark.parametrize(
    ("old", "new", "message", "advice"),
    [
        ("a: edi.confirmed_qty", "a: edi.colour", '"edi.colour" is no field', "confirmed_qty"),
        ("a: edi.", "a: erp.", "a and b are the same", "name two systems"),
        ("compare: [{a: edi.confirmed_qty, b: erp.confirmed_qty}]", "compare: []", "", ""),
        ("within: 30m", "within: 1bd", '"1bd" cannot be used here', "4h"),
        ("breach:", "late:", "levels lack breach", "breach:"),
        ("evidence: erp", "cancel: po.gone", '"po.gone" is an unknown event', ""),
    ],
)
def test_a_mistake_in_an_agreement_says_what_is_right(
    old: str, new: str, message: str, advice: str
) -> None:
    load_rulebook(HEAD + AGREEMENT)
    found = problems(HEAD + AGREEMENT.replace(old, new))
    assert any(message in line and advice in line for line in found)


def test_an_agreement_between_systems_that_do_not_exist_is_found() -> None:
    network = load_network((ROOT / "network.yaml").read_text(encoding="utf-8"), "network.yaml")
    book = load_rulebook(HEAD + AGREEMENT.replace("a: edi.", "a: edx."), "r.yaml")
    found = [str(f) for f in lint(book, network)]
    said = '"edx" is no system of the network\n    next: known: edi, erp'
    assert any(said in line for line in found)


RATIO = """\
- id: partner.errors
  kind: ratio
  category: PARTNER_ERRORS
  bad: message.failed
  of: message.received
  windows:
    - {over: 1h, confirm: 10m, more_than: 20%, level: breach}
    - {over: 24h, confirm: 2h, more_than: {above: supplier.max_errors, default: 5%}, level: warn}
  guard: {bad: 3, total: 10, confidence: 95%}
  levels: {warn: {severity: low}, breach: {severity: high, notify: desk}}
"""
VOLUME = """\
- id: supplier.quiet
  kind: volume
  category: VOLUME_ANOMALY
  about: supplier
  count: asn.received
  at_least: 30% of usual
  within: 2bd
  while: {supplier.open_pos: {ge: 1}}
  evidence: supplier.feeds
  levels: {breach: {severity: medium, notify: desk}}
"""
IMPACT = """\
- id: order.affected
  kind: impact
  category: ORDER_AFFECTED
  about: order_line
  walk_from: {po.late: breach}
  margin: 4h
  one_case_per: [po_line, customer]
  levels: {breach: {severity: high, notify: desk, also: po.buyer}}
"""


@pytest.mark.parametrize(
    ("body", "old", "new", "place", "message", "advice"),
    [
        (RATIO, "20%", "20", "21:43", '"20" is not a share', "write 20%"),
        (RATIO, "20%", "100%", "21:43", "is not between 0% and 100%", "write 20%"),
        (RATIO, "95%", "high", "23:42", '"high" is not a share', ""),
        (RATIO, "confirm: 10m", "confirm: 7m", "21:7", "7m is no multiple of 5m", "steps of 5m"),
        (RATIO, "confirm: 10m", "confirm: 1h", "21:7", "confirm is not shorter than over", ""),
        (RATIO, "level: warn", "level: wran", "15:3", "no window leads to level", "level: warn"),
        (RATIO, "warn: {severity", "breach2: {at: 1h, severity", "15:3", "no window leads to", ""),
        (RATIO, "supplier.max_errors", "supplier.errors", "22:51", "is not a share", "max_errors"),
        (RATIO, "message.failed", "message.fialed", "18:8", "unknown event", "message.failed"),
        (RATIO, "guard:", "settle: 5m\n  guard:", "15:3", "neither evidence nor settle", "remove"),
        (VOLUME, "30% of usual", "most", "20:13", '"most" does not say how much', "30% of usual"),
        (VOLUME, "30% of usual", "0", "20:13", '"0" does not say how much', "write 1"),
        (VOLUME, "2bd", "4h", "15:3", "is counted by business days", "within: 1bd"),
        (VOLUME, "2bd", "2d", "21:11", '"2d" is not a duration', "1bd (business day)"),
        (VOLUME, "open_pos", "open_po", "22:29", '"supplier.open_po" is not known', "open_pos"),
        (VOLUME, "about: supplier", "about: po", "18:10", '"po" is not a known word', "'supplier'"),
        (IMPACT, "po.late: breach", "po.lat: breach", "19:23", '"po.lat" is not a rule', "po.late"),
        (IMPACT, "po.late: breach", "po.late: burst", "19:24", '"burst" is no level', "breach"),
        (IMPACT, "breach: {severity", "warn: {severity", "15:3", "levels lack breach", ""),
        (IMPACT, "[po_line, customer]", "[customer]", "15:3", "one purchase order line", "po_line"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_counting_or_walking_rule_says_where_and_what_is_right(
    body: str, old: str, new: str, place: str, message: str, advice: str
) -> None:
    load_rulebook(HEAD + body)
    found = problems(HEAD + body.replace(old, new))
    assert any(f":{place} " in line and message in line and advice in line for line in found), found


def test_what_was_agreed_with_a_supplier_leaves_the_rows_below_it_reachable() -> None:
    agreed = "targets: [{within: supplier.answer_within}, {when: {supplier.tier: A}, within: 1h}], "
    text = HEAD.replace("otherwise: 4bh", agreed + "otherwise: 4bh")
    assert load_rulebook(text).rules
    without = HEAD.replace("otherwise: 4bh", "targets: [{within: supplier.answer_within}]")
    assert any("some subjects match no row" in line for line in problems(without))


def test_every_category_has_an_owner_and_words() -> None:
    assert len(CATEGORIES) == 42
    assert all(c.owner in OWNERS and c.meaning and c.heals for c in CATEGORIES.values())
    assert CATEGORIES["ACK_OVERDUE"].words == "ack overdue"


def test_a_severity_is_raised_to_critical_at_most() -> None:
    assert Severity.LOW.raised(1) is Severity.MEDIUM
    assert Severity.HIGH.raised(3) is Severity.CRITICAL


def test_every_event_a_shipped_rule_listens_to_exists() -> None:
    book: RuleBook = load_rulebook(SHIPPED)
    for rule in book.rules:
        if isinstance(rule, DeadlineRule):
            assert set(rule.clock.stop) <= EVENT_TYPES.keys()
