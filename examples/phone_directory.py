"""Asking, and what it can come to: an answer, a refusal, an answer that comes later, a timeout."""

from __future__ import annotations

from collections import defaultdict

import attrs
import trio

from supervision import Actor, AskTimeout, Promise, Refuse, Refused, Request, handles, open_system


@attrs.frozen
class Enter:
    name: str
    number: str


@attrs.frozen
class LookUp(Request[str]):
    """The number of somebody. Refused if nobody has that name."""

    name: str


@attrs.frozen
class Await(Request[str]):
    """The number of somebody, as soon as it is entered."""

    name: str


class PhoneDirectory(Actor[Enter | LookUp | Await]):
    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, str] = {}
        self._owed: defaultdict[str, list[Promise[str]]] = defaultdict(list)

    @handles
    def on_enter(self, message: Enter) -> None:
        self._numbers[message.name] = message.number
        for promise in self._owed.pop(message.name, []):
            promise.resolve(message.number)

    @handles
    def on_look_up(self, message: LookUp) -> str:
        if message.name not in self._numbers:
            raise Refuse(f"nobody is called {message.name}")  # a "no" is not a fault
        return self._numbers[message.name]

    @handles
    def on_await(self, message: Await) -> str | None:
        if message.name in self._numbers:
            return self._numbers[message.name]
        self._owed[message.name].append(self.defer())  # and answer other messages meanwhile
        return None


async def main() -> None:
    async with open_system() as system:
        directory = await system.spawn(PhoneDirectory, path="/directory")
        reply = directory.ask(Await("Ada"))  # asked, not awaited yet
        try:
            await directory.ask(LookUp("Ada"))
        except Refused as no:
            print(no)
        directory.tell(Enter("Ada", "1815"))
        print(f"Ada has {await reply}")
        try:
            await directory.ask(Await("Bob"), timeout=0.05)
        except AskTimeout as late:
            print(late)


if __name__ == "__main__":
    trio.run(main)
