"""A test of an actor, on virtual time: `pytest examples/test_thermostat.py`."""

from __future__ import annotations

import attrs

from supervision import Actor, ActorRef, handles
from supervision.testing import SystemUnderTest


@attrs.frozen
class Temperature:
    celsius: float


@attrs.frozen
class Heat:
    on: bool


@attrs.frozen
class _Overheated:
    """The heating has run for too long."""


class Thermostat(Actor[Temperature | _Overheated]):
    """Heats below 20 °C, and never longer than an hour."""

    def __init__(self, boiler: ActorRef[Heat]) -> None:
        super().__init__()
        self._boiler = boiler

    @handles
    def on_temperature(self, message: Temperature) -> None:
        self._boiler.tell(Heat(on=message.celsius < 20.0))
        if message.celsius < 20.0:
            self.send_after(3600.0, _Overheated())

    @handles
    def on_overheated(self, _message: _Overheated) -> None:
        self._boiler.tell(Heat(on=False))


async def test_the_heating_is_off_after_an_hour(system: SystemUnderTest) -> None:
    boiler = await system.probe(Heat)
    thermostat = await system.spawn(Thermostat, boiler.ref)
    thermostat.tell(Temperature(17.5))
    assert await boiler.expect(Heat) == Heat(on=True)
    await boiler.expect_nothing(within=3500.0)  # takes no time: the clock is virtual
    assert await boiler.expect(Heat, within=200.0) == Heat(on=False)
