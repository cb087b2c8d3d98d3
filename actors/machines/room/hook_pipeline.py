"""Asking hooks one after the other, as a machine: what each is shown, and what follows.

Each hook is shown what the one before it made of the payload; the first that blocks is the last
that is asked. A hook that fails is passed over, except where a trigger *fails closed*: there it
blocks. What a hook may not do (let others see the answers, make another event of an event, instruct
agents) is put right and reported; the rest of what it said counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from actors.machines.room.hooking import (
    FAIL_CLOSED,
    Hook,
    HookAction,
    HookError,
    HookFault,
    HookResult,
    HookTrigger,
    InjectedEvent,
    Verdict,
)
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.kinds import ChannelCategory, EventType
from models.rooms.room import ChannelBinding
from models.rooms.traffic import Observation, Task


class SyncPipeline:
    """Asks hooks one after the other: `waits_for` is to be called, and one of the others told why.

    Whoever owns it calls the hooks and keeps their time.
    """

    __slots__ = (
        "_bindings",
        "_errors",
        "_fails_closed",
        "_injected",
        "_metadata",
        "_next",
        "_observations",
        "_tasks",
        "blocked_by",
        "hooks",
        "payload",
        "reason",
        "trigger",
    )

    def __init__(
        self,
        trigger: HookTrigger,
        payload: Any,
        hooks: Sequence[Hook],
        *,
        bindings: Sequence[ChannelBinding] = (),
        fail_closed: frozenset[HookTrigger] = FAIL_CLOSED,
    ) -> None:
        """`bindings`: all of the room, for the scopes of answers."""
        self.trigger = trigger
        self.payload = payload
        """As the hooks so far left it."""
        self.hooks = hooks
        self.blocked_by: str | None = None
        self.reason: str | None = None
        self._fails_closed = trigger in fail_closed
        self._bindings = bindings
        self._next = 0
        self._injected: list[InjectedEvent] = []
        self._tasks: list[Task] = []
        self._observations: list[Observation] = []
        self._metadata: dict[str, Any] = {}
        self._errors: list[HookError] = []

    @property
    def waits_for(self) -> Hook | None:
        """The hook that is to be asked about `payload` now; None once it is decided."""
        if self.blocked_by is not None or self._next == len(self.hooks):
            return None
        return self.hooks[self._next]

    def returned(self, result: object) -> HookError | None:
        """It has answered; an error if the answer will not do."""
        hook = self._hook()
        if not isinstance(result, HookResult):
            return self.failed(HookFault.NO_RESULT, f"returned {type(result).__name__}")
        payload = self.payload
        if result.action is HookAction.MODIFY:
            payload = self._replaced_by(result.event)
            if payload is _UNFIT:
                return self.failed(HookFault.WRONG_PAYLOAD, f"made {type(result.event).__name__}")
        self.payload = payload
        self._collect(hook, result)
        if result.action is HookAction.BLOCK:
            self._block(hook, result.reason)
        self._next += 1
        return None

    def failed(self, fault: HookFault, error: str = "", error_type: str = "") -> HookError:
        """It raised, took too long or could not be asked. Returns the error that is on record."""
        hook = self._hook()
        record = self._record(hook, fault, error, error_type)
        if self._fails_closed:
            self._block(hook, f"hook {hook.name!r} failed ({fault.value})")
        self._next += 1
        return record

    def verdict(self) -> Verdict:
        """What came of it, once `waits_for` is None."""
        return Verdict(
            self.payload,
            self.blocked_by is not None,
            self.blocked_by,
            self.reason,
            tuple(self._injected),
            tuple(self._tasks),
            tuple(self._observations),
            self._metadata or NOTHING,
            tuple(self._errors),
        )

    def _hook(self) -> Hook:
        hook = self.waits_for
        if hook is None:
            raise RuntimeError("the pipeline is over; it waits for no hook")
        return hook

    def _block(self, hook: Hook, reason: str | None) -> None:
        self.blocked_by = hook.name
        self.reason = reason

    def _record(
        self, hook: Hook, fault: HookFault, error: str = "", error_type: str = ""
    ) -> HookError:
        record = HookError(hook.name, self.trigger, fault, error, error_type)
        self._errors.append(record)
        return record

    def _collect(self, hook: Hook, result: HookResult) -> None:
        for injected in result.injected_events:
            if injected.event.type is EventType.INSTRUCTION:
                self._record(hook, HookFault.INSTRUCTION_INJECTED)
            else:
                self._injected.append(injected)
        self._tasks += result.tasks
        self._observations += result.observations
        self._metadata.update(result.metadata)

    def _replaced_by(self, new: Any) -> Any:
        """The payload that a modification stands for; `_UNFIT` if it is of another type."""
        old = self.payload
        if isinstance(old, RoomEvent) and isinstance(new, RoomEvent):
            return self._same_event(old, new)
        if isinstance(new, type(old)):
            return new
        if self.trigger is HookTrigger.ON_TRANSCRIPTION and isinstance(new, str):
            return _with_text(old, new)
        return _UNFIT

    def _same_event(self, old: RoomEvent, new: RoomEvent) -> RoomEvent:
        """`new`, but still the entry that `old` is, and with answers for nobody else."""
        hook = self._hook()
        kept: dict[str, Any] = {
            name: getattr(old, name)
            for name in _IDENTITY
            if getattr(new, name) != getattr(old, name)
        }
        if kept:
            self._record(hook, HookFault.IDENTITY_CHANGED, ", ".join(kept))
        scope = new.response_visibility
        if scope != old.response_visibility:
            if not within(scope, old.response_visibility, self._bindings):
                self._record(hook, HookFault.SCOPE_WIDENED)
                scope = old.response_visibility
            kept["response_visibility"] = scope
        return attrs.evolve(new, **kept) if kept else new


_UNFIT = object()
_IDENTITY = ("id", "room_id", "index", "chain_depth", "idempotency_key")


def within(scope: str | None, wider: str | None, bindings: Sequence[ChannelBinding]) -> bool:
    """Whether a scope of answers stays inside another one, also when more channels come.

    Args:
        scope: a visibility; None and "all" are no scope. "" and "internal" are for no answers.
        bindings: all of the room, for of what category a named channel is.
    """
    if scope in ("", "internal"):
        return False
    if wider in (None, "all", scope) or scope == "none":
        return True
    if scope in (None, "all", *ChannelCategory):
        return False
    named = _named(scope)
    if wider in (*ChannelCategory,):
        category = {binding.channel_id: binding.category for binding in bindings}
        return all(category.get(name) == wider for name in named)
    return named <= _named(wider)


def _named(scope: str | None) -> frozenset[str]:
    """The channels that a scope lists."""
    if scope is None or scope in ("none", "internal"):
        return frozenset()
    return frozenset(filter(None, map(str.strip, scope.split(","))))


def _with_text(payload: Any, text: str) -> Any:
    """A transcription with other words."""
    if attrs.has(type(payload)) and "text" in attrs.fields_dict(type(payload)):
        return attrs.evolve(payload, text=text)
    return _UNFIT
