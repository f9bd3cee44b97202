"""Where and as whom the messages of a broker are reached, from the options of its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from collectors.contract import secret
from tower.feeds import RabbitOptions


class BrokerLogin(NamedTuple):
    """An AMQP address and an account; None means the broker's own guest."""

    url: str
    user: str | None
    password: str | None


def broker_login(name: str, options: RabbitOptions, secrets: Mapping[str, str]) -> BrokerLogin:
    """The address in ``amqp``, else the host of the management API on the usual port.

    Raises ConfigError if the variable with the password is not set.
    """
    password = (
        secret(options.password_variable, secrets, name)
        if options.password_variable is not None
        else None
    )
    url = options.amqp
    if url is None:
        parts = urlsplit(options.url)
        scheme = "amqps" if parts.scheme == "https" else "amqp"
        host = parts.hostname or ""
        where = f"[{host}]" if ":" in host else host
        url = f"{scheme}://{where}/{quote(options.vhost or '/', safe='')}"
    return BrokerLogin(url, options.user, password)
