"""Which reader and which interpreter a source has, and the one call that never raises."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from collectors.access_log import AccessLogInterpreter
from collectors.access_reader import AccessLogs
from collectors.amqp_queue import AmqpQueue
from collectors.as2 import MdnInterpreter
from collectors.cloudevents import CloudEventsInterpreter
from collectors.contract import Interpreter, Reader, refusal_of
from collectors.dead_letters import DeadLetterInterpreter
from collectors.drop_folder import DropFolder
from collectors.edifact.interpreter import EdifactInterpreter
from collectors.gaps import GAP, gap_of
from collectors.kafka_lag import KafkaLag
from collectors.key_sweep import Known
from collectors.log_file import LogFiles
from collectors.mapped import CsvInterpreter, JsonInterpreter, LogInterpreter
from collectors.nats_streams import NatsStreams
from collectors.odata import ODataEntities
from collectors.otlp import OtlpInterpreter
from collectors.rabbitmq import RabbitQueues
from collectors.rest import RestRecords
from collectors.sftp_folder import SftpFolder
from collectors.sql_view import SqlView
from collectors.x12.interpreter import X12Interpreter
from collectors.xml_documents import XmlInterpreter
from tower import feeds
from tower.errors import ConfigError
from tower.feeds import DropFolderOptions, LogFileOptions, RabbitOptions
from tower.network import Network, Source
from tower.polled_feeds import ODataOptions, RestOptions, SqlViewOptions
from tower.raw import DeadLetter, Interpretation, Raw

log = logging.getLogger(__name__)

INTERPRETERS: Mapping[str, Interpreter] = {
    "x12": X12Interpreter(),
    "edifact": EdifactInterpreter(),
    "mdn": MdnInterpreter(),
    "csv": CsvInterpreter(),
    "json": JsonInterpreter(),
    "xml": XmlInterpreter(),
    "log": LogInterpreter(),
    "otlp": OtlpInterpreter(),
    "access_log": AccessLogInterpreter(),
    "queue": DeadLetterInterpreter(),
    "cloudevents": CloudEventsInterpreter(),
}
"""Format -> interpreter; queue interprets dead letters that were captured on request."""


def reader_for(
    name: str,
    source: Source,
    net: Network,
    secrets: Mapping[str, str] = os.environ,
    *,
    base: Path | None = None,
    known: Known | None = None,
) -> Reader:
    """The reader of a pull source.

    ``secrets`` are the variables that options may name; ``base`` is the folder that relative paths
    lie under (default: the working folder); ``known`` tells which keys of a source are
    stored, without it no keys are swept. Raises ConfigError if the options are wrong or a secret is
    missing.
    """
    try:
        options = source.feed
    except ValueError as error:
        raise ConfigError(
            f'The options of source "{name}" are wrong: {error}. Correct them in network.yaml.'
        ) from error
    folder = (base or Path()).absolute()
    match options:
        case DropFolderOptions():
            return DropFolder(name, source, options, net, folder)
        case feeds.SftpOptions():
            return SftpFolder(name, source, options, net, secrets)
        case feeds.AccessLogOptions():
            return AccessLogs(name, source, options, net, folder)
        case LogFileOptions():
            return LogFiles(name, source, options, net, folder)
        case RestOptions():
            return RestRecords(name, source, options, net, secrets, known)
        case ODataOptions():
            return ODataEntities(name, source, options, net, secrets, known)
        case SqlViewOptions():
            return SqlView(name, source, options, net, secrets, known)
        case RabbitOptions():
            return RabbitQueues(name, source, options, secrets)
        case feeds.NatsOptions():
            return NatsStreams(name, source, options, secrets)
        case feeds.KafkaOptions():
            return KafkaLag(name, source, options, secrets)
        case feeds.AmqpOptions():
            return AmqpQueue(name, source, options, secrets)
    raise ConfigError(
        f'Source "{name}" is of kind {source.kind}: it is sent to the tower, not read. '
        "Only pull sources have a reader."
    )


LARGE = 1 << 22
"""Bytes of a message from which on it is read and stored part by part."""


def parts(raw: Raw, net: Network) -> Iterator[Interpretation] | None:
    """What ``interpret`` gives of a large message, part by part (collectors/contract.py).

    None for a message that is small, or of a format that is only read as a whole.
    """
    source = net.sources.get(raw.source)
    if len(raw.body) < LARGE or source is None or GAP in raw.headers:
        return None
    interpreter = interpreter_for(source)
    giving = getattr(interpreter, "parts", None)
    if interpreter is None or giving is None:
        return None
    return _guarded(interpreter, giving(raw, net, source), raw, source)


def _guarded(
    interpreter: Interpreter, readings: Iterator[Interpretation], raw: Raw, source: Source
) -> Iterator[Interpretation]:
    """The readings; a crash on the way is a dead letter, and what was read before it stays."""
    try:
        yield from readings
    except Exception as error:
        yield _crashed(interpreter, error, raw, source)


def interpreter_for(source: Source) -> Interpreter | None:
    """The interpreter of a source's format."""
    return INTERPRETERS.get(source.format)


def interpret(raw: Raw, net: Network) -> Interpretation:
    """What the interpreter of its source makes of a message.

    Never raises: whatever goes wrong is a dead letter, with the version that failed.
    """
    refusal = refusal_of(raw)
    if refusal is not None:
        return Interpretation("reader", 1, dead_letters=(refusal,))
    gap = gap_of(raw, net)
    if gap is not None:
        return gap
    source = net.sources.get(raw.source)
    if source is None:
        return _nothing(
            DeadLetter(
                code="unknown_source",
                cause=f'"{raw.source}" is no source of network.yaml.',
                advice="Describe the source in network.yaml and interpret again.",
            )
        )
    interpreter = interpreter_for(source)
    if interpreter is None:
        return _nothing(
            DeadLetter(
                code="unsupported_type",
                cause=f"Messages of format {source.format} are not interpreted.",
                advice="Correct the format of the source in network.yaml and interpret again.",
            )
        )
    try:
        return interpreter.interpret(raw, net, source)
    except Exception as error:
        return _crashed(interpreter, error, raw, source)


def _crashed(
    interpreter: Interpreter, error: Exception, raw: Raw, source: Source
) -> Interpretation:
    log.exception(
        "Interpreter failed",
        extra={"action": "interpret.crashed", "source": raw.source, "format": source.format},
    )
    said = str(error).splitlines()
    letter = DeadLetter(
        code="crash",
        cause=f"Interpreter {interpreter.name} version {interpreter.version} failed on this "
        f"message: {type(error).__name__}{': ' + said[0][:200] if said else ''}",
        advice="The bytes are kept. Report the cause to the maintainers; interpret again after "
        "an update.",
    )
    return Interpretation(interpreter.name, interpreter.version, dead_letters=(letter,))


def _nothing(letter: DeadLetter) -> Interpretation:
    return Interpretation("none", 1, dead_letters=(letter,))
