"""Values that options of sources are made of: times, sizes, addresses, names of variables.

Each says in words what is wrong with a value and what to write instead.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tower.strict_yaml import mistake

_CLOCK_TIME = re.compile(r"(\d{1,6})(s|m|h)\Z")
_SIZE = re.compile(r"(\d{1,6})\s?(B|kB|KB|MB|GB)\Z")
_SIZES = {"B": 1, "kB": 1_000, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
_HOST = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z|[0-9A-Fa-f:]+:[0-9A-Fa-f:.]*\Z|/[\w./-]+\Z"
)
_HOST_KEY = re.compile(
    r"SHA256:[A-Za-z0-9+/]{43}=?\Z|[a-z0-9@.-]+ AAAA[A-Za-z0-9+/]+={0,2}(?: .*)?\Z"
)
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Strict(BaseModel):
    """Frozen, and a word that is not known here is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def clock_time(value: Any) -> Any:
    """ "90s", "15m" or "4h" as time that always runs."""
    if isinstance(value, timedelta):
        return value
    match = _CLOCK_TIME.match(str(value))
    if not match:
        raise mistake(f'"{value}" is not a clock time', "write 90s, 15m or 4h")
    return timedelta(**{{"s": "seconds", "m": "minutes", "h": "hours"}[match[2]]: int(match[1])})


def size(value: Any) -> Any:
    """ "20MB" as bytes; a bare number counts bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.match(str(value))
    if not match:
        raise mistake(f'"{value}" is not a size', "write 500kB, 20MB or 1GB")
    return int(match[1]) * _SIZES[match[2]]


def _address(value: str) -> str:
    parts = urlsplit(value)
    try:
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise mistake(
            f'"{value}" is not a web address', "write one like https://erp.example.com/api/orders"
        )
    if parts.username or parts.password:
        raise mistake(
            "a web address must not carry a password",
            "name the variable that holds it (auth_variable, password_variable)",
        )
    return value


def _broker(value: str) -> str:
    parts = urlsplit(value)
    try:
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname or not port_is_fine:
        raise mistake(
            f'"{value}" is not the address of an AMQP broker',
            "write one like amqp://broker.example.com:5672/orders (the path is the virtual host)",
        )
    if parts.username or parts.password:
        raise mistake(
            "the address of a broker must not carry a password",
            "write user and password_variable, which names the variable that holds it",
        )
    return value


def _nats(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("nats", "tls") or not parts.hostname or parts.username:
        raise mistake(
            f'"{value}" is not the address of a NATS server',
            "write one like nats://nats.example.com:4222, user and password apart from it",
        )
    return value


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise mistake(f'"{value}" is not a network', "write one like 10.20.0.0/16") from None
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.match(value):
        raise mistake(f'"{value}" is not a name of a variable', "write one like ERP_TOKEN")
    if value.upper().startswith("TOWER_"):
        raise mistake(
            f"{value}: names beginning with TOWER_ are the program's own settings",
            "choose another name, like ERP_TOKEN",
        )
    return value


def _path(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise mistake("a path must not be empty", "write one like inbox/edi")
    return value


def _host(value: str) -> str:
    if not _HOST.match(value):
        raise mistake(f'"{value}" is not a host', "write a name or address: erp-db.example.com")
    return value


def listed(value: Any) -> Any:
    """One text, or several."""
    return (value,) if isinstance(value, str) else value


def _host_key(value: str) -> str:
    if not _HOST_KEY.match(value):
        raise mistake(
            f'"{value[:40]}" is not the key of a server',
            "write it as ssh-keyscan prints it behind the name (ssh-ed25519 AAAA...), or its "
            "fingerprint (SHA256:...)",
        )
    return value


def _time_of_day(value: str) -> str:
    if not _TIME_OF_DAY.match(value):
        raise mistake(f'"{value}" is not a time of day', 'write one like "02:30"')
    return value


ClockTime = Annotated[
    timedelta, BeforeValidator(clock_time), Field(json_schema_extra={"type": "string"})
]
Size = Annotated[
    int,
    BeforeValidator(size),
    Field(gt=0, json_schema_extra={"type": ["integer", "string"]}),
]
WebAddress = Annotated[str, AfterValidator(_address)]
BrokerAddress = Annotated[str, AfterValidator(_broker)]
NatsAddress = Annotated[str, AfterValidator(_nats)]
InnerNetwork = Annotated[str, AfterValidator(_network)]
Variable = Annotated[str, AfterValidator(_variable)]
PathText = Annotated[str, AfterValidator(_path)]
HostName = Annotated[str, AfterValidator(_host)]
TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]
HostKey = Annotated[str, AfterValidator(_host_key)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
PropertyName = Annotated[str, Field(pattern=r"^\w+$")]
ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w$]*$")]


class FeedOptions(Strict):
    """What every kind may say.

    type_prefix  of format cloudevents: cut off the event types ("com.acme.") on entry
    """

    type_prefix: str = ""
