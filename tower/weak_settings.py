"""Settings that work but leave a door wider open than it need be."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from tower.settings import Settings

_SAFE_TLS = ("verify-full",)


def weaknesses(settings: Settings) -> list[tuple[str, str]]:
    """What is weak and what to do about it; never a secret itself."""
    found = []
    if settings.api_keys == "optional":
        found.append(
            (
                "who reaches the machine door may push without an API key",
                "Give senders keys (tower keys add) and set TOWER_API_KEYS=required.",
            )
        )
    mail = settings.smtp_host
    if mail is not None and not settings.smtp_starttls and not _on_this_machine(mail):
        found.append(
            (
                "mails and the password of the mail server go out without encryption",
                "Unset TOWER_SMTP_STARTTLS.",
            )
        )
    for name, url in (
        ("TOWER_DATABASE_URL", settings.database_url),
        ("TOWER_OWNER_URL", settings.owner_url),
    ):
        if url is None:
            continue
        parts = urlsplit(url.get_secret_value())
        modes = parse_qs(parts.query).get("sslmode", [])
        host = parts.hostname or ""
        if host and not _on_this_machine(host) and modes[-1:] != list(_SAFE_TLS):
            found.append(
                (
                    f"the database of {name} is on another machine and need not prove itself",
                    f"Add sslmode=verify-full and sslrootcert to {name}.",
                )
            )
        if name == "TOWER_DATABASE_URL" and parts.username == "postgres":
            found.append(
                (
                    "the program signs in to the database as its administrator",
                    "Make an account for it (docs/operations.md, An external Postgres).",
                )
            )
    if not settings.base_url.startswith("https:") and not _on_this_machine(
        urlsplit(settings.base_url).hostname or ""
    ):
        found.append(("links in mails lead to a page without TLS", "Set TOWER_BASE_URL to https."))
    return found


def _on_this_machine(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
