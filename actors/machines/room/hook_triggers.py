"""When hooks run: every trigger by its word, which of them decide, and which fail closed."""

from __future__ import annotations

import enum


class HookTrigger(enum.StrEnum):
    """What has happened, or is about to. The comments say what the hooks are given.

    Triggers of what a node does not do (yet) can be registered for and never fire.
    """

    # A RoomEvent of the timeline.
    BEFORE_BROADCAST = "before_broadcast"
    AFTER_BROADCAST = "after_broadcast"
    ON_EVENT_UPDATED = "on_event_updated"
    ON_EVENT_DELETED = "on_event_deleted"

    # A RoomEvent in which the room says what became of it.
    ON_CHANNEL_ATTACHED = "on_channel_attached"
    ON_CHANNEL_DETACHED = "on_channel_detached"
    ON_CHANNEL_MUTED = "on_channel_muted"
    ON_CHANNEL_UNMUTED = "on_channel_unmuted"
    ON_ROOM_CREATED = "on_room_created"
    ON_ROOM_PAUSED = "on_room_paused"
    ON_ROOM_CLOSED = "on_room_closed"

    # Who is there: a RoomEvent.
    ON_IDENTITY_AMBIGUOUS = "on_identity_ambiguous"
    ON_IDENTITY_UNKNOWN = "on_identity_unknown"
    ON_PARTICIPANT_IDENTIFIED = "on_participant_identified"
    ON_PARTICIPANT_JOINED = "on_participant_joined"
    ON_PARTICIPANT_LEFT = "on_participant_left"
    ON_PARTICIPANT_UPDATED = "on_participant_updated"
    ON_VERIFICATION_REQUIRED = "on_verification_required"
    ON_VERIFICATION_COMPLETED = "on_verification_completed"
    ON_VERIFICATION_ENDED = "on_verification_ended"

    # Work and delivery: a RoomEvent; a DeliveryStatus; an Observation.
    ON_TASK_CREATED = "on_task_created"
    ON_TASK_DELEGATED = "on_task_delegated"
    ON_TASK_COMPLETED = "on_task_completed"
    ON_DELIVERY_STATUS = "on_delivery_status"
    BEFORE_DELIVER = "before_deliver"
    AFTER_DELIVER = "after_deliver"
    ON_ERROR = "on_error"
    ON_FEEDBACK = "on_feedback"
    ON_SESSION_STARTED = "on_session_started"

    # Agents and their tools: an event of the turn.
    BEFORE_AI_GENERATION = "before_ai_generation"
    ON_AI_THINKING = "on_ai_thinking"
    ON_AI_RESPONSE = "on_ai_response"
    BEFORE_TOOL_USE = "before_tool_use"
    ON_TOOL_CALL = "on_tool_call"
    AFTER_TOOL_ROUND = "after_tool_round"
    ON_USER_INPUT_REQUIRED = "on_user_input_required"
    ON_PLAN_UPDATED = "on_plan_updated"
    ON_STATUS_POSTED = "on_status_posted"
    ON_PROTOCOL_TRACE = "on_protocol_trace"
    ON_PHASE_TRANSITION = "on_phase_transition"
    ON_HANDOFF = "on_handoff"
    ON_HANDOFF_REJECTED = "on_handoff_rejected"
    ON_THOUGHT = "on_thought"
    ON_SPEAK_DECISION = "on_speak_decision"
    ON_SPEAK_QUEUE = "on_speak_queue"

    # Speech: an event of its session; a str of what is to be said.
    ON_SPEECH_START = "on_speech_start"
    ON_SPEECH_END = "on_speech_end"
    ON_TRANSCRIPTION = "on_transcription"
    ON_PARTIAL_TRANSCRIPTION = "on_partial_transcription"
    BEFORE_TTS = "before_tts"
    AFTER_TTS = "after_tts"
    ON_TTS_CANCELLED = "on_tts_cancelled"
    ON_BARGE_IN = "on_barge_in"
    ON_BACKCHANNEL = "on_backchannel"
    ON_TURN_COMPLETE = "on_turn_complete"
    ON_TURN_INCOMPLETE = "on_turn_incomplete"
    ON_VAD_SILENCE = "on_vad_silence"
    ON_VAD_AUDIO_LEVEL = "on_vad_audio_level"
    ON_INPUT_AUDIO_LEVEL = "on_input_audio_level"
    ON_OUTPUT_AUDIO_LEVEL = "on_output_audio_level"
    ON_SPEAKER_CHANGE = "on_speaker_change"
    ON_DTMF = "on_dtmf"
    ON_REALTIME_TEXT_INJECTED = "on_realtime_text_injected"
    ON_REALTIME_DELEGATION = "on_realtime_delegation"
    ON_RECORDING_STARTED = "on_recording_started"
    ON_RECORDING_STOPPED = "on_recording_stopped"

    # Bridges, video and conferences: an event of the session.
    BEFORE_BRIDGE_AUDIO = "before_bridge_audio"
    BEFORE_BRIDGE_VIDEO = "before_bridge_video"
    ON_VIDEO_SESSION_STARTED = "on_video_session_started"
    ON_VIDEO_SESSION_ENDED = "on_video_session_ended"
    ON_VIDEO_TRACK_ADDED = "on_video_track_added"
    ON_VIDEO_TRACK_REMOVED = "on_video_track_removed"
    ON_VIDEO_DETECTION = "on_video_detection"
    ON_VISION_RESULT = "on_vision_result"
    ON_SCREEN_SHARE_STARTED = "on_screen_share_started"
    ON_SCREEN_SHARE_STOPPED = "on_screen_share_stopped"
    ON_CONFERENCE_PARTICIPANT_JOINED = "on_conference_participant_joined"
    ON_CONFERENCE_PARTICIPANT_LEFT = "on_conference_participant_left"
    ON_CONFERENCE_TRACK_PUBLISHED = "on_conference_track_published"
    ON_CONFERENCE_TRACK_UNPUBLISHED = "on_conference_track_unpublished"
    ON_CONFERENCE_TRACK_MUTED = "on_conference_track_muted"
    ON_CONFERENCE_TRACK_UNMUTED = "on_conference_track_unmuted"
    ON_ACTIVE_SPEAKER_CHANGED = "on_active_speaker_changed"
    ON_CONNECTION_QUALITY_CHANGED = "on_connection_quality_changed"


SYNC = frozenset(
    {
        HookTrigger.BEFORE_BROADCAST,
        HookTrigger.ON_IDENTITY_AMBIGUOUS,
        HookTrigger.ON_IDENTITY_UNKNOWN,
        HookTrigger.ON_VERIFICATION_REQUIRED,
        HookTrigger.BEFORE_DELIVER,
        HookTrigger.BEFORE_AI_GENERATION,
        HookTrigger.BEFORE_TOOL_USE,
        HookTrigger.ON_TOOL_CALL,
        HookTrigger.AFTER_TOOL_ROUND,
        HookTrigger.ON_USER_INPUT_REQUIRED,
        HookTrigger.ON_SPEAK_DECISION,
        HookTrigger.ON_TRANSCRIPTION,
        HookTrigger.BEFORE_TTS,
        HookTrigger.BEFORE_BRIDGE_AUDIO,
        HookTrigger.BEFORE_BRIDGE_VIDEO,
        HookTrigger.ON_VISION_RESULT,
    }
)
"""Hooks decide: whoever fires one of these waits, and what they say counts."""

ASYNC = frozenset(HookTrigger) - SYNC
"""Hooks are told: nobody waits for what they say."""

FAIL_CLOSED = frozenset(
    {HookTrigger.BEFORE_TTS, HookTrigger.ON_TRANSCRIPTION, HookTrigger.BEFORE_TOOL_USE}
)
"""Where a hook that fails blocks, unless it is configured otherwise: what it was to hold back
cannot be taken back."""
