"""Whose word counts: which of several reporting systems feeds a field of a document.

A report of a system that does not own the field is kept, shown and compared, never added: a receipt
told by the warehouse and by the ERP is one receipt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from tower.network import Network

_SUPPLIER_SIDE = frozenset({"edi", "portal", "supplier", "gateway", "middleware", "broker"})

FIELDS: dict[str, tuple[frozenset[str], ...]] = {
    "ordered": (frozenset({"erp"}),),
    "confirmed": (_SUPPLIER_SIDE,),
    "applied": (frozenset({"erp"}),),
    "shipped": (_SUPPLIER_SIDE,),
    "received": (frozenset({"wms"}), frozenset({"erp"})),
    "invoiced": (_SUPPLIER_SIDE, frozenset({"erp"})),
    "promised": (frozenset({"erp"}), frozenset({"platform"})),
}
"""Field -> kinds of systems in falling order of authority; the first kind that reports at all owns
the field. `source_of_truth` of network.yaml puts another kind, or one system, before them."""


@dataclass(frozen=True, slots=True)
class Owners:
    """The part of a network that documents depend on."""

    kinds: dict[str, str]
    order: dict[str, tuple[frozenset[str], ...]]
    zones: dict[str, ZoneInfo]
    expects_fa: frozenset[str]
    _chosen: dict[tuple[str, frozenset[str]], frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, net: Network) -> Owners:
        order = dict(FIELDS)
        for name, owner in net.source_of_truth.items():
            stem = name.removesuffix("_qty").removesuffix("_quantity").removesuffix("_date")
            if stem in order:
                order[stem] = (frozenset({owner}), *order[stem])
        return cls(
            kinds={name: system.kind for name, system in net.systems.items()},
            order=order,
            zones={name: ZoneInfo(w.zone) for name, w in net.warehouses.items()},
            expects_fa=frozenset(k for k, p in net.partners.items() if p.expects_fa),
        )

    def of_field(self, name: str, systems: Iterable[str]) -> frozenset[str]:
        """Those of the reporting systems whose word counts for this field."""
        reporting = frozenset(systems)
        if len(reporting) <= 1:
            return reporting
        key = (name, reporting)
        known = self._chosen.get(key)
        if known is None:
            known = self._chosen[key] = self._choose(name, reporting)
        return known

    def _choose(self, name: str, reporting: frozenset[str]) -> frozenset[str]:
        for group in self.order.get(name, ()):
            owning = frozenset(
                s for s in reporting if s in group or self.kinds.get(s) in group
            )
            if owning:
                return owning
        return reporting
