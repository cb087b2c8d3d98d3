"""Timers are messages: a heart that beats at a fixed rate, and a monitor that notices silence."""

from __future__ import annotations

import attrs
import trio

from supervision import Actor, ActorRef, Restart, Wake, handles, open_system


@attrs.frozen
class Beat:
    """The heart has beaten. It tells itself, and passes it on."""

    number: int


class Heart(Actor[Beat]):
    """Beats three times, then stops by itself."""

    def __init__(self, monitor: ActorRef[Beat], period: float) -> None:
        super().__init__()
        self._monitor = monitor
        self._period = period
        self._beats = 0

    def on_start(self) -> None:
        self.send_every(self._period, Beat(0))  # until this instance ends

    @handles
    def on_beat(self, _message: Beat) -> None:
        self._beats += 1
        self._monitor.tell(Beat(self._beats))
        if self._beats == 3:
            self.stop()


class Monitor(Actor[Beat | Wake]):
    patience = 0.2  # seconds

    @handles
    def on_beat(self, message: Beat) -> None:
        print(f"beat {message.number}")
        self.wake_at(self.now + self.patience)  # replaces the last one

    @handles
    def on_wake(self, _message: Wake) -> None:
        print("silence")
        self.stop()


async def main() -> None:
    async with open_system() as system:
        monitor = await system.spawn(Monitor, path="/monitor", restart=Restart.TRANSIENT)
        await system.spawn(Heart, monitor, 0.05, path="/heart", restart=Restart.TRANSIENT)
        print(f"the monitor ended: {await monitor.wait_gone()}")


trio.run(main)
