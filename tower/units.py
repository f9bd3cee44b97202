"""Units of measure: which codes mean the same, and how many of one are one of another.

What trade calls alike everywhere is known here, by the codes of X12 (355) and UN/ECE (Rec. 20) that
have one meaning in both. What a case, a box or a pallet holds is said by the network, for an item
or for a partner: ``{CS: 12 EA}``. Codes that mean two things (ST: a set in X12, a piece in SAP) are
only known where the network says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

Tables = Mapping[str, Mapping[str, str]]
"""Item or partner -> unit -> how many of which other unit it is ("12 EA")."""

PLACES = 9
"""Digits behind the point that are kept of a quantity that does not end (10 EA in dozens)."""

AMOUNT = re.compile(r"\s*(?:(\d{1,9}(?:\.\d{1,9})?)\s+)?([^\s\d]\S{0,19})\s*")
"""A number, 1 if there is none, and a unit."""

_KINDS: dict[str, dict[str, str]] = {
    "EA": {
        **dict.fromkeys(("EA", "EACH", "PCE", "PCS", "PC", "C62", "H87", "NAR"), "1"),
        **dict.fromkeys(("PR", "NPR"), "2"),
        **dict.fromkeys(("DZ", "DZN", "DOZ", "DPC"), "12"),
        **dict.fromkeys(("GRO",), "144"),
        **dict.fromkeys(("CEN",), "100"),
        **dict.fromkeys(("MIL",), "1000"),
    },
    "KGM": {
        **dict.fromkeys(("KGM", "KG"), "1"),
        **dict.fromkeys(("GRM",), "0.001"),
        **dict.fromkeys(("TNE",), "1000"),
        **dict.fromkeys(("LB", "LBR"), "0.45359237"),
        **dict.fromkeys(("OZ", "ONZ"), "0.028349523125"),
    },
    "MTR": {
        **dict.fromkeys(("MTR", "MR"), "1"),
        **dict.fromkeys(("CMT", "CM"), "0.01"),
        **dict.fromkeys(("MMT", "MM"), "0.001"),
        **dict.fromkeys(("FOT", "FT"), "0.3048"),
        **dict.fromkeys(("INH",), "0.0254"),
        **dict.fromkeys(("YRD", "YD"), "0.9144"),
    },
    "LTR": {
        **dict.fromkeys(("LTR", "LT"), "1"),
        **dict.fromkeys(("MLT", "ML"), "0.001"),
        **dict.fromkeys(("GLL", "GA"), "3.785411784"),
    },
}
KNOWN: Mapping[str, tuple[str, Fraction]] = {
    code: (base, Fraction(many)) for base, codes in _KINDS.items() for code, many in codes.items()
}
"""Code -> (base unit, how many of it)."""

_DEEPEST = 5  # a pallet of cases of boxes of pieces; beyond that the table goes in circles


def parse(text: str) -> tuple[Fraction, str]:
    """ "12 EA" as (12, "EA"). Raises ValueError if it is no amount of a unit."""
    match = AMOUNT.fullmatch(text)
    many = Fraction(match[1] or "1") if match is not None else Fraction(0)
    if match is None or not many:
        raise ValueError('is no amount of a unit; write it like "12 EA"')
    return many, match[2].upper()


@dataclass(frozen=True, slots=True)
class Units:
    """What the network says of units, and what is known everywhere.

    A table of the item counts before that of the partner, and both before what is known.
    """

    items: Tables = field(default_factory=dict)
    partners: Tables = field(default_factory=dict)

    def factor(
        self, unit: str, other: str, item: str | None = None, partner: str | None = None
    ) -> Fraction | None:
        """How many of ``other`` are one ``unit``; None where nobody says."""
        tables = [
            {code.strip().upper(): many for code, many in table.items()}
            for table in (self.items.get(item or ""), self.partners.get(partner or ""))
            if table
        ]
        (base, one), (other_base, other_one) = _base(unit, tables), _base(other, tables)
        return one / other_one if base == other_base else None


def _base(unit: str, tables: list[dict[str, str]]) -> tuple[str, Fraction]:
    """The unit to which tables and codes lead from here, and how many of it are one."""
    code, many = unit.strip().upper(), Fraction(1)
    for _ in range(_DEEPEST):
        said = next((table[code] for table in tables if code in table), None)
        if said is None:
            break
        each, code = parse(said)
        many *= each
    base, each = KNOWN.get(code, (code, Fraction(1)))
    return base, many * each


def times(amount: str, factor: Fraction) -> str:
    """A decimal text so many times, in canonical form; rounded to ``PLACES``."""
    scaled = round(Fraction(amount) * factor * 10**PLACES)
    sign, digits = ("-" if scaled < 0 else ""), str(abs(scaled)).rjust(PLACES + 1, "0")
    text = f"{digits[:-PLACES]}.{digits[-PLACES:]}".rstrip("0").rstrip(".")
    return sign + text if text != "0" else text
