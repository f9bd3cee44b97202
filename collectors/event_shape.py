"""Which fields an event type has that every interpreter fills in: ERP and supplier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tower.vocabulary import EVENT_TYPES, EventSpec, FieldSpec


class Shape(NamedTuple):
    """``needs_erp``, ``lines_need_erp``: the field is a key; ``list_name`` as in ``EventSpec``."""

    list_name: str
    has_supplier: bool
    has_erp: bool
    needs_erp: bool
    lines_have_erp: bool
    lines_need_erp: bool

    def wants_erp(self, header: Mapping[str, Any]) -> bool:
        """Whether the company's ERP is meant: numbers of orders are there, and no ERP is told."""
        if not self.has_erp or header.get("erp"):
            return False
        return self.needs_erp or bool(header.get("po") or header.get("order"))

    def line_wants_erp(self, line: Mapping[str, Any]) -> bool:
        if not self.lines_have_erp or line.get("erp"):
            return False
        return self.lines_need_erp or bool(line.get("po") or line.get("order"))


def shape_of(type_: str) -> Shape:
    """The shape of an event type of the vocabulary."""
    return SHAPES[type_]


def _shape(spec: EventSpec) -> Shape:
    erp, lines_erp = _field(spec.header, "erp"), _field(spec.lines, "erp")
    return Shape(
        list_name=spec.list_name,
        has_supplier=_field(spec.header, "supplier") is not None,
        has_erp=erp is not None,
        needs_erp=erp is not None and erp.required,
        lines_have_erp=lines_erp is not None,
        lines_need_erp=lines_erp is not None and lines_erp.required,
    )


def _field(specs: tuple[FieldSpec, ...], name: str) -> FieldSpec | None:
    return next((spec for spec in specs if spec.name == name), None)


SHAPES: Mapping[str, Shape] = {name: _shape(spec) for name, spec in EVENT_TYPES.items()}
