"""What people write: asked of the matrix each time, and closed to the roles that only look."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, update
from sqlalchemy.exc import ProgrammingError

from app import data
from db import engine as engines
from db.policies import grants_of
from db.roles import PARTNER, STAFF
from db.tables import account, api_key, audit_entry, case_note, exception_case, metadata
from tests.app.conftest import Open, Seat
from tower.access import PERMISSIONS, ROLES, Role, may, scope_of
from tower.errors import AccessDenied

APP = Path(__file__).resolve().parents[2] / "app"
LOOKING = {"kpis.read", "flows.read", "house.read", "customers.read", "payload.read", "portal.see",
           "audit.read"}  # fmt: skip
BEFORE_ANYBODY_IS_KNOWN = {"signin.py", "oidc.py", "own_password.py", "data.py", "portal_answer.py"}


def writes() -> Iterator[tuple[str, ast.Call]]:
    """Each place of the screens that opens a transaction to write in."""
    for file in sorted(APP.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in ("data.writing", "wish", "data.house"):
                    yield f"{file.name}:{node.lineno} {name}", node


def test_every_write_names_what_it_needs() -> None:
    """A permission to look is none to write; one that comes as a variable is named by its caller
    or by a default of the function.
    """
    named = 0
    for place, call in writes():
        file = place.partition(":")[0]
        if place.endswith("data.house"):
            assert file in BEFORE_ANYBODY_IS_KNOWN, f"{place} asks nobody for leave"
            continue
        words = [a.value for a in ast.walk(call) if isinstance(a, ast.Constant)]
        permissions = {word for word in words if word in PERMISSIONS}
        assert not permissions & LOOKING, place
        if place.endswith("data.writing"):
            (asked,) = call.args
            assert permissions or isinstance(asked, ast.Name), place
        named += bool(permissions)
    assert named >= 15


@pytest.mark.parametrize("role", ROLES)
def test_who_may_not_is_refused_before_anything_is_written(
    screens: Open, seat: Seat, role: Role
) -> None:
    partners = frozenset({"ACME"}) if role == "partner" else None
    seat("kim", scope_of(role, partners))
    for permission in PERMISSIONS:
        if may(role, permission):
            with data.writing(permission):
                pass
        else:
            with pytest.raises(AccessDenied), data.writing(permission):
                raise AssertionError("it was let in")


def test_roles_that_look_can_write_nothing(database: Engine) -> None:
    """Not by any statement on any table, their own rows neither: what people write goes through
    the service, after the matrix was asked and what it is about was read as themselves.
    """
    for role in ("support", "partner"):
        scope = scope_of(role, frozenset({"ACME"}))  # type: ignore[arg-type]  # a role
        for table in sorted(metadata.tables):
            rights = grants_of(table).get(PARTNER if role == "partner" else STAFF, frozenset())
            assert rights <= {"SELECT"}, table
        for table in (case_note, exception_case, account, api_key, audit_entry):
            first = next(iter(table.c))
            for statement in (delete(table), update(table).values({first: first})):
                with (
                    pytest.raises(ProgrammingError, match="permission denied"),
                    engines.looking(database.connect(), scope) as conn,
                ):
                    conn.execute(statement)
