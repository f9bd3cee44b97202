"""network.yaml: the example works, every mistake is found and told with its place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tower.errors import ConfigError
from tower.network import Network, Source, load_network

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "network.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def example() -> Network:
    return load_network(EXAMPLE, "network.yaml")


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_network(text, "network.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_the_example_is_a_whole_network(example: Network) -> None:
    assert set(example.partners) == {"ACME", "BOLT", "ORCHARD"}
    assert set(example.calendars) == {"hq", "us-east", "uk"}
    assert set(example.owners) == set("BDSIWPCT")
    assert {source.kind for source in example.sources.values()} == {"drop_folder", "push"}
    assert example.sources["edi"].every == timedelta(seconds=15)


@pytest.mark.parametrize(
    ("wrote", "writes", "said"),
    [
        ("system: edi\n", "system: edj\n", '35:13  sources.edi.system: "edj" is not in systems'),
        ("format: x12", "format: json", "sources.edi: format json needs a mapping"),
        ("silent_after: 4h", "silent_after: 10s", "is not longer than every"),
        ("path: inbox/edi ", "pth: inbox/edi ", "sources.edi.options.pth: is not known here"),
        ("ready: stable", "ready: steady", 'sources.edi.options.ready: "steady" is not a known'),
        ("mapping: warehouse_receipts", "mapping: supplier_answers", "is for csv, the source"),
        ("mapping: supplier_answers ", "mapping: answers ", '"answers" is not in mappings'),
        ("buyer: kim", "buyer: kin", 'partners.ACME.contacts.buyer: "kin" is not in people'),
        ("calendar: uk\n", "calendar: ukk\n", 'partners.BOLT.calendar: "ukk" is not in calendars'),
        ("feeds: [edi] ", "feeds: [edx] ", 'partners.ACME.feeds[0]: "edx" is not in sources'),
        ('main: "17300002"', 'main: "17300001"', '"17300001" already belongs to ACME'),
        ('"12:442071234567"', '"01:123456789"', '"01:123456789" already belongs to ACME'),
        ('"12:442071234567"', '"ZZ:NORTHGATE"', '"ZZ:NORTHGATE" already belongs to company'),
        ('"12:442071234567"', '"442071234567"', "is not an ISA identifier"),
        ("  T: it_int", "  Z: it_int", "owners.Z: is not a letter of the category table"),
        ("  T: it_int", "  Z: it_int", "nobody is named for T (tower operator)"),
        ("  price: erp", "  price: tms", "no system of kind tms is described"),
        ("  price: erp", "  prise: erp", '"prise" is no field that can have an owner'),
        ("  price: erp", "  po_lin: {price: erp}", '"po_lin" is no kind of line'),
        ("  price: erp", "  po_line: {promised_date: erp}", "is no field that can have an owner"),
        ("calendar: hq\n  currency", "calendar: hp\n  currency", '"hp" is not in calendars'),
        ("mail: kim@northgate.example", "mail: kim at home", "people.kim.mail"),
        ("zone: Europe/London\n    calendar", "zone: Europe/Londn\n    calendar", "time zone"),
        ("event: receipt.posted", "event: receipt.postd", "write receipt.posted"),
        ("receipt: receiptNumber", "recipt: receiptNumber", "write receipt"),
    ],
)
def test_each_mistake_is_told_with_its_place(wrote: str, writes: str, said: str) -> None:
    assert wrote in EXAMPLE
    found = mistakes(EXAMPLE.replace(wrote, writes, 1))
    text = "\n".join(found)
    assert said in text
    for problem in found:
        assert problem.startswith("network.yaml:")
        line, col = problem.split("  ")[0].split(":")[1:3]
        assert int(line) > 1
        assert int(col) >= 1
        assert "next: " in problem


def test_all_mistakes_are_told_at_once() -> None:
    text = EXAMPLE.replace("buyer: kim", "buyer: kin").replace("  T: it_int", "  Z: it_int")
    assert len(mistakes(text)) == 3


def test_a_secret_in_an_address_and_a_variable_of_our_own_are_refused() -> None:
    text = EXAMPLE.replace(
        "  warehouse:                    #",
        "  poll:\n"
        "    kind: rest\n"
        "    format: json\n"
        "    system: erp\n"
        "    mapping: warehouse_receipts\n"
        "    options: {url: 'https://me:pw@erp.example/x', auth_variable: TOWER_TOKEN}\n"
        "  warehouse:                    #",
    )
    said = "\n".join(mistakes(text))
    assert "must not carry a password" in said
    assert "me:pw" not in said
    assert "names beginning with TOWER_" in said


@pytest.mark.parametrize(
    ("given", "erp", "key"),
    [
        ("ACME", "", "ACME"),
        (" ACME ", "", "ACME"),
        ("17300001", "", "ACME"),
        ("17300001", "main", "ACME"),
        ("17300001", "other", None),
        ("01:123456789", "", "ACME"),
        ("123456789", "", "ACME"),
        ("nobody", "", None),
        ("", "", None),
    ],
)
def test_a_partner_is_found_by_whatever_it_is_called(
    example: Network, given: str, erp: str, key: str | None
) -> None:
    assert example.partner_by_any(given, erp) == key


def test_an_isa_id_that_two_partners_share_under_other_qualifiers_needs_its_qualifier() -> None:
    network = load_network(EXAMPLE.replace('"12:442071234567"', '"12:123456789"'), "network.yaml")
    assert network.partner_by_any("123456789") is None
    assert network.partner_by_any("12:123456789") == "BOLT"
    assert network.partner_by_isa("12", "123456789      ") == "BOLT"


def test_a_partners_own_mapping_comes_first(example: Network) -> None:
    source = example.sources["supplier_files"]
    found = example.mapping_for(source, "ORCHARD")
    assert found is not None
    assert found[0] == "supplier_answers"
    own = EXAMPLE.replace(
        "    sends_asn: false\n", "    sends_asn: false\n    mapping: orchard\n"
    ).replace(
        "mappings:\n",
        "mappings:\n  orchard:\n    format: csv\n    emit: [{event: po.acknowledged}]\n",
    )
    network = load_network(own, "network.yaml")
    found = network.mapping_for(network.sources["supplier_files"], "ORCHARD")
    assert found is not None
    assert found[0] == "orchard"
    # A mapping for another format is none for this source.
    assert network.mapping_for(network.sources["edi"], "ORCHARD") is None


def test_sizes_and_times_are_written_with_their_unit() -> None:
    source = Source(
        kind="drop_folder",
        format="x12",
        system="edi",
        every="90s",  # type: ignore[arg-type]  # as the file says it
        options={"path": "in", "max_bytes": "20MB", "stable_for": "1m"},
    )
    assert source.every == timedelta(seconds=90)
    feed = source.feed.model_dump()
    assert feed["max_bytes"] == 20_000_000
    assert feed["stable_for"] == timedelta(minutes=1)
    with pytest.raises(ValueError, match="is not a clock time"):
        Source(kind="push", format="x12", system="edi", every="1d")  # type: ignore[arg-type]
