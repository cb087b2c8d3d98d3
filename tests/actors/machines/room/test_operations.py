"""A room that is used in every way (J6), and one that is used at random."""

from __future__ import annotations

from typing import Any

from actors.machines.room.steps import (
    Carry,
)
from models.rooms.content import Text
from models.rooms.kinds import (
    Access,
    ChannelCategory,
)
from models.rooms.turns import Answer, Reaction
from tests.actors.machines.room import operations
from tests.actors.machines.room.driver import Driver


def test_j6_each_change_of_an_agents_rights_is_seen_in_timeline_hooks_and_talk() -> None:
    room = Driver.of_room().attach("web")

    def round_trip(question: str) -> list[Any]:
        """What an answer to it became: blocked by what, and whom it reached."""
        room.deliver_all().forget_effects()
        room.say("web", question)
        if not room.thinking:
            return []
        room.answer(reaction=Reaction((Answer(Text(f"re: {question}")),)))
        last = room.timeline()[-1]
        return [last.blocked_by, [carry.channel_id for carry in room.done(Carry)]]

    assert round_trip("anybody?") == []
    room.attach("ai")
    assert room.core.bindings["ai"].category is ChannelCategory.INTELLIGENCE
    assert round_trip("hello") == [None, ["web"]]
    room.run(operations.mute(room.pipeline, "ai"))
    assert round_trip("muted?") == ["source_muted", []]
    room.run(operations.set_access(room.pipeline, "ai", Access.READ_ONLY))
    room.run(operations.unmute(room.pipeline, "ai"))
    assert round_trip("read only?") == ["source_read_only", []]
    room.run(operations.set_access(room.pipeline, "ai", Access.READ_WRITE))
    assert round_trip("free?") == [None, ["web"]]
    room.run(operations.detach_channel(room.pipeline, "ai"))
    assert round_trip("gone?") == []
    assert [code for code, _ in room.records()] == [
        "channel_attached",
        "channel_attached",
        "channel_muted",
        "channel_access_changed",
        "channel_unmuted",
        "channel_access_changed",
        "channel_detached",
    ]
    assert [event.index for event in room.timeline()] == list(range(len(room.timeline())))
