"""AS2 receipts: what a partner's AS2 server says of an interchange it was sent (MDN).

An MDN (RFC 8098, RFC 4130) is a ``multipart/report`` whose second part names the message it is
about (Original-Message-ID) and what became of it (Disposition). It says that bytes arrived whole,
never that they were understood: that is what a functional acknowledgement says.

The Message-ID says nothing of X12 or EDIFACT numbers. It reaches the interchange by whoever knows
both: the header ``message-id`` of a pushed interchange, or the line of the gateway's log
(mapping ``edi_gateway``).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import policy
from email.message import Message
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

from tower.errors import PayloadRejected
from tower.event import TimeQuality
from tower.network import Network, Source
from tower.raw import DeadLetter, Finding, Interpretation, Origin, Raw
from tower.vocabulary import make_event

MAX_BYTES = 1 << 20
"""Receipts are small; they may hold the headers of the message, never its content."""

_DELIVERED = frozenset(("processed", "displayed", "dispatched"))
_LOST = frozenset(("failed", "denied", "deleted"))
_MODE = re.compile(r"^[^;]*;\s*")  # "automatic-action/MDN-sent-automatically; "
_BOUNDARY = re.compile(rb"\s*--([^\s\"]{1,70})\s*\r?\n")
_RESEND = "Ask the partner's AS2 desk for the receipt, or look it up in the gateway's own log."


def as2_ids(message_id: str) -> tuple[str, ...]:
    """Names of an AS2 message, with its angle brackets and without: logs write either."""
    bare = message_id.strip().removeprefix("<").removesuffix(">").strip()
    return (f"as2:{bare}", f"as2:<{bare}>") if bare else ()


class MdnInterpreter:
    """Each receipt is ``message.delivered`` (receipt mdn) or ``message.failed``."""

    name = "mdn"
    version = 1

    def interpret(self, raw: Raw, net: Network, source: Source) -> Interpretation:
        """One event, or a dead letter; never an error."""
        try:
            return self._read(raw, net, source)
        except PayloadRejected as error:
            letter = DeadLetter(error.code, f"{error}.", error.advice, "", error.offset)
            return Interpretation(self.name, self.version, dead_letters=(letter,))

    def _read(self, raw: Raw, net: Network, source: Source) -> Interpretation:
        report, told = _parts(raw)
        message_id = _field(told, "Original-Message-ID")
        said = _field(told, "Disposition")
        for value, name in ((message_id, "Original-Message-ID"), (said, "Disposition")):
            if not value:
                raise PayloadRejected(
                    f"the receipt has no {name}", code="missing_key", advice=_RESEND, offset=0
                )
        word, _, modifier = _MODE.sub("", said).partition("/")
        outcome, modifier = word.strip().lower(), modifier.strip()
        bad = modifier.lower().startswith(("error", "failure"))
        findings: list[Finding] = []
        named = raw.headers.get("partner") or source.partner
        partner = named if named in net.partners else None
        data = {"message": message_id, "step": "as2 receipt", "text": said}
        if partner is not None:
            data["supplier"] = partner
        if outcome in _LOST or (outcome in _DELIVERED and bad):
            type_ = "message.failed"
            data["error_class"] = "mdn"
            data["code"] = modifier or outcome
        elif outcome in _DELIVERED:
            type_ = "message.delivered"
            data["receipt"] = "mdn"
        else:
            type_ = "message.received"
            text = (
                "the disposition is neither processed nor failed; it is shown, and decides nothing"
            )
            findings.append(Finding("unknown_code", text, None, got=said[:80]))
        occurred = _date(report)
        event = make_event(
            type_,
            data,
            source=raw.source,
            raw_key=raw.key,
            position="",
            occurred_at=occurred or raw.received_at,
            time_quality=TimeQuality.EXACT if occurred else TimeQuality.OBSERVED,
            system=source.system,
            partner=partner,
            channel="edi",
            answers=as2_ids(message_id),
        )
        origins = tuple(
            _origin(raw.body, name, str(value), message_id, said)
            for name, value in event.data.items()
        )
        return Interpretation(
            self.name, self.version, (event,), {0: origins}, tuple(findings), (), partner
        )


def _parts(raw: Raw) -> tuple[Message, Message]:
    """The receipt as a whole, and the fields of its machine-readable part."""
    body = raw.body
    if not body.strip():
        raise PayloadRejected("the receipt is empty", code="empty", advice=_RESEND, offset=0)
    if len(body) > MAX_BYTES:
        raise PayloadRejected(
            f"{len(body)} bytes are no receipt; at most {MAX_BYTES} are read",
            code="too_large",
            advice="Check that this feed brings receipts, not the messages themselves.",
            offset=0,
        )
    declared = raw.headers.get("content-type", "")
    boundary = _BOUNDARY.match(body)
    if boundary is not None:
        # Without headers of its own: they were those of the request, else the first line tells.
        if "multipart/" not in declared.lower():
            declared = f'multipart/report; boundary="{boundary[1].decode("latin-1")}"'
        head = f"Content-Type: {' '.join(declared.split())}\r\n\r\n"
        body = head.encode("latin-1", "replace") + body.lstrip()
    report = BytesParser(policy=policy.compat32).parsebytes(body)
    for part in report.walk():
        if part.get_content_type() == "message/disposition-notification":
            inner = part.get_payload()
            if isinstance(inner, list) and inner and isinstance(inner[0], Message):
                return report, inner[0]
    raise PayloadRejected(
        "there is no part message/disposition-notification, so this is no receipt",
        code="no_receipt",
        advice="Check that this feed brings MDNs as multipart/report, and that they are not "
        "encrypted.",
        offset=0,
    )


def _field(told: Message, name: str) -> str:
    value = told.get(name)
    return " ".join(str(value).replace("\0", "").split()) if value is not None else ""


def _date(report: Message) -> datetime | None:
    try:
        found = parsedate_to_datetime(str(report.get("Date", "")))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _origin(body: bytes, name: str, value: str, message_id: str, said: str) -> Origin:
    """Where a field stands: the Message-ID and the disposition are found in the bytes."""
    field = {"message": message_id, "text": said}.get(name)
    element = "Original-Message-ID" if name == "message" else "Disposition"
    if name in ("supplier", "step"):
        return Origin(name, "", None, None, "default", "the feed, the format")
    if field is None:  # a word that the disposition stands for
        at = body.find(said.encode())
        offset, length = (at, len(said.encode())) if at >= 0 else (None, None)
        return Origin(name, element, offset, length, "looked_up", "RFC 8098 disposition")
    head = re.search(rb"(?im)^" + element.encode() + rb":", body)
    found = body.find(field.encode(), head.end()) if head is not None else -1
    if found < 0:  # folded or coded: the value is not there in one piece
        return Origin(name, element, None, None, "converted", "unfolded header")
    return Origin(name, element, found, len(field.encode()))
