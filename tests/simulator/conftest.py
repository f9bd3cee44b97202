"""A small reader of everything the simulator puts out, written apart from it and from the tower.

It splits bytes the plain way and keeps, per purchase order and shipment, when what was said.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from simulator.emissions import Emissions, FileDrop
from simulator.world import World, build

AS_OF = datetime(2026, 3, 27, 14, 0, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)
US_ZONE = ZoneInfo("America/New_York")
OUR_ISA = "01:061728394"


@dataclass(frozen=True)
class SetRead:
    """One transaction set with its envelope; ``at`` is GS04/05 in the sender's zone, as UTC."""

    door: str
    arrived: datetime
    sender: str
    receiver: str
    isa: str
    functional_id: str
    group: str
    type: str
    control: str
    at: datetime
    segments: list[list[str]]

    def values(self, name: str, position: int) -> list[str]:
        return [s[position] for s in self.segments if s[0] == name and len(s) > position]

    def value(self, name: str, position: int) -> str:
        return self.values(name, position)[0]


def read_x12(drop: FileDrop, zones: dict[str, ZoneInfo]) -> tuple[list[SetRead], list[str]]:
    """The sets of a file, and what is wrong with its envelopes."""
    text = drop.body.decode("ascii")
    element, terminator = text[3], text[105]
    rows = [s.strip("\r\n").split(element) for s in text.split(terminator) if s.strip("\r\n")]
    wrong: list[str] = []
    sets: list[SetRead] = []
    isa, group, opened, groups, in_group = rows[0], [""], -1, 0, 0
    if len(text[: text.index(terminator)]) != 105 or len(isa) != 17:
        wrong.append("ISA is not 106 bytes with 16 elements")
    sender, receiver = (f"{isa[n].strip()}:{isa[n + 1].strip()}" for n in (5, 7))
    for n, row in enumerate(rows):
        if row[0] == "GS":
            group, in_group = row, 0
            groups += 1
        elif row[0] == "ST":
            opened = n
        elif row[0] == "SE":
            in_group += 1
            start = rows[opened]
            if row[1] != str(n - opened + 1) or row[2] != start[2]:
                wrong.append(f"SE of {start[1]} {start[2]} says {row[1:]}")
            zone = US_ZONE if sender == OUR_ISA else zones[sender]
            at = datetime.strptime(group[4] + group[5], "%Y%m%d%H%M%S").replace(tzinfo=zone)
            sets.append(
                SetRead(
                    drop.door, drop.at, sender, receiver, isa[13], group[1], group[6], start[1],
                    start[2], at.astimezone(UTC), rows[opened + 1 : n],
                )
            )  # fmt: skip
        elif row[0] == "GE" and row[1:] != [str(in_group), group[6]]:
            wrong.append(f"GE says {row[1:]}, group {group[6]} has {in_group} sets")
        elif row[0] == "IEA" and row[1:] != [str(groups), isa[13]]:
            wrong.append(f"IEA says {row[1:]}, interchange {isa[13]} has {groups} groups")
    return sets, wrong


@dataclass
class OrderRead:
    """What was said about one purchase order."""

    number: str
    supplier: str = ""
    kind: str = ""
    released: datetime = NEVER
    transmitted: list[datetime] = field(default_factory=list)
    functional: list[datetime] = field(default_factory=list)
    accepted: list[datetime] = field(default_factory=list)
    rejected: list[datetime] = field(default_factory=list)
    applied: list[datetime] = field(default_factory=list)
    ended: list[datetime] = field(default_factory=list)
    wanted: dict[str, date] = field(default_factory=dict)
    confirmed: dict[str, list[tuple[datetime, date]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    announced: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    received: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))


@dataclass
class Reading:
    """Everything read from one world's emissions."""

    world: World
    emissions: Emissions
    network: dict[str, Any]
    orders: dict[str, OrderRead] = field(default_factory=dict)
    sets: list[SetRead] = field(default_factory=list)
    envelope_faults: list[str] = field(default_factory=list)
    verdicts: dict[str, list[tuple[datetime, bool]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    shipments: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    correlations: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    steps: dict[str, list[tuple[datetime, str]]] = field(default_factory=lambda: defaultdict(list))

    def order(self, number: str) -> OrderRead:
        return self.orders.setdefault(number, OrderRead(number))


def day(text: str, form: str) -> date:
    return datetime.strptime(text, form).replace(tzinfo=UTC).date()


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Reader:
    def __init__(self, world: World, emissions: Emissions, network: dict[str, Any]) -> None:
        self.out = Reading(world, emissions, network)
        partners = network["partners"]
        self.by_isa = {isa: key for key, p in partners.items() for isa in p["ids"].get("isa", [])}
        self.by_vendor = {p["ids"]["erp_vendor"]["main"]: key for key, p in partners.items()}
        self.zones = {key: ZoneInfo(p["zone"]) for key, p in partners.items()}
        self.isa_zones = {isa: self.zones[key] for isa, key in self.by_isa.items()}
        self.sent: dict[tuple[str, str, str, str], str] = {}

    def read(self) -> Reading:
        emissions = self.out.emissions
        for record in emissions.records:
            (self._erp if record.door == "erp" else self._portal)(dict(record.body))
        for drop in emissions.files:
            if drop.door in ("edi_in", "edi_out"):
                found, wrong = read_x12(drop, self.isa_zones)
                self.out.sets += found
                self.out.envelope_faults += [f"{drop.name}: {w}" for w in wrong]
                for item in found:
                    self._x12(item)
            elif drop.door == "supplier_csv":
                self._supplier_csv(drop)
            else:
                self._west(drop)
        for push in emissions.pushes:
            if push.path == "/v1/events":
                body = json.loads(push.body)
                for event in body if isinstance(body, list) else [body]:
                    self._event(event)
            elif push.path == "/v1/documents/wms_east":
                self._east(json.loads(push.body))
        for line in emissions.lines:
            self._log(json.loads(line.body))
        return self.out

    def _erp(self, r: dict[str, Any]) -> None:
        if r["entity"] == "goods_receipt":
            for row in r["lines"]:
                self.out.order(row["po"]).received[row["po_line"]].append(instant(r["posted_at"]))
        if r["entity"] != "purchase_order":
            return
        order = self.out.order(r["number"])
        order.supplier = self.by_vendor[r["vendor"]]
        if r["change"] == "released":
            order.released = instant(r["released_at"])
            order.kind = r["order_type"]
            for row in r["lines"]:
                order.wanted[row["line"]] = date.fromisoformat(row["requested_date"])
        elif r["change"] == "answer_applied":
            order.applied.append(instant(r["changed_at"]))
        elif r["change"] in ("cancelled", "closed"):
            order.ended.append(instant(r["changed_at"]))

    def _answer(
        self, number: str, at: datetime, word: str, lines: Iterator[tuple[str, date]]
    ) -> None:
        order = self.out.order(number)
        (order.rejected if word == "rejected" else order.accepted).append(at)
        if word != "rejected":
            for line, day in lines:
                order.confirmed[line].append((at, day))

    def _ship(
        self, supplier: str, asn: str, at: datetime, lines: Iterator[tuple[str, str]]
    ) -> None:
        self.out.shipments[f"asn:{supplier}:{asn}"].append(at)
        for number, line in lines:
            self.out.order(number).announced[line].append(at)

    def _portal(self, r: dict[str, Any]) -> None:
        at = instant(r["submitted_at"])
        if r["kind"] == "order_answer":
            word = {"refused": "rejected"}.get(r["decision"], r["decision"])
            days = ((row["line"], date.fromisoformat(row["delivery_date"])) for row in r["lines"])
            self._answer(r["po"], at, word, days)
        else:
            lines = ((row["po"], row["line"]) for row in r["lines"])
            self._ship(self.by_vendor[r["vendor"]], r["shipment"], at, lines)

    def _event(self, event: dict[str, Any]) -> None:
        type_ = event["type"].removeprefix("com.supplierhub.").removesuffix(".v1")
        at, data = instant(event["time"]), event["data"]
        if type_ in ("po.acknowledged", "po.rejected"):
            days = ((row["line"], date.fromisoformat(row["date"])) for row in data["lines"])
            self._answer(data["po"], at, "rejected" if "rejected" in type_ else "ok", days)
        elif type_ in ("asn.received", "asn.replaced"):
            lines = ((row["po"], row["line"]) for row in data["lines"])
            self._ship(data["supplier"], data["asn"], at, lines)

    def _x12(self, item: SetRead) -> None:
        us_first = item.sender == OUR_ISA
        partner = self.by_isa[item.receiver if us_first else item.sender]
        if item.type == "850":
            self.sent[partner, item.functional_id, item.group, item.control] = item.value("BEG", 3)
        elif item.type == "997" and not us_first:
            first, group = item.value("AK1", 1), item.value("AK1", 2)
            for control in item.values("AK2", 2):
                number = self.sent.get((partner, first, group, control))
                if number is not None:
                    self.out.order(number).functional.append(item.at)
        elif item.type == "855":
            word = "rejected" if item.value("BAK", 2) in ("RD", "RJ") else "ok"
            self._answer(item.value("BAK", 3), item.at, word, self._acks(item))
        elif item.type == "856":
            self._ship(partner, item.value("BSN", 2), item.at, self._hl(item))

    @staticmethod
    def _acks(item: SetRead) -> Iterator[tuple[str, date]]:
        line = ""
        for segment in item.segments:
            if segment[0] == "PO1":
                line = segment[1]
            elif segment[0] == "ACK":
                yield line, day(segment[5], "%Y%m%d")

    @staticmethod
    def _hl(item: SetRead) -> Iterator[tuple[str, str]]:
        number = ""
        for segment in item.segments:
            if segment[0] == "PRF":
                number = segment[1]
            elif segment[0] == "LIN":
                yield number, segment[1]

    def _supplier_csv(self, drop: FileDrop) -> None:
        key = drop.name.split("/")[0]
        mapping = self.out.network["mappings"][self.out.network["partners"][key]["mapping"]]
        text = drop.body.decode(mapping["encoding"])
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=mapping["delimiter"]))
        names = mapping["columns"] if mapping.get("header") is False else rows.pop(0)
        answer, shipment = mapping["emit"][:2]
        records = [dict(zip(names, row, strict=True)) for row in rows]
        record_column = mapping["group_by"][0]

        def at(row: dict[str, str]) -> datetime:
            form = mapping["time_format"]
            local = datetime.strptime(row[answer["time"]], form).replace(tzinfo=self.zones[key])
            return local.astimezone(UTC)

        documents: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in records:
            documents[row[mapping["group_by"][1]]].append(row)
        for number, group in documents.items():
            first = group[0]
            if first[record_column] == answer["when"][record_column]:
                word = answer["codes"]["answer"][first[answer["fields"]["answer"]]]
                days = (
                    (
                        row[answer["lines"]["line"]],
                        day(row[answer["lines"]["date"]], mapping["date_format"]),
                    )
                    for row in group
                )
                self._answer(first[answer["fields"]["po"]], at(first), word, days)
            else:
                columns = shipment["lines"]
                lines = ((row[columns["po"]], row[columns["line"]]) for row in group)
                self._ship(key, number, at(first), lines)

    def _verdict(self, vendor: str, asn: str, at: datetime, good: bool) -> None:
        self.out.verdicts[f"asn:{self.by_vendor[vendor]}:{asn}"].append((at, good))

    def _east(self, doc: dict[str, Any]) -> None:
        if doc["doc"] == "asn_verdict":
            good = doc["verdict"] == "accepted"
            self._verdict(doc["vendor"], doc["asn"], instant(doc["checked_at"]), good)
        else:
            for row in doc["lines"]:
                self.out.order(row["po"]).received[row["po_line"]].append(instant(doc["posted_at"]))

    def _west(self, drop: FileDrop) -> None:
        for row in csv.DictReader(io.StringIO(drop.body.decode(), newline="")):
            local = datetime.fromisoformat(row["local_time"])
            at = local.replace(tzinfo=ZoneInfo("America/Los_Angeles")).astimezone(UTC)
            if row["type"] == "RECEIPT":
                self.out.order(row["po"]).received[row["po_line"]].append(at)
            else:
                self._verdict(row["vendor"], row["asn"], at, row["type"] == "ASN_ACCEPTED")

    def _log(self, line: dict[str, Any]) -> None:
        if line["step"] == "order.transmitted":
            self.out.order(line["po"]).transmitted.append(instant(line["ts"]))
        self.out.steps[self.by_vendor[line["partner"]]].append((instant(line["ts"]), line["step"]))
        if "po" in line:
            self.out.correlations[line["correlation_id"]].add(line["po"])


@pytest.fixture(scope="session")
def world() -> World:
    """Sixty days of the whole distributor, told to their end."""
    return build(11, AS_OF, days=60)


@pytest.fixture(scope="session")
def emissions(world: World) -> Emissions:
    return world.advance(AS_OF)


def read(world: World, emissions: Emissions) -> Reading:
    text = world.network_yaml(Path("demo"), "http://127.0.0.1:1")
    return Reader(world, emissions, yaml.safe_load(text)).read()


@pytest.fixture(scope="session")
def reading(world: World, emissions: Emissions) -> Reading:
    return read(world, emissions)


@pytest.fixture(scope="session")
def read_all() -> Callable[[World, Emissions], Reading]:
    """For worlds of other seeds and ends."""
    return read
