"""Broken input never breaks an interpreter: a short while of what ``make fuzz`` does for long."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.registry import INTERPRETERS
from tests.collectors.fuzzing import FEEDS, bear, broken, net, read, seeds

EXAMPLES = 60


def test_every_interpreter_is_tried() -> None:
    assert set(FEEDS) == set(INTERPRETERS)
    assert {source.format for source in net().sources.values()} == set(INTERPRETERS)
    assert all(seeds(format_) for format_ in FEEDS)


@pytest.mark.parametrize(
    ("format_", "mapping"), [(f, mapping) for f, mappings in FEEDS.items() for mapping in mappings]
)
def test_some_sample_is_read_to_its_end(format_: str, mapping: str) -> None:
    """Else only refusals would be tried."""
    told = [len(read(format_, mapping, body).events) for body in seeds(format_)]
    assert max(told) > 0


@pytest.mark.parametrize("format_", FEEDS)
def test_the_samples_are_borne(format_: str) -> None:
    for body in seeds(format_):
        bear(format_, body)


@pytest.mark.parametrize("format_", FEEDS)
def test_broken_input_is_borne(format_: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(broken(format_))
    def borne(body: bytes) -> None:
        bear(format_, body)

    borne()


@pytest.mark.parametrize("format_", FEEDS)
def test_any_bytes_are_borne(format_: str) -> None:
    @settings(max_examples=EXAMPLES // 2)
    @given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: t.encode("utf-8")))
    def borne(body: bytes) -> None:
        bear(format_, body)

    borne()
