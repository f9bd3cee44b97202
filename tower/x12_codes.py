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
