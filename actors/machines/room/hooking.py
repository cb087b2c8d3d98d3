"""Hooks: other people's code that is asked before something happens in a room, or told after it.

A `Hook` is registered for a trigger in a `HookTable`, and says what it thinks by a `HookResult`.
Hooks that decide are asked one after the other (`hook_pipeline.py`), and what comes of that is a
`Verdict`; hooks that watch are told beside everything else (`hook_queue.py`).
"""

from __future__ import annotations

import enum
import math
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs
from attrs.validators import deep_iterable, gt, instance_of, lt

from actors.machines.room.hook_triggers import ASYNC as ASYNC
from actors.machines.room.hook_triggers import FAIL_CLOSED as FAIL_CLOSED
from actors.machines.room.hook_triggers import SYNC as SYNC
from actors.machines.room.hook_triggers import HookTrigger as HookTrigger
from models.rooms.errors import AlreadyThere
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.kinds import ChannelDirection, ChannelType
from models.rooms.traffic import Observation, Task


class HookExecution(enum.StrEnum):
    """Whether a hook decides or watches."""

    SYNC = "sync"
    """It is asked, in its turn, and what it says counts."""
    ASYNC = "async"
    """It is shown what was decided, and nobody waits for it."""


class HookAction(enum.StrEnum):
    """What a hook wants done with what it was shown."""

    ALLOW = "allow"
    BLOCK = "block"
    MODIFY = "modify"


# -- what a hook says ------------------------------------------------------------------------------


@attrs.frozen
class InjectedEvent:
    """An event a hook adds to the timeline. Nothing that injects makes an agent answer."""

    event: RoomEvent = attrs.field(validator=instance_of(RoomEvent))
    target_channel_ids: Sequence[str] | None = None
    """Channels that are shown it; None only stores it."""


def _all(kind: type) -> Any:
    return attrs.field(default=(), validator=deep_iterable(instance_of(kind)))


def _mapping(_instance: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{field.name} is a mapping, not {type(value).__name__}")


@attrs.frozen
class HookResult:
    """What a hook says. Made by `allow`, `block` or `modify`."""

    action: HookAction = attrs.field(default=HookAction.ALLOW, converter=HookAction)
    event: Any = attrs.field(default=None, repr=False)
    """The payload instead, with `modify`."""
    reason: str | None = None
    """Why it blocks."""
    injected_events: Sequence[InjectedEvent] = _all(InjectedEvent)
    tasks: Sequence[Task] = _all(Task)
    observations: Sequence[Observation] = _all(Observation)
    metadata: Mapping[str, Any] = attrs.field(default=NOTHING, validator=_mapping)
    """Added to that of the hooks before; of one key, the last word counts."""

    @classmethod
    def allow(cls, **also: Any) -> HookResult:
        """Go on. `also`: injected_events, tasks, observations, metadata."""
        return cls(HookAction.ALLOW, **also)

    @classmethod
    def block(cls, reason: str | None = None, **also: Any) -> HookResult:
        """Stop here. What this hook and those before it have added stays."""
        return cls(HookAction.BLOCK, reason=reason, **also)

    @classmethod
    def modify(cls, event: Any, **also: Any) -> HookResult:
        """Go on with another payload of the same type; for a transcription, a str will do."""
        return cls(HookAction.MODIFY, event=event, **also)


class Askable(Protocol):
    """An actor that is a hook, as far as machines know: an `ActorRef` that takes `HookCall`s."""

    @property
    def path(self) -> str: ...

    def ask(self, request: Any, *, timeout: float | None = None) -> Any: ...


HookFunction = Callable[[Any, Any], HookResult | Awaitable[HookResult | None] | None]
"""Called with the payload and the context (a `RoomContext`, or None). A plain function runs on the
loop: it must be as short as a handler. None is an answer of hooks that watch, not of those that
are asked."""


def _finite_positive(default: float) -> Any:
    return attrs.field(default=default, validator=[gt(0), lt(math.inf)])


def _set_or_none(values: Iterable[Any] | None) -> frozenset[Any] | None:
    if isinstance(values, str):
        raise TypeError(f"a filter is a collection of values, not {values!r}")
    return None if values is None else frozenset(values)


@attrs.frozen(eq=False)
class Hook:
    """A hook, and when it is asked. Two hooks are never equal, however alike."""

    trigger: HookTrigger = attrs.field(converter=HookTrigger)
    call: HookFunction | Askable = attrs.field(repr=False)
    """A function, plain or async, or an actor."""
    execution: HookExecution = attrs.field(default=HookExecution.SYNC, converter=HookExecution)
    priority: int = attrs.field(default=0, validator=instance_of(int))
    """The lowest goes first."""
    name: str = attrs.field(default="", validator=instance_of(str))
    """Without one, that of the function, or the path of the actor."""
    timeout: float = _finite_positive(30.0)
    """Seconds it may take."""
    channel_types: frozenset[ChannelType] | None = attrs.field(default=None, converter=_set_or_none)
    """Events that come from these only. Of all three filters: None is any, and what is no event
    passes."""
    channel_ids: frozenset[str] | None = attrs.field(default=None, converter=_set_or_none)
    directions: frozenset[ChannelDirection] | None = attrs.field(
        default=None, converter=_set_or_none
    )
    needs_lock: bool = True
    """It is asked while the room does nothing else. Without, before the event's turn comes: slow
    hooks that do not look at the room hold up nobody so."""

    def __attrs_post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", _name_of(self.call))

    @property
    def filters(self) -> bool:
        """It does not want every event."""
        return not (self.channel_types is self.channel_ids is self.directions is None)

    def wants(self, payload: object) -> bool:
        """Whether its filters let the payload pass; only events have a source to look at."""
        if not isinstance(payload, RoomEvent):
            return True
        source = payload.source
        return (
            (self.channel_types is None or source.channel_type in self.channel_types)
            and (self.channel_ids is None or source.channel_id in self.channel_ids)
            and (self.directions is None or source.direction in self.directions)
        )


def _name_of(call: object) -> str:
    named = getattr(call, "__name__", None) or getattr(call, "path", None)
    return named if isinstance(named, str) else type(call).__name__


# -- which hooks there are -------------------------------------------------------------------------


class HookTable:
    """The hooks that are registered, by trigger and in the order they are asked. A value."""

    __slots__ = ("_hooks",)

    def __init__(self, hooks: Iterable[Hook] = ()) -> None:
        """`hooks` in the order of their registration.

        Raises:
            AlreadyThere: two on one trigger have the same name.
        """
        self._hooks: dict[HookTrigger, tuple[Hook, ...]] = {}
        for hook in hooks:
            self._add(hook)

    def __iter__(self) -> Iterator[Hook]:
        for hooks in self._hooks.values():
            yield from hooks

    def __len__(self) -> int:
        return sum(map(len, self._hooks.values()))

    def __repr__(self) -> str:
        return f"<HookTable: {len(self)} hooks on {len(self._hooks)} triggers>"

    def has(self, trigger: HookTrigger) -> bool:
        """Whether anybody is registered for it. Costs one look; see it before making a payload."""
        return trigger in self._hooks

    def matching(self, trigger: HookTrigger, payload: object) -> Sequence[Hook]:
        """Those that want this payload: by priority; of equals, who came first."""
        hooks = self._hooks.get(trigger, ())
        if any(hook.filters for hook in hooks):
            return [hook for hook in hooks if hook.wants(payload)]
        return hooks

    def with_hook(self, hook: Hook) -> HookTable:
        """One more.

        Raises:
            AlreadyThere: its trigger has a hook of that name.
        """
        table = self._copy()
        table._add(hook)
        return table

    def without(self, name: str, trigger: HookTrigger | None = None) -> HookTable:
        """None of that name, on one trigger or on all; itself if there was none."""
        kept = {
            of: tuple(h for h in hooks if h.name != name or trigger not in (None, of))
            for of, hooks in self._hooks.items()
        }
        if kept == self._hooks:
            return self
        table = HookTable()
        table._hooks = {of: hooks for of, hooks in kept.items() if hooks}
        return table

    def and_of_room(self, room: HookTable) -> HookTable:
        """Those of the node and those of one room: of equal priority, the node's go first.

        A room's hook may have the name of a node's; both are asked.
        """
        if not room._hooks:
            return self
        table = self._copy()
        for trigger, hooks in room._hooks.items():
            both = (*table._hooks.get(trigger, ()), *hooks)
            table._hooks[trigger] = tuple(sorted(both, key=_priority))
        return table

    def _copy(self) -> HookTable:
        table = HookTable()
        table._hooks = dict(self._hooks)
        return table

    def _add(self, hook: Hook) -> None:
        hooks = self._hooks.get(hook.trigger, ())
        if any(other.name == hook.name for other in hooks):
            raise AlreadyThere(f"hook on {hook.trigger.value}", hook.name)
        at = bisect_right(hooks, hook.priority, key=_priority)
        self._hooks[hook.trigger] = (*hooks[:at], hook, *hooks[at:])


def _priority(hook: Hook) -> int:
    return hook.priority


NO_HOOKS = HookTable()


class Part(enum.Enum):
    """Which of the hooks that decide are asked."""

    ALL = enum.auto()
    EARLY = enum.auto()
    """Those that need no lock."""
    LATE = enum.auto()
    """The others."""

    def of(self, hooks: Sequence[Hook]) -> Sequence[Hook]:
        """Those that it means."""
        if self is Part.ALL:
            return hooks
        early, late = parted(hooks)
        return early if self is Part.EARLY else late


def parted(hooks: Sequence[Hook]) -> tuple[Sequence[Hook], Sequence[Hook]]:
    """Those that are asked before the event's turn, and those that are asked in it.

    Who only watches is among the second: it is shown what was decided, and that is then.
    """
    early = [h for h in hooks if not h.needs_lock and h.execution is HookExecution.SYNC]
    return (early, [h for h in hooks if h not in early]) if early else ((), hooks)


# -- what comes of asking ----------------------------------------------------------------------


class HookFault(enum.StrEnum):
    """What can be wrong with a hook's answer."""

    RAISED = "raised"
    TIMED_OUT = "timed_out"
    NO_RESULT = "no_result"
    """What it returned is no `HookResult`."""
    WRONG_PAYLOAD = "wrong_payload"
    """It made something of another type out of what it was shown."""
    STILL_RUNNING = "still_running"
    """It was not asked, because earlier calls of it have not ended."""
    SCOPE_WIDENED = "scope_widened"
    """It would have let more channels see the answers than may."""
    IDENTITY_CHANGED = "identity_changed"
    """It would have made another event of it: id, room, index, depth or key."""
    INSTRUCTION_INJECTED = "instruction_injected"
    """Only the application instructs agents."""

    @property
    def fatal(self) -> bool:
        """The hook has failed: it counts for nothing, or blocks where hooks fail closed.

        The others are corrected: the rest of what the hook said counts.
        """
        return self not in _CORRECTED


_CORRECTED = (
    HookFault.SCOPE_WIDENED,
    HookFault.IDENTITY_CHANGED,
    HookFault.INSTRUCTION_INJECTED,
)


@attrs.frozen
class HookError:
    """A hook went wrong, or too far."""

    hook: str
    trigger: HookTrigger
    fault: HookFault
    error: str = attrs.field(default="", repr=False)
    """What was raised, in words; may quote what people said, so it is for no log."""
    error_type: str = ""
    """The name of the exception's class, if one was raised."""


@attrs.frozen
class Verdict:
    """What came of asking."""

    event: Any = attrs.field(repr=False)
    """The payload as the hooks left it."""
    blocked: bool = False
    blocked_by: str | None = None
    """The name of the hook."""
    reason: str | None = None
    injected: Sequence[InjectedEvent] = ()
    tasks: Sequence[Task] = ()
    observations: Sequence[Observation] = ()
    metadata: Mapping[str, Any] = NOTHING
    errors: Sequence[HookError] = ()

    def and_then(self, later: Verdict) -> Verdict:
        """What came of asking others afterwards, with what these have added."""
        return attrs.evolve(
            later,
            injected=(*self.injected, *later.injected),
            tasks=(*self.tasks, *later.tasks),
            observations=(*self.observations, *later.observations),
            metadata={**self.metadata, **later.metadata},
            errors=(*self.errors, *later.errors),
        )
