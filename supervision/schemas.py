"""What an actor accepts, as a sender needs to know it: message types, their fields, the answers."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from supervision.messages import Request
from supervision.showing import fields_of, type_name


@attrs.frozen
class FieldSchema:
    """One field of a message."""

    name: str
    type: str
    required: bool


@attrs.frozen
class MessageSchema:
    """A kind of message an actor accepts."""

    name: str
    type: str
    """`module:qualname`."""
    fields: Sequence[FieldSchema]
    answer: str
    """What an ask of it is answered with; empty if it is no request."""
    doc: str
    """The first line of its docstring."""
    handler: str
    """The name of the method that takes it."""


def schema_of(message_type: type, handler: Any = None) -> MessageSchema:
    """A message type as a sender needs to know it."""
    doc = (inspect.getdoc(message_type) or "").strip()
    if doc.startswith(f"{message_type.__name__}("):  # dataclasses write their signature there
        doc = ""
    return MessageSchema(
        name=message_type.__qualname__,
        type=f"{message_type.__module__}:{message_type.__qualname__}",
        fields=_field_schemas(message_type),
        answer=_answer(message_type),
        doc=doc.partition("\n")[0],
        handler=getattr(handler, "__name__", ""),
    )


def _field_schemas(message_type: type) -> Sequence[FieldSchema]:
    parameters: Mapping[str, inspect.Parameter] = {}
    if fields_of(message_type) is None:
        return ()
    try:
        parameters = inspect.signature(message_type).parameters
    except (TypeError, ValueError):  # a metaclass or C class that tells nothing
        return ()
    return tuple(
        FieldSchema(
            name,
            type_name(parameter.annotation) if parameter.annotation is not parameter.empty else "",
            parameter.default is parameter.empty,
        )
        for name, parameter in parameters.items()
    )


def _answer(message_type: type) -> str:
    if not issubclass(message_type, Request):
        return ""
    for kind in message_type.__mro__:
        for base in getattr(kind, "__orig_bases__", ()):
            if typing.get_origin(base) is Request:
                return type_name(typing.get_args(base)[0])
    return "object"
