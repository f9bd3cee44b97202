"""What the reader of each kind of source needs: the ``options`` of a source in network.yaml.

Checked when the network is loaded, so that a misspelt option is found before a feed is missed.
Secrets never stand here: options name the environment variable that holds them (``NAME``, or
``NAME_FILE`` naming a file with it). Names beginning with TOWER_ are the program's own settings.
Relative paths lie under TOWER_HOME.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from tower.mapping import Forms
from tower.strict_yaml import mistake

_CLOCK_TIME = re.compile(r"(\d{1,6})(s|m|h)\Z")
_SIZE = re.compile(r"(\d{1,6})\s?(B|kB|KB|MB|GB)\Z")
_SIZES = {"B": 1, "kB": 1_000, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
_HOST = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z|[0-9A-Fa-f:]+:[0-9A-Fa-f:.]*\Z|/[\w./-]+\Z"
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
InnerNetwork = Annotated[str, AfterValidator(_network)]
Variable = Annotated[str, AfterValidator(_variable)]
PathText = Annotated[str, AfterValidator(_path)]
HostName = Annotated[str, AfterValidator(_host)]
TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
PropertyName = Annotated[str, Field(pattern=r"^\w+$")]
ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w$]*$")]


class FeedOptions(Strict):
    """What every kind may say.

    type_prefix  of format cloudevents: cut off the event types ("com.acme.") on entry
    """

    type_prefix: str = ""


class DropFolderOptions(FeedOptions):
    """Files that somebody puts into a folder.

    path           the folder; what was read moves to ``done/YYYY/MM/DD/`` inside it, what is
                   refused (links, too large, no plain file) to ``.refused/YYYY/MM/DD/``
    pattern        names that are taken; names that begin with a dot or end in .tmp, .part or
                   .filepart never are
    ready          how a finished file is told from a half-written one:
                   stable  same size and time in two looks at least ``stable_for`` apart
                   renamed the sender writes NAME.tmp and renames it: every other name is whole
                   marker  the sender puts an empty file NAME + ``marker`` beside it when done
    partner_from   folder  the subfolder is the partner key (path/ACME/file.csv)
                   prefix  the name begins with it, up to ``separator`` (ACME_0412.csv)
                   source  the partner of the source, if it has one
    identity       bytes  the same bytes under another name are a repetition
                   name_and_bytes  they count anew (a stock file that may not have changed)
    received       now    the time of reading
                   mtime  the file's own time, for history that is imported
    """

    path: PathText
    pattern: list[str] = Field(default_factory=lambda: ["*"], min_length=1)
    ready: Literal["stable", "renamed", "marker"] = "stable"
    stable_for: ClockTime = timedelta(seconds=10)
    marker: str = Field(default=".done", min_length=2, pattern=r"^\.[^/]+$")
    partner_from: Literal["source", "folder", "prefix"] = "source"
    separator: str = Field(default="_", min_length=1)
    identity: Literal["bytes", "name_and_bytes"] = "bytes"
    received: Literal["now", "mtime"] = "now"
    max_bytes: Size = 20_000_000


class LogFileOptions(FeedOptions):
    """Files that only grow, one JSON object per line.

    path      of the files, with * and ? in the last part ("logs/middleware*.jsonl"); files that are
              renamed by rotation are followed to their end if the pattern still covers them
    max_line_bytes   a longer line is stepped over and becomes a dead letter
    """

    path: PathText
    max_line_bytes: Size = 1_000_000


class OAuth2(Strict):
    """Client credentials of OAuth 2: the tower asks for a token and asks again before it ends.

    token_url        where tokens are given; may be another host than the service itself
    client_id, secret_variable   the name of the client, and of the variable with its secret
    scope            what is asked for, if the service wants to be told
    client_in        header: both go as user and password; body: as fields of the form
    parameters       further fields of the form ("audience", "resource")
    """

    token_url: WebAddress
    client_id: str = Field(min_length=1)
    secret_variable: Variable
    scope: str | None = None
    client_in: Literal["header", "body"] = "header"
    parameters: dict[str, str] = Field(default_factory=dict)


class PolledOptions(FeedOptions):
    """What every polled web service may need (docs/connect.md).

    url              of the list; the tower calls no other scheme, host or port, follows no redirect
    headers          fixed headers without secrets
    auth_header      header that carries the secret; ``auth_variable`` names the environment
                     variable with its whole value ("Bearer ...")
    user, password_variable   user and password, where the service asks for those
    oauth2           client credentials, where it asks for a token
    stamp            path of a record's time or number of change. The greatest one the source gave,
                     less ``overlap`` if it is a time, is where the next poll starts
    since_initial    where the first poll starts
    sweep_at         time of day in the zone of the source from which once a day all keys are
                     compared with those the tower knows: what is gone becomes a record with
                     "@removed", what was missed is read. null = never
    sweep_within     only records that changed in this time can be gone: older ones may have been
                     archived
    sweep_most       share of the known records that may be gone; if more are, something is broken
    networks         private networks the host name may lie in; an address given in numbers and
                     localhost need no mention
    """

    url: WebAddress
    headers: dict[str, str] = Field(default_factory=dict)
    auth_header: str = "Authorization"
    auth_variable: Variable | None = None
    user: str | None = None
    password_variable: Variable | None = None
    oauth2: OAuth2 | None = None
    stamp: str | None = None
    overlap: ClockTime = timedelta(minutes=10)
    since_initial: str | None = None
    page_size: int = Field(default=200, ge=1, le=10_000)
    sweep_at: TimeOfDay | None = "02:30"
    sweep_within: ClockTime = timedelta(days=180)
    sweep_most: float = Field(default=0.2, gt=0, le=1)
    timeout: ClockTime = timedelta(seconds=20)
    max_bytes: Size = 20_000_000
    networks: list[InnerNetwork] = Field(default_factory=list)

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Self:
        if (self.user is None) != (self.password_variable is None):
            raise mistake("user and password_variable belong together", "write both, or neither")
        sends = self.auth_variable is not None and self.auth_header.lower() == "authorization"
        if sum((sends, self.user is not None, self.oauth2 is not None)) > 1:
            raise mistake(
                "there are several ways to sign in", "keep one of auth_variable, user and oauth2"
            )
        return self


class RestOptions(PolledOptions):
    """Records polled from a web service. Where the list stands in the body and which key a record
    has, the source's mapping says (``records``, ``key``).

    query          parameters. ``{since}``, ``{page_size}``, ``{page}``, ``{offset}``, ``{cursor}``
                   are filled in; a parameter whose placeholder has no value yet is left out
    paging         none
                   link    ``next`` is the path of the next page's address in the body, or of a list
                           of links of which the one with rel "next" counts; without ``next`` the
                           Link header tells it
                   cursor  ``next`` is the path of the cursor of the next page
                   page    numbers from ``first_page``, until a page is shorter than ``page_size``
                   offset  counts records, until a page is shorter than ``page_size``
                   stamp   each page starts at the greatest stamp of the one before; the list must
                           be ordered by it
    since_format   how ``{since}`` is written where not as the stamps are ("%m/%d/%Y"), in the zone
                   of the source
    more           path that is true while there are more pages, whatever their length
    records        path of the list, where the mapping of the records cannot say it
    detail         address of the whole record, where the list only names it; fields of the list
                   stand in braces: "/api/resource/Purchase Order/{name}"
    detail_record  path of the record in that answer
    key            paths that together name a record; needed to compare keys
    sweep_query    parameters that list all keys, whatever has changed
    """

    query: dict[str, str] = Field(default_factory=dict)
    paging: Literal["none", "link", "cursor", "page", "offset", "stamp"] = "none"
    next: str | None = None
    since_format: str | None = None
    more: str | None = None
    first_page: int = 1
    records: str | None = None
    detail: str | None = None
    detail_record: str | None = None
    key: list[str] = Field(default_factory=list, max_length=6)
    sweep_query: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_paging(self) -> Self:
        if self.paging == "cursor" and not self.next:
            raise mistake(
                "paging by cursor needs the path of the next cursor", "write next: meta.next_cursor"
            )
        if self.paging == "stamp" and not self.stamp:
            raise mistake("paging by stamp needs the path of the stamp", "write stamp: changedAt")
        for placeholder in ("cursor", "page", "offset"):
            wanted = "{" + placeholder + "}"
            used = any(wanted in text for text in self.query.values())
            if self.paging == placeholder and not used:
                raise mistake(
                    f"paging by {placeholder} needs a parameter of the query",
                    f'write query: {{{placeholder}: "{wanted}"}}',
                )
        if self.sweep_query and not self.key:
            raise mistake("comparing keys needs a key", "write key: [number]")
        return self


class ODataOptions(PolledOptions):
    """An entity set of an OData service (docs/connect/sap-s4hana.md, business-central.md).

    version      of the protocol: 2 (SAP Gateway) or 4
    key          properties that together name an entity
    expand       navigations whose entities come along ("to_Item", "to_Item/to_ScheduleLine"); lists
                 that the service cuts off are read to their end
    select       properties that are asked for; without it all
    filter       a condition of the service's own language besides that on the stamp
    stamp        property with the time or number of the last change
    stamp_type   how it is written in a filter; default: datetimeoffset in version 2, the bare
                 instant in version 4
    paging       server  the service cuts pages and links them (__next, @odata.nextLink)
                 client  the tower asks for ``page_size`` entities from the greatest stamp on; links
                         are followed too
    parameters   further ones of the query ("sap-client": "100")
    """

    version: Literal[2, 4]
    key: list[PropertyName] = Field(min_length=1, max_length=6)
    expand: list[Annotated[str, Field(pattern=r"^[\w/]+(\([^&#]*\))?$")]] = Field(
        default_factory=list
    )
    select: list[Annotated[str, Field(pattern=r"^[\w/]+$")]] = Field(default_factory=list)
    filter: str | None = None
    stamp: PropertyName
    stamp_type: Literal["datetimeoffset", "datetime", "instant", "date", "number"] | None = None
    paging: Literal["server", "client"] = "client"
    parameters: dict[str, str] = Field(default_factory=dict)


class SqlViewOptions(FeedOptions):
    """Rows of a read-only view in another system's database (docs/connect/sql-view.md).

    database         kind of server: postgresql, mariadb or mysql
    host, port       the one address that is called, also inside a private network; of a server on
                     this machine also its socket ("/run/postgresql", "/run/mysqld/mysqld.sock")
    name             name of the database on that server
    user, password_variable   account that may read the view and nothing else
    tls              verified (default for other machines), required, none (default on this one)
    view             view or table, with its schema if it has one ("tower.purchase_orders")
    key              columns that name one document; every row has them
    lines            name under which all rows of a key stand in one record, whose other fields are
                     of each column the greatest value. Without it every row is a record
    stamp            column with the time or number of the last change. What has the greatest one
                     the source gave, less ``overlap`` if it is a time, is read again each time
    since            where the first read starts ("2026-01-01"); without it at the beginning
    page_size        documents of one question
    timeout          after which a question is broken off, by the server itself
    sweep_at         time of day in the zone of the source from which once a day all keys are
                     compared with those the tower knows: what is gone becomes a record with
                     "@removed", what was missed is read. null = never
    sweep_within     only documents that changed in this time can be gone: older ones may have been
                     archived
    sweep_most       share of the known documents that may be gone; if more are, the view is broken
    """

    database: Literal["postgresql", "mariadb", "mysql"]
    host: HostName
    port: int | None = Field(default=None, ge=1, le=65535)
    name: str = Field(min_length=1)
    user: str = Field(min_length=1)
    password_variable: Variable | None = None
    tls: Literal["verified", "required", "none"] | None = None
    view: Annotated[str, Field(pattern=r"^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?$")]
    key: list[ColumnName] = Field(min_length=1, max_length=6)
    lines: ColumnName | None = None
    stamp: ColumnName
    since: str | None = None
    overlap: ClockTime = timedelta(minutes=10)
    page_size: int = Field(default=500, ge=1, le=5_000)
    timeout: ClockTime = timedelta(seconds=30)
    sweep_at: TimeOfDay | None = "02:30"
    sweep_within: ClockTime = timedelta(days=180)
    sweep_most: float = Field(default=0.2, gt=0, le=1)


class AccessLogOptions(LogFileOptions):
    """Access logs of an API gateway: calls are counted by route, partner and minute, failed ones
    are told as ``message.failed`` (docs/connect/api-gateway.md).

    path, max_line_bytes   as of a log file
    layout       combined: common or combined format, with name=value pairs behind it; kong: JSON of
                 its log plugins; json: any other JSON, such as nginx with a JSON log_format
    fields       field of a call -> expression, before those of the layout: time, route, method,
                 url, status, latency, partner, request_id, limit, remaining; further ones (po) are
                 there for the mapping
    latency_in   unit of latency; without it that of the layout (kong: ms, else s)
    time_format  strptime forms, or epoch_s, epoch_ms; ISO 8601 is always understood
    routes       patterns of paths that name a route ("/v1/orders/*"); the first that fits is taken,
                 else numbers and ids in the path are replaced
    failed       statuses of failed calls, or classes of them ("5xx")
    """

    layout: Literal["combined", "kong", "json"]
    fields: dict[str, str] = Field(default_factory=dict)
    latency_in: Literal["s", "ms", "us"] | None = None
    time_format: Forms = ()
    routes: list[str] = Field(default_factory=list)
    failed: list[Annotated[str, Field(pattern=r"^[1-5](\d\d|xx)$")]] = Field(
        default_factory=lambda: ["5xx", "429", "400", "409", "422"]
    )


class RabbitOptions(FeedOptions):
    """Queue statistics from the management API of RabbitMQ; messages are never touched, but
    dead letters captured on request (``tower broker capture``, docs/connect/rabbitmq.md).

    url                base address of the management API ("http://broker:15672")
    broker             its name on screens; default: the system of the source
    user, password_variable   account with the tag "monitoring"
    vhost              only queues of this virtual host
    only, never        names of queues with * and ?: which are sampled, which are not
    amqp               address for capturing dead letters on request ("amqp://broker/vhost");
                       default: the host of ``url`` on the usual port
    rates              also ask for rates, consumers and ages (a second, dearer call)
    dead_letter_suffix names that mark a queue of dead letters of the queue without it
                       ("orders.dlq"); exchanges and keys that the broker tells come first
    """

    url: WebAddress
    broker: str | None = None
    amqp: BrokerAddress | None = None
    user: str | None = None
    password_variable: Variable | None = None
    vhost: str | None = None
    only: list[str] = Field(default_factory=lambda: ["*"])
    never: list[str] = Field(default_factory=lambda: ["amq.gen-*"])
    rates: bool = True
    dead_letter_suffix: list[str] = Field(
        default_factory=lambda: [".dlq", ".dead", "-dlq", "_dlq"]
    )
    page_size: int = Field(default=500, ge=1, le=500)
    timeout: ClockTime = timedelta(seconds=20)
    max_bytes: Size = 50_000_000
    networks: list[InnerNetwork] = Field(default_factory=list)


class AmqpOptions(FeedOptions):
    """Messages consumed from a queue, acknowledged once they are stored (docs/connect/amqp.md).

    url       of the broker and its virtual host ("amqps://broker.example.com/orders"); the one
              address that is called, also inside a private network
    queue     the tower should be its only consumer: bind a queue of its own to the exchange
    user, password_variable   account that may read the queue
    """

    url: BrokerAddress
    queue: str = Field(min_length=1, max_length=255)
    user: str | None = None
    password_variable: Variable | None = None
    timeout: ClockTime = timedelta(seconds=20)


class PushOptions(FeedOptions):
    """Messages that others send to the API (docs/connect/webhooks.md).

    max_bytes           bounds one body
    signature           how they are signed; what is not is refused, and only /v1/hooks takes them
                        standard  Standard Webhooks: id.timestamp.body, "v1,<base64>"
                        sha256    HMAC-SHA256 of the body in one header
    secret_variable     variable with the secret; two, parted by a blank, while one is exchanged
    signature_header    of sha256 ("X-Shopify-Hmac-Sha256")
    signature_prefix    of sha256: what stands before the signature ("sha256=")
    signature_encoding  of sha256: hex or base64
    timestamp_header    of sha256: header with the time, where timestamp.body is signed
    tolerance           how old a signed time may be
    """

    max_bytes: Size = 10_000_000
    signature: Literal["standard", "sha256"] | None = None
    secret_variable: Variable | None = None
    signature_header: HeaderName = "X-Hub-Signature-256"
    signature_prefix: str = ""
    signature_encoding: Literal["hex", "base64"] = "hex"
    timestamp_header: HeaderName | None = None
    tolerance: ClockTime = timedelta(minutes=5)

    @model_validator(mode="after")
    def _has_a_secret(self) -> Self:
        if (self.signature is None) != (self.secret_variable is None):
            raise mistake(
                "signature and secret_variable belong together", "write both, or neither"
            )
        return self

    @property
    def signature_name(self) -> str:
        """The header that carries the signature, in lower case."""
        if self.signature == "standard":
            return "webhook-signature"
        return self.signature_header.lower()


OPTIONS: dict[str, type[FeedOptions]] = {
    "drop_folder": DropFolderOptions,
    "log_file": LogFileOptions,
    "access_log": AccessLogOptions,
    "rest": RestOptions,
    "odata": ODataOptions,
    "sql_view": SqlViewOptions,
    "rabbitmq": RabbitOptions,
    "amqp": AmqpOptions,
    "push": PushOptions,
}
"""Kind of source -> model of its options."""
