"""The statements that write, in the SQL that SQLite and PostgreSQL both understand.

They are whole at import and never depend on values, so that drivers may keep them prepared.
"""

from __future__ import annotations

from collections.abc import Sequence

from transports.stores import sql_rows as rows


def _insert(table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"


def _upsert(table: str, columns: Sequence[str], key: Sequence[str]) -> str:
    """New, or in the place of the old one; a row keeps its rank among the others."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    return f"{_insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"


def _highest(table: str, number: str) -> str:
    """Per room and channel, a number that never goes down."""
    return (
        f" ON CONFLICT (room_id, channel_id) DO UPDATE SET {number} = excluded.{number}"
        f" WHERE excluded.{number} > {table}.{number}"
    )


def _update(table: str, columns: Sequence[str], where: str) -> str:
    return f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)} WHERE {where}"


INSERT_ROOM = _insert("rooms", (*rows.ROOM, "delivered_index"))
UPDATE_ROOM = _update("rooms", rows.ROOM[1:], "id = ? AND event_count = ?")
DELIVERED = "UPDATE rooms SET delivered_index = ? WHERE id = ? AND delivered_index < ?"
DELETE_ROOM = "DELETE FROM rooms WHERE id = ?"

INSERT_EVENT = _insert("events", rows.EVENT)
UPDATE_EVENT = _update("events", rows.EVENT[3:], "room_id = ? AND id = ?")
UPDATE_EVENT_DOCUMENT = "UPDATE events SET doc = ? WHERE room_id = ? AND id = ?"
DELETE_EVENT = "DELETE FROM events WHERE room_id = ? AND id = ?"

BIND = _upsert("bindings", rows.BINDING, ("room_id", "channel_id"))
UNBIND = "DELETE FROM bindings WHERE room_id = ? AND channel_id = ?"
# Late news of a channel that was unbound in the meantime are of no use.
SET_CURSOR = (
    "INSERT INTO cursors (room_id, channel_id, delivered)"
    " SELECT room_id, channel_id, CAST(? AS BIGINT) FROM bindings"
    " WHERE room_id = ? AND channel_id = ?" + _highest("cursors", "delivered")
)
MARK_READ = _insert("read_markers", ("room_id", "channel_id", "idx")) + _highest(
    "read_markers", "idx"
)

PUT_PARTICIPANT = _upsert("participants", rows.PARTICIPANT, ("room_id", "id"))
FORGET_PRESENCE = "DELETE FROM presences WHERE room_id = ? AND participant_id = ?"
PUT_PRESENCE = _insert("presences", rows.PRESENCE)
PUT_TASK = _upsert("tasks", rows.TASK, ("id",))
UPDATE_TASK = _update("tasks", rows.TASK[2:], "id = ?")
PUT_OBSERVATION = _upsert("observations", rows.OBSERVATION, ("id",))

PUT_IDENTITY = _upsert("identities", rows.IDENTITY, ("id",))
FORGET_ADDRESSES = "DELETE FROM identity_addresses WHERE identity_id = ?"
PUT_ADDRESS = _upsert(
    "identity_addresses",
    ("organization_id", "channel_type", "address", "identity_id"),
    ("organization_id", "channel_type", "address"),
)
