"""What the reader of each kind of source needs: the ``options`` of a source in network.yaml.

Checked when the network is loaded, so that a misspelt option is found before a feed is missed.
Secrets never stand here: options name the environment variable that holds them (``NAME``, or
``NAME_FILE`` naming a file with it). Names beginning with TOWER_ are the program's own settings.
Relative paths lie under TOWER_HOME.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tower.mapping import Forms
from tower.option_types import (
    BrokerAddress,
    ClockTime,
    FeedOptions,
    HeaderName,
    HostKey,
    HostName,
    InnerNetwork,
    NatsAddress,
    PathText,
    Size,
    Strict,
    Variable,
    WebAddress,
    listed,
)
from tower.polled_feeds import ODataOptions, RestOptions, SqlViewOptions
from tower.strict_yaml import mistake
from tower.vocabulary import EVENT_TYPES


class FileOptions(FeedOptions):
    """Files that somebody puts into a folder, wherever it lies.

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

    pattern: list[str] = Field(default_factory=lambda: ["*"], min_length=1)
    ready: Literal["stable", "renamed", "marker"] = "stable"
    stable_for: ClockTime = timedelta(seconds=10)
    marker: str = Field(default=".done", min_length=2, pattern=r"^\.[^/]+$")
    partner_from: Literal["source", "folder", "prefix"] = "source"
    separator: str = Field(default="_", min_length=1)
    identity: Literal["bytes", "name_and_bytes"] = "bytes"
    received: Literal["now", "mtime"] = "now"
    max_bytes: Size = 20_000_000


class DropFolderOptions(FileOptions):
    """A folder on this machine or on a share that is mounted here.

    path   the folder; what was read moves to ``done/YYYY/MM/DD/`` inside it, what is refused
           (links, too large, no plain file) to ``.refused/YYYY/MM/DD/``
    """

    path: PathText


class SftpOptions(FileOptions):
    """A folder of an SFTP server (docs/connect/sftp.md).

    host, port         the one address that is called, also inside a private network
    host_key           the server's key, as its administrator tells it: "ssh-ed25519 AAAA...", or
                       its fingerprint "SHA256:..."; several while one is exchanged
    user, password_variable   account, and the variable with its password
    key_variable       instead: variable with a private key as text (or NAME_FILE naming its file)
    passphrase_variable   opens that key, if it is locked
    path               the folder, from the account's own one on or from /
    claim              rename    a file is taken by renaming it into ``.claimed/``, and moved to
                                 ``done/`` or ``.refused/`` when it is stored
                       in_place  files are only read; what was read is remembered
                       auto      rename where the account may, else in place
    younger_than       in place: older files are not looked at, for folders that nobody clears
    """

    host: HostName
    port: int = Field(default=22, ge=1, le=65535)
    host_key: Annotated[tuple[HostKey, ...], BeforeValidator(listed)] = Field(min_length=1)
    user: str = Field(min_length=1)
    password_variable: Variable | None = None
    key_variable: Variable | None = None
    passphrase_variable: Variable | None = None
    path: PathText = "."
    claim: Literal["auto", "rename", "in_place"] = "auto"
    younger_than: ClockTime | None = None
    timeout: ClockTime = timedelta(seconds=20)

    @model_validator(mode="after")
    def _has_one_proof(self) -> Self:
        if (self.password_variable is None) == (self.key_variable is None):
            raise mistake(
                "either a password or a key proves who we are",
                "write password_variable or key_variable",
            )
        return self


class LogFileOptions(FeedOptions):
    """Files that only grow, one JSON object per line.

    path      of the files, with * and ? in the last part ("logs/middleware*.jsonl"); files that are
              renamed by rotation are followed to their end if the pattern still covers them
    max_line_bytes   a longer line is stepped over and becomes a dead letter
    """

    path: PathText
    max_line_bytes: Size = 1_000_000


class CallOptions(Strict):
    """How the lines of an access log are read.

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


class AccessLogOptions(LogFileOptions, CallOptions):
    """Access logs of an API gateway: calls are counted by route, partner and minute, failed ones
    are told as ``message.failed`` (docs/connect/api-gateway.md).

    path, max_line_bytes   as of a log file
    all others             how its lines are read: CallOptions
    """


class ReplayOptions(Strict):
    """What may be sent back into queues of this broker (docs/replay.md).

    queues         names with * and ?: into which dead letters may be sent again
    per_second     most messages in a second
    canary         so many go first; the others follow when one of them took effect
    stop_above     share of failures among what was sent that ends a replay
    effect_within  how long its effect may take to be seen
    approve_above  value of open orders from which another person must approve
    effects        queue (* and ?) -> types of events of which one shows the effect; else the type
                   of the message says it
    """

    queues: list[str] = Field(min_length=1)
    per_second: float = Field(default=5, gt=0, le=1000)
    canary: int = Field(default=1, ge=0, le=100)
    stop_above: float = Field(default=0.2, ge=0, lt=1)
    effect_within: ClockTime = timedelta(minutes=30)
    approve_above: Decimal | None = Field(default=None, ge=0)
    effects: dict[str, str] = Field(default_factory=dict)

    @field_validator("effects")
    @classmethod
    def _known_types(cls, told: dict[str, str]) -> dict[str, str]:
        for types in told.values():
            for one in types.split() or [""]:
                if one not in EVENT_TYPES:
                    raise mistake(f'"{one}" is no type of event', "write one of docs/events.md")
        return told


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
    replay             what may be sent back into its queues; without it nothing
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
    dead_letter_suffix: list[str] = Field(default_factory=lambda: [".dlq", ".dead", "-dlq", "_dlq"])
    page_size: int = Field(default=500, ge=1, le=500)
    timeout: ClockTime = timedelta(seconds=20)
    max_bytes: Size = 50_000_000
    networks: list[InnerNetwork] = Field(default_factory=list)
    replay: ReplayOptions | None = None


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


class NatsOptions(FeedOptions):
    """Streams and consumers of NATS JetStream; nothing is consumed (docs/connect/nats.md).

    url          of a server ("nats://nats.example.com:4222"); tls:// for TLS
    broker       its name on screens; default: the system of the source
    user, password_variable, token_variable   account that may call $JS.API.>
    only, never  names of streams with * and ?: which are sampled, which are not
    dead_letters names of streams that keep advisories: the messages they speak of are fetched and
                 kept as dead letters
    """

    url: NatsAddress
    broker: str | None = None
    user: str | None = None
    password_variable: Variable | None = None
    token_variable: Variable | None = None
    only: list[str] = Field(default_factory=lambda: ["*"])
    never: list[str] = Field(default_factory=lambda: ["KV_*", "OBJ_*"])
    dead_letters: list[str] = Field(default_factory=list)
    timeout: ClockTime = timedelta(seconds=10)


class KafkaOptions(FeedOptions):
    """Lag of Kafka's consumer groups; messages are never touched (docs/connect/kafka.md).

    servers      addresses to begin with ("kafka1.example.com:9092")
    burrow       instead of servers: address of a Burrow; ``cluster`` is the name it has there
    broker       name on screens; default: the system of the source
    user, password_variable, mechanism   account with DESCRIBE on groups and topics (SASL)
    tls          talk to the servers over TLS
    groups, never   names of consumer groups with * and ?: which are sampled, which are not
    topics       names of topics with * and ?; one that is named in full is shown even if a group
                 never committed on it
    networks     private networks that the host name of a Burrow may lie in
    """

    servers: list[str] = Field(default_factory=list)
    burrow: WebAddress | None = None
    cluster: str = "local"
    broker: str | None = None
    user: str | None = None
    password_variable: Variable | None = None
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    tls: bool = False
    groups: list[str] = Field(default_factory=lambda: ["*"], min_length=1)
    never: list[str] = Field(default_factory=lambda: ["console-consumer-*"])
    topics: list[str] = Field(default_factory=lambda: ["*"], min_length=1)
    timeout: ClockTime = timedelta(seconds=20)
    networks: list[InnerNetwork] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if bool(self.servers) == (self.burrow is not None):
            raise mistake(
                "either servers or burrow tells where to ask", 'write servers: ["kafka1:9092"]'
            )
        return self


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
    access              of format access_log: how the lines of the gateway's log are read
                        (docs/connect/api-gateway.md)
    """

    max_bytes: Size = 10_000_000
    access: CallOptions | None = None
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
            raise mistake("signature and secret_variable belong together", "write both, or neither")
        return self

    @property
    def signature_name(self) -> str:
        """The header that carries the signature, in lower case."""
        if self.signature == "standard":
            return "webhook-signature"
        return self.signature_header.lower()


OPTIONS: dict[str, type[FeedOptions]] = {
    "drop_folder": DropFolderOptions,
    "sftp": SftpOptions,
    "log_file": LogFileOptions,
    "access_log": AccessLogOptions,
    "rest": RestOptions,
    "odata": ODataOptions,
    "sql_view": SqlViewOptions,
    "rabbitmq": RabbitOptions,
    "amqp": AmqpOptions,
    "nats": NatsOptions,
    "kafka": KafkaOptions,
    "push": PushOptions,
}
"""Kind of source -> model of its options."""
