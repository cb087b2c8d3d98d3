"""A customer by SMS, an assistant, and a human who takes over: one room, in a terminal."""

from __future__ import annotations

import trio

from actors.room.local import open_rooms
from actors.room.scripted_agent import Plan, ScriptedAgent, Turn
from models.rooms.channel import React
from models.rooms.content import text_of
from models.rooms.kinds import ChannelType
from models.rooms.traffic import Task
from transports.channels.scripted import ScriptedChannel

CUSTOMER = "+15550100"


def call_back(react: React) -> Task:
    """What the assistant notes while it is muted."""
    return Task("t-1", react.event.room_id, "Call the customer back.", react.event.created_at)


async def main() -> None:
    """The customer asks, the assistant answers, Ada takes over; the assistant only takes notes."""
    sms = ScriptedChannel("sms", ChannelType.SMS, recipient_key="phone_number")
    desk = ScriptedChannel("ada", ChannelType.WEBSOCKET, sender_is_participant=True)
    answers: list[Plan] = [
        "Have you tried to restart it?",
        Turn(("I would ...",), tasks=(call_back,)),
    ]
    assistant = ScriptedAgent("assistant", answers)
    async with open_rooms() as rooms:
        await rooms.register_channel(sms.spec(rooms.desk))
        await rooms.register_channel(desk.spec(rooms.desk))
        await rooms.register_channel(assistant.spec)
        await rooms.create_room("support")
        await rooms.attach_channel("support", "sms", metadata={"phone_number": CUSTOMER})
        await rooms.attach_channel("support", "assistant")
        await rooms.attach_channel("support", "ada")

        await sms.says(CUSTOMER, "My router is broken.", room_id="support")
        await rooms.mute("support", "assistant")  # it reads on, and nobody hears it
        await desk.says("ada", "Ada here, let me look.", room_id="support")
        await sms.says(CUSTOMER, "Please call me.", room_id="support")

        for event in await rooms.get_timeline("support"):
            print(f"{event.index:>3} {event.source.channel_id:>9}: {text_of(event.content)}")
        print("the customer was texted:", " / ".join(sms.texts))
        print("to do:", ", ".join(task.title for task in await rooms.list_tasks("support")))


if __name__ == "__main__":
    trio.run(main)
