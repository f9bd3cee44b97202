"""Settings: names, files, refusals in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tower.errors import ConfigError
from tower.settings import accepted, load


def test_defaults_keep_everything_on_this_machine() -> None:
    settings = load()
    assert settings.home == Path(".tower")
    assert settings.database_url is None
    assert (settings.api_host, settings.ui_host) == ("127.0.0.1", "127.0.0.1")


def test_a_secret_may_come_from_a_file_and_is_never_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret word\n")
    monkeypatch.setenv("TOWER_SMTP_USER", "tower")
    monkeypatch.setenv("TOWER_SMTP_PASSWORD_FILE", str(secret))
    settings = load()
    assert settings.smtp_password is not None
    assert settings.smtp_password.get_secret_value() == "s3cret word"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("name", accepted())
def test_every_setting_has_a_file_form(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "nothing here"
    monkeypatch.setenv(name + "_FILE", str(missing))
    with pytest.raises(ConfigError, match=f"{name}_FILE.*cannot be read"):
        load()


def test_a_misspelt_variable_stops_the_start_and_names_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOWER_DATABASE_ULR", "postgresql://somewhere/tower")
    with pytest.raises(ConfigError, match="write TOWER_DATABASE_URL"):
        load()


def test_a_value_and_its_file_together_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWER_SMTP_HOST", "mail.example.com")
    monkeypatch.setenv("TOWER_SMTP_HOST_FILE", str(tmp_path / "host"))
    with pytest.raises(ConfigError, match="keep one of the two"):
        load()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TOWER_API_PORT", "0", "greater than or equal to 1"),
        ("TOWER_UI_HOST", "0.0.0.0", "127.0.0.1, ::1 or localhost"),  # noqa: S104 - refused
        ("TOWER_DATABASE_URL", "mysql://root:hunter2@db/tower", "postgresql://user"),
        ("TOWER_BASE_URL", "tower.example.com", "https://tower.example.com"),
        ("TOWER_SMTP_STARTTLS", "perhaps", "boolean"),
        ("TOWER_SMTP_USER", "tower", "belong together"),
        ("TOWER_OWNER_URL", "postgresql://owner@db/tower", "set both"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_accepted(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load()
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_usual_spellings_of_a_postgres_address_mean_the_same(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWER_DATABASE_URL", f"{scheme}://app:pw@db.example.com/tower")
    url = load().database_url
    assert url is not None
    assert url.get_secret_value() == "postgresql+psycopg://app:pw@db.example.com/tower"


def test_an_option_of_a_command_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWER_UI_PORT", "9000")
    assert load(ui_port=9100, api_port=None).ui_port == 9100


def test_links_lead_to_where_the_screens_listen_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOWER_UI_PORT", "9000")
    assert load().base_url == "http://127.0.0.1:9000"
    assert load(ui_host="::1").base_url == "http://[::1]:9000"
    monkeypatch.setenv("TOWER_BASE_URL", "https://tower.example.com/")
    assert load().base_url == "https://tower.example.com"
    monkeypatch.delenv("TOWER_BASE_URL")
    monkeypatch.setenv("TOWER_UI_PORT", "door")
    with pytest.raises(ConfigError) as refused:
        load()
    assert [problem.file for problem in refused.value.problems] == ["TOWER_UI_PORT"]
