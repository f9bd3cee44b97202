"""``tower doctor`` names settings that leave a door wider open than it need be."""

from __future__ import annotations

from tower.settings import load
from tower.weak_settings import weaknesses


def test_every_weak_setting_is_named_without_its_secret() -> None:
    weak = load(
        database_url="postgresql://postgres:hush@db.example.com/tower?sslmode=require",
        smtp_host="mail.example.com",
        smtp_starttls=False,
        base_url="http://tower.example.com",
    )
    told = " ".join(what + advice for what, advice in weaknesses(weak))
    for word in ("API key", "encryption", "verify-full", "administrator", "TLS"):
        assert word in told
    assert "hush" not in told


def test_what_is_safe_is_not_named() -> None:
    safe = load(
        api_keys="required",
        database_url="postgresql://tower_app:hush@db.example.com/tower?sslmode=verify-full",
        smtp_host="mail.example.com",
        base_url="https://tower.example.com",
    )
    assert weaknesses(safe) == []
    near = load(
        api_keys="required",
        database_url="postgresql://tower_app:hush@127.0.0.1/tower",
        smtp_host="localhost",
        smtp_starttls=False,
    )
    assert weaknesses(near) == []
