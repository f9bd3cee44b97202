"""docs/rules.md describes every field, category, attribute and event that a rule book may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from tower import reports, rule_parts, rulebook, scorecards
from tower.attributes import ATTRIBUTES, STATEMENTS, SUBJECTS, visible
from tower.categories import CATEGORIES
from tower.cycles import Verdict
from tower.vocabulary import EVENT_TYPES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")


def fields() -> Iterator[str]:
    rooms = (rulebook, rule_parts, scorecards, reports)
    for model in [model for room in rooms for model in vars(room).values()]:
        if isinstance(model, type) and issubclass(model, BaseModel) and model is not BaseModel:
            for name, field in model.model_fields.items():
                yield field.alias or name


@pytest.mark.parametrize("field", sorted(set(fields())))
def test_each_field_is_described(field: str) -> None:
    assert f"`{field}`" in PAGE


def test_each_category_is_described_as_the_code_has_it() -> None:
    for category in CATEGORIES.values():
        row = f"| {category.code} | {category.meaning} | {category.starts} | {category.heals} |"
        assert row in PAGE


def test_each_attribute_event_and_verdict_is_named() -> None:
    assert [name for name in ATTRIBUTES if f"| `{name}` |" not in PAGE] == []
    assert [name for name in EVENT_TYPES if f"`{name}`" not in PAGE] == []
    assert [verdict for verdict in Verdict if verdict.value not in PAGE] == []


def test_attributes_that_signs_state_are_known_and_stated_by_known_events() -> None:
    assert set(STATEMENTS) <= set(ATTRIBUTES)
    for statement in STATEMENTS.values():
        assert statement.types <= EVENT_TYPES.keys()


def test_every_subject_sees_attributes_of_its_own() -> None:
    assert set(get_args(rulebook.SubjectKind)) == set(SUBJECTS)
    for subject in SUBJECTS:
        assert any(name.startswith(subject + ".") for name in visible(subject))
