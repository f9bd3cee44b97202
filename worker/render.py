"""A letter as the bytes of a mail: text first, HTML beside it, headers that nobody can add to.

Partner text reaches headers only as letters, digits and plain signs (``tower.telling.safe_words``).
A decoded encoded word can still smuggle a header in on Python before 3.11.15, so every ``=?`` goes
too, and the serialised mail is parsed again and compared, header by header.
"""

from __future__ import annotations

import email
import logging
import re
import textwrap
from collections import Counter
from dataclasses import fields, replace
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

import mrml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tower.errors import DeliveryFailed
from tower.telling import SUBJECT_LIMIT, safe_words
from worker.letter import (
    Attachment,
    DigestLetter,
    Head,
    PartnerLetter,
    Picture,
    ScorecardLetter,
)

log = logging.getLogger(__name__)

# Four colours of severity that stay apart on white, each with a shape for who cannot tell them.
_COLOUR = {"low": "#5B6B7C", "medium": "#A15C07", "high": "#C2410C", "critical": "#B42318"}
_MARK = {"low": "\u25cb", "medium": "\u25d0", "high": "\u25b2", "critical": "\u25c6"}

TEXT_WIDTH = 78  # of the plain text, for terminals and old mail readers

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)


def clean(value: Any) -> Any:
    """Text without control and direction characters; other values as they are."""
    return _CONTROL.sub(" ", value) if isinstance(value, str) else value


def fold(text: str, begin: str = "", rest: str | None = None) -> str:
    """Text in lines of at most 78 signs; lines after the first begin under where the text began.

    Addresses and other long words are never cut.
    """
    lines = textwrap.wrap(
        clean(text),
        TEXT_WIDTH,
        initial_indent=begin,
        subsequent_indent=" " * len(begin) if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) or begin.rstrip()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("worker", "templates"),
        autoescape=select_autoescape(enabled_extensions=("mjml.j2",), default=False),
        undefined=StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["fold"] = fold
    return environment


def _kind(letter: Head) -> str:
    """Name of the templates of this kind of letter."""
    if isinstance(letter, DigestLetter):
        return "digest"
    if isinstance(letter, ScorecardLetter):
        return "scorecard"
    return "partner" if isinstance(letter, PartnerLetter) else "mail"


def _picture(letter: Head) -> Picture | None:
    return letter.picture if isinstance(letter, DigestLetter) else None


def _attachments(letter: Head) -> tuple[Attachment, ...]:
    return letter.attachments if isinstance(letter, ScorecardLetter) else ()


def picture_id(letter: Head) -> str:
    """Content-ID by which the HTML shows the letter's picture; stable as the mail is frozen."""
    local, _, domain = letter.message_id.partition("@")
    return f"picture.{local}@{domain}"


def text_of(letter: Head) -> str:
    """The plain text, which says all that the HTML says."""
    text = _environment().get_template(f"{_kind(letter)}.txt.j2").render(_context(letter))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def html_of(letter: Head) -> str:
    """The HTML: no remote picture, font or script; links only to the screens."""
    source = _environment().get_template(f"{_kind(letter)}.mjml.j2").render(_context(letter))
    return mrml.to_html(
        source, parser_options=mrml.ParserOptions(include_loader=mrml.noop_loader())
    ).content


def _context(letter: Head) -> dict[str, Any]:
    return {
        **{field.name: getattr(letter, field.name) for field in fields(letter)},
        "colour": _COLOUR,
        "mark": _MARK,
        "picture_id": picture_id(letter),
    }


def render(letter: Head, sender: str) -> bytes:
    """The mail as it goes out, frozen from here on. A letter whose HTML fails goes out plain.

    Raises DeliveryFailed when the headers of the finished mail are not the ones we set.
    """
    letter = replace(letter, subject=safe_words(letter.subject, SUBJECT_LIMIT))
    text = text_of(letter)
    html: str | None
    try:
        html = html_of(letter)
    except Exception:
        # Whatever a template stumbles over, the owner must hear of the case.
        log.exception("A mail goes out plain", extra={"action": "mail.render_failed"})
        html = None
    message = EmailMessage(policy=SMTP)
    headers = _headers(letter, sender)
    for name, value in headers.items():
        message[name] = value
    message.set_content(text, cte="quoted-printable")
    if html is not None:
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        picture = _picture(letter)
        if picture is not None:
            # The same bytes under the same id: nothing is fetched from outside.
            shown = message.get_body(("html",))
            if shown is not None:
                shown.add_related(
                    picture.png, "image", "png", cid=f"<{picture_id(letter)}>",
                    filename="figures.png", disposition="inline",
                )  # fmt: skip
    for beside in _attachments(letter):
        main, _, sub = beside.kind.partition("/")
        message.add_attachment(beside.body, main, sub, filename=beside.name)
    _name_boundaries(message, letter.message_id.split("@")[0])
    raw = message.as_bytes()
    _verify(raw, Counter(name.lower() for name in headers))
    return raw


def _name_boundaries(message: EmailMessage, name: str) -> None:
    """Boundaries that are no dice: the same letter is the same bytes."""
    for n, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_{name}" if n == 0 else f"=_{name}_{n}")


def _headers(letter: Head, sender: str) -> dict[str, Any]:
    domain = sender.rsplit("@", 1)[-1]
    answers = {"Reply-To": _address("", letter.reply_to)} if letter.reply_to else {}
    return {
        **answers,
        "From": _address(f"{letter.company} control tower", sender),
        "To": _address(letter.to_name, letter.to_address),
        "Subject": letter.subject,
        "Date": format_datetime(letter.date),
        "Message-ID": f"<{letter.message_id}>",
        "In-Reply-To": f"<{letter.thread}>",
        "References": f"<{letter.thread}>",
        "List-Id": f"<{letter.list_id}.tower.{domain}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }


def _address(name: str, address: str) -> Address:
    return Address(display_name=safe_words(name), addr_spec=address)


_BODY_HEADERS = Counter({"mime-version": 1, "content-type": 1, "content-transfer-encoding": 1})


def _verify(raw: bytes, wanted: Counter[str]) -> None:
    """Parse what was serialised: exactly our headers, each once, and those of the body."""
    parsed = email.message_from_bytes(raw, policy=default)
    found = Counter(name.lower() for name, _ in parsed.items())
    surplus = found - wanted - _BODY_HEADERS
    if surplus or wanted - found:
        raise DeliveryFailed(
            f"the finished mail has other headers than ours: {sorted(surplus or wanted - found)}",
            permanent=True,
        )
