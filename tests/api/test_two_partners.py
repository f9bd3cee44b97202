"""Two partners with adjacent data at the machine door, in files and in mails: nothing crosses.

Routes come from the application, data sets and forms from the export: what is new is tried without
being named here, or fails here until it has a case.
"""

from __future__ import annotations

import email
import email.policy
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from api.main import create_app
from db import engine as engines
from db import keys
from db.outward import figures, files, ocel_file, rows
from db.outward.catalogue import DATA_SETS
from db.reads.connection import reading
from db.reads.filters import Filter, Period
from db.tables import event, raw_message
from tests import two_partners
from tests.conftest import Databases
from tests.two_partners import ALDER, BOTH, BRIAR, HOUSE_ALONE, Side, Two, leaks
from tower.access import EVERYTHING, Scope, scope_of
from tower.errors import AccessDenied
from tower.kpi_catalogue import DEFINITIONS, OF_PARTNERS

BOUND = {"alder": ALDER, "briar": BRIAR}


@pytest.fixture(scope="module")
def two(databases: Databases) -> Iterator[Two]:
    name = databases.make(databases.template)
    made = engines.create(databases.app_url(name))
    yield two_partners.build(made, datetime.now(UTC).replace(second=0, microsecond=0))
    made.dispose()
    databases.drop(name)


@pytest.fixture(scope="module")
def door(two: Two) -> Iterator[TestClient]:
    """The door that demands keys."""
    app = create_app(two.engine, keys_required=True)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def held(two: Two) -> dict[str, str]:
    """Keys by their holder: the house, each partner, and one that is revoked."""
    found = {}
    with two.engine.begin() as conn:
        for name, partner in (("house", None), *BOUND.items(), ("left", BRIAR)):
            made, found[name] = keys.add(
                conn, name=name, scopes=("push", "read"), partner_key=partner, networks=(),
                days=30, per_minute=100_000, by="test", now=two.now,
            )  # fmt: skip
        keys.revoke(conn, made.id, by="test", why="left", now=two.now)
    return found


def routes(client: TestClient) -> list[tuple[str, str]]:
    """Every method and path of the application; none is left out of its description."""
    hidden = [
        one
        for one in client.app.routes  # type: ignore[attr-defined]
        if isinstance(one, APIRoute) and not one.include_in_schema
    ]
    assert hidden == []
    found = [(m.upper(), path) for path, what in described(client).items() for m in what]
    assert len(found) >= 18, found
    return found


def described(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()["paths"]
    return found


def filled(path: str, side: Side) -> list[str]:
    """The path with what is of this side in it. A new parameter fails until it has a value."""
    values = {
        "number": [*side.numbers, BOTH],
        "kpi": ["otif", "ack_on_time", "value_at_risk", "supplier_score"],
        "source": ["feed_a" if side.key == ALDER else "feed_b", "events", "portal-form"],
    }
    name = path.partition("{")[2].partition("}")[0]
    return [path] if not name else [path.replace(f"{{{name}}}", one) for one in values[name]]


def questions(client: TestClient, path: str, side: Side) -> list[dict[str, str]]:
    """Every parameter of this path that is described, with what is of this side."""
    values = {
        "supplier": side.key, "buyer": f"B-{side.key}", "number": side.numbers[0], "erp": "west",
        "partner": side.key, "shipment": "SHIP-777", "asn": "SHIP-777", "by": "supplier",
        "po": side.numbers[0], "home": side.ref, "anchor": side.ref,
    }  # fmt: skip
    told = described(client).get(path, {}).get("get", {}).get("parameters", ())
    names = [one["name"] for one in told if one["in"] == "query"]
    return [{}, *({name: values[name]} for name in names if name in values)]


def marks_for(name: str, two: Two) -> tuple[str, ...]:
    other = two.briar if BOUND.get(name) == ALDER else two.alder
    return (*other.marks, *HOUSE_ALONE)


@pytest.mark.parametrize("who", sorted(BOUND))
def test_no_address_tells_a_partner_of_the_other(
    two: Two, door: TestClient, held: dict[str, str], who: str
) -> None:
    headers = {"x-api-key": held[who]}
    telling = 0
    for method, path in routes(door):
        if method != "GET":
            continue
        for side in (two.alder, two.briar):
            for address in filled(path, side):
                for query in questions(door, path, side):
                    told = door.get(address, params=query, headers=headers)
                    assert told.status_code in (200, 400, 403, 404), (address, query, told.text)
                    asked = [*query.values(), address.rpartition("/")[2], "feed_a", "feed_b"]
                    found = leaks(told.text, marks_for(who, two), asked)
                    assert found == [], (address, query)
                    telling += bool(leaks(told.text, [BOUND[who]]))
    assert telling >= 6, "it is told of its own"


def test_nobody_is_told_anything_and_a_revoked_key_is_nobody(
    two: Two, door: TestClient, held: dict[str, str]
) -> None:
    every = (*two.alder.marks, *two.briar.marks, *HOUSE_ALONE)
    public = {"/health", "/openapi.json"}
    for headers in ({}, {"x-api-key": held["left"]}, {"authorization": "Bearer tower_x"}):
        for method, path in routes(door):
            for address in filled(path, two.briar)[:1]:
                told = door.request(method, address, headers=headers)
                asked = address.rpartition("/")[2]
                assert leaks(told.text, every, [asked]) == [], address
                if path not in public:
                    refused = (401, 422) if path != "/v1/hooks/{source}" else (401, 404)
                    assert told.status_code in refused, (method, address, told.status_code)


def test_the_house_is_told_of_both(two: Two, door: TestClient, held: dict[str, str]) -> None:
    """Else the searches above would find nothing for want of rows."""
    headers = {"x-api-key": held["house"]}
    for path in ("purchase-orders", "shipments", "cases", "events"):
        told = door.get(f"/v1/{path}", headers=headers, params={"limit": "500"}).text
        assert leaks(told, ("ALDER", "BRIAR")) == ["ALDER", "BRIAR"], path
    assert leaks(door.get("/v1/customer-orders", headers=headers).text, HOUSE_ALONE)


def test_what_a_partner_brings_in_the_name_of_the_other_is_refused_whole(
    two: Two, door: TestClient, held: dict[str, str]
) -> None:
    """At every address that takes something."""

    def kept() -> tuple[int, ...]:
        with two.engine.connect() as conn:
            return tuple(
                conn.execute(select(func.count()).select_from(t)).scalar_one()
                for t in (event, raw_message)
            )

    at = two.now.isoformat()
    other = two.briar
    forged = {
        "specversion": "1.0", "id": "forged", "source": "/k", "type": "po.acknowledged", "time": at,
        "data": {"po": other.numbers[0], "erp": "main", "supplier": BRIAR},
    }  # fmt: skip
    spoken = {"po": other.numbers[0], "answer": "accepted", "heard_from": "x", "heard_at": at,
              "recorded_by": "x"}  # fmt: skip
    cases: dict[str, list[tuple[str, dict[str, str], Any]]] = {
        "/v1/events": [
            ("/v1/events", {"x-tower-source": source}, forged) for source in ("events", "feed_b")
        ],
        "/v1/documents/{source}": [("/v1/documents/feed_b", {}, forged)],
        "/v1/heartbeats/{source}": [
            (f"/v1/heartbeats/{source}", {}, {}) for source in ("feed_b", "events")
        ],
        "/v1/hooks/{source}": [("/v1/hooks/feed_b", {}, forged)],
        "/v1/logs": [("/v1/logs", {"x-tower-source": "feed_b"}, {})],
        "/v1/log-lines/{source}": [("/v1/log-lines/feed_b", {}, forged)],
        "/v1/answers": [("/v1/answers", {}, spoken)],
    }
    taking = {path for method, path in routes(door) if method not in ("GET", "HEAD")}
    assert taking == set(cases), "give each address that takes something a forged message here"
    before = kept()
    for path, tried in cases.items():
        for address, more, body in tried:
            headers = {"x-api-key": held["alder"], "content-type": "application/cloudevents+json",
                       **more}  # fmt: skip
            told = door.post(address, content=json.dumps(body), headers=headers)
            assert told.status_code in (400, 401, 403, 404, 415), (path, told.status_code)
            asked = ["feed_b", *other.numbers]
            assert leaks(told.text, marks_for("alder", two), asked) == [], told.text
    assert kept() == before


def test_a_partner_is_told_its_own_figures_and_none_of_ours(
    two: Two, door: TestClient, held: dict[str, str]
) -> None:
    """Each as the house is told it of this partner; fails for a figure whose reading a partner's
    database role may not do.
    """

    def asked(who: str, path: str, **query: str) -> Any:
        return door.get(f"/v1/kpis{path}", params=query, headers={"x-api-key": held[who]})

    listed = asked("alder", "").json()
    assert set(listed["catalogue"]) == OF_PARTNERS
    assert {one["definition"]["id"] for one in listed["items"]} <= OF_PARTNERS
    counted = 0
    for kpi in DEFINITIONS:
        told = asked("alder", f"/{kpi}")
        if kpi not in OF_PARTNERS:
            assert told.status_code == 403, kpi
            continue
        assert told.status_code == 200, (kpi, told.text)
        ours = asked("house", f"/{kpi}", supplier=ALDER).json()["figure"]
        assert told.json()["figure"]["n"] == ours["n"], kpi
        assert told.json()["figure"]["value"] == ours["value"], kpi
        counted += ours["n"] > 0
    assert counted >= 6
    by = asked("alder", "/otif", by="supplier").json()["rows"]
    assert {row["key"] for row in by} == {ALDER}
    assert asked("alder", "/otif", supplier=BRIAR).json()["figure"]["n"] == 0


# --- files ----------------------------------------------------------------------------------------


def read_file(raw: bytes) -> str:
    if raw[:4] == b"PAR1":
        import pyarrow.parquet

        return str(pyarrow.parquet.read_table(io.BytesIO(raw)).to_pydict())
    if raw[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            return "\n".join(read_file(packed.read(name)) for name in packed.namelist())
    return raw.decode("utf-8", "replace")


def exported(two: Two, scope: Scope, what: str, form: str, narrowed: dict[str, str]) -> str:
    """A file of the export as this viewer would get it."""
    out = io.BytesIO()
    period = Period(two.now - timedelta(days=90), two.now + timedelta(hours=1))
    with reading(two.engine, scope) as conn:
        if form == "ocel":
            ocel_file.write(out, conn, scope, period, narrowed.get("supplier"))
        elif what == figures.NAME:
            asked = Filter(period, narrowed.get("supplier"))
            found = figures.rows(conn, scope, asked, two.now, "supplier")
            files.write_rows(out, form, what, figures.FIELDS, found)
        else:
            data = DATA_SETS[what]
            found = rows.stream(conn, scope, rows.Question(data, period, narrowed))
            files.write_rows(out, form, what, data.told, found)
    return read_file(out.getvalue())


@pytest.mark.parametrize("form", files.FORMATS)
def test_no_file_tells_of_the_other(two: Two, form: str) -> None:
    """For partners and for people of ours who see one of them; the operator's by ``--supplier``."""
    telling = 0
    kinds = (*DATA_SETS, figures.NAME) if form == "csv" else tuple(DATA_SETS)
    for what in ("events",) if form == "ocel" else kinds:
        for scope in (
            scope_of("partner", frozenset({ALDER})), scope_of("leader", frozenset({ALDER})),
        ):  # fmt: skip
            try:
                told = exported(two, scope, what, form, {})
            except AccessDenied:
                continue
            assert leaks(told, (*two.briar.marks, *HOUSE_ALONE)) == [], (what, scope.role)
            telling += bool(leaks(told, [ALDER]))
        try:
            told = exported(two, EVERYTHING, what, form, {"supplier": ALDER})
        except rows.WrongQuestion:
            continue  # nothing in it is of a supplier
        assert leaks(told, two.briar.marks) == [], what
    assert telling >= 1


# --- mails ----------------------------------------------------------------------------------------


def words_of(raw: bytes) -> str:
    """Headers, both texts and what is attached."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    found = [f"{name}: {value}" for name, value in message.items()]
    for part in message.walk():
        if part.is_multipart():
            continue
        body = part.get_content()
        if part.get_content_type() == "application/pdf":
            document = pypdfium2.PdfDocument(body)
            found += [page.get_textpage().get_text_range() for page in document]
        else:
            found.append(body if isinstance(body, str) else body.decode("utf-8", "replace"))
    return "\n".join(found)


def test_no_mail_to_a_partner_tells_of_the_other_or_of_us(two: Two) -> None:
    seen = set()
    for mail in two_partners.mails(two.engine):
        told = words_of(mail.message)
        kind, _, partner = mail.recipient.partition(":")
        if kind != "partner":
            continue
        seen.add(partner)
        assert mail.address == f"orders@{partner.lower()}.example"
        found = leaks(told, (*marks_for(partner.lower(), two), "Kestrel", "tower.example/case"))
        assert found == [], mail.subject
        assert leaks(told, [BOTH]), "it is told of its own"
    assert seen == {ALDER, BRIAR}
    ours = " ".join(words_of(m.message) for m in two_partners.mails(two.engine))
    assert leaks(ours, ["Alder Forge", "Briar Mill"]) == ["Alder Forge", "Briar Mill"]
