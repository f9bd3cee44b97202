"""Code lists of X12 and EDIFACT in the tower's words.

Only meanings are here, no reading. A code that is not in a list is *unknown*: it is kept, shown and
reported as a mapping failure, never guessed. A partner's profile may give a code another word
(network.yaml, ``codes: {ack_line: {ZZ: on_hold}}``); ``word`` looks there first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tower.vocabulary import ANSWER_WORDS, FA_VERDICTS

UNKNOWN = "unknown"

# --- the supplier's answer ------------------------------------------------------------------------

ANSWER_HEADER: Mapping[str, str] = {  # X12 587: BAK02, BCA02
    "AC": "accepted_with_changes",
    "AD": "accepted",
    "AE": "accepted",  # lines that are not named; the exceptions stand in the lines
    "AH": "on_hold",
    "AK": "accepted",
    "AP": "accepted",  # replenishment, perhaps without a PO of ours
    "AT": "accepted",
    "NA": "none",
    "RD": "rejected",
    "RF": "rejected",
    "RJ": "rejected",
    "RO": "rejected",  # with a counter-offer
}

EXCEPTIONS_ONLY = frozenset({"AE"})
"""Header codes under which the lines that are not named are accepted."""

COUNTER_OFFER = frozenset({"RO"})

ANSWER_LINE: Mapping[str, str] = {  # X12 668: ACK01
    "IA": "accepted",
    "AA": "accepted",  # via another site of the supplier
    "AC": "accepted",  # and shipped; not the AC of the header
    "AR": "accepted",  # and released for shipment
    "IC": "accepted_with_changes",
    "IQ": "accepted_with_changes",
    "IP": "accepted_with_changes",
    "DR": "accepted_with_changes",
    "IE": "accepted_with_changes",  # price pending
    "SP": "accepted_with_changes",  # schedule date pending
    "IS": "substituted",
    "IB": "backordered",
    "BP": "backordered",  # a part is shipped now
    "IH": "on_hold",
    "IF": "on_hold",  # description incomplete
    "IW": "on_hold",  # waiver needed
    "IR": "rejected",
    "ID": "rejected",  # deleted
    **{f"R{n}": "rejected" for n in range(1, 10)},
}

ORDRSP_HEADER: Mapping[str, str] = {  # EDIFACT 1225 in an ORDRSP
    "29": "accepted",
    "28": "accepted_with_changes",
    "30": "accepted_with_changes",
    "34": "accepted_with_changes",
    "4": "accepted_with_changes",
    "27": "rejected",
    "9": "none",  # the lines tell
    "12": "none",  # received only: no answer yet
}

ORDRSP_LINE: Mapping[str, str] = {  # EDIFACT 1229
    "5": "accepted",
    "3": "accepted_with_changes",
    "6": "accepted_with_changes",
    "24": "accepted_with_changes",
    "1": "accepted_with_changes",  # a line the supplier added
    "7": "rejected",
    "2": "rejected",  # deleted
    "4": "none",
    "11": "none",
}

WHOLE_WORDS = frozenset({"accepted", "rejected"})
"""Words of a header that speak for the lines that an answer does not name, too."""

REAL_ANSWERS = ANSWER_WORDS - {"none", "on_hold", UNKNOWN}
"""Words that answer the buyer. Under all others the answer clock runs on."""

_COMING = ("backordered", "substituted", "accepted_with_changes", "accepted")


def is_coming(answer: str) -> bool:
    """Will goods come under this word, now or later, as ordered or other?"""
    return answer in _COMING


def combine_parts(answers: Iterable[str]) -> str:
    """One word for a line that was answered in several parts (60 now, 40 backordered)."""
    words = set(answers)
    if len(words) == 1:
        return words.pop()
    if words & set(_COMING):
        return next((w for w in _COMING[:2] if w in words), "accepted_with_changes")
    return next((w for w in ("on_hold", UNKNOWN, "none", "rejected") if w in words), "none")


def combine_lines(answers: Iterable[str]) -> str:
    """One word for an order from the words of its lines; "none" if there are no lines."""
    words = set(answers)
    if not words & REAL_ANSWERS:
        return next((w for w in ("on_hold", UNKNOWN) if w in words), "none")
    if not words & set(_COMING):
        return "rejected"
    if words == {"accepted"}:
        return "accepted"
    return "accepted_with_changes" if words <= set(_COMING) else "part_accepted"


def combine_answer(own: str, lines: Iterable[str]) -> tuple[str, str | None]:
    """(word of an answer, word for the lines it does not name where that is another).

    ``own`` is the sender's word for the whole answer, "none" if he gave none; ``lines`` are the
    words of the lines that he names, at least one. Lines outrank the sender's word, but speak for
    themselves alone: only he refuses an order, or accepts the rest of it. Where all that he names
    is refused and he accepts no rest, the answer is a refusal, so that somebody hears of it.
    """
    answer = combine_lines(lines)
    if own == "rejected" and answer not in REAL_ANSWERS:
        answer = own
    if answer == "rejected" and own == "accepted":
        answer = "part_accepted"
    others = own if own in WHOLE_WORDS else "none"
    if own == "rejected" and answer != own:
        others = "none"  # he contradicts himself: what he does not name stays as it was
    told = answer if answer in WHOLE_WORDS else "none"
    return answer, None if others == told else others


# --- functional acknowledgements ------------------------------------------------------------------

FA_SET: Mapping[str, str] = {  # X12 717: AK501, IK501
    "A": "accepted",
    "E": "accepted_with_errors",  # it was taken: never send it again
    "R": "rejected",
    "M": "rejected",  # authentication failed
    "W": "rejected",  # assurance failed
    "X": "rejected",  # could not be decrypted
}

FA_GROUP: Mapping[str, str] = {**FA_SET, "P": "part_accepted"}  # X12 715: AK901

FA_INTERCHANGE: Mapping[str, str] = {code: FA_SET[code] for code in "AER"}  # X12 I17: TA104

CONTRL_ACTION: Mapping[str, str] = {  # EDIFACT 0083
    "4": "rejected",
    "7": "accepted",  # unless a lower level is rejected
    "8": "none",  # received, no verdict
}

SEGMENT_ERRORS: Mapping[str, str] = {  # X12 720: AK304, IK304
    "1": "segment not known",
    "2": "segment not expected here",
    "3": "mandatory segment missing",
    "4": "loop repeated too often",
    "5": "segment repeated too often",
    "6": "segment is not part of this set",
    "7": "segment out of order",
    "8": "segment has faulty elements",
}

ELEMENT_ERRORS: Mapping[str, str] = {  # X12 723: AK403, IK403
    "1": "mandatory element missing",
    "2": "element missing that another one asks for",
    "3": "too many elements",
    "4": "element too short",
    "5": "element too long",
    "6": "character not allowed",
    "7": "code not allowed",
    "8": "date not valid",
    "9": "time not valid",
    "10": "element excluded by another one",
}

SET_ERRORS: Mapping[str, str] = {  # X12 718: AK502 and following
    "1": "set not supported",
    "2": "trailer of the set missing",
    "3": "control numbers of header and trailer differ",
    "4": "segment count is wrong",
    "5": "segments are faulty",
    "6": "set identifier missing or wrong",
    "7": "control number missing or wrong",
    "23": "control number not unique in the group",
}

GROUP_ERRORS: Mapping[str, str] = {  # X12 716: AK905 and following
    "1": "group not supported",
    "2": "version not supported",
    "3": "trailer of the group missing",
    "4": "control numbers of header and trailer differ",
    "5": "count of sets is wrong",
    "6": "control number is malformed",
}

INTERCHANGE_NOTES: Mapping[str, str] = {  # X12 I18: TA105; 000 = nothing wrong
    "001": "control numbers of ISA and IEA differ",
    "009": "receiver not known",
    "022": "control structure not valid",
    "023": "ended too early",
    "025": "interchange control number used before",
}

# --- orders and dates -----------------------------------------------------------------------------

CHANGE_ACTION: Mapping[str, str] = {  # X12 670: POC02
    "AI": "add",
    "CA": "change",
    "PC": "change",
    "QD": "change",
    "QI": "change",
    "DI": "delete",
    "NC": "none",
}

ORDER_TYPE: Mapping[str, str] = {  # X12 92: BEG02, BCH02
    "SA": "standard",
    "NE": "standard",
    "KN": "standard",
    "OS": "special",
    "RU": "rush",
    "RO": "rush",
    "EO": "rush",
    "DS": "dropship",
    "BK": "blanket",
    "BL": "blanket",
    "RL": "release",
    "CN": "consigned",
    "RE": "reorder",
    "SP": "sample",
    "SS": "service",
    "PR": "promotion",
}

SHIP_DATES = frozenset(f"{n:03}" for n in (10, 11, 37, 38, 66, 68, *range(79, 89), 118))
"""X12 374: qualifiers under which a date says when goods leave."""

DELIVERY_DATES = frozenset(
    f"{n:03}" for n in (2, 17, 35, 63, 64, 65, 67, *range(69, 79), 106, 371, 996)
)
"""X12 374: qualifiers under which a date says when goods arrive. Shipped is not delivered."""


def date_kind(qualifier: str) -> str:
    """ship, delivery or unknown."""
    if qualifier in SHIP_DATES:
        return "ship"
    return "delivery" if qualifier in DELIVERY_DATES else UNKNOWN


# --- looking up -----------------------------------------------------------------------------------

_ALLOWED = {
    "ack_header": ANSWER_WORDS,
    "ack_line": ANSWER_WORDS,
    "fa": FA_VERDICTS,
    "advice": FA_VERDICTS,
    "release": frozenset(("released", "cancelled")),
    "condition": frozenset(("damaged", "short", "over", "wrong_item")),
    "return": frozenset(("requested", "authorised", "shipped", "received", "rejected")),
}


def word(
    table: Mapping[str, str], code: str, overrides: Mapping[str, Mapping[str, str]], name: str
) -> str:
    """The word for a code: the partner's own meaning, else the standard's, else "unknown".

    ``name`` is the list's name in a profile: ack_header, ack_line, fa, advice, release,
    condition, return; an override that is no word of the tower does not count. In ``adjustment``,
    a reason, any word does.
    """
    own = overrides.get(name, {}).get(code)
    if own is not None and own in _ALLOWED.get(name, (own,)):
        return own
    return table.get(code, UNKNOWN)
