"""What an ask can come to: an answer, a refusal, an answer that comes later, a timeout."""

from __future__ import annotations

import attrs
import trio

from supervision import Actor, AskTimeout, Promise, Refuse, Refused, Request, handles, open_system


@attrs.frozen
class Enter:
    name: str
    number: str


@attrs.frozen
class LookUp(Request[str]):
    """Somebody's number; if nobody has that name it is refused, or waits for them."""

    name: str
    wait: bool = False


class PhoneDirectory(Actor[Enter | LookUp]):
    def on_start(self) -> None:
        self._numbers: dict[str, str] = {}
        self._owed: dict[str, list[Promise[str]]] = {}

    @handles
    def on_enter(self, message: Enter) -> None:
        self._numbers[message.name] = message.number
        for promise in self._owed.pop(message.name, []):
            promise.resolve(message.number)

    @handles
    def on_look_up(self, message: LookUp) -> str | None:
        if message.name in self._numbers:
            return self._numbers[message.name]
        if not message.wait:
            raise Refuse(f"nobody is called {message.name}")  # a "no" is no crash
        self._owed.setdefault(message.name, []).append(self.defer())
        return None  # the promise answers


async def main() -> None:
    async with open_system() as system:
        directory = await system.spawn(PhoneDirectory, path="/directory")
        later = directory.ask(LookUp("Ada", wait=True))  # asked, not awaited yet
        for request in (LookUp("Ada"), LookUp("Bob", wait=True)):
            try:
                await directory.ask(request, timeout=0.05)
            except (Refused, AskTimeout) as error:
                print(error)
        directory.tell(Enter("Ada", "1815"))
        print(f"Ada has {await later}")


trio.run(main)
