"""network.yaml of the pretend distributor: systems, feeds, partners, calendars, people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from simulator import csvs, mappings, wires
from simulator.cast import (
    BUYERS,
    COMPANY,
    COMPANY_ZONE,
    DESKS,
    ERP,
    FEED,
    HOURS,
    OWNERS,
    TEMPLATE,
    US,
    WAREHOUSES,
    Supplier,
)
from simulator.closures import LISTED, closed_days
from simulator.hours import Hours

SILENT_AFTER = "4h"
PUSH_EVERY = "2h"
STOCK_EVERY, STOCK_SILENT_AFTER = "24h", "30h"  # told by night

_HEAD = f"""\
# {COMPANY}: a pretend distributor. Written by the simulator for the demo; every name is invented.
# Yours is network.yaml in the root folder, with comments on each part.
"""

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

SYSTEMS = {
    "erp": ("Cloud ERP", "erp"),
    "platform": ("Distribution platform", "platform"),
    "portal": ("Supplier portal", "portal"),
    "edi": ("EDI gateway", "edi"),
    "supplier_hub": ("Supplier API", "supplier"),
    "supplier_files": ("Supplier files", "supplier"),
    "middleware": ("Integration middleware", "middleware"),
    "wms_east": ("Warehouse Newark", "wms"),
    "wms_west": ("Warehouse Reno", "wms"),
    "broker": ("Message broker", "broker"),
}


class _Plain(yaml.SafeDumper):
    """Without anchors and aliases: a part that comes twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _sources(doors: Path, base_url: str, every: str) -> dict[str, Any]:
    def folder(name: str, pattern: str, **options: Any) -> dict[str, Any]:
        return {
            "path": str(doors / name),
            "pattern": [pattern],
            "ready": "renamed",
            "received": "mtime",
            **options,
        }

    def service(path: str, query: dict[str, str]) -> dict[str, Any]:
        return {
            "url": base_url + path,
            "query": query | {"limit": "{page_size}"},
            "paging": "link",
            "next": "next",
            "page_size": 500,
            "stamp": "changed_at",
            "overlap": "10m",
        }

    pulled: dict[str, dict[str, Any]] = {
        "edi_in": {
            "kind": "drop_folder",
            "format": "x12",
            "system": "edi",
            "channel": "edi",
            "options": folder("edi_in", "*.edi"),
        },
        "edi_out": {
            "kind": "drop_folder",
            "format": "x12",
            "system": "edi",
            "channel": "edi",
            "options": folder("edi_out", "*.edi"),
        },
        "supplier_csv": {
            "kind": "drop_folder",
            "format": "csv",
            "system": "supplier_files",
            "channel": "file",
            "mapping": csvs.US.name,
            "options": folder("supplier_csv", "*.csv", partner_from="folder"),
        },
        "portal": {
            "kind": "rest",
            "format": "json",
            "system": "portal",
            "channel": "portal",
            "mapping": "portal",
            "options": service("/portal/activity", {"changed_since": "{since}"}),
        },
        "erp": {
            "kind": "rest",
            "format": "json",
            "system": "erp",
            "mapping": "erp",
            "options": service("/erp/changes", {"changed_since": "{since}"}),
        },
        "wms_west": {
            "kind": "drop_folder",
            "format": "csv",
            "system": "wms_west",
            "mapping": "wms_west",
            "zone": "America/Los_Angeles",
            "options": folder("wms_west", "*.csv"),
        },
        "middleware": {
            "kind": "log_file",
            "format": "log",
            "system": "middleware",
            "mapping": "middleware",
            "options": {"path": str(doors / "middleware" / "middleware-*.jsonl")},
        },
        "rabbitmq": {
            "kind": "rabbitmq",
            "format": "queue",
            "system": "broker",
            "options": {"url": base_url, "broker": "broker"},
        },
    }
    pushed: dict[str, dict[str, Any]] = {
        "supplier_api": {
            "kind": "push",
            "format": "cloudevents",
            "system": "supplier_hub",
            "channel": "api",
            "options": {"type_prefix": wires.TYPE_PREFIX},
        },
        "platform": {
            "kind": "push",
            "format": "cloudevents",
            "system": "platform",
            "options": {"type_prefix": wires.PLATFORM_PREFIX},
        },
        "wms_east": {
            "kind": "push",
            "format": "json",
            "system": "wms_east",
            "mapping": "wms_east",
        },
    }
    return (
        {
            name: source | {"every": every, "silent_after": SILENT_AFTER}
            for name, source in pulled.items()
        }
        | {
            name: source | {"every": PUSH_EVERY, "silent_after": SILENT_AFTER}
            for name, source in pushed.items()
        }
        | {
            # The books tell by night what is in stock, in the words of a mapping that is shipped.
            "stock": {
                "kind": "push",
                "format": "json",
                "system": "erp",
                "mapping": "wms_events",
                "every": STOCK_EVERY,
                "silent_after": STOCK_SILENT_AFTER,
            },
            # What its suppliers write into the form of /portal; nobody has to write.
            "portal-form": {
                "kind": "push",
                "format": "cloudevents",
                "system": "portal",
                "channel": "portal",
                "silent_after": "87600h",
            },
        }
    )


def _calendar(hours: Hours, years: Sequence[int]) -> dict[str, Any]:
    calendar: dict[str, Any] = {
        "zone": hours.zone_name,
        "open": {
            _WEEKDAYS[day]: [f"{a}-{b}" for a, b in windows]
            for day, windows in sorted(hours.windows.items())
        },
    }
    if hours.country in LISTED:
        days = sorted(
            day for year in years for day in closed_days(hours.country, hours.region, year)
        )
        calendar["days"] = {day.isoformat(): list[str]() for day in days}
    else:
        calendar["holidays"] = {"country": hours.country} | (
            {"region": hours.region} if hours.region else {}
        )
    return calendar


def _partner(supplier: Supplier) -> dict[str, Any]:
    ids: dict[str, Any] = {"erp_vendor": {ERP: supplier.vendor}}
    if supplier.channel == "edi":
        ids["isa"] = [f"{supplier.party.qualifier}:{supplier.party.isa}"]
    partner: dict[str, Any] = {
        "name": supplier.name,
        "template": TEMPLATE[supplier.channel],
        "tier": supplier.tier,
        "country": supplier.country,
        "zone": supplier.hours.zone_name,
        "calendar": supplier.calendar,
        "ids": ids,
        "feeds": [FEED[supplier.channel]],
        "acknowledges": supplier.answers_orders,
        "expects_fa": supplier.expects_fa,
        "sends_asn": supplier.sends_asn,
        "usual_delay_days": supplier.usual_delay,
        "contacts": {"ack": supplier.mail, "buyer": supplier.buyer},
    }
    if supplier.csv:
        partner["mapping"] = supplier.csv
    return partner


def network_yaml(
    suppliers: Sequence[Supplier], doors: Path, base_url: str, every: str, years: Sequence[int]
) -> str:
    """The whole file.

    doors     folder in which the drop folders and the log lie
    base_url  of the pretend web services, without slash at the end
    every     rhythm in which pulled sources are read ("1m"); in history the step of virtual time
    years     for which closed days are listed where no rule gives them
    """
    network: dict[str, Any] = {
        "version": 1,
        "company": {
            "name": COMPANY,
            "erp": ERP,
            "zone": COMPANY_ZONE,
            "calendar": "hq",
            "currency": "USD",
            "isa": [f"{US.qualifier}:{US.isa}"],
        },
        "systems": {key: {"name": name, "kind": kind} for key, (name, kind) in SYSTEMS.items()},
        "sources": _sources(doors, base_url, every),
        "warehouses": {
            w.key: {"name": w.site.name, "zone": w.hours.zone_name, "dock_to_stock_days": 1}
            for w in WAREHOUSES
        },
        "people": {
            p.key: {"name": p.name, "mail": p.mail, "zone": p.zone} for p in (*BUYERS, *DESKS)
        },
        "owners": OWNERS,
        "calendars": {name: _calendar(hours, years) for name, hours in HOURS.items()},
        "mappings": mappings.all_mappings(),
        "partners": {supplier.key: _partner(supplier) for supplier in suppliers},
    }
    body = yaml.dump(
        network,
        Dumper=_Plain,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=110,
    )
    return _HEAD + body
