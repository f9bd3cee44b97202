"""Real sources for the conformance kit: folders, logs and small web servers on this machine."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import orjson

from collectors import registry
from collectors.contract import Reader
from tests.collectors.conformance import World
from tower.errors import AccessDenied, ConfigError, SourceThrottled, SourceUnavailable
from tower.network import Network, load_network

FORMATS = Path(__file__).resolve().parents[1] / "fixtures" / "formats"

REST_OF_NETWORK = """
version: 1
company:
  {name: Harbour, erp: main, zone: America/New_York, calendar: hq, isa: ["01:061728394"]}
systems:
  erp: {name: ERP, kind: erp}
partners:
  ACME:
    name: Acme
    zone: America/New_York
    ids: {isa: ["12:2000209458"], erp_vendor: {main: "17300001"}}
  BOLT:
    name: Bolt
    zone: Europe/Berlin
    ids: {erp_vendor: {main: "17300002"}}
calendars:
  hq: {zone: America/New_York, open: {mon-fri: ["08:00-17:00"]}}
people:
  desk: {name: Desk, mail: desk@harbour.example}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""


def network(sources: str, mappings: str = "mappings: {}") -> Network:
    """A small network with these sources and mappings."""
    return load_network(f"{REST_OF_NETWORK}\n{sources}\n{mappings}\n", "network.yaml")


CSV_ANSWERS = """
mappings:
  answers:
    format: csv
    delimiter: ";"
    decimal: ","
    date_format: "%d.%m.%Y"
    time_format: "%d.%m.%Y %H:%M"
    group_by: [po]
    emit:
      - event: po.acknowledged
        when: {po: "*"}
        time: answered
        fields: {po: po}
        lines: {line: line, qty: qty, price: price, date: day, answer: status}
        codes: {answer: {OK: accepted, CHG: accepted_with_changes}}
"""


class CsvFolder(World):
    """Files that are whole when they have not changed for ten seconds; subfolders are partners."""

    faults: ClassVar[Mapping[str, type[Exception]]] = {
        "folder gone": SourceUnavailable,
        "folder is a file": SourceUnavailable,
        "claims are a link": ConfigError,
    }
    ready = "stable"

    def network(self) -> Network:
        (self.folder / "in" / "ACME").mkdir(parents=True, exist_ok=True)
        return network(
            f"""
sources:
  feed:
    kind: drop_folder
    format: csv
    system: erp
    mapping: answers
    options: {{path: {self.folder / "in"}, partner_from: folder, ready: {self.ready}}}
""",
            CSV_ANSWERS,
        )

    def content(self, n: int) -> bytes:
        return (
            "po;line;qty;price;day;status;answered\n"
            f"45000{n:05d};10;1{n},5;12,25;28.03.2026;OK;27.03.2026 09:1{n}\n"
            f'45000{n:05d};20;"2";"0,80";29.03.2026;"CHG";27.03.2026 09:1{n}\n'
        ).encode()

    def _path(self, n: int) -> Path:
        return self.folder / "in" / "ACME" / f"answer {n} ü.csv"

    def put(self, n: int) -> None:
        self._path(n).write_bytes(self.content(n))

    def repeat(self, n: int) -> None:
        self._path(100 + n).write_bytes(self.content(n))

    def put_half(self, n: int) -> None:
        self._path(n).write_bytes(self.content(n)[:50])

    def put_rest(self, n: int) -> None:
        with self._path(n).open("ab") as file:
            file.write(self.content(n)[50:])

    @contextlib.contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        folder, away = self.folder / "in", self.folder / "away"
        folder.rename(away)
        if fault == "folder is a file":
            folder.write_text("no folder")
        if fault == "claims are a link":
            folder.mkdir()
            (folder / ".claimed").symlink_to(away)
        try:
            yield
        finally:
            if fault == "claims are a link":
                (folder / ".claimed").unlink()
                folder.rmdir()
            folder.unlink(missing_ok=True)
            away.rename(folder)


class RenamedFolder(CsvFolder):
    """Files that are whole as soon as they have their final name."""

    ready = "renamed"

    def put(self, n: int) -> None:
        self.put_half(n)
        self.put_rest(n)

    def repeat(self, n: int) -> None:
        path = self._path(100 + n)
        path.with_suffix(".tmp").write_bytes(self.content(n))
        path.with_suffix(".tmp").rename(path)

    def put_half(self, n: int) -> None:
        self._path(n).with_suffix(".tmp").write_bytes(self.content(n)[:50])

    def put_rest(self, n: int) -> None:
        path = self._path(n).with_suffix(".tmp")
        with path.open("ab") as file:
            file.write(self.content(n)[50:])
        path.rename(self._path(n))


class MarkedFolder(CsvFolder):
    """Files that are whole when their sender puts a marker beside them."""

    ready = "marker"

    def put(self, n: int) -> None:
        super().put(n)
        self._mark(self._path(n))

    def repeat(self, n: int) -> None:
        super().repeat(n)
        self._mark(self._path(100 + n))

    def put_rest(self, n: int) -> None:
        super().put_rest(n)
        self._mark(self._path(n))

    def _mark(self, path: Path) -> None:
        path.with_name(path.name + ".done").touch()


class X12Folder(RenamedFolder):
    """Interchanges in a folder, whole by their final name."""

    def network(self) -> Network:
        (self.folder / "in").mkdir(parents=True, exist_ok=True)
        return network(
            f"""
sources:
  feed:
    kind: drop_folder
    format: x12
    system: erp
    channel: edi
    options: {{path: {self.folder / "in"}, ready: renamed}}
"""
        )

    def content(self, n: int) -> bytes:
        body = (FORMATS / "855_answer.edi").read_bytes()
        return body.replace(b"4500001234", b"45000%05d" % n)

    def _path(self, n: int) -> Path:
        return self.folder / "in" / f"answer {n}.edi"


class XmlFolder(RenamedFolder):
    """UBL answers in a folder, whole by their final name."""

    def network(self) -> Network:
        (self.folder / "in").mkdir(parents=True, exist_ok=True)
        return network(
            f"""
sources:
  feed:
    kind: drop_folder
    format: xml
    system: erp
    mapping: ubl
    options: {{path: {self.folder / "in"}, ready: renamed}}
"""
        )

    def content(self, n: int) -> bytes:
        body = (FORMATS.parent / "xml" / "ubl_order_response.xml").read_bytes()
        return body.replace(b"4500001234", b"45000%05d" % n)

    def _path(self, n: int) -> Path:
        return self.folder / "in" / f"answer {n}.xml"


class LogWorld(World):
    """A growing log whose lines have ids of their own."""

    faults: ClassVar[Mapping[str, type[Exception]]] = {"folder gone": SourceUnavailable}
    key = 'key: "{id}"'

    def network(self) -> Network:
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        return network(
            f"""
sources:
  feed:
    kind: log_file
    format: log
    system: erp
    mapping: lines
    options: {{path: "{self.folder / "logs"}/m*.jsonl"}}
""",
            f"""
mappings:
  lines:
    format: log
    {self.key}
    emit:
      - event: message.failed
        when: {{level: error}}
        id: "{{id}}"
        time: ts
        fields: {{po: order.number, message: msg, text: text, code: error.code}}
        carries: ["{{msg}}"]
""",
        )

    @property
    def path(self) -> Path:
        return self.folder / "logs" / "m.jsonl"

    def content(self, n: int) -> bytes:
        return json.dumps(
            {
                "id": f"e{n}",
                "ts": f"2026-03-27T10:00:0{n}Z",
                "level": "ERROR",
                "msg": f"m-{n}",
                "order": {"number": f"45000{n:05d}"},
                "error.code": "503",
                "text": "no answer ü",
            }
        ).encode()

    def put(self, n: int) -> None:
        self._append(self.content(n) + b"\n")

    def repeat(self, n: int) -> None:
        self.put(n)

    def put_half(self, n: int) -> None:
        self._append(self.content(n)[:30])

    def put_rest(self, n: int) -> None:
        self._append(self.content(n)[30:] + b"\n")

    def _append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    @contextlib.contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        folder, away = self.folder / "logs", self.folder / "away"
        folder.rename(away)
        try:
            yield
        finally:
            away.rename(folder)


class LogWithoutIds(LogWorld):
    """A log whose lines are known by their place and content; a copy of it is a repetition."""

    key = ""

    def repeat(self, n: int) -> None:
        (self.folder / "logs" / f"m-copy{n}.jsonl").write_bytes(self.path.read_bytes())


class Service:
    """A web server on this machine. ``respond`` answers (path, query, headers) with (status,
    headers, body); None cuts the connection.
    """

    def __init__(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: given[-1] for name, given in parse_qs(parts.query).items()}
                owner.asked.append(self.path)
                sent = {name.lower(): value for name, value in self.headers.items()}
                self._answer(owner.respond(parts.path, query, sent))

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", "0"))
                form = {k: v[-1] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
                sent = {name.lower(): value for name, value in self.headers.items()}
                self._answer(owner.take(self.path, form, sent))

            def _answer(self, answer: tuple[int, dict[str, str], bytes] | None) -> None:
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "content-length" not in {name.lower() for name in headers}:
                    self.send_header("content-length", str(len(body)))
                self.end_headers()
                if status != 304:
                    self.wfile.write(body)
                if int(headers.get("content-length", len(body))) != len(body):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def respond(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes] | None:
        raise NotImplementedError

    def take(
        self, path: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes] | None:
        """Answers a form that is posted."""
        return 404, {}, b"{}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def as_json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


class OrdersService(Service):
    """An ERP's list of changed orders: since a stamp, in pages, for those who know the token."""

    TOKEN = "Bearer s3cret-token-of-the-erp"

    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, Any]] = []
        self.cut = False
        self.fault = ""

    def respond(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes] | None:
        if self.fault:
            return self._faulty()
        if headers.get("authorization") != self.TOKEN:
            return 401, {}, b"{}"
        since = query.get("since", "")
        found = [r for r in self.records if r["changed"] >= since]
        found.sort(key=lambda r: (r["changed"], r["number"]))
        size = int(query.get("limit", "100"))
        at = int(query.get("cursor", "0"))
        page: dict[str, Any] = {"value": found[at : at + size], "meta": {}}
        if at + size < len(found):
            page["meta"]["next"] = str(at + size)
        body = as_json(page)
        if self.cut:
            return 200, {"content-length": str(len(body))}, body[: len(body) // 2]
        return 200, {"content-type": "application/json", "set-cookie": "session=abc"}, body

    def _faulty(self) -> tuple[int, dict[str, str], bytes] | None:
        match self.fault:
            case "cut":
                return None
            case "slow":
                time.sleep(0.4)
                return 200, {}, b"{}"
            case "redirect":
                return 302, {"location": "http://127.0.0.1:1/elsewhere"}, b""
            case "throttled":
                return 429, {"retry-after": "17"}, b""
            case "html":
                return 200, {"content-type": "text/html"}, b"<html>Maintenance</html>"
            case "huge":
                return 200, {}, b"[" + b"1," * 300_000 + b"1]"
        return int(self.fault), {}, b"{}"


class RestWorld(World):
    """An ERP that is polled with a token, by stamp and cursor."""

    secret = OrdersService.TOKEN
    pace = timedelta(minutes=1)
    faults: ClassVar[Mapping[str, type[Exception]]] = {
        "500": SourceUnavailable,
        "503": SourceUnavailable,
        "cut": SourceUnavailable,
        "slow": SourceUnavailable,
        "throttled": SourceThrottled,
        "401": AccessDenied,
        "403": AccessDenied,
        "404": ConfigError,
        "400": ConfigError,
        "redirect": ConfigError,
        "huge": ConfigError,
    }

    def __init__(self, folder: Path) -> None:
        self.service = OrdersService()
        super().__init__(folder)

    def network(self) -> Network:
        return network(
            f"""
sources:
  feed:
    kind: rest
    format: json
    system: erp
    mapping: orders
    options:
      url: {self.service.url}/orders
      query: {{since: "{{since}}", limit: "{{page_size}}", cursor: "{{cursor}}"}}
      auth_variable: ERP_TOKEN
      paging: cursor
      next: meta.next
      page_size: 2
      stamp: changed
      max_bytes: 500kB
""",
            """
mappings:
  orders:
    format: json
    records: value
    key: "po:{number}:{version}"
    emit:
      - event: po.released
        id: "{number}:{version}"
        time: changed
        supplier: vendor
        fields: {po: number, currency: currency}
        lines_from: lines
        lines: {line: no, item: sku, qty: qty, price: price, requested_date: due}
""",
        )

    def reader(self) -> Reader:
        source = self.net.sources[self.source]
        options = {**source.options, "timeout": self.timeout}
        timed = source.model_copy(update={"options": options})
        return registry.reader_for(self.source, timed, self.net, self.secrets())

    def secrets(self) -> Mapping[str, str]:
        return {"ERP_TOKEN": OrdersService.TOKEN}

    def record(self, n: int) -> dict[str, Any]:
        return {
            "number": f"45000{n:05d}",
            "version": 1,
            "changed": f"2026-03-27T10:00:0{n}Z",
            "vendor": "17300001",
            "currency": "USD",
            "lines": [{"no": 10, "sku": "A-1", "qty": 2.5, "price": "12.50", "due": "2026-04-01"}],
        }

    def content(self, n: int) -> bytes:
        return as_json(self.record(n))

    def put(self, n: int) -> None:
        self.service.records.append(self.record(n))

    def repeat(self, n: int) -> None:
        self.put(n)

    def put_half(self, n: int) -> None:
        self.put(n)
        self.service.cut = True

    def put_rest(self, n: int) -> None:
        self.service.cut = False

    @contextlib.contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        self.service.fault = fault
        try:
            yield
        finally:
            self.service.fault = ""

    def close(self) -> None:
        self.service.close()
