"""Settings from ``TOWER_*`` variables, read once at the edge by the command, the API and the app.

Every variable also has a ``_FILE`` form naming a file that holds the value, so that passwords need
not stand in the environment. This is the one module of the room that looks outside.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tower.errors import ConfigError, Problem

PREFIX = "TOWER_"
FILE_SUFFIX = "_FILE"

# Read by the test suite, not by the program; a name here is no spelling mistake.
_FOREIGN = frozenset({"TOWER_REQUIRE", "TOWER_TEST_DATABASE_URL"})

_DATABASE_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


def _postgres_address(value: SecretStr) -> SecretStr:
    """A Postgres address; the three spellings of its scheme become the one SQLAlchemy wants."""
    scheme, separator, rest = value.get_secret_value().partition("://")
    if not separator or scheme not in _DATABASE_SCHEMES:
        raise ValueError(
            "must be an address like postgresql://user:password@host:5432/database "
            "(the database is Postgres 15 or newer)"
        )
    return SecretStr(f"postgresql+psycopg://{rest}")


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an address like https://tower.example.com, without a query")
    return value.rstrip("/")


def _ping_address(value: SecretStr) -> SecretStr:
    """Addresses of dead-man switches hold a key, so they are secrets."""
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address like https://hc-ping.com/your-uuid")
    return value


def _issuer(value: str) -> str:
    """An identity provider is spoken to by https; on this machine, for trying it, by http."""
    parts = urlsplit(value)
    try:
        near = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        near = False
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an address like https://login.example.com/realms/company")
    if parts.scheme != "https" and not (parts.scheme == "http" and near):
        raise ValueError("must be an https address, for passwords and keys go that way")
    return value


def _loopback(value: str) -> str:
    """Only this machine: there is no sign-in on the doors yet, so no door faces a network."""
    if value == "localhost":
        return value
    try:
        if ip_address(value).is_loopback:
            return value
    except ValueError:
        pass
    raise ValueError(
        "must be 127.0.0.1, ::1 or localhost; other machines reach the tower through a proxy "
        "on this one that signs people in"
    )


def _own_address(chosen: dict[str, Any]) -> str:
    """Where the screens listen, as a browser on this machine finds them."""
    host = chosen.get("ui_host", "127.0.0.1")
    return f"http://{f'[{host}]' if ':' in host else host}:{chosen.get('ui_port', 8501)}"


def _expanded(value: Path) -> Path:
    return value.expanduser()


IssuerUrl = Annotated[str, AfterValidator(_issuer)]
PingUrl = Annotated[SecretStr, AfterValidator(_ping_address)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_postgres_address)]
LoopbackHost = Annotated[str, AfterValidator(_loopback)]
Port = Annotated[int, Field(ge=1, le=65535)]
FilePath = Annotated[Path, AfterValidator(_expanded)]


class _FileForms(PydanticBaseSettingsSource):
    """Values of ``TOWER_X_FILE``: the named file's text without its last line end."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{PREFIX}{field_name.upper()}{FILE_SUFFIX}"
        name = os.environ.get(variable)
        if name is None:
            return None, field_name, False
        try:
            text = Path(name).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                [
                    Problem(
                        file=variable,
                        line=None,
                        col=None,
                        path="",
                        message=f'the file "{name}" cannot be read: {error}',
                        next_step=f"make it readable for this user, or unset {variable}",
                    )
                ]
            ) from error
        return text.removesuffix("\n").removesuffix("\r"), field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


class Settings(BaseSettings):
    """What an installation decides. Frozen; relative paths mean the folder of the start."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    home: FilePath = Field(
        default=Path(".tower"), description="folder of the embedded database and of notes"
    )
    database_url: DatabaseUrl | None = Field(
        default=None,
        description="external Postgres 15 or newer; unset means the embedded server in TOWER_HOME",
    )
    owner_url: DatabaseUrl | None = Field(
        default=None,
        description="the same database as its owner, for migrations; default: TOWER_DATABASE_URL",
    )
    prepare: bool | None = Field(
        default=None,
        description="whether the server keeps the statements of judging parsed, which a pooler in "
        "transaction mode may not carry; unset means only on the embedded server",
    )
    network: FilePath = Field(
        default=Path("network.yaml"), description="systems, sources, partners, calendars, people"
    )
    rules: FilePath = Field(default=Path("sla_rules.yaml"), description="the rule book")

    lanes: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None,
        description="processes that store a large batch together; unset means one per core, "
        "four at most; 1 means no help",
    )

    smtp_host: str | None = Field(
        default=None, min_length=1, description="mail server; unset means mails wait in the outbox"
    )
    smtp_port: Port = Field(default=587, description="port of the mail server")
    smtp_user: str | None = Field(default=None, description="sign-in name at the mail server")
    smtp_password: SecretStr | None = Field(default=None, description="its password")
    smtp_starttls: bool = Field(
        default=True, description="demand STARTTLS with a verified certificate"
    )
    smtp_from: str = Field(
        default="tower@localhost", pattern=r"^[^@\s]+@[^@\s]+$", description="sender of mails"
    )

    deadman_url: PingUrl | None = Field(
        default=None,
        description="called each minute while the tower's own audit finds nothing; what does not "
        "hear it any more raises the alarm",
    )

    audit_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="key that signs the checkpoints of the audit; unset means a file in TOWER_HOME",
    )
    audit_mail: str | None = Field(
        default=None,
        max_length=200,
        pattern=r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$",
        description="mail address that gets a signed checkpoint of the audit once a day",
    )

    api_host: LoopbackHost = Field(default="127.0.0.1", description="address of the machine door")
    api_port: Port = Field(default=8600, description="port of the machine door")
    api_keys: Literal["optional", "required"] = Field(
        default="optional",
        description="whether who pushes must present an API key; reading always needs one",
    )
    ui_host: LoopbackHost = Field(default="127.0.0.1", description="address of the screens")
    ui_port: Port = Field(default=8501, description="port of the screens")
    base_url: Annotated[str, AfterValidator(_web_address)] = Field(
        default_factory=_own_address,
        description="address of the screens, for links in mails; unset means where they listen",
    )

    oidc_issuer: IssuerUrl | None = Field(
        default=None,
        description="identity provider for sign-in, exactly as it calls itself; unset means "
        "local accounts alone",
    )
    oidc_client_id: str | None = Field(
        default=None, min_length=1, description="how the identity provider calls this tower"
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="its secret; unset where the provider asks for PKCE alone"
    )
    oidc_label: str = Field(
        default="Sign in with your company account",
        min_length=1,
        max_length=60,
        description="what the button for it says",
    )

    @model_validator(mode="after")
    def _owner_needs_database(self) -> Settings:
        if self.owner_url is not None and self.database_url is None:
            raise ValueError(
                "TOWER_OWNER_URL is set but TOWER_DATABASE_URL is not: set both, or neither"
            )
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError(
                "TOWER_SMTP_USER and TOWER_SMTP_PASSWORD belong together: set both, or neither"
            )
        if (self.oidc_issuer is None) != (self.oidc_client_id is None):
            raise ValueError(
                "TOWER_OIDC_ISSUER and TOWER_OIDC_CLIENT_ID belong together: set both, or neither"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, _FileForms(settings_cls))


def accepted() -> tuple[str, ...]:
    """All variables the program reads, without their ``_FILE`` forms."""
    return tuple(PREFIX + name.upper() for name in Settings.model_fields)


def load(**overrides: Any) -> Settings:
    """Read the settings, or say in words which variable is wrong and what it accepts.

    ``overrides`` are options of a command; they win over variables. None means "not given".
    """
    problems = [*_unknown(os.environ), *_doubled(os.environ)]
    if problems:
        raise ConfigError(problems)
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})
    except ValidationError as error:
        problems = [
            _problem(e)
            for e in error.errors(include_url=False)
            # Follows from another mistake, which is told.
            if e["type"] != "default_factory_not_called"
        ]
        raise ConfigError(problems) from None


def _unknown(environment: Iterable[str]) -> list[Problem]:
    """Spelling mistakes: a variable that looks like ours but is read by nobody."""
    known = set(accepted())
    with_files = known | {name + FILE_SUFFIX for name in known}
    found = []
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in with_files or name in _FOREIGN:
            continue
        near = get_close_matches(name, with_files, n=1)
        found.append(
            _place(
                name,
                "no such setting",
                f"write {near[0]}" if near else "unset it; known are " + ", ".join(sorted(known)),
            )
        )
    return found


def _doubled(environment: Mapping[str, str]) -> list[Problem]:
    return [
        _place(name, f"{name}{FILE_SUFFIX} is set too", "keep one of the two")
        for name in accepted()
        if name in environment and name + FILE_SUFFIX in environment
    ]


def _problem(error: Any) -> Problem:
    """One pydantic complaint in our words; never the value, which may be a password."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return _place("settings", message, "")
    name = str(error["loc"][0])
    field = Settings.model_fields.get(name)
    meaning = field.description if field is not None else None
    return _place(
        PREFIX + name.upper(),
        message[0].lower() + message[1:],
        f"set {PREFIX}{name.upper()}: {meaning}" if meaning else "",
    )


def _place(variable: str, message: str, next_step: str) -> Problem:
    return Problem(
        file=variable, line=None, col=None, path="", message=message, next_step=next_step
    )
