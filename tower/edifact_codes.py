"""Code lists that only EDIFACT has, in the tower's words; those of answers are in tower/codes.py.

Only meanings are here, no reading. Numbers are those of the UN directories (UNTDID part 5).
"""

from __future__ import annotations

from collections.abc import Mapping

from tower.codes import UNKNOWN

ORDER_TYPE: Mapping[str, str] = {  # 1001 in BGM of an ORDERS
    "220": "standard",
    "105": "standard",
    "221": "blanket",
    "222": "special",  # spot order
    "224": "rush",
    "226": "release",  # call-off
    "227": "consigned",
    "228": "sample",
}

CHANGE_ACTION: Mapping[str, str] = {  # 1229 in LIN of an ORDCHG
    "1": "add",
    "2": "delete",
    "3": "change",
    "6": "change",
    "24": "change",
    "4": "none",
    "5": "none",  # accepted as it was
    "11": "none",
}

RESPONSE_TYPE: Mapping[str, str] = {  # 4343 in BGM, where 1225 tells nothing
    "AC": "accepted_with_changes",
    "AD": "accepted",
    "AP": "accepted",
    "CA": "accepted_with_changes",
    "AJ": "on_hold",  # pending
    "NA": "none",
    "RE": "rejected",
}

SHIP_DATES = frozenset(("10", "11", "37", "38", "79", "81", "84", "136", "186", "200"))
"""2005: qualifiers under which a date says when goods leave."""

DELIVERY_DATES = frozenset(
    ("2", "17", "35", "63", "64", "65", "67", "69", "71", "72", "74", "75", "76", "132", "191")
)
"""2005: qualifiers under which a date says when goods arrive. Shipped is not delivered."""


def date_kind(qualifier: str) -> str:
    """ship, delivery or unknown."""
    if qualifier in SHIP_DATES:
        return "ship"
    return "delivery" if qualifier in DELIVERY_DATES else UNKNOWN


ADVICE_FUNCTION: Mapping[str, str] = {  # 1225 and 4343 in BGM of an APERAK
    "27": "rejected",
    "29": "accepted",
    "34": "accepted_with_errors",
    "44": "accepted",
    "AP": "accepted",
    "CA": "accepted_with_errors",
    "RE": "rejected",
}

DISCREPANCY: Mapping[str, str] = {  # 4221 in QVR, and 6063 in QTY or QVR of a RECADV
    "AC": "over",
    "AE": "over",  # delivered, not advised
    "AF": "damaged",
    "BP": "short",
    "CP": "short",
    "119": "short",
    "121": "over",
    "124": "damaged",
}

SYNTAX_ERRORS: Mapping[str, str] = {  # 0085
    "2": "syntax version or level not supported",
    "7": "this receiver is not the receiver of the interchange",
    "12": "value not valid",
    "13": "mandatory part missing",
    "14": "value not supported here",
    "15": "not supported here",
    "16": "too many constituents",
    "17": "no agreement",
    "18": "unspecified error",
    "19": "decimal mark not valid",
    "20": "character not valid as service character",
    "21": "characters not valid",
    "22": "service characters not valid",
    "23": "sender not known",
    "24": "too old",
    "25": "test indicator not supported",
    "26": "duplicate",
    "27": "security function not supported",
    "28": "references of header and trailer differ",
    "29": "count is wrong",
    "30": "groups and messages are mixed",
    "31": "several message types in one group",
    "32": "lower level is empty",
    "33": "not valid outside a message or group",
    "34": "nesting indicator not allowed",
    "35": "element or segment repeated too often",
    "36": "segment group repeated too often",
    "37": "kind of characters not valid",
    "38": "digit in front of the decimal mark missing",
    "39": "element too long",
    "40": "element too short",
    "43": "receiver not known",
    "45": "separator at the end",
    "46": "character set not supported",
}
