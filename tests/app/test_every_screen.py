"""Every page of the navigation draws: on an empty tower, on a small one, at a strange address."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.pages import PAGES, Page
from tests.app.conftest import Open
from tests.desk import Desk

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path or "overview")


def drawn(screens: Open, page: Page, **query: str) -> None:
    at = screens(Path(page.file).stem if page.path else None, **query)
    assert not at.exception, at.exception
    assert not at.error, at.error
    assert len(at.title) == 1


@pages
def test_a_page_draws_on_an_empty_tower(screens: Open, page: Page) -> None:
    drawn(screens, page)


@pages
def test_a_page_draws_on_a_small_tower(screens: Open, shop: Desk, page: Page) -> None:
    drawn(screens, page, id="1", ref="po:main:4500000007")


@pages
def test_a_page_draws_at_an_address_that_means_nothing(
    screens: Open, shop: Desk, page: Page
) -> None:
    strange = "'; DROP TABLE document; --<script>"
    drawn(screens, page, id=strange, ref=strange, after=strange, supplier=strange, mail="999999")
