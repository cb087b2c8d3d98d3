from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import pytest
from attrs.validators import ge, in_
from cattrs import StructureHandlerNotFoundError
from hypothesis import given
from hypothesis import strategies as st

from supervision.strict import Fault, Manner, Unfit, faults_of, structurer


class Colour(enum.StrEnum):
    RED = "red"
    AMBER = "amber"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Size(str, enum.Enum):  # noqa: UP042 - people write these, too
    SMALL = "s"


class Weight(float, enum.Enum):
    LIGHT = 0.5


class Plain(enum.Enum):
    ONE = 1
    WORD = "one"
    YES = True


class Name(str):
    """A string, and more than one."""


KINDS: Mapping[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "yes or no",
    list: "a list",
    dict: "a table",
}
OPEN = Manner(KINDS, repr, repeats=True, step=str.upper, missing="gone")
"""Shows what it found."""
CLOSED = Manner(
    KINDS, lambda value: type(value).__name__, repeats=False, step=str.upper, missing="gone"
)
"""Shows nobody what was said."""


@attrs.frozen
class Part:
    number: int = attrs.field(validator=ge(0))
    word: str = attrs.field(default="a", validator=in_(("a", "b")))


@attrs.frozen
class Whole:
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    size: Size = Size.SMALL
    weight: Weight = Weight.LIGHT
    plain: Plain = Plain.ONE
    maybe: Colour | None = None
    colours: tuple[Colour, ...] = ()
    by_colour: Mapping[Colour, Level] = attrs.field(factory=dict)
    either: Literal[1, False, "x"] = 1
    part: Part | None = None
    parts: Sequence[Part] = ()
    table: dict[str, float] = attrs.field(factory=dict)


def read(data: object, kind: Any = Whole, **options: bool) -> Any:
    return structurer(OPEN, **options).structure(data, kind)


def told(data: object, manner: Manner = OPEN, kind: Any = Whole, **options: bool) -> list[str]:
    with pytest.raises(Exception) as refused:  # noqa: PT011 - cattrs has many
        structurer(manner, **options).structure(data, kind)
    return [str(fault) for fault in faults_of(refused.value, manner)]


# -- enumerations ------------------------------------------------------------------------------


@pytest.mark.parametrize("every_fault", [True, False])
@pytest.mark.parametrize(
    ("field", "written", "member"),
    [
        ("colour", "amber", Colour.AMBER),
        ("level", 2, Level.HIGH),
        ("size", "s", Size.SMALL),
        ("weight", 0.5, Weight.LIGHT),
        ("plain", "one", Plain.WORD),
        ("maybe", "amber", Colour.AMBER),
        ("maybe", None, None),
        ("colours", ["amber", "red"], (Colour.AMBER, Colour.RED)),
        ("by_colour", {"amber": 2}, {Colour.AMBER: Level.HIGH}),
    ],
)
def test_a_member_of_any_enumeration_is_read_by_its_value(
    field: str, written: object, member: object, every_fault: bool
) -> None:
    found = getattr(read({field: written}, every_fault=every_fault), field)
    assert (found, type(found)) == (member, type(member))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            {"colour": "anber"},
            "COLOUR: expected one of 'red', 'amber'; got 'anber'; did you mean 'amber'?",
        ),
        ({"colour": 1}, "COLOUR: expected one of 'red', 'amber'; got 1"),
        ({"colour": None}, "COLOUR: expected one of 'red', 'amber'; got None"),
        ({"level": "1"}, "LEVEL: expected one of 1, 2; got '1'"),
        ({"level": True}, "LEVEL: expected one of 1, 2; got True"),
        ({"level": 1.0}, "LEVEL: expected one of 1, 2; got 1.0"),
        ({"weight": 1}, "WEIGHT: expected one of 0.5; got 1"),
        ({"plain": []}, "PLAIN: expected one of 1, 'one'; got []"),
        ({"colours": ["red", "blue"]}, "COLOURS[1]: expected one of 'red', 'amber'; got 'blue'"),
        ({"either": True}, "EITHER: expected one of 1, False, 'x'; got True"),
        ({"either": 0}, "EITHER: expected one of 1, False, 'x'; got 0"),
        ({"either": {}}, "EITHER: expected one of 1, False, 'x'; got {}"),
    ],
)
def test_what_is_no_member_is_refused_with_those_there_are(data: object, said: str) -> None:
    assert told(data) == [said]


def test_a_literal_tells_a_number_from_a_truth() -> None:
    for written in (1, False, "x"):
        either = read({"either": written}).either
        assert (either, type(either)) == (written, type(written))


@pytest.mark.parametrize(("kind", "data"), [(Name, "x"), (list[Name], ["x"])])
def test_other_kinds_of_strings_are_a_mistake_of_the_code_and_not_of_the_data(
    kind: Any, data: object
) -> None:
    with pytest.raises(Exception) as refused:  # noqa: PT011 - cattrs has many
        read(data, kind)
    with pytest.raises(StructureHandlerNotFoundError, match="nothing makes a"):
        list(faults_of(refused.value, OPEN))


# -- how faults speak --------------------------------------------------------------------------

BAD = {
    "colour": "secret",
    "part": {"word": "secret", "other": "secret"},
    "parts": [{"number": 1}, {"number": -1, "word": 3}],
    "table": {"a": "secret", "b": True, "c": 10**30},
}


def test_one_manner_shows_what_was_found() -> None:
    assert told(BAD) == [
        "COLOUR: expected one of 'red', 'amber'; got 'secret'",
        "PART.NUMBER: gone",
        "PART.WORD: must be in ('a', 'b') (got 'secret')",
        "PART.OTHER: unknown name; known here: number, word",
        "PARTS[1].NUMBER: must be >= 0: -1",
        "PARTS[1].WORD: expected text, got 3",
        "TABLE.A: expected a number, got 'secret'",
        "TABLE.B: expected a number, got True",
        f"TABLE.C: expected a number, got {10**30}",
    ]


def test_the_other_never_repeats_it() -> None:
    assert told(BAD, CLOSED) == [
        "COLOUR: expected one of red, amber",
        "PART.NUMBER: gone",
        "PART.WORD: must be in ('a', 'b') (got …)",
        "PART.OTHER: unknown name; known here: number, word",
        "PARTS[1].NUMBER: must be >= 0: -1",
        "PARTS[1].WORD: expected text, got int",
        "TABLE.A: expected a number, got str",
        "TABLE.B: expected a number, got bool",
        "TABLE.C: expected a number, got int",
    ]


def test_a_fault_of_the_whole_has_no_path() -> None:
    assert told("x") == ["expected a table, got 'x'"]
    assert str(Fault("", "bad")) == "bad"
    assert str(Fault("a.b", "bad")) == "a.b: bad"


def test_the_paths_may_begin_somewhere() -> None:
    with pytest.raises(Exception) as refused:  # noqa: PT011 - cattrs has many
        read({"part": {}})
    assert [fault.where for fault in faults_of(refused.value, OPEN, "TOP")] == ["TOP.PART.NUMBER"]


def test_a_hook_may_blame_a_key_and_guess() -> None:
    def hook(value: object, _: object) -> object:
        raise Unfit("unknown", at="kind", found=value, known=["round", "square"])

    converter = structurer(OPEN)
    converter.register_structure_hook(Part, hook)
    with pytest.raises(Exception) as refused:  # noqa: PT011 - cattrs has many
        converter.structure({"part": "sqare"}, Whole)
    (fault,) = faults_of(refused.value, OPEN)
    assert fault == Fault("PART.KIND", "unknown; did you mean 'square'?")


def test_nobody_guesses_at_long_names() -> None:
    (said,) = told({"colour" * 1000: 1})
    assert "did you mean" not in said


# -- how closely it is looked ------------------------------------------------------------------


def test_unknown_names_may_pass() -> None:
    assert read({"part": {"number": 1, "other": 2}, "more": 3}, unknown_keys=True).part == Part(1)


def test_the_first_fault_may_be_enough() -> None:
    assert told({"part": {"number": -1}}, every_fault=False) == ["must be >= 0: -1"]
    assert told({"part": 1, "parts": 2}, every_fault=False) == ["expected a table, got 1"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
STRICT = {unknown: structurer(OPEN, unknown_keys=unknown) for unknown in (True, False)}
HASTY = {
    unknown: structurer(OPEN, every_fault=False, unknown_keys=unknown) for unknown in (True, False)
}
FIELDS = [field.name for field in attrs.fields(Whole)]


@given(st.dictionaries(st.sampled_from([*FIELDS, "more"]), anything), st.booleans())
def test_who_looks_at_every_fault_takes_what_the_other_takes(
    data: dict[str, object], unknown_keys: bool
) -> None:
    outcomes: list[Whole | None] = []
    for converter in (STRICT[unknown_keys], HASTY[unknown_keys]):
        try:
            outcomes.append(converter.structure(data, Whole))
        except Exception as error:  # noqa: BLE001 - faults_of raises what is no fault of the data
            assert list(faults_of(error, OPEN))
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]
