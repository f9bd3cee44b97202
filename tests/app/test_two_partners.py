"""Two partners with adjacent data at the screens: nobody is shown what is not theirs.

Pages come from the navigation, parameters from the records of addresses, files from the buttons
that the pages draw: what is new is tried without being named here, or fails here until it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import streamlit as st

from app import links
from app.cookies import PLAIN
from app.links import Link
from app.pages import CASE, ORDERS_AT_RISK, PAGES, PURCHASE_ORDERS, Page
from db import engine
from tests import two_partners
from tests.app.conftest import MAIN, Sit, Site
from tests.conftest import Databases
from tests.two_partners import ALDER, BRIAR, HOUSE_ALONE, Side, Two, leaks
from tower.access import Scope, scope_of

WHO: Mapping[str, Scope] = {
    "leader": scope_of("leader", None),
    "support": scope_of("support", None),
    "admin": scope_of("admin", None),
    "read-only": scope_of("read-only", None),
    "support of Alder": scope_of("support", frozenset({ALDER})),
    "leader of Briar": scope_of("leader", frozenset({BRIAR})),
    "partner Alder": scope_of("partner", frozenset({ALDER})),
    "partner Briar": scope_of("partner", frozenset({BRIAR})),
}
LINKS = {cls.PAGE.path: cls for cls in vars(links).values()
         if isinstance(cls, type) and issubclass(cls, Link) and hasattr(cls, "PAGE")}  # fmt: skip
EVERY_VIEW = ("support of Alder", "partner Alder", "partner Briar")
VIEWS = ("tab", "view", "show", "group", "by", "states", "kind")
"""Parameters that choose what a page shows: each of their words is tried."""


@pytest.fixture(scope="module")
def two(databases: Databases) -> Iterator[Two]:
    """Both of them in one database, and nothing of what is kept between runs forgotten: what is
    kept for one viewer is there when the next one comes.
    """
    name = databases.make(databases.template)
    made = engine.create(databases.app_url(name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOWER_DATABASE_URL", databases.app_url(name))
        st.cache_data.clear()
        st.cache_resource.clear()
        yield two_partners.build(made, datetime.now(UTC).replace(second=0, microsecond=0))
    st.cache_data.clear()
    st.cache_resource.clear()
    made.dispose()
    databases.drop(name)


def addresses(page: Page, side: Side, *, every_view: bool = False) -> list[dict[str, str]]:
    """Addresses of a page that lead to what is of one side."""
    cls = LINKS.get(page.path)
    if cls is None:
        return [{}]
    hints = get_type_hints(cls)
    named = {
        f.name: value
        for f in dataclasses.fields(cls)
        if (value := value_of(page, f.name, hints[f.name], side)) is not None
    }
    found = [named] if named else [{}]
    if every_view:
        for name in VIEWS:
            if name in hints:
                found += [{**named, name: str(word)} for word in words_of(hints[name])]
        if "known" in hints:  # the same as somebody knew it at an instant
            found.append({**named, "known": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})
    return found


def words_of(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(word for part in get_args(hint) for word in words_of(part))


HARMLESS = {
    "period", "after", "date", "per", "show", "switch", "told", "age", "state", "sort", "set",
    "category", "severity", "owner", "rule", "event", "depth", "byte", "long", "items", "trial",
    "actor", "done", "cause", "states", "tab", "view", "kind", "group", "by", "warehouse", "queue",
    "known", "opened", "closed", "topic",
}  # fmt: skip
"""Parameters that name nothing of anybody's: words, places in lists, people of ours."""


def value_of(page: Page, name: str, hint: Any, side: Side) -> str | None:
    """What leads to this side under this parameter; a new parameter fails until it is told here."""
    if name == "id":
        of = {"supplier": side.key, "case": str(side.case_id), "figures": "otif", "replays": "1"}
        return of[page.path]
    known = {
        "ref": side.ref, "order": side.ref, "supplier": side.key, "buyer": f"B-{side.key}",
        "letter": side.letter, "fingerprint": side.fingerprint, "node": side.ref,
        "one": "/".join(side.raw) if page.path == "trace" else side.key,
        "other": "/".join(side.raw) if page.path == "trace" else "",
        "item": f"{side.key}-ITEM", "goods": f"{side.key}-GOODS", "site": "east",
        "customer": "C-KESTREL",
        "subject": f"case:{side.case_id}", "hop": "edi", "feed": "feed_b",
        "recipient": f"partner:{side.key}", "mail": str(side.mail), "text": "yes",
        "within": "all",
    }  # fmt: skip
    assert name in known or name in HARMLESS, f"say which value of {name} leads to a partner"
    return known.get(name) or None


def marks_against(scope: Scope) -> tuple[str, ...]:
    """What this viewer may not see, on any page."""
    found: tuple[str, ...] = ()
    if not scope.sees_customers:
        found += HOUSE_ALONE
    for side in two_partners.SIDES:
        if scope.partners is not None and side.key not in scope.partners:
            found += side.marks
    return found


@pytest.mark.parametrize("who", WHO)
def test_no_page_shows_what_is_of_others(two: Two, sit: Sit, who: str) -> None:
    scope = WHO[who]
    browser = sit(scope)
    hidden = marks_against(scope)
    own = two.briar if scope.partners == {BRIAR} else two.alder
    other = two.alder if own is two.briar else two.briar
    bound = scope.partners is not None
    every = who in EVERY_VIEW
    visits = [(page, query) for page in PAGES for query in addresses(page, own, every_view=every)]
    if bound:
        # Last, for filters travel from page to page: from here on they name the other partner.
        visits += [(page, query) for page in PAGES for query in addresses(page, other)]
    telling, files = set(), 0
    for page, query in visits:
        told = browser.goes(page, **query)
        found = leaks(told, hidden, [own.key, other.key, *query.values()])
        assert found == [], (page.path, query)
        # A partner who comes to the front page is led on to its own.
        assert scope.may(page.needs) or not page.path or "Not for your role" in told, page.path
        files += len(browser.files)
        if leaks(told, own.marks, query.values()):
            telling.add(page.path)
    # Else the search above would find nothing for want of rows.
    assert len(telling) >= (1 if scope.role == "partner" else 8), telling
    assert files >= (0 if scope.role == "partner" else 3)


def test_who_sees_all_partners_is_shown_both(two: Two, sit: Sit) -> None:
    """The marks are on the pages for who may see them."""
    browser = sit(WHO["leader"])
    orders = PURCHASE_ORDERS
    told = browser.goes(orders)
    for side in (two.alder, two.briar):
        assert not {side.key, *side.numbers} - {*leaks(told, side.marks)}
    case = browser.goes(CASE, id=str(two.briar.case_id))
    assert leaks(case, ["Briar Mill"])
    assert leaks(browser.goes(ORDERS_AT_RISK), HOUSE_ALONE)


def test_nobody_is_shown_anything(two: Two, sit: Sit) -> None:
    browser = sit(None)
    for page in PAGES:
        for query in addresses(page, two.alder):
            told = browser.goes(page, **query)
            assert "You are signed out" in told
            assert leaks(told, (*two.alder.marks, *two.briar.marks, *HOUSE_ALONE)) == []


def test_every_screen_is_in_the_navigation() -> None:
    """So that the list above is all there is."""
    folder = MAIN.parent / "screens"
    assert {f"screens/{file.name}" for file in folder.glob("*.py")} == {page.file for page in PAGES}


def test_a_server_gives_nobody_a_page_a_file_or_a_connection(two: Two, site: Site) -> None:
    """By the paths that Streamlit serves, too: media, uploads, parts, the page's connection."""
    site.client.cookies.clear()
    asked = [page.path for page in PAGES] + ["media/0.csv", "media/" + "a" * 56 + ".xlsx",
        "_stcore/upload_file/x/y", "_stcore/host-config", "_stcore/metrics", "component/x/y.js",
        "_stcore/bidi-components/x/y.js"]  # fmt: skip
    for path in asked:
        answer = site.client.get(f"/{path}?ref={two.briar.ref}")
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/signin"), path
        assert answer.content == b"", path
    for method in ("POST", "PUT", "DELETE"):
        assert site.client.request(method, "/_stcore/upload_file/x/y").status_code == 401
    site.client.cookies.set(PLAIN, "x" * 43)
    assert site.client.get("/portal").status_code == 303, "a made-up cookie"
    site.client.cookies.clear()
