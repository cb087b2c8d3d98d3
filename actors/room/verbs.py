"""What can be done to a room, as requests: the machine's passages, each under its name.

Refused (`RefusedFor`) with what the passage raises; every one also with StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from actors.machines.room import bindings, membership, revising, states, working
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.steps import Steps
from actors.room.requests import RoomOperation
from models.rooms.content import Content
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.kinds import (
    Access,
    AgentResponsePolicy,
    ChannelCategory,
    ChannelDirection,
    ParticipantRole,
    ParticipantStatus,
    TaskStatus,
)
from models.rooms.room import (
    ChannelBinding,
    Participant,
    RateLimit,
    RetryPolicy,
    Room,
    RoomTimers,
)
from models.rooms.traffic import Observation, Task

# -- channels --------------------------------------------------------------------------------------


@attrs.frozen
class AttachChannel(RoomOperation[ChannelBinding]):
    """See `bindings.attach_channel`."""

    channel_id: str
    category: ChannelCategory | None = None
    direction: ChannelDirection | None = None
    access: Access = Access.READ_WRITE
    visibility: str = "all"
    muted: bool = False
    output_muted: bool = False
    participant_id: str | None = None
    rate_limit: RateLimit | None = None
    retry_policy: RetryPolicy | None = None
    metadata: Mapping[str, Any] = NOTHING

    def passage(self, pipeline: Pipeline) -> Steps[ChannelBinding]:
        return bindings.attach_channel(pipeline, **attrs.asdict(self, recurse=False))


@attrs.frozen
class DetachChannel(RoomOperation[bool]):
    """See `bindings.detach_channel`."""

    channel_id: str

    def passage(self, pipeline: Pipeline) -> Steps[bool]:
        return bindings.detach_channel(pipeline, self.channel_id)


@attrs.frozen
class Mute(RoomOperation[ChannelBinding]):
    """Nothing that comes from the channel is broadcast."""

    channel_id: str

    def passage(self, pipeline: Pipeline) -> Steps[ChannelBinding]:
        return bindings.mute(pipeline, self.channel_id)


@attrs.frozen
class Unmute(RoomOperation[ChannelBinding]):
    """It is heard again."""

    channel_id: str

    def passage(self, pipeline: Pipeline) -> Steps[ChannelBinding]:
        return bindings.unmute(pipeline, self.channel_id)


@attrs.frozen
class MuteOutput(RoomOperation[ChannelBinding]):
    """The channel plays nothing."""

    channel_id: str

    def passage(self, pipeline: Pipeline) -> Steps[ChannelBinding]:
        return bindings.mute_output(pipeline, self.channel_id)


@attrs.frozen
class UnmuteOutput(RoomOperation[ChannelBinding]):
    """It plays again."""

    channel_id: str

    def passage(self, pipeline: Pipeline) -> Steps[ChannelBinding]:
        return bindings.unmute_output(pipeline, self.channel_id)


@attrs.frozen
class SetAccess(RoomOperation[ChannelBinding]):
    """What the channel may do."""

    channel_id: str
    access: Access

    def passage(self, pipeline: Pipeline) -> Steps[ChannelBinding]:
        return bindings.set_access(pipeline, self.channel_id, self.access)


@attrs.frozen
class SetVisibility(RoomOperation[ChannelBinding]):
    """Who sees what comes from the channel."""

    channel_id: str
    visibility: str

    def passage(self, pipeline: Pipeline) -> Steps[ChannelBinding]:
        return bindings.set_visibility(pipeline, self.channel_id, self.visibility)


@attrs.frozen
class UpdateBindingMetadata(RoomOperation[ChannelBinding]):
    """Other values for some keys; `unset` removes keys."""

    channel_id: str
    changes: Mapping[str, Any] = NOTHING
    unset: Sequence[str] = ()

    def passage(self, pipeline: Pipeline) -> Steps[ChannelBinding]:
        return bindings.update_binding_metadata(pipeline, self.channel_id, self.changes, self.unset)


# -- the room --------------------------------------------------------------------------------------


@attrs.frozen
class CloseRoom(RoomOperation[Room]):
    """It takes nothing more."""

    def passage(self, pipeline: Pipeline) -> Steps[Room]:
        return states.close_room(pipeline)


@attrs.frozen
class ArchiveRoom(RoomOperation[Room]):
    """Closed for good."""

    def passage(self, pipeline: Pipeline) -> Steps[Room]:
        return states.archive_room(pipeline)


@attrs.frozen
class PauseRoom(RoomOperation[Room]):
    """Put aside until somebody says something."""

    def passage(self, pipeline: Pipeline) -> Steps[Room]:
        return states.pause_room(pipeline)


@attrs.frozen
class ResumeRoom(RoomOperation[Room]):
    """In use again."""

    def passage(self, pipeline: Pipeline) -> Steps[Room]:
        return states.resume_room(pipeline)


@attrs.frozen
class ReopenRoom(RoomOperation[Room]):
    """A closed room takes messages again."""

    def passage(self, pipeline: Pipeline) -> Steps[Room]:
        return states.reopen_room(pipeline)


@attrs.frozen
class SetRoomTimers(RoomOperation[Room]):
    """Other thresholds; the idle clock runs on."""

    timers: RoomTimers

    def passage(self, pipeline: Pipeline) -> Steps[Room]:
        return states.set_room_timers(pipeline, self.timers)


@attrs.frozen
class CheckTimers(RoomOperation[bool]):
    """Do now what is due; whether something was."""

    def passage(self, pipeline: Pipeline) -> Steps[bool]:
        return states.check_timers(pipeline)


@attrs.frozen
class SetAgentResponsePolicy(RoomOperation[Room]):
    """Whether agents answer each other, from the next event on."""

    policy: AgentResponsePolicy

    def passage(self, pipeline: Pipeline) -> Steps[Room]:
        return states.set_agent_response_policy(pipeline, self.policy)


@attrs.frozen
class UpdateRoomMetadata(RoomOperation[Room]):
    """Other values for some keys; `unset` removes keys."""

    changes: Mapping[str, Any] = NOTHING
    unset: Sequence[str] = ()

    def passage(self, pipeline: Pipeline) -> Steps[Room]:
        return states.update_room_metadata(pipeline, self.changes, self.unset)


# -- people ----------------------------------------------------------------------------------------


@attrs.frozen
class EnsureParticipant(RoomOperation[Participant]):
    """See `membership.ensure_participant`."""

    channel_id: str
    participant_id: str
    display_name: str | None = None

    def passage(self, pipeline: Pipeline) -> Steps[Participant]:
        return membership.ensure_participant(
            pipeline, self.channel_id, self.participant_id, self.display_name
        )


@attrs.frozen
class AddMember(RoomOperation[Participant]):
    """See `membership.add_member`."""

    channel_id: str
    participant_id: str
    display_name: str | None = None
    identity_id: str | None = None
    role: ParticipantRole | None = None
    external_id: str | None = None
    metadata: Mapping[str, Any] = NOTHING

    def passage(self, pipeline: Pipeline) -> Steps[Participant]:
        return membership.add_member(pipeline, **attrs.asdict(self, recurse=False))


@attrs.frozen
class RemoveMember(RoomOperation[Participant]):
    """Somebody leaves, or is banned."""

    participant_id: str
    status: ParticipantStatus = ParticipantStatus.LEFT

    def passage(self, pipeline: Pipeline) -> Steps[Participant]:
        return membership.remove_member(pipeline, self.participant_id, self.status)


@attrs.frozen
class RenameMember(RoomOperation[Participant]):
    """Another name to be shown."""

    participant_id: str
    display_name: str | None

    def passage(self, pipeline: Pipeline) -> Steps[Participant]:
        return membership.rename_member(pipeline, self.participant_id, self.display_name)


@attrs.frozen
class ResolveParticipant(RoomOperation[Participant]):
    """Now it is known who that is."""

    participant_id: str
    identity_id: str
    resolved_by: str = "manual"

    def passage(self, pipeline: Pipeline) -> Steps[Participant]:
        return membership.resolve_participant(
            pipeline, self.participant_id, self.identity_id, self.resolved_by
        )


# -- events and work -------------------------------------------------------------------------------


@attrs.frozen
class UpdateEvent(RoomOperation[RoomEvent | None]):
    """The application changes an event; None if there is none."""

    event_id: str
    content: Content | None = attrs.field(default=None, repr=False)
    metadata: Mapping[str, Any] | None = None

    def passage(self, pipeline: Pipeline) -> Steps[RoomEvent | None]:
        return revising.update_event(
            pipeline, self.event_id, content=self.content, metadata=self.metadata
        )


@attrs.frozen
class DeleteEvent(RoomOperation[Sequence[str]]):
    """The application deletes an event for good, and the answers to it; the ids that went."""

    event_id: str
    cascade_replies: bool = True

    def passage(self, pipeline: Pipeline) -> Steps[Sequence[str]]:
        return revising.delete_event(pipeline, self.event_id, cascade_replies=self.cascade_replies)


@attrs.frozen
class SubmitFeedback(RoomOperation[Observation]):
    """How good it was, 0 to 1."""

    rating: float
    comment: str = attrs.field(default="", repr=False)
    dimension: str = "overall"
    event_id: str | None = None
    channel_id: str | None = None
    participant_id: str | None = None

    def passage(self, pipeline: Pipeline) -> Steps[Observation]:
        return working.submit_feedback(pipeline, **attrs.asdict(self, recurse=False))


@attrs.frozen
class AddObservation(RoomOperation[Observation]):
    """Something was noticed."""

    channel_id: str
    content: str = attrs.field(repr=False)
    category: str | None = None
    confidence: float = 1.0
    metadata: Mapping[str, Any] = NOTHING

    def passage(self, pipeline: Pipeline) -> Steps[Observation]:
        return working.add_observation(pipeline, **attrs.asdict(self, recurse=False))


@attrs.frozen
class AddTask(RoomOperation[Task]):
    """Something has to be done."""

    title: str = attrs.field(repr=False)
    description: str | None = attrs.field(default=None, repr=False)
    assigned_to: str | None = None
    metadata: Mapping[str, Any] = NOTHING

    def passage(self, pipeline: Pipeline) -> Steps[Task]:
        return working.add_task(pipeline, **attrs.asdict(self, recurse=False))


@attrs.frozen
class UpdateTask(RoomOperation[Task]):
    """A task is further, or somebody else's."""

    task_id: str
    status: TaskStatus | None = None
    assigned_to: str | None = None
    metadata: Mapping[str, Any] = NOTHING

    def passage(self, pipeline: Pipeline) -> Steps[Task]:
        return working.update_task(pipeline, **attrs.asdict(self, recurse=False))
