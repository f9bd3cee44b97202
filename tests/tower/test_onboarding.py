"""Partners come in by configuration: the block, its place in the file, and the checklist."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tower.errors import ConfigError
from tower.network import Network, load_network
from tower.onboarding import TEMPLATES, Evidence, Item, Seen, checklist, gln_fits, ready
from tower.partner_block import NewPartner, block, insert

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "network.yaml").read_text(encoding="utf-8")
AT = datetime(2026, 3, 27, 14, tzinfo=UTC)

NEW = NewPartner(
    key="NEWCO",
    name="Newco & Söhne: Ltd",
    isa=("ZZ:NEWCO",),
    gln="4000001000005",
    erp_vendor={"main": "17300044"},
    per_minute=60,
    contacts={"ack": "edi@newco.example", "buyer": "kim"},
)


# --- the block in the file ----------------------------------------------------------------------


def test_a_partner_is_added_and_every_other_line_stays() -> None:
    after = insert(EXAMPLE, NEW, "network.yaml")
    net = load_network(after, "network.yaml")
    assert net.partners["NEWCO"].stage == "onboarding"
    assert net.partners["NEWCO"].name == "Newco & Söhne: Ltd"
    assert net.partners["NEWCO"].limits.per_minute == 60
    assert net.partners["NEWCO"].feeds == ["edi"], "the one feed that brings X12"
    assert net.partner_by_any("ZZ:NEWCO") == net.partner_by_any("17300044") == "NEWCO"
    rows = after.splitlines()
    begin = rows.index("  NEWCO:")
    end = begin + len(block(NEW, load_network(EXAMPLE, "n")))
    assert rows[:begin] + rows[end:] == EXAMPLE.splitlines()
    assert rows[end:][0] == "", "what stands above the next section stays with it"
    assert rows[end:][1].startswith("warehouses:")


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_gives_a_block_that_loads_and_says_what_it_asks(template: str) -> None:
    new = NewPartner(key="P-1", name="null", template=template, stage="live", sends_asn=False)
    after = insert(EXAMPLE, new, "network.yaml")
    partner = load_network(after, "network.yaml").partners["P-1"]
    assert (partner.template, partner.stage, partner.name) == (template, "live", "null")
    asked = [e.label for e in TEMPLATES[template] if not e.optional]
    assert ", ".join(asked) in after


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("\n", "\r\n"),
        ("# Working hours.", "  # a partner that left\n# Working hours."),
    ],
)
def test_forms_of_files_are_kept(old: str, new: str) -> None:
    text = EXAMPLE.replace(old, new) if old else EXAMPLE
    after = insert(text, NEW, "network.yaml")
    assert after.count("\r\n") == (after.count("\n") if new == "\r\n" else 0)
    assert "NEWCO" in load_network(after, "n").partners


def _with_partners(section: str) -> str:
    begin = EXAMPLE.index("# Suppliers. An identifier")
    end = EXAMPLE.index("warehouses:")
    return EXAMPLE[:begin] + section + EXAMPLE[end:]


@pytest.mark.parametrize(
    "section",
    ["", "partners: {}\n\n", "partners:   {}   # none yet\n",
     "partners:\n    ONE: {name: One}\n    # indented four\n\n"],
)  # fmt: skip
def test_a_file_without_partners_or_with_another_indent_takes_one(section: str) -> None:
    text = _with_partners(section)
    before = load_network(text, "n")
    after = load_network(insert(text, NEW, "n"), "n")
    assert set(after.partners) == {*before.partners, "NEWCO"}
    assert after.sources == before.sources


def test_the_section_may_stand_last_in_the_file() -> None:
    begin, end = EXAMPLE.index("partners:"), EXAMPLE.index("warehouses:")
    text = EXAMPLE[:begin] + EXAMPLE[end:] + EXAMPLE[begin:end].rstrip() + "\n# the end\n"
    after = insert(text, NEW, "n")
    assert set(load_network(after, "n").partners) == {"ACME", "BOLT", "ORCHARD", "NEWCO"}


def test_what_would_make_the_file_wrong_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match="already belongs to ACME") as caught:
        insert(EXAMPLE, NewPartner(key="X", name="X", isa=("01:123456789",)), "network.yaml")
    assert caught.value.problems[0].line
    with pytest.raises(ConfigError, match=r"partners.ACME: is there already"):
        insert(EXAMPLE, NewPartner(key="ACME", name="A"), "network.yaml")
    with pytest.raises(ConfigError, match='"nowhere" is not in sources'):
        insert(EXAMPLE, NewPartner(key="X", name="X", feeds=("nowhere",)), "network.yaml")
    braces = _with_partners("partners: {ONE: {name: One}}\n")
    with pytest.raises(ConfigError, match="put the block in by hand"):
        insert(braces, NEW, "n")


@settings(deadline=None, max_examples=40)
@example(name="Acme\x85Ltd\u2028", number="1")  # line ends of YAML, not of Python
@given(
    name=st.text(min_size=1, max_size=40).filter(str.strip),
    number=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1),
)
def test_no_text_of_a_partner_breaks_the_file(name: str, number: str) -> None:
    new = NewPartner(key="X", name=name, erp_vendor={"main": number})
    try:
        after = insert(EXAMPLE, new, "n")
    except ConfigError:
        return  # a sign that YAML does not take: refused, nothing written
    partner = load_network(after, "n").partners["X"]
    assert (partner.name, partner.ids.erp_vendor["main"]) == (name, number)


# --- the checklist ------------------------------------------------------------------------------


def _net(**changes: object) -> Network:
    net = load_network(EXAMPLE, "network.yaml")
    acme = net.partners["ACME"].model_copy(update=changes)
    return net.model_copy(update={"partners": {**net.partners, "ACME": acme}})


def _check(net: Network, seen: Evidence) -> dict[str, Item]:
    return {item.name: item for item in checklist("ACME", net.partners["ACME"], net, seen)}


ALL = Evidence(
    feeds={"edi": ("up", AT)},
    events={
        ("po.released", "edi"): Seen(2, AT, AT),
        ("fa.received", "edi"): Seen(1, AT, AT),
        ("po.acknowledged", "edi"): Seen(1, AT, AT),
        ("asn.received", "edi"): Seen(1, AT, AT),
    },
)


def test_nothing_seen_is_open_with_what_to_do() -> None:
    found = _check(_net(), Evidence())
    states = {name: item.state for name, item in found.items()}
    assert states == {
        "identifiers": "done",
        "connection": "open",
        "order": "open",
        "receipt_in": "open",
        "answer": "open",
        "receipt_out": "not_asked",
        "asn": "open",
        "invoice": "not_asked",
        "codes": "done",
        "dead_letters": "done",
        "sign_off": "open",
    }
    assert all(item.next_step for item in found.values() if item.state == "open")


def test_everything_seen_and_signed_off_is_ready() -> None:
    net = _net(signed_off="kim 2026-03-27")
    found = checklist("ACME", net.partners["ACME"], net, ALL)
    assert [item.label for item in found if item.state == "open"] == []
    assert ready(found)
    assert not ready(checklist("ACME", net.partners["ACME"], net, Evidence()))


def test_an_answer_from_elsewhere_does_not_prove_the_edi_connection() -> None:
    events = dict(ALL.events)
    events["po.acknowledged", "supplier_files"] = events.pop(("po.acknowledged", "edi"))
    assert _check(_net(), Evidence(ALL.feeds, events))["answer"].state == "open"


def test_what_the_profile_does_not_ask_for_is_not_missed() -> None:
    net = _net(sends_asn=False, expects_fa=False, acknowledges=False)
    found = _check(net, Evidence())
    assert {found[n].state for n in ("asn", "receipt_in", "answer")} == {"not_asked"}


@pytest.mark.parametrize(
    ("seen", "item", "said"),
    [
        (Evidence(feeds={"edi": ("down", AT)}), "connection", "feed edi is down"),
        (Evidence(unknown_codes={"ZZ": 3}), "codes", "ZZ (3)"),
        (Evidence(dead_letters=2, newest_cause="no ISA"), "dead_letters", "no ISA"),
        (Evidence(nameless=1), "dead_letters", "before its profile had it"),
    ],
)
def test_what_is_wrong_is_told(seen: Evidence, item: str, said: str) -> None:
    found = _check(_net(), seen)[item]
    assert found.state == "wrong"
    assert said in found.what
    assert found.next_step


def test_a_mistyped_gln_is_seen() -> None:
    assert gln_fits("4000001000005")
    assert not gln_fits("4000001000006")
    assert not gln_fits("400000100000")
    ids = _net().partners["ACME"].ids.model_copy(update={"gln": "4000001000006"})
    assert _check(_net(ids=ids), ALL)["identifiers"].state == "wrong"
