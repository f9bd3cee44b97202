"""The views for BI tools: the catalogue says what is declared, and rights are the asker's."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from db.outward import page
from db.outward.catalogue import DATA_SETS, VIEWS
from db.outward.fields import comments, create_view
from tests.desk import Desk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bi.md"
_DEFINED = text("SELECT pg_get_viewdef(CAST(:view AS regclass))")
_OPTIONS = text("SELECT reloptions FROM pg_class WHERE oid = CAST(:view AS regclass)")
_TOLD = text(
    "SELECT a.attname, col_description(a.attrelid, a.attnum), format_type(a.atttypid, -1)"
    " FROM pg_attribute a WHERE a.attrelid = CAST(:view AS regclass) AND a.attnum > 0"
    " ORDER BY a.attnum"
)
_TYPES = {
    "text": "text", "int": ("bigint", "integer"), "number": "double precision",
    "decimal": "numeric", "date": "date", "instant": "timestamp with time zone",
    "flag": "boolean", "json": "json",
}  # fmt: skip


@pytest.fixture
def owner(owner_url: str) -> Iterator[Connection]:
    engine = create_engine(owner_url)
    with engine.connect() as opened:
        yield opened
        opened.rollback()
    engine.dispose()


def catalogue(conn: Connection) -> dict[str, Any]:
    return {
        view: [conn.scalar(_DEFINED, {"view": view}), conn.scalar(_OPTIONS, {"view": view}),
               [tuple(row) for row in conn.execute(_TOLD, {"view": view})]]
        for view in VIEWS
    }  # fmt: skip


def test_the_revisions_build_exactly_the_views_with_their_comments(owner: Connection) -> None:
    migrated = catalogue(owner)
    for data in DATA_SETS.values():
        owner.exec_driver_sql(f"DROP VIEW {data.view}")
        for statement in (create_view(data), *comments(data)):
            owner.exec_driver_sql(statement.replace("%", "%%"))
    assert catalogue(owner) == migrated
    for data in DATA_SETS.values():
        _, options, columns = migrated[data.view]
        assert options == ["security_invoker=true"]
        assert all(said for _, said, _ in columns), data.view
        for field, (name, _, kind) in zip(data.fields, columns, strict=True):
            assert name == field.name
            assert kind in _TYPES[field.kind], (data.view, name)


def test_the_page_describes_every_view_as_the_catalogue_does() -> None:
    text_of_page = PAGE.read_text(encoding="utf-8")
    assert text_of_page.endswith(page.sections(DATA_SETS.values()))


def test_an_account_made_as_the_page_says_reads_every_view_and_changes_nothing(
    databases: Any, database: Engine, owner_url: str
) -> None:
    """Fails when the page's account sees nothing, or when it may do more than look."""
    desk = Desk()
    desk.po("4711", "acme")
    desk.line("4711", "10", "acme")
    desk.impact("7001", "4711", case_id=desk.case("4711", "acme"))
    with database.begin() as conn:
        desk.write(conn)
    grants, question = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    role, password = f"bi_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    script = re.sub(r"\bbi\b", role, grants).replace("choose-one", password)
    admin = create_engine(databases.admin.set(database=make_url(owner_url).database))
    with admin.begin() as conn:
        conn.exec_driver_sql(script)
    url = make_url(owner_url).set(username=role, password=password)
    reader = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with reader.connect() as conn:
            for view in VIEWS:
                conn.exec_driver_sql(f"SELECT * FROM {view} LIMIT 1")  # noqa: S608
            for view in ("bi_purchase_orders", "bi_purchase_order_lines", "bi_cases",
                         "bi_orders_at_risk"):  # fmt: skip
                assert conn.exec_driver_sql(f"SELECT count(*) FROM {view}").scalar_one(), view  # noqa: S608
            conn.exec_driver_sql(question)
            for forbidden in ("DELETE FROM document", "SELECT * FROM api_key"):
                with pytest.raises(DBAPIError, match=r"permission denied|read-only"):
                    conn.exec_driver_sql(forbidden)
    finally:
        reader.dispose()
        with admin.begin() as conn:
            conn.exec_driver_sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
        admin.dispose()
