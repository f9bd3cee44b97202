"""Mails that came back: what a delivery status notification (RFC 3464) says of an address.

What it says is believed only of mails that we sent: it must name the Message-ID of one of them.
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.utils import parseaddr

from tower.errors import TowerError

MOST_BYTES = 5 * 1024 * 1024
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_ID = re.compile(r"<([^<>\s@]{1,200}@[^<>\s@]{1,200})>")
# Failed for good, but of this mail alone: mailbox full, no mails of this size or kind.
_OF_THE_MAIL = ("5.2.2", "5.2.3", "5.3.4", "5.6.")


class NotABounce(TowerError):
    """The mail is no delivery status notification that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """What one recipient's server said.

    action      failed, delayed, delivered, relayed or expanded
    status      RFC 3463: "5.1.1"
    message_id  of the mail that we sent
    """

    address: str
    action: str
    status: str
    words: str
    message_id: str

    @property
    def is_lost(self) -> bool:
        """Whether the mail did not arrive and never will."""
        return self.action == "failed" and not self.status.startswith(("2.", "4."))

    @property
    def is_dead(self) -> bool:
        """Whether no other mail will arrive at the address either."""
        return self.is_lost and not self.status.startswith(_OF_THE_MAIL)


def read(raw: bytes) -> list[Bounce]:
    """What a notification says, recipient by recipient. Raises NotABounce."""
    if len(raw) > MOST_BYTES:
        raise NotABounce(f"The mail is larger than {MOST_BYTES:,} bytes. It is no notification.")
    message = email.message_from_bytes(raw)
    parts = list(message.walk())
    reports = [p for p in parts if p.get_content_type() == "message/delivery-status"]
    if not reports:
        raise NotABounce(
            "The mail has no part message/delivery-status (RFC 3464). Read it yourself; if an "
            "address is dead, correct it in network.yaml."
        )
    message_id = _original_id(message, parts)
    if message_id is None:
        raise NotABounce(
            "The notification does not name the Message-ID of the mail that came back, so nobody "
            "can tell whether it was ours. Have the mail server return headers with it."
        )
    found = [
        _bounce(group, message_id)
        for report in reports
        for group in _groups(report)
        if group.get("Action") and (group.get("Final-Recipient") or group.get("Original-Recipient"))
    ]
    if not found:
        raise NotABounce("The notification names no recipient. Nothing can be learned from it.")
    return found


def _groups(report: Message) -> Iterator[Message]:
    """The blocks of fields of a report: one of the mail, then one per recipient."""
    payload = report.get_payload()
    for part in payload if isinstance(payload, list) else ():
        if isinstance(part, Message):
            yield part


def _bounce(group: Message, message_id: str) -> Bounce:
    said = _text(group, "Final-Recipient") or _text(group, "Original-Recipient")
    words = _text(group, "Diagnostic-Code").partition(";")[2].strip()
    status = _STATUS.search(_text(group, "Status")) or _STATUS.search(words)
    return Bounce(
        address=parseaddr(said.rpartition(";")[2].strip())[1][:254],
        action=_text(group, "Action").lower(),
        status=status[1] if status else "5.0.0",
        words=words[:300],
        message_id=message_id,
    )


def _text(group: Message, name: str) -> str:
    """A field on one line, without control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", str(group.get(name, ""))).strip()


def _original_id(message: Message, parts: list[Message]) -> str | None:
    """The Message-ID of the mail that came back: of the copy in it, else what it answers."""
    for part in parts:
        kind = part.get_content_type()
        if kind == "message/rfc822":
            inner = part.get_payload()
            if isinstance(inner, list) and inner and isinstance(inner[0], Message):
                found = _ID.search(_text(inner[0], "Message-ID"))
                if found:
                    return found[1]
        elif kind == "text/rfc822-headers":
            body = part.get_payload(decode=True)
            headers = email.message_from_bytes(body if isinstance(body, bytes) else b"")
            found = _ID.search(_text(headers, "Message-ID"))
            if found:
                return found[1]
    found = _ID.search(_text(message, "In-Reply-To"))
    return found[1] if found else None
