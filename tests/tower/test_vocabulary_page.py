"""docs/events.md tells every event and field of the vocabulary, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tower import vocabulary_page
from tower.vocabulary import EVENT_TYPES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_is_the_vocabulary() -> None:
    assert (DOCS / "events.md").read_text(encoding="utf-8") == vocabulary_page.page(), (
        "write it anew: python -m tower.vocabulary_page > docs/events.md"
    )


def test_every_event_and_field_has_a_meaning_and_no_meaning_is_left_over() -> None:
    fields = {field.name for spec in EVENT_TYPES.values() for field in (*spec.header, *spec.lines)}
    kinds = {field.kind for spec in EVENT_TYPES.values() for field in (*spec.header, *spec.lines)}
    assert set(vocabulary_page.EVENTS) == set(EVENT_TYPES)
    assert set(vocabulary_page.FIELDS) == fields
    assert set(vocabulary_page.KINDS) == kinds
