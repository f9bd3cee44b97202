"""A list of mails and one mail as its recipient sees it."""

from __future__ import annotations

import base64
import email
import email.policy
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from app.components.letter import letter
from app.links import MailboxLink
from app.parts.tables import table
from app.parts.words import day_clock, many
from db.reads.mails import Letterhead, Trouble

STATE_SIGN = {"sent": "✓", "waiting": "…", "failed": "✕", "superseded": "↷"}


def banner(found: Trouble, zone: ZoneInfo) -> None:
    """What keeps people from hearing of cases now; nothing while all is well."""
    if found.worker_lost is not None:
        st.error(
            f"No worker was seen since {day_clock(found.worker_lost, zone)}: nothing is judged and "
            "nobody is told. Start one: tower worker.",
            icon=":material/heart_broken:",
        )
    if found.away_since is not None:
        waiting = f"{many(found.waiting, 'mail')} {'waits' if found.waiting == 1 else 'wait'}"
        st.error(
            f"The mail server cannot be reached since {day_clock(found.away_since, zone)}; "
            f"{waiting}. It is tried each minute, and what waits is told as it stands then.",
            icon=":material/mark_email_unread:",
        )
    if found.dead:
        named = ", ".join(f"{_safe(address)} ({_safe(who)})" for address, who in found.dead[:3])
        more = f" and {len(found.dead) - 3} more" if len(found.dead) > 3 else ""
        st.warning(
            f"Mails to {named}{more} come back; the fallback is told instead. Correct the address "
            "in network.yaml, or send again with tower mail retry.",
            icon=":material/mail_off:",
        )
    for words in found.failing.values():
        st.warning(f"The tower breaks a promise: {_safe(words)}.", icon=":material/rule:")


def mail_list(rows: Sequence[Letterhead], recipient: str | None, zone: ZoneInfo) -> None:
    """The newest mails; a subject opens its mail beside the list."""
    table(
        {
            "Subject": [m.subject for m in rows],
            "To": [m.recipient if m.channel == "mail" else f"# {m.channel}" for m in rows],
            "When": [day_clock(m.sent_at or m.created_at, zone) for m in rows],
            " ": [STATE_SIGN.get(m.state, m.state) for m in rows],
        },
        alt="Mails, newest first",
        key="mails",
        opens="Subject",
        links=[MailboxLink(mail=m.id, recipient=recipient) for m in rows],
        config={
            " ": st.column_config.TextColumn(width=30, help="✓ sent  … waiting  ✕ refused"),
            "To": st.column_config.TextColumn(width=104),
            "When": st.column_config.TextColumn(width=118),
        },
        height=760,
    )


def mail(
    head: Letterhead, message: bytes, attempts: Sequence[Mapping[str, Any]], zone: ZoneInfo
) -> None:
    """Headers, the HTML part in a frame of its own, the text part, and how it was delivered."""
    if head.channel != "mail":
        st.markdown(f"**{_safe(head.subject)}**")
        st.caption(f"posted to {_safe(head.channel)} · {head.state} · attempts {head.attempts}")
        st.json(message.decode("ascii", "replace"))
        return
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    st.markdown(f"**{_safe(head.subject)}**")
    sent = f"sent {day_clock(head.sent_at, zone)}" if head.sent_at else head.state
    st.caption(
        f"to {_safe(head.address)} · {_safe(head.reason)} · {sent} · attempts {head.attempts}"
        + (f" · {_safe(head.error)}" if head.error else "")
    )
    how = st.segmented_control(
        "Form",
        ["As sent", "Text", "Headers"],
        default="As sent",
        required=True,
        key="mail form",
        label_visibility="collapsed",
    )
    if how == "Headers":
        st.code("\n".join(f"{k}: {v}" for k, v in parsed.items()), language=None, wrap_lines=True)
        for attempt in attempts:
            st.caption(
                f"{day_clock(attempt['at'], zone)}: {attempt['outcome']} "
                f"{attempt['code'] or ''} {_safe(attempt['text'])}"
            )
    elif how == "Text":
        st.code(_part(parsed, "plain"), language=None, wrap_lines=True)
    else:
        letter(with_pictures(parsed), key="letter")
        _attachments(parsed)


def with_pictures(parsed: EmailMessage) -> str:
    """The HTML with the pictures that came inside the mail in their places."""
    html = _part(parsed, "html")
    for part in parsed.walk():
        name = str(part.get("Content-ID", "")).strip("<>")
        if name and part.get_content_type() in ("image/png", "image/jpeg"):
            picture = part.get_payload(decode=True)
            shown = base64.b64encode(picture if isinstance(picture, bytes) else b"").decode()
            html = html.replace(f"cid:{name}", f"data:{part.get_content_type()};base64,{shown}")
    return html


def _attachments(parsed: EmailMessage) -> None:
    for n, part in enumerate(parsed.iter_attachments()):
        name = part.get_filename() or f"attachment {n + 1}"
        st.download_button(
            name,
            part.get_content(),
            file_name=name,
            mime=part.get_content_type(),
            icon=":material/attach_file:",
            key=f"attachment {n}",
        )


def _part(parsed: EmailMessage, kind: str) -> str:
    body = parsed.get_body((kind,))
    return "" if body is None else str(body.get_content())


def _safe(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_[]$<>" else c for c in text)
