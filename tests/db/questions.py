"""Every function that reads, so that each can be asked by anybody.

The list is made from the modules themselves: a new function without values for its parameters
fails here until it has some.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, insert, text

import db.reads
from db import engine as engines
from db import ingest
from db.reads.cases import CaseFilter
from db.reads.connection import reading
from db.reads.filters import Filter, Period
from db.reads.stories import story
from db.tables import exception_case
from tests.conftest import Databases
from tests.db.stories import NET, at, month
from tower.access import EVERYTHING, Scope
from tower.errors import TowerError
from tower.identity import partner_id
from tower.owners import Owners
from tower.scorecards import ScorecardSpec

NOW = at(800)
# Helpers of other read functions, and what opens a connection: no questions of their own.
NO_QUESTION = {
    "counted_ahead.asked",
    "customers_hurt.cases",
    "filters.within_scope",
    "connection.reading",
    "payloads.as_shown",
}


@dataclass
class World:
    """A month of three suppliers in a database; numbers that only the others have."""

    engine: Engine
    own_ref: str
    foreign_ref: str
    foreign: frozenset[str]
    cases: dict[str, int]


@contextmanager
def month_of_three(databases: Databases) -> Iterator[World]:
    """A database with the world in it, for as long as it is asked."""
    name = databases.make(databases.template)
    made = engines.create(databases.app_url(name))
    ingest.store_retrying(made, month(7, 24), net=NET, now=NOW)
    with made.begin() as conn:
        for key in NET.partners:
            conn.execute(
                text(
                    "INSERT INTO partner (partner_id, key, name, template, stage, zone, profile) "
                    "VALUES (:id, :key, :name, 'edi', 'live', 'UTC', '{}')"
                ),
                {"id": partner_id(key), "key": key, "name": f"{key} Limited"},
            )
        rows = conn.execute(
            text("SELECT partner_id, number FROM document WHERE kind = 'po' AND line = ''")
        ).all()
        cases = {
            key: conn.execute(
                insert(exception_case)
                .values(
                    fingerprint=key, cycle=1, category="ACK_OVERDUE", severity="high",
                    state="new", rule="r", level="l", kind="po", scope="main", number="1",
                    clock_cycle=1, partner_id=partner_id(key), supplier=key, owner="desk",
                    title=f"PO of {key} Limited", owner_letter="B", policy="p",
                    opened_at=at(790), detected_at=at(790),
                )
                .returning(exception_case.c.id)
            ).scalar_one()
            for key in NET.partners
        }  # fmt: skip
    own = [r.number for r in rows if r.partner_id == partner_id("ACME")]
    others = [r.number for r in rows if r.partner_id not in (None, partner_id("ACME"))]
    yield World(made, f"po:main:{own[0]}", f"po:main:{others[0]}", frozenset(others), cases)
    made.dispose()
    databases.drop(name)


def questions() -> dict[str, Callable[..., Any]]:
    """Public functions of db.reads that take a scope, by module and name."""
    found = {}
    for info in pkgutil.iter_modules(db.reads.__path__):
        module = importlib.import_module(f"db.reads.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ != module.__name__ or name.startswith("_"):
                continue
            parameters = list(inspect.signature(function).parameters)
            if "scope" in parameters and parameters[0] in ("conn", "connection"):
                found[f"{info.name}.{name}"] = function
    return {name: one for name, one in found.items() if name not in NO_QUESTION}


QUESTIONS = questions()


def given(world: World, ref: str, supplier: str) -> dict[str, Any]:
    """Values by name of parameter; what is asked for is of ``supplier``."""
    period = Period(at(-100), at(900))
    number = ref.rpartition(":")[2]
    with reading(world.engine, EVERYTHING) as conn:
        raws = conn.execute(
            text("SELECT source, raw_key FROM event WHERE anchor = :ref ORDER BY raw_key LIMIT 2"),
            {"ref": ref},
        ).all()
    one, other = tuple(raws[0]), tuple(raws[-1])
    return {
        "now": NOW, "narrowed": Filter(period), "period": period, "span": period,
        "supplier": supplier, "key": supplier, "ref": ref, "text": number, "net": NET,
        "case_id": world.cases[supplier], "since": at(0), "until": NOW, "source": one[0],
        "owners": Owners.of(NET), "mail_id": 1, "broker": "b", "queue": "q",
        "route": "/", "fingerprint": "f", "refs": [], "flows": [], "anchor": ref,
        "view": "all", "group": "customer", "profile": NET.partners[supplier], "why": "w",
        "program": "1", "one": one, "other": other, "events": [], "kpi_id": "otif",
        "step": "week", "spec": ScorecardSpec(), "limit": 10, "by": "supplier",
        "item": "A-1", "warehouse": "east", "kind": "po", "erp": "main", "number": number,
        "at_risk": [], "kpis": ["otif", "ack_on_time"], "periods": [period],
        "asked": [("otif", {}), ("supplier_score", {})],
    }  # fmt: skip


def special(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Values whose meaning differs from function to function."""
    if name.startswith("cases."):
        return {"wanted": CaseFilter()}
    if name.startswith("payloads.") or name == "lineage.of_message":
        return {"key": values["one"][1]}
    if name.startswith("supplier_pack."):
        return {"by": "kim"}
    return {
        "search.find": {"wanted": values["text"]},
        "stories.raw_by_key": {"wanted": values["one"][1]},
        "figures.figures_by": {"by": "supplier"},
        "known.as_known_at": {"at": NOW},
        "evidence.bundle": {"by": "kim"},
    }.get(name, {})


def ask(world: World, name: str, scope: Scope, values: dict[str, Any]) -> Any:
    """The answer; AccessDenied and other refusals of ours are answers, too."""
    function = QUESTIONS[name]
    known = {**values, **special(name, values), "scope": scope}
    if "story" in inspect.signature(function).parameters:
        # It goes on from a story, which the same viewer must be able to read.
        with reading(world.engine, EVERYTHING) as conn:
            known["story"] = story(conn, scope, values["ref"])
        if known["story"] is None:
            return None
    arguments, missing = {}, []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("conn", "connection"):
            continue
        if parameter.name in known:
            arguments[parameter.name] = known[parameter.name]
        elif parameter.default is inspect.Parameter.empty:
            missing.append(parameter.name)
    assert missing == [], f"give {name} values for these, so that it is asked by everybody"
    try:
        with reading(world.engine, scope) as conn:
            answer = function(conn, **arguments)
            return list(answer) if inspect.isgenerator(answer) else answer
    except TowerError as error:
        return error
