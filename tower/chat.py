"""Messages to a room of a chat, as incoming webhooks of Slack and Teams take them.

Text that is not ours goes only where the service shows plain text: nobody's name becomes a link, a
mention or markup.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tower.telling import safe_words

MOST_LINES = 10
_CARD = "application/vnd.microsoft.card.adaptive"


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What a room is told: why, a headline, a line per case, where to look.

    note   why it stands here: who was mailed, or that the mail server is away
    lines  text and address of each case, the gravest first
    """

    title: str
    note: str
    lines: Sequence[tuple[str, str]]
    url: str
    label: str = "Open the work list"


def body_of(message: ChatMessage, form: str) -> bytes:
    """The JSON that a webhook of this form takes; the same message gives the same bytes."""
    shown = _teams(message) if form == "teams" else _slack(message)
    return json.dumps(shown, ensure_ascii=True, separators=(",", ":")).encode()


def _lines(message: ChatMessage) -> list[tuple[str, str]]:
    return [(safe_words(text, 180), url) for text, url in message.lines[:MOST_LINES]]


def _more(message: ChatMessage) -> str:
    left = len(message.lines) - MOST_LINES
    return f"and {left} more" if left > 0 else ""


def _slack(message: ChatMessage) -> dict[str, Any]:
    title, note = safe_words(message.title, 140), safe_words(message.note, 280)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(title)},
        {"type": "section", "text": _plain(note)},
    ]
    for text, url in _lines(message):
        blocks.append(
            {
                "type": "section",
                "text": _plain(text),
                "accessory": {"type": "button", "text": _plain("Open"), "url": url},
            }
        )
    if _more(message):
        blocks.append({"type": "context", "elements": [_plain(_more(message))]})
    blocks.append(
        {
            "type": "actions",
            "elements": [{"type": "button", "text": _plain(message.label), "url": message.url}],
        }
    )
    # What a notification shows: here Slack reads three signs as its own.
    short = f"{title}: {note}".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": short, "blocks": blocks}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _teams(message: ChatMessage) -> dict[str, Any]:
    # A RichTextBlock shows its text as it is; a TextBlock would read Markdown in it.
    found: list[dict[str, Any]] = [
        _run(safe_words(message.title, 140), weight="Bolder", size="Medium"),
        _run(safe_words(message.note, 280), isSubtle=True),
    ]
    for text, url in _lines(message):
        found.append(_run(text, selectAction={"type": "Action.OpenUrl", "url": url}))
    if _more(message):
        found.append(_run(_more(message), isSubtle=True))
    card = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": found,
        "actions": [{"type": "Action.OpenUrl", "title": message.label, "url": message.url}],
    }
    attachment = {"contentType": _CARD, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _run(text: str, **words: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **words}]}
