"""Collecting hooks by decorator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from actors.machines.room.hooking import (
    NO_HOOKS,
    Askable,
    Hook,
    HookExecution,
    HookFunction,
    HookTable,
    HookTrigger,
)
from models.rooms.kinds import ChannelDirection, ChannelType

F = TypeVar("F", bound=HookFunction)


class Hooks:
    """The hooks of a node, or of one room, as they are registered.

    hooks = Hooks()

    @hooks.on(HookTrigger.BEFORE_BROADCAST, priority=-10)
    async def no_card_numbers(event, context): ...
    """

    def __init__(self) -> None:
        self._table = NO_HOOKS

    def on(
        self,
        trigger: HookTrigger,
        *more: HookTrigger,
        execution: HookExecution = HookExecution.SYNC,
        priority: int = 0,
        name: str = "",
        timeout: float = 30.0,
        channel_types: Iterable[ChannelType] | None = None,
        channel_ids: Iterable[str] | None = None,
        directions: Iterable[ChannelDirection] | None = None,
        needs_lock: bool = True,
    ) -> Callable[[F], F]:
        """Register the function below for one trigger, or for several. See `Hook`.

        Raises:
            AlreadyThere: (when the function is given) a trigger has a hook of that name.
        """
        options: dict[str, Any] = {
            "execution": execution,
            "priority": priority,
            "name": name,
            "timeout": timeout,
            "channel_types": _all_of(channel_types),
            "channel_ids": _all_of(channel_ids),
            "directions": _all_of(directions),
            "needs_lock": needs_lock,
        }

        def register(function: F) -> F:
            table = self._table
            for one in (trigger, *more):
                table = table.with_hook(Hook(one, function, **options))
            self._table = table
            return function

        return register

    def add(self, hook: Hook) -> Hook:
        """Register a hook that is made already.

        Raises:
            AlreadyThere: its trigger has a hook of that name.
        """
        self._table = self._table.with_hook(hook)
        return hook

    def ask(self, actor: Askable, trigger: HookTrigger, **options: Any) -> Hook:
        """Register an actor, which is asked by `HookCall`s; `options` as for `on`."""
        return self.add(Hook(trigger, actor, **options))

    def remove(self, name: str, trigger: HookTrigger | None = None) -> bool:
        """Take a hook back, from one trigger or from all; whether there was one."""
        before = self._table
        self._table = before.without(name, trigger)
        return self._table is not before

    def table(self) -> HookTable:
        """All of them, as they are now."""
        return self._table


def _all_of(values: Iterable[Any] | None) -> Sequence[Any] | None:
    """Each function below shares them, so they are gone through once."""
    if isinstance(values, str):
        raise TypeError(f"a filter is a collection of values, not {values!r}")
    return None if values is None else tuple(values)
