"""Replays: what may be sent again, by whose word, and when it counts as repaired.

A green tick means that the business document moved, never that a message was queued. Pure
decisions; db/replays.py keeps the states and worker/replays.py sends.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import NamedTuple

from tower.errors import TowerError

REINTERPRET, REPROCESS, FORCE = "reinterpret", "reprocess", "force"
RETRANSMIT = "retransmit"
ACTIONS = {
    REINTERPRET: "read the stored bytes again; nothing leaves the tower",
    REPROCESS: "send a copy back to the queue that gave it up",
    FORCE: "send a copy although its effect was seen already; always with a second person",
}
"""What is done to dead letters."""

WAYS = ACTIONS | {
    RETRANSMIT: "send a document of ours to its partner again; always with a second person",
}
"""Those, and what is done to documents that were sent."""

GRANTED = (FORCE, RETRANSMIT)
"""What needs a permission of its own, granted one by one."""

RUNNING = ("running", "paused")
ENDED = ("refused", "done", "cancelled")

IN_FLIGHT = ("claimed", "sending", "awaiting_effect")
OPEN = (*IN_FLIGHT, "uncertain")
"""States of an item in which its message can be in no other replay."""

NEVER_SENT = ("duplicate", "blocked", "skipped", "cancelled")

VERDICT_VALID = timedelta(minutes=15)
LEASE = timedelta(seconds=60)
SECOND_PERSON_ABOVE = 20  # items
FEWEST_TO_JUDGE = 5  # sent items before the share of failures may end a replay
MOST_ITEMS = 10_000

EFFECTS: Mapping[str, tuple[str, ...]] = {
    "po.acknowledged": ("po.answer_applied",),
    "po.rejected": ("po.answer_applied",),
    "po.change_proposed": ("po.answer_applied",),
    "asn.received": ("asn.accepted", "receipt.posted"),
    "receipt.posted": ("receipt.posted",),
    "invoice.received": ("invoice.matched", "invoice.blocked"),
    "po.released": ("fa.received", "po.acknowledged", "po.rejected"),
    "po.revised": ("fa.received", "po.acknowledged", "po.change_answered"),
}
"""Event type of a message -> what its business document must show once it took effect."""

DELIVERED = ("message.delivered",)
"""What must be seen of a message whose type says nothing."""

REPLACED_BY = ("po.revised", "po.cancelled", "po.closed")
"""What makes an older message about an order obsolete."""


CREATES: Mapping[str, str] = {
    "po.released": "po",
    "asn.received": "asn",
    "receipt.posted": "receipt",
    "invoice.received": "invoice",
}
"""Types of messages that create a document, and its kind: its number counts once, whenever and by
whatever message it took effect. An answer may come again with other content.
"""


class DocumentName(NamedTuple):
    """The number of a document and whose it is: an ERP's, a supplier's."""

    kind: str
    scope: str
    number: str


def created_by(type_: str, named: Iterable[DocumentName]) -> DocumentName | None:
    """Which of the documents that a message names it creates; None if none, or nobody can say."""
    found = [one for one in named if one.kind == CREATES.get(type_)]
    return found[0] if len(found) == 1 else None


class ReplayRefused(TowerError):
    """A replay cannot be drafted, confirmed or changed like this; the sentence says what to do."""


class LetterRef(NamedTuple):
    """Identity of a dead letter: one failed attempt of one message."""

    source: str
    key: str
    attempt: int
    position: str = ""

    def __str__(self) -> str:
        place = f" {self.position}" if self.position else ""
        return f"{self.source} {self.key} #{self.attempt}{place}"


_LETTER = re.compile(r"(\S+) (.+) #([0-9]{1,9})(?: (.+))?", re.DOTALL)


def parse_letter(text: str) -> LetterRef | None:
    """What ``str(LetterRef)`` wrote; None if it is something else."""
    found = _LETTER.fullmatch(text)
    if found is None:
        return None
    source, key, attempt, position = found.groups()
    return LetterRef(source, key, int(attempt), position or "")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one dead letter when its verdict is given.

    state        of the letter; ``kind`` interpret or deliver
    has_payload  its bytes are kept; ``left_out`` headers that were secret and are not
    origins      queues in which it may have died first
    target       of the queue: ok, missing, down, closed (no replays allowed), "" not asked
    claimed_by   number of another replay that has the message
    effect_seen  type of an event that shows its effect, after it died
    replaced_by  type of an event that made it obsolete; ``newer`` of a newer one of its own type
    later        a later attempt of the same message failed
    same_as      number in this selection of an item with the same bytes
    stale        the feed that would show its effect is silent
    in_effect    type of an event that shows that the document it would create is there already
    same_document   number in this selection of an item that would create the same document
    edited_sent  an edited copy of this attempt, or the original beside the copy, was sent
    problem      why its edited copy cannot be read
    """

    kind: str
    state: str
    has_payload: bool = True
    left_out: str = ""
    origins: frozenset[str] = frozenset()
    target: str = ""
    claimed_by: int | None = None
    effect_seen: str = ""
    replaced_by: str = ""
    newer: str = ""
    later: bool = False
    same_as: int | None = None
    stale: str = ""
    edited_sent: bool = False
    problem: str = ""
    in_effect: str = ""
    same_document: int | None = None


class Verdict(NamedTuple):
    """ready, duplicate or blocked; ``cause`` begins with a stable word, then says it in words."""

    word: str
    cause: str = ""


READY = Verdict("ready")


def verdict(facts: Facts, action: str) -> Verdict:
    """Whether a letter may be replayed; the gravest reason against it wins."""
    for found in _against(facts, action):
        return found
    return READY


def _against(f: Facts, action: str) -> Iterable[Verdict]:
    if f.claimed_by is not None:
        yield _blocked("claimed_elsewhere", f"replay {f.claimed_by} has this message")
    if f.later:
        yield _blocked("later_attempt", "a later attempt of this message failed; replay that one")
    if f.state not in ("open", "in_replay"):
        yield _blocked("not_open", f"this dead letter is {f.state}")
    if not f.has_payload:
        yield _blocked("payload_expired", "its bytes are not kept any more")
    if f.problem:
        yield _blocked("payload_invalid", f.problem)
    if f.same_as is not None:
        yield Verdict("duplicate", f"same_bytes: the same bytes as item {f.same_as}")
    if action == REINTERPRET:
        if f.kind != "interpret":
            yield _blocked("was_read", "it was read; a broker gave it up. Reprocess it instead")
        return
    if f.kind != "deliver":
        yield _blocked("never_read", "it was never read. Reinterpret it instead")
    if f.edited_sent:
        yield Verdict("duplicate", "copy_sent: of original and edited copy only one is ever sent")
    if f.left_out:
        yield _blocked(
            "secret_headers", f"headers that are never stored ({f.left_out}) would be missing"
        )
    if f.replaced_by:
        yield _blocked("superseded", f"{f.replaced_by} came after it")
    if f.newer:
        yield _blocked("ordering_risk", f"a newer {f.newer} of the same order was seen")
    if f.effect_seen and action != FORCE:
        yield Verdict("duplicate", f"effect_seen: {f.effect_seen} was seen after it died")
    if f.in_effect and action != FORCE:
        yield Verdict("duplicate", f"in_effect: its document is there already ({f.in_effect})")
    if f.same_document is not None and action != FORCE:
        yield Verdict("duplicate", f"same_document: item {f.same_document} brings this document")
    if len(f.origins) != 1:
        yield _blocked(
            "unknown_origin",
            "its headers name several queues"
            if f.origins
            else "no header names the queue it died in",
        )
    if f.target == "closed":
        yield _blocked("not_allowed", "network.yaml allows no replay into this queue")
    if f.target == "missing":
        yield _blocked("unroutable", "the broker has no such queue")
    if f.target == "down":
        yield _blocked("target_down", "the broker does not answer")
    if f.stale:
        yield _blocked("target_stale", f"feed {f.stale}, which would show its effect, is silent")


def _blocked(word: str, why: str) -> Verdict:
    return Verdict("blocked", f"{word}: {why}")


def matches(queue: str, patterns: Iterable[str]) -> bool:
    """Whether a queue's name fits one of the patterns with * and ?."""
    return any(fnmatchcase(queue, pattern) for pattern in patterns)


def effects_of(type_: str, queue: str, told: Mapping[str, str]) -> tuple[str, ...]:
    """Event types of which one must be seen after the publish. ``told`` maps patterns of queues to
    types (network.yaml); else the type of the message says it.
    """
    for pattern, effect in told.items():
        if fnmatchcase(queue, pattern):
            return tuple(effect.split())
    return EFFECTS.get(type_, DELIVERED)


def second_person(
    action: str, items: int, value: Decimal | None, limit: Decimal | None, *, edited: bool
) -> str:
    """Why another person must approve; "" if nobody must."""
    if action == RETRANSMIT:
        return "it leaves the company"
    if action == FORCE:
        return "it repeats what already took effect"
    if edited:
        return "a payload was edited"
    if action == REINTERPRET:
        return ""
    if items > SECOND_PERSON_ABOVE:
        return f"more than {SECOND_PERSON_ABOVE} messages are sent"
    if limit is not None and value is not None and value > limit:
        return f"open orders worth {value:,.0f} hang on them, more than {limit:,.0f}"
    return ""


def selection_hash(letters: Iterable[LetterRef]) -> bytes:
    """SHA-256 of the sorted ids: what was picked is what is sent."""
    digest = hashlib.sha256()
    for one in sorted(letters):
        for part in (one.source, one.key, str(one.attempt), one.position):
            raw = part.encode("utf-8", "surrogatepass")
            digest.update(len(raw).to_bytes(4, "big"))
            digest.update(raw)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Counters:
    """Items by where they stand; they always add up to the frozen count."""

    waiting: int = 0  # drafted, ready
    in_flight: int = 0  # claimed, sending, awaiting their effect
    resolved: int = 0
    failed_again: int = 0
    uncertain: int = 0
    returned: int = 0
    duplicate: int = 0
    blocked: int = 0
    skipped: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, f.name) for f in fields(self))

    @property
    def failed(self) -> int:
        return self.failed_again + self.returned

    @property
    def ended(self) -> bool:
        """Nothing more will happen by itself."""
        return not (self.waiting or self.in_flight or self.uncertain)


_COUNTED = {"drafted": "waiting", "ready": "waiting"} | dict.fromkeys(IN_FLIGHT, "in_flight")


def counters(states: Mapping[str, int]) -> Counters:
    """Counters from the number of items in each state."""
    found: dict[str, int] = {}
    for state, n in states.items():
        name = _COUNTED.get(state, state)
        found[name] = found.get(name, 0) + n
    return Counters(**found)


def may_send(counted: Counters, canary: int, canary_states: Sequence[str]) -> bool:
    """Whether items behind the first ``canary`` may go: all of those have ended, one with effect.

    ``canary_states`` are the states of the first items that were to be sent.
    """
    if not canary or not canary_states:
        return True
    ended = all(state not in OPEN and state != "ready" for state in canary_states)
    return ended and (
        "resolved" in canary_states or all(state in NEVER_SENT for state in canary_states)
    )


def is_overdue(state: str, since: datetime, within: timedelta, now: datetime) -> bool:
    """Whether what was sent waits for its effect longer than it may: then a person must look."""
    return state == "awaiting_effect" and now - since > within


def too_many_failures(counted: Counters, stop_above: float) -> bool:
    """Whether the share of failures among what was sent ends the replay."""
    judged = counted.resolved + counted.failed + counted.uncertain
    failed = counted.failed + counted.uncertain
    return judged >= FEWEST_TO_JUDGE and failed > stop_above * judged


def canary_failed(canary_states: Sequence[str]) -> bool:
    """Every item that went ahead failed: the others stay where they are."""
    sent = [state for state in canary_states if state not in NEVER_SENT]
    return bool(sent) and all(state in ("failed_again", "returned") for state in sent)
