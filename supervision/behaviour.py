"""What an actor class accepts, and which function handles it: one table per class, built once.

The table serves both ends of a message: `tell` looks the type up to refuse what nobody handles,
the dispatcher looks it up to call the handler. It comes from the `@handles` methods of the class,
or, if the class overrides `on_receive`, from the annotation of its message parameter.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Union, overload

import attrs

from supervision.errors import NotAccepted
from supervision.events import DeadLetterReason

if TYPE_CHECKING:
    from supervision.contract import ActorContract

Handler = Callable[[Any, Any], Any]
F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__handles__"


@overload  # first, because a class is callable too
def handles(*message_types: type) -> Callable[[F], F]: ...
@overload
def handles(handler: F, /) -> F: ...
def handles(*args: Any) -> Any:
    """Mark a method as the handler of a message type.

    Plain, the types come from the annotation of the method's message parameter; with arguments,
    `@handles(Add, Sub)`, they are the arguments (needed where an annotation cannot be resolved:
    a message class defined inside a function). A subclass that overrides the method takes over what
    it handles, marked again or not.
    """
    if len(args) == 1 and not isinstance(args[0], type):
        setattr(args[0], _MARK, ())
        return args[0]

    def mark(handler: F) -> F:
        setattr(handler, _MARK, args)
        return handler

    return mark


class Table(dict[type, Handler]):
    """Message type → handler. Types met by inheritance are added when they first come."""

    __slots__ = ("_accepted", "fallback")

    def __init__(self) -> None:
        super().__init__()
        self._accepted: dict[type, Handler] = {}
        self.fallback: Handler | None = None
        """Takes every type there is no entry for, if the actor accepts everything."""

    def add(self, message_type: type, handler: Handler) -> None:
        """Accept a type and its subclasses."""
        self[message_type] = self._accepted[message_type] = handler

    def add_runtime(self, message_type: type, handler: Handler) -> None:
        """Accept one of the runtime's own types, which does not show in `accepted`."""
        self[message_type] = handler

    def __missing__(self, message_type: type) -> Handler:
        """The dispatcher met a type that was accepted when it was sent, by an earlier instance."""
        if self.admits(message_type):
            return self[message_type]
        return _unhandled

    def admits(self, message_type: type) -> bool:
        """Whether the type is handled; remembers the answer if it is."""
        if message_type in self:
            return True
        for base in message_type.__mro__[1:]:
            handler = self._accepted.get(base)
            if handler is not None:
                self[message_type] = handler
                return True
        if self.fallback is not None:
            self[message_type] = self.fallback
            return True
        return False

    def copy(self) -> Table:
        """A table for one actor alone, so that its handlers can be wrapped."""
        twin = Table()
        twin.update(self)
        twin._accepted = dict(self._accepted)
        twin.fallback = self.fallback
        return twin

    @property
    def accepted(self) -> Mapping[type, Handler]:
        """The types the class declares (without those met by inheritance)."""
        return self._accepted

    def names(self) -> Sequence[str]:
        """The declared types, by name; "anything" if it takes all."""
        if self.fallback is not None:
            return ("anything",)
        return tuple(kind.__qualname__ for kind in self._accepted)


def table_of(cls: type[ActorContract], base: type[Any]) -> Table:
    """The table of an actor class; `base` is the class whose `on_receive` routes by the table.

    Raises:
        TypeError: a handler that does not say what it takes, two for one type, or a message class
            that is not frozen.
    """
    table = Table()
    receive = _overridden(cls, "on_receive", base)
    if receive is not None:
        owner, function = receive
        # A class from plain pykka promises nothing by its annotations, so it is sent everything.
        types_ = _message_types(cls, function) if issubclass(owner, base) else None
        if types_ is None:
            table.fallback = function
        for message_type in types_ or ():
            table.add(message_type, function)
    handled_by: dict[type, str] = {}
    for name in dir(cls):
        marked = _mark(cls, name)
        if marked is None:
            continue
        function = _handler(cls, name)
        types_ = marked or _message_types(cls, function)
        if not types_:
            raise TypeError(
                f"{cls.__qualname__}.{name} handles what? Annotate its message parameter with the "
                "message type (or a union), or write `@handles(TheMessage)`."
            )
        for message_type in types_:
            if handled_by.setdefault(message_type, name) != name:
                raise TypeError(
                    f"{cls.__qualname__} has two handlers for {message_type.__qualname__}: "
                    f"{handled_by[message_type]} and {name}. Keep one."
                )
            table.add(message_type, function)
    for message_type in table.accepted:
        _refuse_mutable(cls, message_type)
    return table


def _mark(cls: type, name: str) -> tuple[type, ...] | None:
    """What `@handles` says of a method, or else of the method that it overrides."""
    for owner in cls.__mro__:
        method = owner.__dict__.get(name)
        mark = getattr(getattr(method, "__func__", method), _MARK, None)
        if mark is not None:
            types_: tuple[type, ...] = mark
            return types_
    return None


def _handler(cls: type, name: str) -> Callable[..., Any]:
    """The method of that name, if it can be called with an actor and a message."""
    function = inspect.getattr_static(cls, name)
    if not inspect.isfunction(function):
        raise TypeError(
            f"{cls.__qualname__}.{name} is a {type(function).__name__}; a handler is a plain or an "
            "async method."
        )
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        raise TypeError(
            f"{cls.__qualname__}.{name} cannot be called with a message ({error}); "
            "a handler is a method with one parameter."
        ) from None
    return function


def _unhandled(actor: ActorContract, message: object) -> None:
    """The type went with the actor's last instance, which was of another class."""
    cell = actor._rt_bound()
    node = cell.node
    reply = node.current[3]
    if reply is None:
        node.dead_letter(cell.path, message, DeadLetterReason.NOT_ACCEPTED)
        return
    node.current = (*node.current[:3], None)
    error = NotAccepted(cell.path, "no handler", type(message), cell.table.names())
    reply.settle(None, error)


def _overridden(cls: type, name: str, base: type) -> tuple[type, Handler] | None:
    """The class that overrides `base.name` and its function, if any does."""
    for owner in cls.__mro__:
        if owner is base:
            return None
        if name in owner.__dict__:
            return owner, owner.__dict__[name]
    return None


def _message_types(cls: type, function: Callable[..., Any]) -> Sequence[type] | None:
    """The types a handler's message parameter is annotated with; None for "anything"."""
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) < 2:
        raise TypeError(
            f"{cls.__qualname__}.{function.__name__} takes no message; "
            "a handler is a method with one parameter."
        )
    annotation = parameters[1].annotation
    if annotation is inspect.Parameter.empty:
        return None
    return _flatten(cls, function, annotation)


def _resolve(cls: type, function: Callable[..., Any], annotation: str) -> Any:
    module = sys.modules.get(cls.__module__)
    names = {**vars(typing), **vars(module or types), **getattr(function, "__globals__", {})}
    try:
        return eval(annotation, names, dict(vars(cls)))  # noqa: S307  the project's own annotation
    except Exception as error:
        raise TypeError(
            f"cannot resolve the annotation {annotation!r} of "
            f"{cls.__qualname__}.{function.__name__} ({error}). Define the message types at module "
            "level, outside `if TYPE_CHECKING:`, or name them with `@handles(TheMessage)`."
        ) from error


def _flatten(cls: type, function: Callable[..., Any], annotation: Any) -> Sequence[type] | None:
    """The classes of a union, however it is written."""
    while isinstance(annotation, str | typing.ForwardRef):
        text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        annotation = _resolve(cls, function, text)
    if annotation is Any or annotation is object or isinstance(annotation, TypeVar):
        return None
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _flatten(cls, function, typing.get_args(annotation)[0])
    if origin is Union or origin is types.UnionType:
        found: list[type] = []
        for member in typing.get_args(annotation):
            inner = _flatten(cls, function, member)
            if inner is None:
                return None
            found.extend(inner)
        return found
    if annotation is None:
        return (type(None),)
    alias = getattr(annotation, "__value__", None)
    if alias is not None:  # a `type X = ...` statement (Python 3.12)
        return _flatten(cls, function, alias)
    kind = origin or annotation
    if not isinstance(kind, type):
        raise TypeError(
            f"{cls.__qualname__}.{function.__name__} is annotated with {annotation!r}, which is no "
            "class and no union of classes. A message is a class of its own."
        )
    return (kind,)


def _refuse_mutable(cls: type, message_type: type) -> None:
    """Messages are shared between actors, so a message class that can change is a fault."""
    # Frozen classes forbid `del` too. `__setattr__` would not tell: `attrs.define` makes one once a
    # field has a validator.
    if any("__delattr__" in vars(base) for base in message_type.__mro__[:-1]):
        return
    if attrs.has(message_type):
        hint = "attrs.frozen"
    elif dataclasses.is_dataclass(message_type):
        hint = "dataclasses.dataclass(frozen=True)"
    else:
        return
    raise TypeError(
        f"{cls.__qualname__} accepts {message_type.__qualname__}, whose instances can be changed. "
        f"Sender and receiver share a message, so it must be frozen: use {hint}."
    )
