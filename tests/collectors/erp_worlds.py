"""Web services on this machine that page and let in as ERPNext, NetSuite and a portal do."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson

from collectors import registry
from collectors.contract import Reader
from collectors.key_sweep import Known
from tests.collectors.worlds import OrdersService, RestWorld, as_json, network
from tower.network import Network

Reply = tuple[int, dict[str, str], bytes]


class RecordService(OrdersService):
    """A list that only names its records, which are asked for one by one."""

    TOKEN = "token 9f2:s3cret-of-the-api-user"

    def respond(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Reply | None:
        if self.fault:
            return self._faulty()
        if not self.lets_in(headers):
            return 401, {}, b"{}"
        found = self.answer(path, query)
        if found is None:
            return 404, {}, b"{}"
        body = as_json(found)
        if self.cut:
            return 200, {"content-length": str(len(body))}, body[: len(body) // 2]
        return 200, {"content-type": "application/json"}, body

    def lets_in(self, headers: Mapping[str, str]) -> bool:
        return headers.get("authorization") == self.TOKEN

    def answer(self, path: str, query: Mapping[str, str]) -> Any:
        raise NotImplementedError


class ErpNextService(RecordService):
    """Frappe's REST API: /api/resource/<DocType> with fields, filters, limit_start."""

    PATH = "/api/resource/Purchase Order"

    def answer(self, path: str, query: Mapping[str, str]) -> Any:
        path = unquote(path)
        if path != self.PATH:
            name = path.removeprefix(f"{self.PATH}/")
            found = [r for r in self.records if r["name"] == name]
            return {"data": found[-1]} if found else None
        filters = orjson.loads(query.get("filters", "[]"))
        fields = orjson.loads(query["fields"])
        found = self.records
        for name, operator, value in filters:
            assert operator == ">="
            found = [r for r in found if r[name] >= value]
        found = sorted(found, key=lambda r: (r["modified"], r["name"]))
        at = int(query["limit_start"])
        page = found[at : at + int(query["limit_page_length"])]
        return {"data": [{name: r[name] for name in fields} for r in page]}


class ErpNextWorld(RestWorld):
    """Purchase orders of ERPNext."""

    secret = RecordService.TOKEN

    def __init__(self, folder: Path) -> None:
        self.known: Known | None = None
        self.service: RecordService = self.made()
        super(RestWorld, self).__init__(folder)

    def made(self) -> RecordService:
        return ErpNextService()

    def network(self) -> Network:
        return network(
            f"""
sources:
  feed:
    kind: rest
    format: json
    system: erp
    mapping: erpnext_purchase_orders
    options:
      url: {self.service.url}/api/resource/Purchase%20Order
      auth_variable: ERP_TOKEN
      query:
        fields: '["name","modified"]'
        filters: '[["modified",">=","{{since}}"]]'
        order_by: modified asc, name asc
        limit_start: "{{offset}}"
        limit_page_length: "{{page_size}}"
      paging: offset
      page_size: 2
      stamp: modified
      since_initial: "2000-01-01 00:00:00"
      detail: "/api/resource/Purchase%20Order/{{name}}"
      detail_record: data
      key: [name]
      sweep_query:
        fields: '["name"]'
        limit_start: "{{offset}}"
        limit_page_length: "{{page_size}}"
      max_bytes: 500kB
"""
        )

    def secrets(self) -> Mapping[str, str]:
        return {"ERP_TOKEN": RecordService.TOKEN}

    def reader(self) -> Reader:
        source = self.net.sources[self.source]
        options = {**source.options, "timeout": self.timeout}
        timed = source.model_copy(update={"options": options})
        return registry.reader_for(self.source, timed, self.net, self.secrets(), known=self.known)

    def record(self, n: int) -> dict[str, Any]:
        return {
            "name": f"PUR-ORD-2026-{n:05d}",
            "docstatus": 1,
            "status": "To Receive and Bill",
            "supplier": "17300001",
            "transaction_date": "2026-03-27",
            "currency": "USD",
            "modified": f"2026-03-27 10:00:{n:02d}.123456",
            "order_confirmation_no": "" if n % 2 else f"AB-{n}",
            "items": [
                {
                    "idx": line,
                    "item_code": f"B-{line}",
                    "item_name": "Bolt ü",
                    "qty": 40.0,
                    "uom": "Nos",
                    "rate": 12.5,
                    "schedule_date": "2026-04-01",
                    "sales_order": "SAL-ORD-1",
                    "sales_order_item": f"row{line}",
                }
                for line in (1, 2)
            ],
        }

    def remove(self, n: int) -> None:
        gone = self.record(n)
        self.service.records[:] = [r for r in self.service.records if r != gone]


class NetSuiteService(RecordService):
    """The REST record service: lists of ids with links and hasMore; tokens that end."""

    CLIENT, SECRET = "tower-client", "s3cret-of-the-client"
    PATH = "/services/rest/record/v1/purchaseOrder"

    def __init__(self) -> None:
        super().__init__()
        self.tokens = 0
        self.token_fault = 0

    def take(self, path: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Reply | None:
        if self.token_fault:
            return self.token_fault, {}, b'{"error": "invalid_client"}'
        asked = base64.b64encode(f"{self.CLIENT}:{self.SECRET}".encode()).decode()
        if path != "/token" or headers.get("authorization") != f"Basic {asked}":
            return 401, {}, b'{"error": "invalid_client"}'
        assert form == {"grant_type": "client_credentials", "scope": "rest_webservices"}
        self.tokens += 1
        return 200, {}, as_json({"access_token": f"token-{self.tokens}", "expires_in": 3600})

    def lets_in(self, headers: Mapping[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer token-{self.tokens}"

    def answer(self, path: str, query: Mapping[str, str]) -> Any:
        if path != self.PATH:
            found = [r for r in self.records if r["id"] == path.removeprefix(f"{self.PATH}/")]
            return found[-1] if found else None
        since = query.get("q", "").partition('"')[2].rstrip('"')
        found = [r for r in self.records if not since or r["lastModifiedDate"] >= since]
        at, size = int(query.get("offset", "0")), int(query["limit"])
        links = []
        if at + size < len(found):
            asked = f"limit={size}&offset={at + size}"
            links.append({"rel": "next", "href": f"{self.url}{self.PATH}?{asked}"})
        items = [
            {"id": r["id"], "links": [{"rel": "self", "href": f"{self.url}{self.PATH}/{r['id']}"}]}
            for r in found[at : at + size]
        ]
        return {"links": links, "items": items, "hasMore": bool(links), "count": len(items)}


class NetSuiteWorld(ErpNextWorld):
    """Purchase orders of NetSuite's REST record service."""

    secret = NetSuiteService.SECRET

    def made(self) -> RecordService:
        return NetSuiteService()

    def network(self) -> Network:
        return network(
            f"""
sources:
  feed:
    kind: rest
    format: json
    system: erp
    mapping: netsuite_purchase_orders
    options:
      url: {self.service.url}{NetSuiteService.PATH}
      oauth2:
        token_url: {self.service.url}/token
        client_id: {NetSuiteService.CLIENT}
        secret_variable: ERP_SECRET
        scope: rest_webservices
      query:
        q: 'lastModifiedDate ON_OR_AFTER "{{since}}"'
        limit: "{{page_size}}"
      paging: link
      next: links
      records: items
      page_size: 2
      stamp: lastModifiedDate
      detail: "{NetSuiteService.PATH}/{{id}}"
      key: [id]
      max_bytes: 500kB
"""
        )

    def secrets(self) -> Mapping[str, str]:
        return {"ERP_SECRET": NetSuiteService.SECRET}

    def record(self, n: int) -> dict[str, Any]:
        return {
            "id": str(100 + n),
            "tranId": f"PO{n:05d}",
            "entity": {"id": "17300001", "refName": "Acme"},
            "tranDate": "2026-03-27",
            "lastModifiedDate": f"2026-03-27T10:00:{n:02d}Z",
            "currency": {"id": "1", "refName": "USD"},
            "status": {"id": "B", "refName": "Pending Receipt"},
            "item": {
                "items": [
                    {
                        "line": 1,
                        "item": {"id": "7", "refName": "B-100"},
                        "quantity": 40.0,
                        "rate": 12.5,
                        "expectedReceiptDate": "2026-04-01",
                    }
                ]
            },
        }


class PortalService(RecordService):
    """A portal's page of open answers: no times of change, but an ETag."""

    def __init__(self) -> None:
        super().__init__()
        self.unchanged = 0

    def respond(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Reply | None:
        answer = super().respond(path, query, headers)
        if answer is None or answer[0] != 200 or self.cut:
            return answer
        status, sent, body = answer
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if headers.get("if-none-match") == etag:
            self.unchanged += 1
            return 304, {"etag": etag}, b""
        return status, {**sent, "etag": etag}, body

    def answer(self, path: str, query: Mapping[str, str]) -> Any:
        return {"answers": self.records}


class PortalWorld(ErpNextWorld):
    """Answers that suppliers type into a portal, one partner per address."""

    def made(self) -> RecordService:
        return PortalService()

    def network(self) -> Network:
        return network(
            f"""
sources:
  feed:
    kind: rest
    format: json
    system: erp
    partner: ACME
    channel: portal
    mapping: portal_answers
    options: {{url: {self.service.url}/suppliers/acme/answers, auth_variable: ERP_TOKEN,
              auth_header: Authorization, max_bytes: 500kB}}
"""
        )

    def record(self, n: int) -> dict[str, Any]:
        return {
            "purchaseOrder": f"45000{n:05d}",
            "answer": "accepted",
            "lines": [{"line": "10", "quantity": "40", "date": "2026-04-01", "answer": "accepted"}],
        }

    def repeat(self, n: int) -> None:
        """The page shows the same as before."""
