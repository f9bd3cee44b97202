"""What segments of X12 and EDIFACT are called, for people who read them rarely."""

from __future__ import annotations

from collections.abc import Mapping

_X12: Mapping[str, str] = {
    "ISA": "interchange begins", "IEA": "interchange ends", "GS": "group begins",
    "GE": "group ends", "ST": "set begins", "SE": "set ends", "BEG": "purchase order",
    "BCH": "purchase order change", "BAK": "order answer", "BCA": "change answer",
    "BSN": "shipment notice", "BIG": "invoice", "BRA": "receiving advice", "BHT": "transaction",
    "REF": "reference", "DTM": "date or time", "DTP": "date or time", "N1": "party",
    "N2": "name, continued", "N3": "street", "N4": "place", "PER": "contact",
    "PO1": "ordered item", "POC": "changed item", "ACK": "answer to the item", "PID": "description",
    "SCH": "schedule", "CTP": "price", "CTT": "totals", "AMT": "amount", "TDS": "total",
    "SAC": "charge or allowance", "ITD": "terms of payment", "CUR": "currency", "FOB": "delivery",
    "HL": "level", "LIN": "item", "SN1": "shipped quantity", "PRF": "order referred to",
    "MAN": "marks", "TD1": "packages", "TD3": "equipment", "TD5": "carrier", "IT1": "invoiced item",
    "AK1": "group answered", "AK2": "set answered", "AK3": "segment in error",
    "AK4": "element in error", "AK5": "verdict on the set", "AK9": "verdict on the group",
    "IK3": "segment in error", "IK4": "element in error", "IK5": "verdict on the set",
    "TA1": "verdict on the interchange", "OTI": "document answered", "TED": "error",
    "QTY": "quantity",
    "RCD": "received quantity", "W01": "item", "W06": "warehouse shipment", "W12": "shipped item",
    "LX": "line",
}  # fmt: skip
_EDIFACT: Mapping[str, str] = {
    "UNA": "signs", "UNB": "interchange begins", "UNZ": "interchange ends", "UNG": "group begins",
    "UNE": "group ends", "UNH": "message begins", "UNT": "message ends", "BGM": "document",
    "DTM": "date or time", "RFF": "reference", "NAD": "party", "LOC": "place", "CTA": "contact",
    "COM": "phone or mail", "LIN": "item", "PIA": "item numbers", "IMD": "description",
    "QTY": "quantity", "PRI": "price", "MOA": "amount", "TAX": "tax", "ALC": "charge or allowance",
    "CUX": "currency", "CPS": "level", "PAC": "packages", "PCI": "marks", "GIN": "number",
    "TDT": "transport", "UNS": "section ends", "CNT": "totals", "FTX": "free text",
    "STS": "status", "ERC": "error", "UCI": "verdict on the interchange",
    "UCM": "verdict on the message", "UCS": "segment in error", "UCD": "element in error",
}  # fmt: skip


def segment_words(format_: str, tag: str) -> str:
    """A few words for a segment; empty for one that is not known here."""
    return (_X12 if format_ == "x12" else _EDIFACT).get(tag, "")
