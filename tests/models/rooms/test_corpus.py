"""What was stored once is readable for ever, and means what it meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.rooms.content import CONTENT_TYPES, Content
from models.rooms.wire import restored, stored, to_wire
from tests.models.rooms.samples import CORPUS, documents, has_sample
from tests.models.rooms.shapes import VALUE_KINDS, fields_of

DOCUMENTS = documents()
REMEDY = "run `python -m tests.models.rooms.samples` and commit what it wrote"


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def contained(old: object, new: object) -> bool:
    """Whether all that `old` says is said by `new`, which may have learnt to say more."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(name in new and contained(value, new[name]) for name, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(contained, old, new))
    return type(old) is type(new) and old == new


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_a_kept_document_is_read_and_means_what_it_meant(path: Path) -> None:
    sample, kind = DOCUMENTS[path], VALUE_KINDS[path.stem.split(".")[0]]
    value: Any = restored(json.dumps(sample["stored"]), kind)
    assert contained(sample["means"], to_wire(value))
    assert restored(stored(value), kind) == value


@pytest.mark.parametrize("path", sorted(CORPUS.glob("v1/*.json")), ids=name_of)
def test_what_is_written_is_still_what_was_written(path: Path) -> None:
    """Else a node of the version before, which runs beside this one, would not understand it."""
    document = DOCUMENTS[path]["stored"]
    value: Any = restored(json.dumps(document), VALUE_KINDS[path.stem.split(".")[0]])
    assert json.loads(stored(value)) == document


@pytest.mark.parametrize("name", VALUE_KINDS)
def test_every_field_of_every_class_has_a_sample(name: str) -> None:
    kind = VALUE_KINDS[name]
    without = [field for field in fields_of(kind) if not has_sample(kind, field)]
    assert not without, f"no sample has these fields of {name}: {without}; {REMEDY}"


@pytest.mark.parametrize("name", VALUE_KINDS)
def test_every_class_has_a_sample_of_its_defaults(name: str) -> None:
    assert any(path.stem == f"{name}.bare" for path in DOCUMENTS), REMEDY


def test_every_content_type_has_an_event_that_holds_it() -> None:
    said = {sample["stored"]["content"]["type"] for sample in documents("RoomEvent").values()}
    assert said == set(CONTENT_TYPES), REMEDY


def test_the_union_of_contents_and_their_table_agree() -> None:
    assert set(CONTENT_TYPES.values()) == set(Content.__args__)
    assert all(kind.type == word for word, kind in CONTENT_TYPES.items())
