"""OData services on this machine, version 2 as SAP writes it and 4 as Business Central does."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

import orjson

from collectors import registry
from collectors.contract import Reader
from collectors.key_sweep import Known
from tests.collectors.worlds import OrdersService, RestWorld, as_json, network
from tower.network import Network

_CONDITION = re.compile(r"(\w+) (ge|eq) (datetimeoffset'[^']*'|'[^']*'|[^ )]+)")


class ODataService(OrdersService):
    """Entities with lists inside: filter, order, top, skip, expand, and pages that it cuts itself.

    cut_at      entities of one answer, whatever was asked for
    inner_cut   entities of one list inside another
    """

    USER, PASSWORD = "SUPPLY_READER", "s3cret of the communication user"
    TOKEN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    PATH = "/odata/Orders"

    def __init__(self, version: int, stamp: str, lists: Mapping[str, str]) -> None:
        super().__init__()
        self.version, self.stamp, self.lists = version, stamp, lists
        self.cut_at, self.inner_cut = 1000, 1000
        self.headers: dict[str, str] = {}

    def respond(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes] | None:
        if self.fault:
            return self._faulty()
        if headers.get("authorization") != self.TOKEN:
            return 401, {}, b"{}"
        if path.startswith(f"{self.PATH}/inner/"):
            return self._answer(self._inner_page(path, query))
        found = [e for e in self.records if self._fits(e, query.get("$filter", ""))]
        for name in reversed(query.get("$orderby", "").split(",")):
            found.sort(key=lambda e, name=name: self._plain(e.get(name)))  # type: ignore[misc]
        at = int(query.get("$skip", "0")) + int(query.get("$skiptoken", "0"))
        found = found[int(query.get("$skip", "0")) :][: int(query.get("$top", "100000"))]
        rest = found[int(query.get("$skiptoken", "0")) :]
        link = None
        if len(rest) > self.cut_at:
            token = int(query.get("$skiptoken", "0")) + self.cut_at
            kept = {k: v for k, v in query.items() if k != "$skiptoken"} | {"$skiptoken": token}
            link = f"{self.url}{self.PATH}?" + "&".join(
                f"{k}={quote(str(v))}" for k, v in kept.items()
            )
        expand = query.get("$expand", "").replace("(", "/").split(",")
        select = [name for name in query.get("$select", "").split(",") if name]
        page = [self._shown(e, expand, select, at) for e in rest[: self.cut_at]]
        return self._answer((page, link))

    def _answer(self, found: tuple[list[Any], str | None]) -> tuple[int, dict[str, str], bytes]:
        page, link = found
        body: dict[str, Any]
        if self.version == 2:
            body = {"d": {"results": page, **({"__next": link} if link else {})}}
        else:
            body = {"@odata.context": "x", "value": page}
            if link:
                body["@odata.nextLink"] = link
        text = as_json(body)
        if self.cut:
            return 200, {"content-length": str(len(text))}, text[: len(text) // 2]
        return 200, {"content-type": "application/json", **self.headers}, text

    def _fits(self, entity: Mapping[str, Any], condition: str) -> bool:
        parts = condition.split(" or ") if " or " in condition else [condition]
        return any(
            all(self._holds(entity, *match) for match in _CONDITION.findall(part)) for part in parts
        )

    def _holds(self, entity: Mapping[str, Any], name: str, operator: str, literal: str) -> bool:
        if self.version == 2 and operator == "ge":
            assert literal.startswith("datetimeoffset'"), literal
        text = literal.removeprefix("datetimeoffset").strip("'")
        value = self._plain(entity[name])
        if isinstance(value, datetime):
            asked = datetime.fromisoformat(text)
            return value >= asked if operator == "ge" else value == asked
        return str(value) >= text if operator == "ge" else str(value) == text

    @staticmethod
    def _plain(value: Any) -> Any:
        if isinstance(value, str):
            if value.startswith("/Date("):
                return datetime.fromtimestamp(int(value[6:-2].partition("+")[0]) / 1000, UTC)
            if re.match(r"\d{4}-\d\d-\d\dT.*Z$", value):
                return datetime.fromisoformat(value)
        return value

    def _shown(self, entity: Any, expand: list[str], select: list[str], at: int) -> Any:
        """The entity with those lists that were asked for."""
        shown: dict[str, Any] = {}
        for name, value in entity.items():
            if select and name not in select:
                continue
            if not isinstance(value, list):
                shown[name] = value
                continue
            wanted = [e.partition("/")[2] for e in expand if e.partition("/")[0] == name]
            if not wanted:
                if self.version == 2:
                    shown[name] = {"__deferred": {"uri": f"{self.url}/deferred"}}
                continue
            deeper = [part for part in wanted if part]
            items = [self._shown(item, deeper, [], at) for item in value]
            here, more = items[: self.inner_cut], items[self.inner_cut :]
            link = f"inner/{entity[next(iter(entity))]}/{name}?from={self.inner_cut}"
            if self.version == 2:
                shown[name] = {"results": here}
                if more:
                    shown[name]["__next"] = f"{self.url}{self.PATH}/{link}"
            else:
                shown[name] = here
                if more:
                    shown[f"{name}@odata.nextLink"] = f"{self.url}{self.PATH}/{link}"
        return shown

    def _inner_page(self, path: str, query: Mapping[str, str]) -> tuple[list[Any], str | None]:
        key, name = path.removeprefix(f"{self.PATH}/inner/").split("/")
        entity = next(e for e in self.records if str(e[next(iter(e))]) == key)
        deeper = [d for d in ("to_ScheduleLine",) if self.version == 2]
        items = [self._shown(item, deeper, [], 0) for item in entity[name]]
        at = int(query["from"])
        link = None
        if at + self.inner_cut < len(items):
            link = f"{self.url}{path}?from={at + self.inner_cut}"
        return items[at : at + self.inner_cut], link


def milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class SapWorld(RestWorld):
    """Purchase orders of SAP S/4HANA with items and schedule lines, OData version 2."""

    secret = ODataService.PASSWORD
    faults: ClassVar[Mapping[str, type[Exception]]] = RestWorld.faults
    version = 2

    def __init__(self, folder: Any) -> None:
        self.known: Known | None = None
        self.service = self.made()
        super(RestWorld, self).__init__(folder)

    def made(self) -> ODataService:
        return ODataService(2, "LastChangeDateTime", {})

    def network(self) -> Network:
        return network(
            f"""
sources:
  feed:
    kind: odata
    format: json
    system: erp
    mapping: sap_s4_purchase_orders
    options:
      version: 2
      url: {self.service.url}{ODataService.PATH}
      user: {ODataService.USER}
      password_variable: SAP_PASSWORD
      key: [PurchaseOrder]
      expand: [to_PurchaseOrderItem, to_PurchaseOrderItem/to_ScheduleLine]
      stamp: LastChangeDateTime
      page_size: 2
      max_bytes: 500kB
"""
        )

    def secrets(self) -> Mapping[str, str]:
        return {"SAP_PASSWORD": ODataService.PASSWORD}

    def reader(self) -> Reader:
        source = self.net.sources[self.source]
        options = {**source.options, "timeout": self.timeout}
        timed = source.model_copy(update={"options": options})
        return registry.reader_for(self.source, timed, self.net, self.secrets(), known=self.known)

    def record(self, n: int) -> dict[str, Any]:
        number = f"45000{n:05d}"
        changed = milliseconds(f"2026-03-27T10:00:{n:02d}+00:00")
        return {
            "PurchaseOrder": number,
            "PurchaseOrderType": "NB",
            "PurchasingDocumentDeletionCode": "",
            "CreationDate": f"/Date({milliseconds('2026-03-27T00:00:00+00:00')})/",
            "PurchaseOrderDate": f"/Date({milliseconds('2026-03-27T00:00:00+00:00')})/",
            "LastChangeDateTime": f"/Date({changed}+0000)/",
            "Supplier": "17300001",
            "PurchasingGroup": "001",
            "DocumentCurrency": "USD",
            "to_PurchaseOrderItem": [
                {
                    "PurchaseOrder": number,
                    "PurchaseOrderItem": line,
                    "PurchasingDocumentDeletionCode": "",
                    "PurchaseOrderItemText": "Bolt ü",
                    "Plant": "1710",
                    "OrderQuantity": "40.000",
                    "PurchaseOrderQuantityUnit": "EA",
                    # The second is priced per 300 of a unit of which three make two pieces.
                    "NetPriceAmount": "12.50" if line == "10" else "2500.00",
                    "NetPriceQuantity": "1" if line == "10" else "300",
                    "OrderPriceUnit": "EA" if line == "10" else "KGM",
                    "OrderPriceUnitToOrderUnitNmrtr": "1" if line == "10" else "3",
                    "OrdPriceUnitToOrderUnitDnmntr": "1" if line == "10" else "2",
                    "Material": f"B-{line}",
                    "IsCompletelyDelivered": False,
                    "to_ScheduleLine": [
                        {
                            "PurchasingDocument": number,
                            "PurchasingDocumentItem": line,
                            "ScheduleLine": "1",
                            "ScheduleLineDeliveryDate": "/Date(1775001600000)/",
                            "ScheduleLineOrderQuantity": "40.000",
                        }
                    ],
                }
                for line in ("10", "20")
            ],
        }

    def content(self, n: int) -> bytes:
        order = self.record(n)
        items = [
            {**item, "to_ScheduleLine": {"results": item["to_ScheduleLine"]}}
            for item in order["to_PurchaseOrderItem"]
        ]
        shown = {**order, "to_PurchaseOrderItem": {"results": items}}
        return orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)

    def remove(self, n: int) -> None:
        key = next(iter(self.record(n)))
        gone = self.record(n)[key]
        self.service.records[:] = [r for r in self.service.records if r[key] != gone]


class BusinessCentralWorld(SapWorld):
    """Purchase orders of Business Central, OData version 4, in pages that the service cuts."""

    version = 4

    def made(self) -> ODataService:
        service = ODataService(4, "lastModifiedDateTime", {})
        service.cut_at = 2
        return service

    def network(self) -> Network:
        return network(
            f"""
sources:
  feed:
    kind: odata
    format: json
    system: erp
    mapping: business_central_purchase_orders
    options:
      version: 4
      url: {self.service.url}{ODataService.PATH}
      user: {ODataService.USER}
      password_variable: SAP_PASSWORD
      key: [number]
      expand: [purchaseOrderLines]
      stamp: lastModifiedDateTime
      paging: server
      page_size: 2
      max_bytes: 500kB
"""
        )

    def record(self, n: int) -> dict[str, Any]:
        return {
            "number": f"1080{n:02d}",
            "id": f"5d115c9c-44e3-ea11-bb43-0000000000{n:02d}",
            "orderDate": "2026-03-27",
            "vendorNumber": "17300001",
            "currencyCode": "USD",
            "purchaser": "",
            "requestedReceiptDate": "2026-04-01",
            "fullyReceived": False,
            "status": "Open",
            "lastModifiedDateTime": f"2026-03-27T10:00:{n:02d}Z",
            "purchaseOrderLines": [
                {
                    "sequence": line,
                    "lineObjectNumber": f"B-{line}",
                    "description": "Bolt ü",
                    "quantity": 40,
                    "unitOfMeasureCode": "PCS",
                    "directUnitCost": 12.5,
                    "expectedReceiptDate": "2026-04-02",
                }
                for line in (10000, 20000)
            ],
        }

    def content(self, n: int) -> bytes:
        return orjson.dumps(self.record(n), option=orjson.OPT_SORT_KEYS)
