"""Which reader and interpreter a source has; interpreting never raises."""

from __future__ import annotations

import ast
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors import registry
from collectors.drop_folder import DropFolder
from collectors.log_file import LogFiles
from collectors.rabbitmq import RabbitQueues
from collectors.rest import RestRecords
from tests.collectors.worlds import CSV_ANSWERS, network
from tower.errors import ConfigError
from tower.network import Network, Source, load_network
from tower.raw import Budget, Interpretation, Raw

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
SOURCES = """
sources:
  folder: {kind: drop_folder, format: csv, system: erp, mapping: answers, options: {path: in}}
  log: {kind: log_file, format: cloudevents, system: erp, options: {path: "logs/*"}}
  poll: {kind: rest, format: cloudevents, system: erp, options: {url: "http://127.0.0.1:1/"}}
  queues: {kind: rabbitmq, format: queue, system: erp, options: {url: "http://127.0.0.1:1"}}
  push: {kind: push, format: x12, system: erp}
"""


@pytest.fixture(scope="module")
def net() -> Network:
    return network(SOURCES, CSV_ANSWERS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("folder", DropFolder), ("log", LogFiles), ("poll", RestRecords), ("queues", RabbitQueues)],
)
def test_every_pull_source_has_its_reader(net: Network, name: str, kind: type) -> None:
    assert type(registry.reader_for(name, net.sources[name], net, {})) is kind


def test_a_push_source_has_none_and_wrong_options_are_told(net: Network) -> None:
    with pytest.raises(ConfigError, match="is sent to the tower, not read"):
        registry.reader_for("push", net.sources["push"], net, {})
    odd = Source(kind="drop_folder", format="x12", system="erp", options={"pth": "in"})
    with pytest.raises(ConfigError, match="options of source"):
        registry.reader_for("odd", odd, net, {})


def test_a_secret_may_stand_in_a_file(net: Network, tmp_path: Path) -> None:
    options = {"url": "http://127.0.0.1:1", "user": "mon", "password_variable": "PW"}
    source = Source(kind="rabbitmq", format="queue", system="erp", options=options)
    held = tmp_path / "pw"
    held.write_text("s3cret\n")
    assert registry.reader_for("q", source, net, {"PW_FILE": str(held)})
    held.write_text("two\nlines")
    with pytest.raises(ConfigError, match="control characters"):
        registry.reader_for("q", source, net, {"PW_FILE": str(held)})
    with pytest.raises(ConfigError, match="cannot be read"):
        registry.reader_for("q", source, net, {"PW_FILE": str(tmp_path / "gone")})


def test_a_crash_of_an_interpreter_is_a_dead_letter_with_its_version(
    net: Network, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Crashing:
        name, version = "x12", 41

        def interpret(self, raw: Raw, net: Network, source: Source) -> Interpretation:
            raise RecursionError("too deep\nsecond line")

    monkeypatch.setattr(registry, "INTERPRETERS", {"x12": Crashing()})
    with caplog.at_level(logging.ERROR):
        reading = registry.interpret(Raw("push", "k", b"ISA*payload", NOW), net)
    (letter,) = reading.dead_letters
    assert (letter.code, reading.interpreter, reading.version) == ("crash", "x12", 41)
    assert "RecursionError: too deep" in letter.cause
    assert "second line" not in letter.cause
    assert reading.outcome == "quarantined"
    assert "ISA*payload" not in caplog.messages


def test_a_message_of_an_unknown_source_or_without_interpreter_is_kept(net: Network) -> None:
    for source, code in (("ghost", "unknown_source"),):
        (letter,) = registry.interpret(Raw(source, "k", b"x", NOW), net).dead_letters
        assert letter.code == code
        assert letter.advice


def test_a_body_without_mapping_says_what_to_name() -> None:
    net = network("sources:\n  push: {kind: push, format: cloudevents, system: erp}")
    bare = net.sources["push"].model_copy(update={"format": "csv"})
    net = net.model_copy(update={"sources": {"push": bare}})
    (letter,) = registry.interpret(Raw("push", "k", b"x", NOW), net).dead_letters
    assert letter.code == "no_mapping"


def test_every_format_that_brings_messages_has_an_interpreter(net: Network) -> None:
    formats = set(Source.model_fields["format"].annotation.__args__)  # type: ignore[union-attr]
    assert formats == set(registry.INTERPRETERS)
    for format_, interpreter in registry.INTERPRETERS.items():
        assert interpreter.name == format_
        assert interpreter.version >= 1


def test_the_readers_of_the_example_network_read_empty_folders(tmp_path: Path) -> None:
    example = load_network((ROOT / "network.yaml").read_text(encoding="utf-8"), "network.yaml")
    for name, source in example.sources.items():
        if source.is_pull:
            reader = registry.reader_for(name, source, example, {}, base=tmp_path)
            (batch,) = reader.read(None, Budget(), NOW)
            assert batch.heartbeat is not None
            assert (tmp_path / source.options["path"]).is_dir()


# Modules that give meaning: what they import must not let them look at clock, chance or files.
PURE = (
    "answers", "cloudevents", "cloudevents_envelope", "cloudevents_reading", "csv_rows",
    "event_shape", "limits", "mapped", "mapped_program", "mapped_reading", "origins", "otlp",
    "access_log", "rabbitmq_lint", "records", "values",
)  # fmt: skip
IMPURE = {"os", "pathlib", "random", "secrets", "socket", "subprocess", "tempfile", "time", "uuid",
          "httpcore", "httpx", "urllib.request", "shutil"}  # fmt: skip
CLOCKS = {"now", "utcnow", "today"}


PURE_FILES = [ROOT / "collectors" / f"{name}.py" for name in PURE]
PURE_FILES += sorted((ROOT / "collectors" / "x12").glob("*.py"))


@pytest.mark.parametrize("path", PURE_FILES, ids=lambda path: path.stem)
def test_an_interpreter_imports_nothing_that_reaches_outside(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name for alias in node.names} & IMPURE
        elif isinstance(node, ast.ImportFrom):
            assert node.module not in IMPURE
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in CLOCKS, ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "exec", "eval"}, ast.unparse(node)
