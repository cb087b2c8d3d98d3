from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.config import LONGEST_SOCKET_PATH, SupervisionConfig

# field: the last value that is allowed, the first that is not
BOUNDS: dict[str, tuple[object, object]] = {
    "intensity": (0, -1),
    "period": (0.001, 0.0),
    "shutdown": (0.0, -0.001),
    "kill_grace": (0.001, 0.0),
    "ask_timeout": (0.001, 0.0),
    "mailbox": (1, 0),
    "handler_budget_ms": (0.001, 0.0),
    "not_live_after": (0.001, 0.0),
    "dead_letters": (0, -1),
    "crash_reports": (0, -1),
    "slice_messages": (1, 0),
    "slice_ms": (0.001, 0.0),
    "crash_dir": ("", "zero\0byte"),
    "stack_socket": ("s" * LONGEST_SOCKET_PATH, "s" * (LONGEST_SOCKET_PATH + 1)),
}
FLOATS = [field for field, (allowed, _) in BOUNDS.items() if isinstance(allowed, float)]


def configured(field: str, value: object) -> SupervisionConfig:
    arguments: dict[str, Any] = {field: value}
    return SupervisionConfig(**arguments)


def test_every_field_has_a_bound_but_the_switch() -> None:
    fields = {field.name for field in attrs.fields(SupervisionConfig)}
    assert fields - BOUNDS.keys() == {"fault_injection"}


@pytest.mark.parametrize("field", BOUNDS)
def test_a_value_on_the_bound_is_allowed_and_one_beyond_is_not(field: str) -> None:
    allowed, beyond = BOUNDS[field]
    assert getattr(configured(field, allowed), field) == allowed
    with pytest.raises(ValueError, match=f"'{field}' must"):
        configured(field, beyond)


@pytest.mark.parametrize("endless", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("field", FLOATS)
def test_every_time_is_finite(field: str, endless: float) -> None:
    with pytest.raises(ValueError, match=f"'{field}' must be a finite number"):
        configured(field, endless)


@given(st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=40))
def test_a_socket_path_is_measured_in_bytes_not_characters(path: str) -> None:
    fits = len(path.encode()) <= LONGEST_SOCKET_PATH
    try:
        configured("stack_socket", path)
    except ValueError:
        assert not fits
    else:
        assert fits


def test_it_cannot_be_changed_once_made() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        SupervisionConfig().intensity = 4  # type: ignore[misc]
