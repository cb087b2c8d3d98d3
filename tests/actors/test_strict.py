from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Literal

import attrs
import pytest
from attrs.validators import ge
from hypothesis import given
from hypothesis import strategies as st

from actors.strict import Faulty, Unfit, structure


class Colour(enum.Enum):
    RED = "red"
    AMBER = "amber"


class Shade(enum.StrEnum):
    DARK = "dark"
    LIGHT = "light"


@attrs.frozen
class Lamp:
    """A section within sections, with a field that has no default."""

    place: str
    watts: float = attrs.field(default=1.0, validator=ge(0))


@attrs.frozen
class Port:
    """A type of its own, made by a hook."""

    number: int


@attrs.frozen
class House:
    floors: int = attrs.field(default=1, validator=ge(0))
    height: float = attrs.field(default=3.0, validator=ge(0))
    owner: str = "nobody"
    lit: bool = False
    colour: Colour = Colour.RED
    shade: Shade = Shade.DARK
    roof: Literal["flat", "gabled"] = "flat"
    size: Literal[1, 2] = 1
    door: Port | None = None
    porch: Lamp | None = None
    rooms: tuple[str, ...] = ()
    sizes: list[int] = attrs.field(factory=list)
    lamps: dict[str, Lamp] = attrs.field(factory=dict)
    spare: tuple[Lamp, ...] = ()


@attrs.frozen
class Rope:
    """A section with a rule between two of its fields."""

    shortest: int = 0
    longest: int = 9

    def __attrs_post_init__(self) -> None:
        if self.shortest > self.longest:
            raise ValueError("shortest must not be above longest")


def port(value: object) -> Port:
    if value != "front":
        raise Unfit("there is only the front door")
    return Port(1)


def faults(data: object, section: type = House) -> list[str]:
    with pytest.raises(Faulty) as refused:
        structure(section, data, {Port: port})
    assert str(refused.value).splitlines() == [str(fault) for fault in refused.value.faults]
    return [str(fault) for fault in refused.value.faults]


def test_every_kind_of_field_becomes_what_it_says() -> None:
    data = {
        "floors": 2,
        "height": 6,
        "owner": "Ada",
        "lit": True,
        "colour": "amber",
        "shade": "light",
        "roof": "gabled",
        "size": 2,
        "door": "front",
        "porch": {"place": "left"},
        "rooms": ["hall", "attic"],
        "sizes": [1, 2],
        "lamps": {"hall": {"place": "ceiling", "watts": 7.5}},
        "spare": [{"place": "cellar"}],
    }
    assert structure(House, data, {Port: port}) == House(
        floors=2,
        height=6.0,
        owner="Ada",
        lit=True,
        colour=Colour.AMBER,
        shade=Shade.LIGHT,
        roof="gabled",
        size=2,
        door=Port(1),
        porch=Lamp("left"),
        rooms=("hall", "attic"),
        sizes=[1, 2],
        lamps={"hall": Lamp("ceiling", 7.5)},
        spare=(Lamp("cellar"),),
    )


def test_a_whole_number_is_a_float_and_becomes_one() -> None:
    height = structure(House, {"height": 6}, {Port: port}).height
    assert (height, type(height)) == (6.0, float)


# what is written, and what is said of it
FAULTS: list[tuple[dict[str, object], str]] = [
    ({"floors": "3"}, "floors: expected int, got '3'"),
    ({"floors": True}, "floors: expected int, got true"),
    ({"floors": 3.0}, "floors: expected int, got 3.0"),
    ({"floors": 2**63}, "floors: expected int, got a number of more than 64 bits"),
    ({"floors": 16**5000}, "floors: expected int, got a number of more than 64 bits"),
    ({"floors": {"a": "hidden"}}, "floors: expected int, got a table"),
    ({"floors": ["hidden"]}, "floors: expected int, got a list"),
    ({"floors": -1}, "floors: must be >= 0: -1"),
    ({"height": "3"}, "height: expected float, got '3'"),
    ({"height": False}, "height: expected float, got false"),
    ({"height": 16**5000}, "height: expected float, got a number of more than 64 bits"),
    ({"height": float("nan")}, "height: expected a finite number, got nan"),
    ({"height": float("-inf")}, "height: expected a finite number, got -inf"),
    ({"owner": 3}, "owner: expected str, got 3"),
    ({"lit": 1}, "lit: expected bool, got 1"),
    ({"lit": "no"}, "lit: expected bool, got 'no'"),
    ({"colour": "anber"}, "colour: expected one of 'red', 'amber'; got 'anber'; "
     "did you mean 'amber'?"),
    ({"shade": "lihgt"}, "shade: expected one of 'dark', 'light'; got 'lihgt'; "
     "did you mean 'light'?"),
    ({"roof": "thatched"}, "roof: expected one of 'flat', 'gabled'; got 'thatched'"),
    ({"roof": []}, "roof: expected one of 'flat', 'gabled'; got a list"),
    ({"size": True}, "size: expected one of 1, 2; got true"),
    ({"size": 1.0}, "size: expected one of 1, 2; got 1.0"),
    ({"door": "back"}, "door: there is only the front door"),
    ({"porch": 3}, "porch: expected a table, got 3"),
    ({"porch": {}}, "porch.place: missing, and there is no default"),
    ({"rooms": "hall"}, "rooms: expected a list, got 'hall'"),
    ({"rooms": ["hall", 2]}, "rooms[1]: expected str, got 2"),
    ({"sizes": {"1": 2}}, "sizes: expected a list, got a table"),
    ({"sizes": [1, True]}, "sizes[1]: expected int, got true"),
    ({"lamps": []}, "lamps: expected a table, got a list"),
    ({"lamps": {"hall": 3}}, "lamps.hall: expected a table, got 3"),
    ({"lamps": {"the hall": 3}}, 'lamps."the hall": expected a table, got 3'),
    ({"lamps": {"hall": {"place": "x", "watts": -1}}}, "lamps.hall.watts: must be >= 0: -1.0"),
    ({"spare": [{"place": "x"}, {"plaice": "y", "place": "z"}]},
     "spare[1].plaice: unknown name; did you mean 'place'?"),
    ({"ownr": "Ada"}, "ownr: unknown name; did you mean 'owner'?"),
    ({"a\nb": 1}, '"a\\nb": unknown name; known here: '
     "floors, height, owner, lit, colour, shade, roof, size, door, porch, rooms, sizes, "
     "lamps, spare"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "said"), FAULTS)
def test_a_fault_says_where_it_is_and_what_was_expected(data: object, said: str) -> None:
    assert faults(data) == [said]


def test_all_faults_come_at_once_however_deep() -> None:
    data = {
        "floors": -1,
        "height": -1,
        "porch": {"watts": "bright", "colour": "red"},
        "lamps": {"a": {}, "b": {"place": "x"}, "c": {"place": 0, "watts": -1}},
        "flours": 3,
    }
    assert faults(data) == [
        "floors: must be >= 0: -1",
        "height: must be >= 0: -1.0",
        "porch.place: missing, and there is no default",
        "porch.watts: expected float, got 'bright'",
        "porch.colour: unknown name; known here: place, watts",
        "lamps.a.place: missing, and there is no default",
        "lamps.c.place: expected str, got 0",
        "lamps.c.watts: must be >= 0: -1.0",
        "flours: unknown name; did you mean 'floors'?",
    ]


def test_a_rule_between_fields_is_told_where_they_live() -> None:
    assert faults({"shortest": 3, "longest": 2}, Rope) == ["shortest must not be above longest"]


def test_the_whole_may_have_the_wrong_shape() -> None:
    assert faults(3) == ["expected a table, got 3"]


def test_a_long_value_is_cut_to_what_it_can_be_recognised_by() -> None:
    (said,) = faults({"floors": "x" * 1000})
    assert said.endswith("xxx…")
    assert len(said) < 100


def test_a_bug_in_a_hook_is_not_taken_for_a_fault_of_the_data() -> None:
    def broken(value: object) -> Port:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        structure(House, {"door": "front"}, {Port: broken})


def test_the_error_does_not_hold_on_to_the_data() -> None:
    with pytest.raises(Faulty) as refused:
        structure(House, {"floors": "three"}, {})
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
STRICT: dict[str, Callable[[object], bool]] = {
    "floors": lambda value: type(value) is int,
    "height": lambda value: type(value) in (int, float),
    "owner": lambda value: type(value) is str,
    "lit": lambda value: type(value) is bool,
    "porch": lambda value: value is None or type(value) is dict,
    "rooms": lambda value: type(value) is list,
    "lamps": lambda value: type(value) is dict,
}


@given(st.dictionaries(st.sampled_from([*STRICT, "unknown"]), anything))
def test_whatever_comes_is_taken_as_it_is_or_refused(data: dict[str, object]) -> None:
    try:
        house = structure(House, data, {Port: port})
    except Faulty as error:
        # Nothing that fits is complained of.
        assert {fault.where.split(".")[0].split("[")[0] for fault in error.faults} <= data.keys()
    else:
        for name, value in data.items():
            assert STRICT[name](value)
            if not isinstance(value, dict | list):
                assert getattr(house, name) == value
