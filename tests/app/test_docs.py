"""docs/screens.md describes what there is: every page, parameter, view and figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

from app import links
from app.pages import PAGES
from app.parts.po_list import GLYPHS
from app.parts.words import SEVERITY_SIGN
from tests.app.test_links import ALL
from tower.kpis import DEFINITIONS

CARDS = (
    "orders_affected",
    "value_at_risk",
    "ack_on_time",
    "asn_on_time",
    "asn_valid",
    "otif",
    "open_exceptions",
    "coverage",
)
"""Figures of the overview; the whole catalogue has a page of its own."""

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "screens.md").read_text()


def test_every_page_and_parameter_is_described() -> None:
    for page in PAGES:
        assert f"`/{page.path}`" in TEXT, page.path
    for cls in ALL:
        for field in dataclasses.fields(cls):
            assert f"`{field.name}`" in TEXT, (cls, field.name)


def test_every_view_group_and_period_is_described() -> None:
    for words in (
        links.ViewWord,
        links.GroupWord,
        links.PeriodWord,
        links.DateWord,
        links.PerWord,
        links.SupplierTab,
        links.FulfilmentBy,
        links.FulfilmentView,
        links.SubjectsWord,
    ):
        for word in get_args(words):
            assert f"`{word}`" in TEXT, word


def test_every_figure_is_described_with_its_card_target_and_sample() -> None:
    rows = {line.split("|")[1].strip(): line for line in TEXT.splitlines() if line[:3] == "| `"}
    for name in CARDS:
        definition = DEFINITIONS[name]
        row = rows[f"`{name}`"]
        assert definition.short in row
        if definition.unit == "%":
            assert f"| {round(100 * (definition.target or 0))} % | {definition.least} |" in row


def test_every_sign_is_explained() -> None:
    for sign in (*GLYPHS.values(), *SEVERITY_SIGN.values()):
        assert sign in TEXT, sign
