"""An installation as a user has one: a folder with both files, settings, and the command.

``tower`` calls the command inside this process; ``spawn`` starts the installed script.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from worker import command

SCRIPT = Path(sys.executable).with_name("tower")
SHIPPED_RULES = Path(__file__).resolve().parents[2] / "sla_rules.yaml"

NETWORK = """\
version: 1
company:
  name: Buyer Inc
  erp: main
  zone: America/New_York
  calendar: hq
  currency: USD
  isa: ["ZZ:BUYER"]
systems:
  sap: {name: ERP, kind: erp}
  gateway: {name: EDI gateway, kind: edi}
  files: {name: Supplier files, kind: supplier}
  warehouse: {name: East warehouse, kind: wms}
  broker: {name: Broker, kind: broker}
sources:
  edi:
    kind: drop_folder
    format: x12
    system: gateway
    channel: edi
    every: 10m
    silent_after: 12h
    options: {path: inbox/edi, ready: renamed}
  answers:
    kind: drop_folder
    format: csv
    system: files
    channel: file
    every: 10m
    silent_after: 12h
    mapping: answers
    options: {path: inbox/answers, ready: stable, partner_from: folder}
  erp: {kind: push, format: cloudevents, system: sap, channel: api, every: 1h, silent_after: 24h}
  receipts: {kind: push, format: json, system: warehouse, every: 1h, silent_after: 24h,
             mapping: receipts}
mappings:
  answers:
    format: csv
    delimiter: ";"
    group_by: [po]
    emit:
      - event: po.acknowledged
        when: {po: "*"}
        time: at
        fields: {po: po}
        lines: {line: line, qty: qty, date: date, answer: status}
        codes: {answer: {OK: accepted, CHANGED: accepted_with_changes, NO: rejected}}
  receipts:
    format: json
    emit:
      - event: receipt.posted
        when: {number: "*"}
        id: "{number}"
        time: at
        supplier: vendor
        fields: {warehouse: site, receipt: number}
        lines_from: lines
        lines: {receipt_line: n, po: po, line: line, qty: qty}
partners:
  ACME:
    name: Acme Fasteners
    tier: A
    zone: America/New_York
    calendar: hq
    ids: {isa: ["01:123456789"], erp_vendor: {main: "17300001"}}
    feeds: [edi]
    expects_fa: true
    contacts: {buyer: kim}
  BOLT:
    name: Bolt & Sons
    template: file
    tier: B
    calendar: hq
    ids: {erp_vendor: {main: "17300002"}}
    feeds: [answers]
calendars:
  hq: {zone: America/New_York, open: {mon-fri: ["08:00-17:00"]}}
people:
  kim: {name: Kim Lang, mail: kim@buyer.example, zone: America/New_York}
  purchasing_desk: {name: Purchasing desk, mail: desk@buyer.example, zone: America/New_York}
  purchasing_lead: {name: Lena Lead, mail: lead@buyer.example, zone: America/New_York}
  it_integration: {name: Integration team, mail: it@buyer.example, zone: America/New_York}
owners: {B: kim, D: purchasing_desk, S: purchasing_desk, I: it_integration, W: purchasing_desk,
         P: purchasing_desk, C: purchasing_desk, T: it_integration}
warehouses:
  EAST: {name: East warehouse, zone: America/New_York, dock_to_stock_days: 1}
"""


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on the one line of standard output."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self
        found = json.loads(lines[0])
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Installation:
    """A folder with network.yaml, sla_rules.yaml and a home; ``settings`` are TOWER_* variables."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, network: str = NETWORK, **settings: str) -> Installation:
        """``settings`` without TOWER_, in small letters."""
        (folder / "network.yaml").write_text(network, encoding="utf-8")
        rules = SHIPPED_RULES.read_text(encoding="utf-8")
        (folder / "sla_rules.yaml").write_text(rules, encoding="utf-8")
        own = {
            "TOWER_HOME": str(folder / "home"),
            "TOWER_NETWORK": str(folder / "network.yaml"),
            "TOWER_RULES": str(folder / "sla_rules.yaml"),
        }
        return cls(folder, own | {f"TOWER_{k.upper()}": v for k, v in settings.items()})

    @property
    def environment(self) -> dict[str, str]:
        """What a started command finds: these settings and nothing of the developer's own."""
        bare = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "COLUMNS": "200"}
        return {**bare, **self.settings}

    @property
    def network(self) -> Path:
        return self.folder / "network.yaml"

    @property
    def rules(self) -> Path:
        return self.folder / "sla_rules.yaml"

    def file(self, name: str, content: str | bytes) -> Path:
        """A file beside the installation's own."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def tower(self, *words: object, **more: str) -> Answer:
        """``tower WORDS`` in this process, with these settings alone; ``more`` win over them."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, {**self.settings, **more, "COLUMNS": "200"}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            _own_logging(),
        ):
            code = command.main([str(word) for word in words])
        return Answer(code, out.getvalue(), err.getvalue())

    def spawn(self, *words: object, timeout_s: float = 180, **more: str) -> Answer:
        """``tower WORDS`` as a user runs it, started in the installation's folder."""
        done = subprocess.run(
            [SCRIPT, *map(str, words)],
            env=self.environment | more,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """A command that starts to log does so for itself, not for the tests that follow."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
