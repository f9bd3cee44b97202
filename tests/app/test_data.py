"""What is kept between runs never reaches somebody else, and never outlives the data."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

from sqlalchemy import Engine
from streamlit.runtime.caching.cache_utils import CachedFunc

from app import data
from app.links import PurchaseOrdersLink
from app.parts.filters import filter_of
from tests.app.conftest import Open
from tests.desk import Desk
from tower.access import EVERYTHING, Scope

APP = Path(data.__file__).parent

# Kept without rows of anybody: how to reach the database.
WITHOUT_ROWS = {"_engine", "_address", "at_home", "in_demo"}
# Names change so rarely that an answer may be ten minutes old.
# Figures over weeks are five minutes old at most, and say as of when they are.
OVER_WEEKS = {"several", "several_by", "subjects", "scorecards", "supplier", "outlook", "told"}
OVER_WEEKS |= {"perfect_parts", "discrepancies", "discrepancy_page", "invoices", "cohorts"}
WITHOUT_VERSION = {"choices"} | OVER_WEEKS


def kept() -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(inspect.unwrap(found))
        for name, found in vars(data).items()
        if isinstance(getattr(found, "__wrapped__", None), CachedFunc)
        or isinstance(found, CachedFunc)
    }


def test_everything_kept_has_the_viewers_scope_and_the_version_of_the_data() -> None:
    found = kept()
    assert len(found) > 8
    for name, signature in found.items():
        if name in WITHOUT_ROWS:
            continue
        parameters = list(signature.parameters.values())
        assert parameters[0].name == "scope", name
        assert "version" in signature.parameters or name in WITHOUT_VERSION, name
        # A leading underscore would tell Streamlit to leave an argument out of the key.
        assert not any(p.name.startswith("_") for p in parameters), name


def test_everything_kept_has_an_end() -> None:
    tree = ast.parse((APP / "data.py").read_text())
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        for decorator in function.decorator_list:
            if not isinstance(decorator, ast.Call) or "cache" not in ast.unparse(decorator.func):
                continue
            words = {keyword.arg for keyword in decorator.keywords}
            assert "max_entries" in words, function.name
            assert "ttl" in words or function.name in WITHOUT_ROWS, function.name


def test_no_other_file_keeps_anything() -> None:
    for file in APP.rglob("*.py"):
        if file.name == "data.py":
            continue
        text = file.read_text()
        assert "cache_data" not in text, file
        assert "cache_resource" not in text, file


def test_two_viewers_never_get_each_others_rows(screens: Open, shop: Desk) -> None:
    del screens  # only its database and clean caches
    narrowed = filter_of(PurchaseOrdersLink(), shop.now)
    acme, birch = Scope(frozenset({"acme"})), Scope(frozenset({"birch"}))
    for first, second in ((acme, birch), (birch, acme), (EVERYTHING, birch)):
        for scope in (first, second):
            version = data.fresh(EVERYTHING).version
            page = data.po_page(scope, narrowed, version, "all", None)
            told = {row.supplier for row in page.rows}
            assert told == (scope.partners or {"acme", "birch"})
            names = {key for key, _ in data.choices(scope).suppliers}
            assert names == told
    assert data.network(acme) is None


def test_a_new_version_shows_what_came(screens: Open, shop: Desk, database: Engine) -> None:
    del screens
    narrowed = filter_of(PurchaseOrdersLink(), shop.now)
    before = data.fresh(EVERYTHING).version
    assert len(data.po_page(EVERYTHING, narrowed, before, "all", None).rows) == 8
    shop.po("4500000099", released=shop.at(hours=1))
    shop.feed("wms", shop.now)
    with database.begin() as conn:
        shop.write(conn)
    after = data.fresh(EVERYTHING).version
    assert after != before
    assert len(data.po_page(EVERYTHING, narrowed, before, "all", None).rows) == 8
    assert len(data.po_page(EVERYTHING, narrowed, after, "all", None).rows) == 9
