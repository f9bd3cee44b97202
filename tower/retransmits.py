"""Whether a document of ours may go to its partner again, as the partner sees it.

A lost acknowledgement is no lost order: what the partner confirmed or answered, it has. The bytes
go out as they were, with their control numbers, so a partner that had them sees a repetition.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tower.replays import EFFECTS, Verdict

SENDABLE = ("po.released", "po.revised", "po.cancelled", "po.change_answered")
"""Types of events of which a message of ours to a partner tells."""

ANSWERS = ("po.acknowledged", "po.rejected", "po.change_proposed", "asn.received")
RECEIPTS = ("message.delivered", "message.sent")
REFUSED = ("rejected",)
"""Verdicts of a functional acknowledgement after which the same bytes are refused again."""

SAME, NEW, ASK = "same_control_number", "new_control_number", "ask_partner"


@dataclass(frozen=True, slots=True)
class SentFacts:
    """What is known of one document that was sent, when its verdict is given.

    types         of the events that its message told
    has_payload   its bytes are kept; ``secret`` headers that were left out
    outlet        of the way out: ok, down, missing, none (network.yaml names none)
    partner       key of the partner it goes to, "" if nobody knows; ``wrong_way`` the outlet does
                  not lead to it
    policy        its ``resend``: what is right when a document has to come again
    reply         what the partner said when asked, "" if nobody asked
    confirmed     (type of the event, its verdict) of functional acknowledgements since it was sent
    answered      type of an answer of the partner since then; ``replaced_by`` of what made it
                  obsolete
    delivered_at  when a receipt of its transport was seen, "" for never
    claimed_by    number of another replay that has the message
    same_as       number in this selection of an item with the same bytes
    control       control number of its interchange, "" if it has none
    """

    types: frozenset[str]
    has_payload: bool = True
    outlet: str = "ok"
    partner: str = ""
    wrong_way: bool = False
    policy: str = ASK
    reply: str = ""
    confirmed: tuple[str, ...] = ()
    answered: str = ""
    replaced_by: str = ""
    delivered_at: str = ""
    claimed_by: int | None = None
    same_as: int | None = None
    control: str = ""


def verdict(facts: SentFacts) -> Verdict:
    """Whether a document may go to its partner again; the gravest reason against it wins.

    What may go says what the partner will see in it.
    """
    for found in _against(facts):
        return found
    return Verdict("ready", _seen_by_partner(facts))


def _against(f: SentFacts) -> Iterable[Verdict]:
    if f.claimed_by is not None:
        yield _blocked("claimed_elsewhere", f"replay {f.claimed_by} has this message")
    if not f.types & frozenset(SENDABLE):
        yield _blocked("not_sent_by_us", "it carries no order of ours to a partner")
    if not f.has_payload:
        yield _blocked("payload_expired", "its bytes are not kept any more")
    if f.same_as is not None:
        yield Verdict("duplicate", f"same_bytes: the same bytes as item {f.same_as}")
    if f.answered:
        yield Verdict("duplicate", f"answered: the partner has it, it answered ({f.answered})")
    refused = [one for one in f.confirmed if one in REFUSED]
    if refused:
        yield _blocked(
            "refused_before",
            "the partner's translator refused these bytes; send a corrected document from the "
            "system that made it",
        )
    if f.confirmed:
        yield Verdict(
            "duplicate",
            f"confirmed: the partner's translator has it ({f.confirmed[0].replace('_', ' ')}); a "
            "lost acknowledgement is no lost order",
        )
    if f.replaced_by:
        yield _blocked("superseded", f"{f.replaced_by} came after it")
    if not f.partner:
        yield _blocked("unknown_partner", "nobody knows which partner it went to")
    if f.policy == NEW:
        yield _blocked(
            "new_control_number",
            f"{f.partner} wants a new control number, and these bytes carry the old one; send it "
            "anew from the system that made it",
        )
    if f.policy == ASK and not f.reply.strip():
        yield _blocked(
            "ask_partner", f"ask {f.partner} first and draft it again with what they said"
        )
    if f.outlet == "none" or f.wrong_way:
        yield _blocked("not_allowed", "network.yaml names no outlet for it that leads there")
    if f.outlet == "missing":
        yield _blocked("unroutable", "its outlet is not there")
    if f.outlet == "down":
        yield _blocked("target_down", "its outlet cannot be written to")


def _seen_by_partner(f: SentFacts) -> str:
    number = f" with control number {f.control}" if f.control else ""
    if f.delivered_at:
        return (
            f"repetition: a receipt says that it got there on {f.delivered_at}; the partner sees "
            f"a second copy{number}"
        )
    return f"repetition: if the partner had it all the same, it sees a second copy{number}"


def effects_of(types: Iterable[str]) -> tuple[str, ...]:
    """Event types of which one must be seen after it was sent again."""
    found = {one for type_ in types if type_ in SENDABLE for one in EFFECTS.get(type_, ())}
    return tuple(sorted(found or {"fa.received", "po.acknowledged"}))


def _blocked(word: str, why: str) -> Verdict:
    return Verdict("blocked", f"{word}: {why}")
