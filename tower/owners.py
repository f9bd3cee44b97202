"""Whose word counts: which of several reporting systems feeds a field of a document.

A report of a system that does not own the field is kept, shown and compared, never added: a receipt
told by the warehouse and by the ERP is one receipt. docs/network.md says how a network chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from tower.units import Units

if TYPE_CHECKING:
    from tower.network import Network

_SUPPLIER_SIDE = frozenset({"edi", "portal", "supplier", "gateway", "middleware", "broker"})

Precedence = tuple[frozenset[str], ...]
"""Kinds or names of systems in falling order of authority; the first that reports at all owns."""


class Matter(NamedTuple):
    """What one register tells, and the fields that a network may give to different systems.

    kind    whose fields they are
    usual   precedence where the network says nothing
    fields  field -> places in an entry of the register; without places the entry is one value
    """

    kind: str
    usual: Precedence
    fields: Mapping[str, tuple[int, ...]]


_ORDERED = {
    "ordered_qty": (3, 4, 5), "price": (6,), "requested_date": (7,), "item": (8, 9),
    "category": (10,),
}  # fmt: skip

MATTERS: dict[str, Matter] = {
    "ordered": Matter("po_line", (frozenset({"erp"}),), _ORDERED),
    "confirmed": Matter(
        "po_line",
        (_SUPPLIER_SIDE,),
        {
            "answer": (3,),
            "confirmed_qty": (4, 5),
            "confirmed_date": (6, 7),
            "confirmed_price": (8,),
        },
    ),
    "received": Matter("po_line", (frozenset({"wms"}), frozenset({"erp"})), {"received_qty": ()}),
    "invoiced": Matter("po_line", (_SUPPLIER_SIDE, frozenset({"erp"})), {"invoiced_qty": ()}),
    "placed": Matter("order_line", (frozenset({"erp"}),), _ORDERED),
    "promised": Matter(
        "order_line", (frozenset({"erp"}), frozenset({"platform"})), {"promised_date": (2, 3, 4)}
    ),
}
"""Register -> what it tells. Words of a header (buyer, currency) follow its lines' quantity."""

OTHER_WORDS = {"qty": "ordered_qty", "quantity": "ordered_qty"}
_FIRST = {"ordered": "ordered_qty", "placed": "ordered_qty", "confirmed": "answer"}


def kinds_with_fields() -> dict[str, frozenset[str]]:
    """Kind of document line -> fields that a network can give an owner."""
    found: dict[str, set[str]] = {}
    for matter in MATTERS.values():
        found.setdefault(matter.kind, set()).update(matter.fields)
    return {kind: frozenset(names) for kind, names in found.items()}


def field_named(word: str) -> str | None:
    """The field that a word of `source_of_truth` means, None if it is none."""
    known = {name for matter in MATTERS.values() for name in matter.fields}
    for name in (word, OTHER_WORDS.get(word, ""), f"{word}_qty", f"{word}_date"):
        if name in known:
            return name
    return None


@dataclass(frozen=True, slots=True)
class Owners:
    """The part of a network that documents depend on.

    order  register -> precedence of its first field, which stands for the whole entry
    split  registers whose fields differ in precedence: field -> precedence
    units  what the network says of units of measure
    zones  of warehouses; partner_zones of partners, where it is another than UTC
    """

    kinds: dict[str, str]
    order: dict[str, Precedence]
    zones: dict[str, ZoneInfo]
    expects_fa: frozenset[str]
    split: dict[str, dict[str, Precedence]] = field(default_factory=dict)
    units: Units = field(default_factory=Units)
    partner_zones: dict[str, ZoneInfo] = field(default_factory=dict)
    _chosen: dict[tuple[Precedence, frozenset[str]], frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, net: Network) -> Owners:
        order: dict[str, Precedence] = {}
        split: dict[str, dict[str, Precedence]] = {}
        for name, matter in MATTERS.items():
            chosen = {
                column: (*map(_one, _said(net, matter.kind, column)), *matter.usual)
                for column in matter.fields
            }
            order[name] = chosen[_FIRST.get(name, next(iter(chosen)))]
            if len(set(chosen.values())) > 1:
                split[name] = chosen
        return cls(
            kinds={name: system.kind for name, system in net.systems.items()},
            order=order,
            zones={name: ZoneInfo(w.zone) for name, w in net.warehouses.items()},
            expects_fa=frozenset(k for k, p in net.partners.items() if p.expects_fa),
            split=split,
            units=Units(
                net.units, {key: one.units for key, one in net.partners.items() if one.units}
            ),
            partner_zones={
                key: net.zone(one.zone) for key, one in net.partners.items() if one.zone != "UTC"
            },
        )

    def of_field(self, name: str, systems: Iterable[str]) -> frozenset[str]:
        """Those of the reporting systems whose word counts for what this register tells."""
        reporting = frozenset(systems)
        if len(reporting) <= 1:
            return reporting
        return self._first(self.order.get(name, ()), reporting)

    def owning(self, kind: str, column: str, systems: Iterable[str]) -> frozenset[str]:
        """Those of the reporting systems that own a field of a kind of document."""
        reporting = frozenset(systems)
        for name, matter in MATTERS.items():
            if matter.kind == kind and column in matter.fields:
                order = self.split.get(name, {}).get(column, self.order[name])
                return self._first(order, reporting)
        return reporting

    def field_by_field(
        self, name: str, entries: list[tuple[int, str, list[Any]]]
    ) -> list[tuple[int, str, list[Any]]]:
        """Entries of a register whose fields have different owners, in order of time.

        Each field holds what its owner last said, so that an entry tells the state after it;
        entries of systems that own nothing of what they say are left out.
        """
        places = MATTERS[name].fields
        counting = {
            column: self._first(
                order,
                frozenset(e[1] for _, _, e in entries if _tells(e, places[column])),
            )
            for column, order in self.split[name].items()
        }
        width = 1 + max(spot for spots in places.values() for spot in spots)
        standing: dict[int, Any] = {}
        result = []
        for at, event, entry in entries:
            taken = False
            kept = list(entry) + [None] * (width - len(entry))
            for column, spots in places.items():
                if entry[1] in counting[column] and _tells(entry, spots):
                    taken = True
                    standing.update({spot: entry[spot] for spot in spots})
                for spot in spots:
                    kept[spot] = standing.get(spot)
            if taken:
                result.append((at, event, kept))
        return result or entries

    def _first(self, order: Precedence, reporting: frozenset[str]) -> frozenset[str]:
        key = (order, reporting)
        known = self._chosen.get(key)
        if known is None:
            known = reporting
            for group in order:
                owning = frozenset(s for s in reporting if s in group or self.kinds.get(s) in group)
                if owning:
                    known = owning
                    break
            self._chosen[key] = known
        return known


def _one(word: str) -> frozenset[str]:
    return frozenset({word})


def _said(net: Network, kind: str, column: str) -> tuple[str, ...]:
    """What the network says of a field: for this kind, else for every kind that has it."""
    general: tuple[str, ...] = ()
    for word, choice in net.source_of_truth.items():
        if isinstance(choice, Mapping):
            if word == kind:
                for inner, systems in choice.items():
                    if field_named(inner) == column:
                        return systems
        elif field_named(word) == column:
            general = choice
    return general


def _tells(entry: list[Any], spots: tuple[int, ...]) -> bool:
    """Whether one of the places is filled; an entry ends where nobody says more."""
    return any(spot < len(entry) and entry[spot] is not None for spot in spots)
