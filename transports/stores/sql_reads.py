"""The questions that the SQL backend asks, as texts with `?` and what to put in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.rooms.kinds import ChannelType, EventStatus, EventType, ParticipantStatus, RoomStatus
from transports.stores.backend import EventFilter, Page
from transports.stores.sql_driver import TextSearch
from transports.stores.sql_rows import canonical, instant

Question = tuple[str, Sequence[object]]
"""A text and its parameters."""

ROOM = "SELECT doc, delivered_index FROM rooms WHERE id = ?"
EVENT_COUNT = "SELECT event_count FROM rooms WHERE id = ?"
EVENT = "SELECT doc FROM events WHERE room_id = ? AND id = ?"
EVENT_BY_KEY = "SELECT doc FROM events WHERE room_id = ? AND key = ?"
THREAD = "SELECT id FROM events WHERE room_id = ? AND parent_id = ? AND id <> ? ORDER BY idx"
TASK = "SELECT doc FROM tasks WHERE id = ?"
TASKS = "SELECT doc FROM tasks WHERE room_id = ? ORDER BY rank"
TASKS_OF_STATUS = "SELECT doc FROM tasks WHERE room_id = ? AND status = ? ORDER BY rank"
OBSERVATIONS = "SELECT doc FROM observations WHERE room_id = ? ORDER BY rank"
IDENTITY = "SELECT doc FROM identities WHERE id = ?"
READ_MARKER = "SELECT idx FROM read_markers WHERE room_id = ? AND channel_id = ?"
READ_MARKERS = "SELECT channel_id, idx FROM read_markers WHERE room_id = ? ORDER BY channel_id"

IDENTITY_BY_ADDRESS = """
    SELECT i.doc FROM identity_addresses a JOIN identities i ON i.id = a.identity_id
    WHERE a.organization_id = ? AND a.channel_type = ? AND a.address = ?
"""

UNFINISHED = """
    SELECT id FROM rooms
    WHERE (delivered_index < latest_index OR timed) AND id > ? ORDER BY id LIMIT ?
"""

THREADS = f"""
    SELECT parent_id, count(*), max(created_at) FROM events
    WHERE room_id = ? AND parent_id IS NOT NULL AND status <> '{EventStatus.BLOCKED}'
    GROUP BY parent_id ORDER BY max(created_at), parent_id
"""

RECORD_ROOM, RECORD_BINDING, RECORD_PARTICIPANT, RECORD_CURSOR, RECORD_EVENT = range(5)

# One statement, so that all of it is of one moment, and comes in one round trip: rows of a kind, a
# place among their kind, a text and a number.
RECORD = f"""
    SELECT {RECORD_ROOM}, 0, CAST(doc AS TEXT), delivered_index FROM rooms WHERE id = ?
    UNION ALL
    SELECT {RECORD_BINDING}, rank, CAST(doc AS TEXT), 0 FROM bindings WHERE room_id = ?
    UNION ALL
    SELECT {RECORD_PARTICIPANT}, rank, CAST(doc AS TEXT), 0 FROM participants WHERE room_id = ?
    UNION ALL
    SELECT {RECORD_CURSOR}, 0, channel_id, delivered FROM cursors WHERE room_id = ?
    UNION ALL
    SELECT * FROM (
        SELECT {RECORD_EVENT}, idx, CAST(doc AS TEXT), 0 FROM events
        WHERE room_id = ? AND type = '{EventType.MESSAGE}' AND status <> '{EventStatus.BLOCKED}'
        ORDER BY idx DESC LIMIT ?
    ) AS recent
"""

UNREAD_BINDING, UNREAD_GROUP = range(2)

# Who may see what is decided in one place, which is not here: the database counts by all that the
# decision depends on, and shows one event of each kind.
UNREAD = f"""
    SELECT {UNREAD_BINDING}, CAST(doc AS TEXT), 0 FROM bindings WHERE room_id = ?
    UNION ALL
    SELECT {UNREAD_GROUP}, CAST(e.doc AS TEXT), alike.events FROM events e JOIN (
        SELECT min(idx) AS idx, count(*) AS events FROM events
        WHERE room_id = ? AND channel_id <> ? AND status <> '{EventStatus.BLOCKED}'
            AND idx > COALESCE(
                (SELECT idx FROM read_markers WHERE room_id = ? AND channel_id = ?), -1
            )
        GROUP BY channel_id, visibility
    ) AS alike ON alike.idx = e.idx
    WHERE e.room_id = ?
"""

PRESENT = """
    JOIN presences w ON w.room_id = p.room_id AND w.participant_id = p.id
    JOIN bindings b ON b.room_id = w.room_id AND b.channel_id = w.channel_id
"""


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def timeline(room_id: str, wanted: EventFilter, page: Page) -> Question:
    """Documents, in the order of `page`."""
    conditions, values = ["room_id = ?"], [room_id]

    def must(condition: str, *given: object) -> None:
        conditions.append(condition)
        values.extend(given)  # type: ignore[arg-type]

    if wanted.event_types is not None:
        types = [kind.value for kind in wanted.event_types]
        must(f"type IN ({_marks(types)})" if types else "1 = 0", *types)
    if wanted.exclude_types:
        types = [kind.value for kind in wanted.exclude_types]
        must(f"type NOT IN ({_marks(types)})", *types)
    for column, value in _equal(wanted):
        if value is not None:
            must(f"{column} = ?", value)
    if wanted.top_level_only:
        must("parent_id IS NULL")
    if wanted.after_time is not None:
        must("created_at > ?", instant(wanted.after_time))
    if wanted.before_time is not None:
        must("created_at < ?", instant(wanted.before_time))
    if not wanted.include_blocked:
        must("status <> ?", EventStatus.BLOCKED.value)
    if page.after_index is not None:
        must("idx > ?", page.after_index)
    if page.before_index is not None:
        must("idx < ?", page.before_index)
    with_cursor = page.after_index is not None or page.before_index is not None
    order = "DESC" if page.newest_first else "ASC"
    text = (
        f"SELECT doc FROM events WHERE {' AND '.join(conditions)}"
        f" ORDER BY idx {order} LIMIT ? OFFSET ?"
    )
    return text, (*values, page.limit, 0 if with_cursor else max(0, page.offset))


def _equal(wanted: EventFilter) -> Sequence[tuple[str, object]]:
    kind = wanted.source_channel_type
    return (
        ("visibility", wanted.visibility),
        ("channel_id", wanted.source_channel_id),
        ("channel_type", None if kind is None else kind.value),
        ("correlation_id", wanted.correlation_id),
        ("participant_id", wanted.participant_id),
        ("parent_id", wanted.parent_event_id),
    )


def rooms(
    organization_id: str | None,
    status: RoomStatus | None,
    metadata: Mapping[str, Any],
    limit: int,
    offset: int,
    holds: str,
) -> Question:
    """Documents and cursors, oldest activity first.

    Args:
        holds: the engine's condition for metadata that hold one value, with `?` for its key and
            for the value as JSON.
    """
    conditions, values = ["1 = 1"], list[object]()
    if organization_id is not None:
        conditions.append("organization_id = ?")
        values.append(organization_id)
    if status is not None:
        conditions.append("status = ?")
        values.append(status.value)
    for key, value in metadata.items():
        conditions.append(holds)
        values += (key.replace("\0", "\ufffd"), canonical(value))
    text = (
        f"SELECT doc, delivered_index FROM rooms WHERE {' AND '.join(conditions)}"
        " ORDER BY updated_at, id LIMIT ? OFFSET ?"
    )
    return text, (*values, max(0, limit), max(0, offset))


def rooms_of_channel(channel_id: str, statuses: Sequence[RoomStatus], limit: int) -> Question:
    """Documents and cursors, newest activity first."""
    where, values = _of_status(statuses)
    text = (
        "SELECT r.doc, r.delivered_index FROM bindings b JOIN rooms r ON r.id = b.room_id"
        f" WHERE b.channel_id = ?{where} ORDER BY r.updated_at DESC, r.id DESC LIMIT ?"
    )
    return text, (channel_id, *values, max(0, limit))


def latest_room(
    participant_id: str, channel_type: ChannelType | None, statuses: Sequence[RoomStatus]
) -> Question:
    """Document and cursor of at most one room."""
    where, values = _of_status(statuses)
    on_channel, there = "", ""
    one = [participant_id]
    if channel_type is not None:
        on_channel, there = " AND b.channel_type = ?", PRESENT
        one.append(channel_type.value)

    def by(column: str) -> str:
        # One question for each column, so that each has its index.
        return (
            f"SELECT p.room_id FROM participants p{there}"
            f" WHERE p.{column} = ? AND p.status = '{ParticipantStatus.ACTIVE}'{on_channel}"
        )

    text = f"""
        SELECT r.doc, r.delivered_index FROM rooms r WHERE r.id IN (
            SELECT b.room_id FROM bindings b WHERE b.participant_id = ?{on_channel}
            UNION {by("id")} UNION {by("external_id")}
        ){where} ORDER BY r.updated_at DESC, r.id DESC LIMIT 1
    """
    return text, (*one * 3, *values)


def _of_status(statuses: Sequence[RoomStatus]) -> tuple[str, Sequence[str]]:
    values = [status.value for status in statuses]
    return (f" AND r.status IN ({_marks(values)})" if values else ""), values


def search(
    engine: TextSearch, query: str, room_id: str | None, organization_id: str | None, limit: int
) -> Question:
    """Documents, best first."""
    conditions, values = [engine.condition], list[object]((query,))
    if room_id is not None:
        conditions.append("e.room_id = ?")
        values.append(room_id)
    join = ""
    if organization_id is not None:
        join = " JOIN rooms r ON r.id = e.room_id"
        conditions.append("r.organization_id = ?")
        values.append(organization_id)
    text = (
        f"SELECT e.doc FROM {engine.source}{join} WHERE {' AND '.join(conditions)}"
        f" ORDER BY {engine.order}, e.created_at DESC, e.rank DESC LIMIT ?"
    )
    return text, (*values, max(0, limit))
