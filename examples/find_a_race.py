"""Two clients and one seat: seeds find the interleaving that sells it twice, and repeat it."""

from __future__ import annotations

from supervision import Actor, ActorRef, Request, handles
from supervision.testing import SystemUnderTest, simulate


class Free(Request[int]):
    """How many seats are left?"""


class Book(Request[int]):
    """Take one. Answered with how many are left then."""


class Seats(Actor[Free | Book]):
    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    @handles
    def on_free(self, _message: Free) -> int:
        return self._count

    @handles
    def on_book(self, _message: Book) -> int:
        self._count -= 1  # the fault: it trusts that the client has just looked
        return self._count


class Go(Request[int | None]):
    """Book if there is a seat."""


class Client(Actor[Go]):
    def __init__(self, seats: ActorRef[Free | Book]) -> None:
        super().__init__()
        self._seats = seats

    @handles
    async def on_go(self, _message: Go) -> int | None:
        return await self._seats.ask(Book()) if await self._seats.ask(Free()) else None


async def one_seat(system: SystemUnderTest) -> int:
    seats = await system.spawn(Seats, 1)
    replies = [(await system.spawn(Client, seats)).ask(Go()) for _ in range(2)]
    for reply in replies:
        await reply
    return await seats.ask(Free())


oversold = [seed for seed in range(50) if simulate(one_seat, seed).result < 0]
print(f"{len(oversold)} of 50 seeds sell the seat twice, the first is {oversold[0]}")
assert simulate(one_seat, oversold[0]).log == simulate(one_seat, oversold[0]).log
