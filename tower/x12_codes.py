"""X12 code lists of warehouses, stock, returns and advices in the tower's words.

As in ``tower.codes``: only meanings are here, and a code that is in no list is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

DISCREPANCY: Mapping[str, str] = {  # X12 412: W1303
    "01": "damaged",
    "02": "short",
    "03": "over",
    "04": "damaged",  # quality problem
    "05": "wrong_item",
    "06": "damaged",  # another container than agreed
}

STOCK: Mapping[str, str] = {  # X12 673 in an 846
    "17": "on_hand",
    "33": "available",
}

ADJUSTED: Mapping[str, str] = {  # X12 181: W1901
    "03": "shipment greater than reported",
    "04": "receipt less than reported",
    "05": "put on hold",
    "06": "book adjustment, less",
    "07": "destroyed",
    "08": "put in quality inspection",
    "51": "located",
    "52": "reworked after damage",
    "53": "shipment less than reported",
    "54": "receipt greater than reported",
    "55": "taken off hold",
    "56": "book adjustment, more",
    "88": "taken out of quality inspection",
    "AA": "physical count",
    "AB": "accounting error",
    "AC": "condition changed",
    "AD": "purpose changed",
    "AE": "identified anew",
    "AF": "article number changed",
    "AG": "owner changed",
    "AH": "other",
    "AI": "disaster",
    "AJ": "survey",
    "AK": "transfer",
    "AN": "unit changed",
    "AP": "testing",
    "AR": "order shipped wrongly",
    "AS": "recouped",
    "AU": "damaged in the warehouse",
    "AV": "damaged in transit",
    "AW": "recall",
    "AX": "shelf life over",
    "AY": "receipt error",
    "BA": "operating variance",
    "BD": "not recoverable",
    "BM": "replacement",
    "BR": "regraded",
    "BS": "downgraded",
    "CD": "donated",
    "CO": "consignment",
    "CR": "returned by a customer",
    "CS": "samples",
    "PC": "reserved for a customer",
    "UD": "destroyed without leave",
}

STATUS_ONLY = frozenset(ADJUSTED[code] for code in ("05", "08", "55", "88", "PC"))
"""Reasons by which goods change their status and stay where they are."""

LESS = frozenset(ADJUSTED[code] for code in ("03", "04", "06", "07", "CD", "UD"))
"""Reasons of which only less can come: a quantity that is not negative contradicts them."""

RELEASE: Mapping[str, str] = {  # X12 473: W0501
    "N": "released",
    "B": "released",  # what was back-ordered
    "S": "released",  # for a later day
    "T": "released",  # sent again
    "R": "released",  # with changes
    "L": "released",
    "G": "released",
    "F": "cancelled",
    "D": "cancelled",
    "A": "for information",
    "C": "confirmed",
    "E": "confirmed",
    "X": "a test",
}

ADVICE: Mapping[str, str] = {  # X12 110, second sign: OTI01
    "A": "accepted",
    "C": "accepted_with_errors",  # with data that the receiver changed
    "E": "accepted_with_errors",
    "P": "part_accepted",
    "R": "rejected",
}

ADVISED: Mapping[str, str] = {  # X12 110, first sign: OTI01
    "T": "set",
    "G": "group",
    "I": "item",
    "B": "batch",
}

GROUP_OF: Mapping[str, str] = {  # X12 143 to 479: the group a set travels in
    "180": "AN",
    "810": "IN",
    "820": "RA",
    "846": "IB",
    "850": "PO",
    "855": "PR",
    "856": "SH",
    "860": "PC",
    "861": "RC",
    "865": "CA",
    "940": "OW",
    "943": "AR",
    "944": "RE",
    "945": "SW",
    "947": "AW",
}

RETURN_BY_US: Mapping[str, str] = {  # X12 353: BGN01 of a 180 that we send
    "00": "requested",
    "07": "requested",
    "13": "requested",
    "14": "shipped",  # advance notification
}

RETURN_BY_PARTNER: Mapping[str, str] = {  # X12 353: BGN01 of a 180 that we get
    "00": "authorised",
    "06": "authorised",  # confirmation
    "11": "authorised",  # response
    "14": "shipped",
    "13": "requested",
}
