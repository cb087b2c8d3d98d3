"""All that can be done to a room besides talking in it, under one name each.

Each is a passage: a generator that waits for the lock, the store and the channels, and returns the
answer. Who asks for what cannot be is told by a `RoomsError`, and then nothing has been written.
"""

from __future__ import annotations

from actors.machines.room.bindings import attach_channel as attach_channel
from actors.machines.room.bindings import detach_channel as detach_channel
from actors.machines.room.bindings import mute as mute
from actors.machines.room.bindings import mute_output as mute_output
from actors.machines.room.bindings import set_access as set_access
from actors.machines.room.bindings import set_visibility as set_visibility
from actors.machines.room.bindings import unmute as unmute
from actors.machines.room.bindings import unmute_output as unmute_output
from actors.machines.room.bindings import update_binding_metadata as update_binding_metadata
from actors.machines.room.posting import post as post
from actors.machines.room.revising import delete_event as delete_event
from actors.machines.room.revising import regenerate as regenerate
from actors.machines.room.revising import update_event as update_event
from actors.machines.room.states import archive_room as archive_room
from actors.machines.room.states import check_timers as check_timers
from actors.machines.room.states import close_room as close_room
from actors.machines.room.states import pause_room as pause_room
from actors.machines.room.states import reopen_room as reopen_room
from actors.machines.room.states import resume_room as resume_room
from actors.machines.room.states import set_agent_response_policy as set_agent_response_policy
from actors.machines.room.states import set_room_timers as set_room_timers
from actors.machines.room.states import update_room_metadata as update_room_metadata
from actors.machines.room.working import add_observation as add_observation
from actors.machines.room.working import add_task as add_task
from actors.machines.room.working import submit_feedback as submit_feedback
from actors.machines.room.working import update_task as update_task
