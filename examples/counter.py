"""The smallest actor: it owns a number, takes two kinds of message, and answers one of them."""

from __future__ import annotations

import attrs
import trio

from supervision import Actor, Request, handles, open_system


@attrs.frozen
class Add:
    """Count on. Nothing comes back."""

    amount: int


@attrs.frozen
class Total(Request[int]):
    """How much is it? Answered with an int."""


class Counter(Actor[Add | Total]):
    """Nobody else touches `_total`, and one message is handled at a time: no lock is needed."""

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self._total = start

    @handles
    def on_add(self, message: Add) -> None:
        self._total += message.amount

    @handles
    def on_total(self, _message: Total) -> int:
        return self._total


async def main() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, start=3, path="/counter")
        counter.tell(Add(2))  # does not wait
        total = await counter.ask(Total())  # comes after the Add: messages keep their order
        print(f"the total is {total}")


if __name__ == "__main__":
    trio.run(main)
