"""The words of the wire: every enumeration of the room model, by its string value."""

from __future__ import annotations

import enum


class ChannelType(enum.StrEnum):
    """What kind of wire, or of mind, a channel is."""

    SMS = "sms"
    MMS = "mms"
    RCS = "rcs"
    EMAIL = "email"
    WHATSAPP = "whatsapp"
    WHATSAPP_PERSONAL = "whatsapp_personal"
    WEBSOCKET = "websocket"
    AI = "ai"
    VOICE = "voice"
    REALTIME_VOICE = "realtime_voice"
    REALTIME_AUDIO_VIDEO = "realtime_audio_video"
    PUSH = "push"
    MESSENGER = "messenger"
    TELEGRAM = "telegram"
    TEAMS = "teams"
    DISCORD = "discord"
    BUZZ = "buzz"
    WEBHOOK = "webhook"
    VIDEO = "video"
    AUDIO_VIDEO = "audio_video"
    CONFERENCE = "conference"
    CLI = "cli"
    SYSTEM = "system"
    HOST = "host"
    """The application's own voice: it speaks into rooms and is never delivered to."""


class ChannelCategory(enum.StrEnum):
    """Whether a channel reaches people or thinks by itself."""

    TRANSPORT = "transport"
    INTELLIGENCE = "intelligence"


class ChannelDirection(enum.StrEnum):
    """Which way messages flow."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    BIDIRECTIONAL = "bidirectional"


class ChannelMediaType(enum.StrEnum):
    """What a channel can carry."""

    TEXT = "text"
    RICH = "rich"
    MEDIA = "media"
    AUDIO = "audio"
    VIDEO = "video"
    LOCATION = "location"
    TEMPLATE = "template"


class EventType(enum.StrEnum):
    """What happened."""

    MESSAGE = "message"
    SYSTEM = "system"
    TYPING = "typing"
    READ_RECEIPT = "read_receipt"
    DELIVERY_RECEIPT = "delivery_receipt"
    PRESENCE = "presence"
    REACTION = "reaction"
    EDIT = "edit"
    DELETE = "delete"
    PARTICIPANT_JOINED = "participant_joined"
    PARTICIPANT_LEFT = "participant_left"
    PARTICIPANT_IDENTIFIED = "participant_identified"
    PARTICIPANT_UPDATED = "participant_updated"
    CHANNEL_ATTACHED = "channel_attached"
    CHANNEL_DETACHED = "channel_detached"
    CHANNEL_MUTED = "channel_muted"
    CHANNEL_UNMUTED = "channel_unmuted"
    CHANNEL_UPDATED = "channel_updated"
    TASK_CREATED = "task_created"
    TASK_DELEGATED = "task_delegated"
    TASK_COMPLETED = "task_completed"
    OBSERVATION = "observation"
    TOOL_CALL_START = "tool_call_start"
    TOOL_CALL_END = "tool_call_end"
    DTMF = "dtmf"
    RECORDING_STARTED = "recording_started"
    RECORDING_STOPPED = "recording_stopped"
    INSTRUCTION = "instruction"
    """A direction for agents: never stored, never shown to people."""


class EventStatus(enum.StrEnum):
    """What became of an event."""

    PENDING = "pending"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    BLOCKED = "blocked"


class DeleteType(enum.StrEnum):
    """By whose authority something is deleted."""

    SENDER = "sender"
    SYSTEM = "system"
    ADMIN = "admin"


class Access(enum.StrEnum):
    """What a binding lets its channel do."""

    READ_WRITE = "read_write"
    READ_ONLY = "read_only"
    WRITE_ONLY = "write_only"
    NONE = "none"


class AgentResponsePolicy(enum.StrEnum):
    """Whether agents answer each other."""

    AGENT_CHAIN = "agent_chain"
    ADDRESSED_ONLY = "addressed_only"


class IdentificationStatus(enum.StrEnum):
    """How sure it is who somebody is."""

    IDENTIFIED = "identified"
    PENDING = "pending"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"
    CHALLENGE_SENT = "challenge_sent"
    REJECTED = "rejected"


class ParticipantRole(enum.StrEnum):
    """What somebody is in a room."""

    OWNER = "owner"
    AGENT = "agent"
    MEMBER = "member"
    OBSERVER = "observer"
    BOT = "bot"


class ParticipantStatus(enum.StrEnum):
    """Whether somebody is in a room."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    LEFT = "left"
    BANNED = "banned"


class TaskStatus(enum.StrEnum):
    """How far a task is."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RoomStatus(enum.StrEnum):
    """The states of a room. Closed and archived ones refuse writes."""

    ACTIVE = "active"
    PAUSED = "paused"
    CLOSED = "closed"
    ARCHIVED = "archived"


class DeliveryMode(enum.StrEnum):
    """How a channel with several recipients chooses among them."""

    BROADCAST = "broadcast"
    DIRECT = "direct"
    ROUND_ROBIN = "round_robin"


class DeliveryOutcome(enum.StrEnum):
    """What became of one delivery."""

    SENT = "sent"
    QUEUED = "queued"
    FAILED = "failed"


class ToolStatus(enum.StrEnum):
    """How far a tool call is."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


class EphemeralType(enum.StrEnum):
    """What passes through a room without being kept."""

    TYPING_START = "typing_start"
    TYPING_STOP = "typing_stop"
    PRESENCE_ONLINE = "presence_online"
    PRESENCE_AWAY = "presence_away"
    PRESENCE_OFFLINE = "presence_offline"
    READ_RECEIPT = "read_receipt"
    REACTION = "reaction"
    TOOL_CALL_START = "tool_call_start"
    TOOL_CALL_END = "tool_call_end"
    THINKING_START = "thinking_start"
    THINKING_DELTA = "thinking_delta"
    THINKING_END = "thinking_end"
    CUSTOM = "custom"


class SourceStatus(enum.StrEnum):
    """How an event source stands."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    ERROR = "error"
