"""Evidence words: which sources could have brought what is missing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tower.evidence import evidence_words, resolve
from tower.network import Network, load_network

EXAMPLE = Path(__file__).resolve().parents[2] / "network.yaml"


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network(EXAMPLE.read_text(encoding="utf-8"), "network.yaml")


@pytest.mark.parametrize(
    ("words", "partner", "sources"),
    [
        (("supplier.feeds",), "ACME", ["edi"]),
        (("supplier.feeds",), "ORCHARD", ["supplier_files"]),
        (("supplier.feeds",), None, []),
        (("supplier.feeds", "warehouse"), "ACME", ["edi", "warehouse"]),
        (("erp",), "ACME", ["events"]),
        (("suppliers",), None, ["manual", "portal-form", "supplier_files"]),
        (("supplier",), None, ["manual", "portal-form", "supplier_files"]),
        (("nothing",), "ACME", []),
    ],
)
def test_a_word_names_a_source_a_system_a_kind_of_system_or_the_suppliers_feeds(
    network: Network, words: tuple[str, ...], partner: str | None, sources: list[str]
) -> None:
    assert [evidence.source for evidence in resolve(words, network, partner)] == sources


def test_a_source_that_is_read_is_trusted_for_twice_its_rhythm_a_pushing_one_until_silent(
    network: Network,
) -> None:
    edi, events = resolve(("edi", "events"), network, None)
    assert (edi.tolerance, edi.pull) == (timedelta(seconds=30), True)
    assert (events.tolerance, events.pull) == (timedelta(hours=24), False)


def test_all_words_are_listed_for_lint(network: Network) -> None:
    assert {"supplier.feeds", "edi", "suppliers", "erp", "wms"} <= evidence_words(network)
