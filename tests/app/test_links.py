"""Addresses: what goes in comes out, and what nobody understands means the default."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any, get_args
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import links
from app.links import (
    AccessLink,
    AuditLink,
    CaseLink,
    DeadLettersLink,
    ExceptionsLink,
    FiguresLink,
    Filtered,
    FulfilmentLink,
    HealthLink,
    IntegrationsLink,
    Link,
    MailboxLink,
    OrdersAtRiskLink,
    OverviewLink,
    PortalLink,
    PurchaseOrdersLink,
    QueuesLink,
    ReconciliationLink,
    ReplaysLink,
    RulesLink,
    SupplierLink,
    SuppliersLink,
    TraceLink,
    UnmatchedLink,
)
from app.pages import PAGES

ALL: tuple[type[Link], ...] = (
    OverviewLink,
    PortalLink,
    SuppliersLink,
    SupplierLink,
    PurchaseOrdersLink,
    OrdersAtRiskLink,
    FulfilmentLink,
    FiguresLink,
    ExceptionsLink,
    CaseLink,
    TraceLink,
    QueuesLink,
    IntegrationsLink,
    ReconciliationLink,
    UnmatchedLink,
    DeadLettersLink,
    ReplaysLink,
    AccessLink,
    AuditLink,
    RulesLink,
    HealthLink,
    MailboxLink,
)

# What a person or a partner may have put into a document number.
texts = (
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=300)
    .map(str.strip)
    .filter(bool)
)


def values(kinds: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    return st.one_of(
        [
            texts
            if kind is str
            else st.integers(0, 10**17)
            if kind is int
            else st.dates(date(2000, 1, 1), date(2999, 12, 31))
            if kind is date
            else st.just(kind)
            for kind in kinds
        ]
    )


@st.composite
def records(draw: st.DrawFn) -> Link:
    cls = draw(st.sampled_from(ALL))
    given_values = {}
    for name, kinds in links._readers(cls).items():
        if draw(st.booleans()):
            given_values[name] = draw(values(kinds))
    return cls(**given_values)


@given(records())
def test_a_link_survives_its_address(link: Link) -> None:
    assert type(link).from_query(link.to_query()) == link
    address = link.url("https://tower.example.com")
    query = dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))
    assert type(link).from_query(query) == link


@given(st.sampled_from(ALL), st.dictionaries(st.text(max_size=12), st.text(max_size=400)))
def test_no_address_is_an_error(cls: type[Link], query: dict[str, str]) -> None:
    for field in dataclasses.fields(cls):
        query.setdefault(field.name, "'; DROP TABLE document; --\x00")
    assert isinstance(cls.from_query(query), cls)


def test_words_that_nobody_knows_mean_the_default() -> None:
    link = PurchaseOrdersLink.from_query({"view": "everything", "period": "3w", "supplier": " "})
    assert link == PurchaseOrdersLink()
    assert CaseLink.from_query({"id": "12a"}) == CaseLink()
    assert CaseLink.from_query({"id": "9" * 40}) == CaseLink()
    for day in ("2026-13-01", "yesterday", "0001-01-01", "9999-12-31"):
        assert ExceptionsLink.from_query({"opened": day}) == ExceptionsLink()


def test_a_character_that_no_document_can_carry_is_not_asked_for() -> None:
    assert TraceLink.from_query({"ref": "po:main:1\x00"}) == TraceLink()


def test_addresses_of_mails_are_these() -> None:
    base = "https://tower.example.com"
    assert CaseLink(id=12).url(base) == "https://tower.example.com/case?id=12"
    ref = TraceLink(ref="po:main:4500001234").url(base)
    assert ref == "https://tower.example.com/trace?ref=po%3Amain%3A4500001234"
    assert OverviewLink().url() == "/"


def test_every_page_has_a_link_and_a_file_of_its_own() -> None:
    assert {cls.PAGE for cls in ALL} == set(PAGES)
    assert len({page.file for page in PAGES}) == len(PAGES)
    assert len({page.path for page in PAGES}) == len(PAGES)


def test_filters_travel_under_the_same_names() -> None:
    names = {field.name for field in dataclasses.fields(Filtered)}
    assert names == set(links.FILTER_NAMES)


def test_the_views_of_addresses_are_those_of_the_database() -> None:
    from db.reads.purchase_orders import View

    assert set(get_args(links.ViewWord)) == set(get_args(View))


@pytest.mark.parametrize("cls", ALL)
def test_links_are_frozen(cls: type[Link]) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(cls(), dataclasses.fields(cls)[0].name, "x")
