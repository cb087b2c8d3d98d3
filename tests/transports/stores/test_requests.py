"""Requests say what the backend's methods say."""

from __future__ import annotations

import inspect
from typing import Any

import attrs
import pytest

from models.rooms.errors import RoomNotFound, StoreUnavailable
from models.rooms.identity import Identity
from models.rooms.kinds import ChannelType
from models.rooms.refusals import RefusedFor
from supervision import ActorCrashed, AskTimeout
from tests.transports.stores.values import a_change, a_room, a_task, an_event
from transports.stores import requests
from transports.stores.backend import StoreBackend
from transports.stores.requests import StoreRequest, store_fault

LIFE = {"open", "close", "flush", "abandon"}
METHODS = {
    name: method
    for name, method in vars(StoreBackend).items()
    if not name.startswith("_") and name not in LIFE and inspect.isfunction(method)
}


def request_for(name: str) -> type[StoreRequest[Any]]:
    title = "Commit" if name == "change" else "".join(map(str.capitalize, name.split("_")))
    found: type[StoreRequest[Any]] = getattr(requests, title)
    return found


class Noted:
    """A backend that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[object, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        def method(*args: object) -> str:
            self.asked.append((name, args))
            return f"what {name} says"

        return method


@pytest.mark.parametrize("name", METHODS)
def test_each_method_is_a_request_with_its_arguments(name: str) -> None:
    fields = attrs.fields(request_for(name))  # type: ignore[arg-type]
    parameters = list(inspect.signature(METHODS[name]).parameters)[1:]
    assert [field.name for field in fields] == parameters


@pytest.mark.parametrize("name", METHODS)
def test_each_request_runs_its_method(name: str) -> None:
    kind = request_for(name)
    values = [object() for _ in attrs.fields(kind)]  # type: ignore[arg-type]
    backend: Any = Noted()
    answer = kind(*values).run(backend)
    assert backend.asked == [(name, tuple(values))]
    assert answer in (None, f"what {name} says")


@pytest.mark.parametrize(
    ("request_", "lane"),
    [
        (requests.GetRoom("r"), "r"),
        (requests.CreateRoom(a_room()), "r"),
        (requests.Commit(a_change(a_room())), "r"),
        (requests.RecordResults(an_event(0)), "r"),
        (requests.UpdateTask(a_task("t")), "r"),
        (requests.MarkRead("r", "sms", 1), "r"),
        (requests.GetTask("t"), None),
        (requests.Search("hello", "r"), None),
        (requests.FindRooms(), None),
        (requests.PutIdentity(Identity("ann")), "ann"),
        (requests.LinkAddress("ann", ChannelType.SMS, "+1"), "ann"),
        (requests.GetIdentity("ann"), "ann"),
    ],
)
def test_what_concerns_one_room_or_identity_keeps_its_order(
    request_: StoreRequest[Any], lane: str | None
) -> None:
    assert request_.lane == lane


def test_a_fault_is_what_the_store_refused_for() -> None:
    error = RoomNotFound("room", "r")
    assert store_fault(RefusedFor("/store", str(error), error)) is error
    assert store_fault(error) is error


def test_a_crash_for_want_of_the_database_says_what_is_wrong_with_it() -> None:
    crash = ActorCrashed("/store", "c-1")
    crash.__cause__ = StoreUnavailable("the disk is full")
    assert store_fault(crash) is crash.__cause__


def test_any_other_failure_makes_the_store_unavailable() -> None:
    crash = ActorCrashed("/store", "c-1")
    crash.__cause__ = KeyError("x")
    fault = store_fault(crash)
    assert isinstance(fault, StoreUnavailable)
    assert "KeyError" in fault.problem
    late = store_fault(AskTimeout("/store", 5.0))
    assert isinstance(late, StoreUnavailable)
    assert "did not answer within 5 s" in late.problem
