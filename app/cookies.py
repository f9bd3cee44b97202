"""The cookie that opens a session: its names, and reading it from what a browser sent.

``__Host-`` makes browsers take it from this host alone, over TLS, for all paths. On this machine,
where there is no TLS, it has a plain name; a plain one that another host sends is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

PLAIN = "tower_sid"
SECURE = "__Host-tower_sid"
PLAIN_VISIT = "tower_visit"
SECURE_VISIT = "__Host-tower_visit"


def is_loopback(host: str) -> bool:
    """Whether a name or address, without a port, is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def on_this_machine(host: str) -> bool:
    """The same for a Host header."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def token_in(cookies: Mapping[str, str], *, plain: bool) -> str:
    """The token among these cookies, "" where there is none; ``plain``: whether the plain name
    counts.
    """
    found = cookies.get(SECURE, "")
    if not found and plain:
        found = cookies.get(PLAIN, "")
    return found if len(found) <= 100 else ""


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by small name; several Cookie headers are one, of others the first counts."""
    found: dict[str, str] = {}
    for key, value in raw:
        name, text = key.decode("latin-1").lower(), value.decode("latin-1")
        if name == "cookie" and name in found:
            found[name] += "; " + text
        else:
            found.setdefault(name, text)
    return found


def cookies_of(header: str) -> dict[str, str]:
    """The cookies of a Cookie header; of two with one name the first, as browsers send the closer
    one first.
    """
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, mark, value = part.strip().partition("=")
        if mark:
            found.setdefault(name, value.strip('"'))
    return found


def written(name: str, value: str, *, secure: bool, max_age: int | None = None) -> str:
    """A Set-Cookie header; ``max_age`` 0 removes it, None keeps it until the browser closes."""
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if secure:
        parts.append("Secure")
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    return "; ".join(parts)
