"""``tower export``: files that other programs open, from a filled installation."""

from __future__ import annotations

import csv
import io
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import openpyxl
import pyarrow.parquet as pq
import pytest

from db.outward.catalogue import DATA_SETS
from tests.acceptance import shapes
from tests.acceptance.installation import Installation
from tower.kpi_catalogue import DEFINITIONS

SCHEMA = Path(__file__).resolve().parents[1] / "fixtures" / "ocel2.schema.json"
PROMISED = shapes.promised()


@pytest.mark.parametrize("what", DATA_SETS)
def test_every_data_set_is_a_file_in_every_form(
    filled: Installation, tmp_path: Path, what: str
) -> None:
    told = {}
    for form in ("csv", "xlsx", "parquet"):
        file = tmp_path / f"{what}.{form}"
        answer = filled.tower("export", what, "--out", file, "--json")
        assert answer.code == 0, answer.err
        assert shapes.faults(answer.json, PROMISED["export"]) == []
        assert answer.json["size"] == file.stat().st_size
        told[form] = answer.json["rows"]
    fields = [f.name for f in DATA_SETS[what].told]
    text = (tmp_path / f"{what}.csv").read_bytes().decode("utf-8-sig")
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert [name.removesuffix(" (UTC)") for name in head] == fields
    sheet = openpyxl.load_workbook(tmp_path / f"{what}.xlsx").active
    table = pq.read_table(tmp_path / f"{what}.parquet")
    assert table.column_names == fields
    assert {len(rows), sheet.max_row - 1, table.num_rows, *told.values()} == {len(rows)}
    assert rows or what == "shipments"
    assert sorted(tmp_path.iterdir()) == sorted(tmp_path / f"{what}.{form}" for form in told)


def test_values_are_those_of_the_order(filled: Installation, tmp_path: Path) -> None:
    file = tmp_path / "one.parquet"
    narrowed = ("--where", "number=4500007001", "--supplier", "ACME")
    assert filled.tower("export", "purchase-orders", "--out", file, *narrowed).code == 0
    [row] = pq.read_table(file).to_pylist()
    assert (row["number"], row["supplier"], str(row["value"])) == (
        "4500007001", "ACME", "500.000000000",
    )  # fmt: skip
    entries = filled.tower("audit", "list", "--json").json["entries"]
    entry = next(e for e in entries if e["action"] == "data.exported")
    assert entry["subject"] == "purchase-orders"


def test_key_figures_are_rows(filled: Installation, tmp_path: Path) -> None:
    whole, apart = tmp_path / "whole.csv", tmp_path / "apart.parquet"
    assert filled.tower("export", "kpis", "--out", whole).code == 0
    told = list(csv.DictReader(io.StringIO(whole.read_bytes().decode("utf-8-sig"), newline="")))
    assert [row["kpi"] for row in told] == list(DEFINITIONS)
    assert filled.tower("export", "kpis", "--out", apart, "--apart", "supplier").code == 0
    rows = {(r["kpi"], r["key"]): r for r in pq.read_table(apart).to_pylist()}
    asked = filled.tower("kpi", "ack_on_time", "--by", "supplier", "--json").json
    assert asked["rows"]
    for row in asked["rows"]:
        assert rows["ack_on_time", row["key"]]["sample"] >= row["n"]
    assert filled.tower("export", "kpis", "--out", tmp_path / "x.csv", "--where", "a=b").code == 2


def test_events_are_an_object_centric_log(filled: Installation, tmp_path: Path) -> None:
    """Against the schema of OCEL 2.0, and whole: each name that is used is declared once."""
    file = tmp_path / "log.ocel"
    answer = filled.tower("export", "events", "--out", file, "--json").json
    log = json.loads(file.read_bytes())
    jsonschema.validate(log, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert len(log["events"]) == answer["rows"] > 0
    for kind in ("event", "object"):
        types = {t["name"]: {a["name"]: a["type"] for a in t["attributes"]}
                 for t in log[f"{kind}Types"]}  # fmt: skip
        ids = [one["id"] for one in log[f"{kind}s"]]
        assert len(set(ids)) == len(ids)
        for one in log[f"{kind}s"]:
            declared = types[one["type"]]
            for told in one["attributes"]:
                assert fits(told["value"], declared[told["name"]]), (one["id"], told)
    objects = {one["id"] for one in log["objects"]}
    links = [r for one in (*log["events"], *log["objects"]) for r in one["relationships"]]
    assert {r["objectId"] for r in links} <= objects
    line = next(o for o in log["objects"] if o["id"] == "po_line:main:4500007001:10")
    assert {(r["objectId"], r["qualifier"]) for r in line["relationships"]} == {
        ("po:main:4500007001", "line of"), ("order_line:main:SO-1:1", "covers"),
    }  # fmt: skip


def fits(value: Any, declared: str) -> bool:
    kinds = {"string": str, "time": str, "float": float, "integer": int, "boolean": bool}
    return isinstance(value, kinds[declared])


@pytest.mark.peers
def test_an_object_centric_log_opens_in_pm4py(filled: Installation, tmp_path: Path) -> None:
    """The reference reader. It is large and under another licence: an extra, not of every run."""
    pm4py = import_module("pm4py")
    file = tmp_path / "log.json"
    rows = filled.tower("export", "events", "--out", file, "--format", "ocel", "--json").json
    log = pm4py.read_ocel2_json(str(file))
    assert len(log.events) == rows["rows"]
    assert {"po", "po_line", "order"} <= set(pm4py.ocel_get_object_types(log))
    assert pm4py.ocel_objects_summary(log).shape[0] == len(log.objects)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("nonsense --out x.csv", 2, "purchase-orders"),
        ("events --out x.txt", 5, "does not say in which form"),
        ("lines --out x.ocel", 2, "OCEL 2.0 is a form of events"),
        ("lines --out x.csv --where colour=red", 2, "cannot be narrowed by it"),
        ("lines --out x.csv --where closed=perhaps", 2, "no value of its kind"),
        ("lines --out x.csv --supplier ACNE", 2, "write ACME"),
        ("lines --out x.csv --from soon", 5, "is no time"),
        ("lines --out x.csv --from 2026-02-01 --to 2026-01-01", 5, "before"),
        ("lines --out nowhere/x.csv", 5, "cannot be written"),
    ],
)
def test_wrong_words_leave_no_file(
    filled: Installation, tmp_path: Path, words: str, code: int, said: str
) -> None:
    told = [str(tmp_path / w) if w.startswith(("x.", "nowhere")) else w for w in words.split()]
    answer = filled.tower("export", *told)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x.csv").write_text("mine")
    again = filled.tower("export", "lines", "--out", tmp_path / "x.csv")
    assert (again.code, (tmp_path / "x.csv").read_text()) == (5, "mine")
