"""The actors of one room beside the room itself: deliveries, agents, the hook runner.

They are siblings under the room's supervisor, begun when they are first needed. What is meant for
one that is still starting waits here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from supervision import ActorRef, ChildSpec
from supervision.supervisor import DeleteChild, StartChild, TerminateChild

Action = Callable[[ActorRef[Any] | None], None]
"""What is done with an actor once it runs; with None if it could not be started."""


@attrs.frozen
class MemberStarted:
    """It runs. To the room."""

    name: str
    ref: ActorRef[Any]


@attrs.frozen
class MemberFailed:
    """It could not be started. To the room."""

    name: str
    error: Exception


@attrs.frozen
class MemberGone:
    """It was stopped. To the room."""

    name: str


MemberMessage = MemberStarted | MemberFailed | MemberGone


@attrs.define(eq=False)
class Household:
    """Whom the room has, and what waits for them."""

    supervisor: ActorRef[Any]
    pipe: Callable[..., None]
    """Of the room's actor."""
    refs: dict[str, ActorRef[Any]] = attrs.field(factory=dict)
    _starting: dict[str, list[Action]] = attrs.field(factory=dict)
    _stopping: dict[str, list[tuple[Callable[[], ChildSpec[Any]], Action]]] = attrs.field(
        factory=dict
    )

    def have(self, name: str, spec: Callable[[], ChildSpec[Any]], action: Action) -> None:
        """Do something with a member, which is started if it does not run."""
        ref = self.refs.get(name)
        if ref is not None:
            action(ref)
            return
        if name in self._stopping:
            self._stopping[name].append((spec, action))
            return
        waiting = self._starting.get(name)
        if waiting is not None:
            waiting.append(action)
            return
        self._starting[name] = [action]
        self.pipe(
            self.supervisor.ask(StartChild(spec())),
            to=lambda ref: MemberStarted(name, ref),
            failed=lambda error: MemberFailed(name, error),
        )

    def started(self, message: MemberStarted) -> None:
        """It runs: what waited is done."""
        self.refs[message.name] = message.ref
        for action in self._starting.pop(message.name, ()):
            action(message.ref)

    def failed(self, message: MemberFailed) -> None:
        """It does not run: what waited is done without it."""
        for action in self._starting.pop(message.name, ()):
            action(None)

    def dismiss(self, name: str) -> None:
        """Stop a member; what comes for it meanwhile begins it anew."""
        if self.refs.pop(name, None) is None:
            return
        self._stopping[name] = []
        # What is stopped keeps its place until it is deleted, which waits until it has stopped.
        # Both are said at once: if the room crashes now, its next life finds the place free.
        self.supervisor.tell(TerminateChild(name))
        self.pipe(
            self.supervisor.ask(DeleteChild(name)),
            to=lambda _: MemberGone(name),
            failed=lambda _: MemberGone(name),
        )

    def gone(self, message: MemberGone) -> None:
        """It was stopped."""
        for spec, action in self._stopping.pop(message.name, ()):
            self.have(message.name, spec, action)
