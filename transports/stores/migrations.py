"""The schema of the SQL stores, step by step: each version is what it was when it was published.

Opening a store brings it up to date, in one transaction; nodes that start at the same time wait for
each other. A schema that is newer than this program is refused. Published steps are never edited:
what has to be otherwise is another step at the end of `MIGRATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from models.rooms.errors import NewerSchema
from models.rooms.event import RoomEvent
from models.rooms.wire import restored
from transports.stores.sql_driver import Migrator
from transports.stores.sql_words import words_of

BATCH = 500
"""Events that are looked at together."""


@attrs.frozen
class Migration:
    """One step from the version before it."""

    statements: Sequence[str]
    """For all engines, with the words of `TYPES` in braces."""
    own: Mapping[str, Sequence[str]] = attrs.field(factory=dict)
    """By engine, carried out after them."""
    fill: Callable[[Migrator], None] | None = None
    """What SQL cannot do, at the end."""


TYPES: Mapping[str, Mapping[str, str]] = {
    "sqlite": {
        "id": "TEXT",
        "rank": "INTEGER PRIMARY KEY",
        "json": "TEXT",
        "jsonb": "TEXT",
    },
    "postgres": {
        # Ids are compared byte by byte, as everywhere else, whatever the language of the database.
        "id": 'TEXT COLLATE "C"',
        "rank": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        # As it was written: jsonb would refuse a document that holds a zero character.
        "json": "JSON",
        "jsonb": "JSONB",
    },
}

ROOMS = Migration(
    (
        # `delivered_index` is not in the document's hands: only the delivery cursor writes it.
        # `timed`: it is open, and its timers may close it.
        """
        CREATE TABLE rooms (
            id {id} PRIMARY KEY,
            organization_id {id},
            status TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            event_count BIGINT NOT NULL,
            latest_index BIGINT NOT NULL,
            delivered_index BIGINT NOT NULL,
            timed BOOLEAN NOT NULL,
            metadata {jsonb} NOT NULL,
            doc {json} NOT NULL
        )
        """,
        "CREATE INDEX rooms_by_activity ON rooms (updated_at, id)",
        "CREATE INDEX rooms_by_organization ON rooms (organization_id, updated_at, id)",
        "CREATE INDEX rooms_unfinished ON rooms (id) WHERE delivered_index < latest_index OR timed",
        """
        CREATE TABLE events (
            rank {rank},
            room_id {id} NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
            idx BIGINT NOT NULL,
            id {id} NOT NULL,
            type TEXT NOT NULL,
            status TEXT NOT NULL,
            visibility TEXT NOT NULL,
            channel_id {id} NOT NULL,
            channel_type TEXT NOT NULL,
            participant_id {id},
            correlation_id {id},
            parent_id {id},
            key {id},
            created_at BIGINT NOT NULL,
            doc {json} NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX events_by_index ON events (room_id, idx)",
        "CREATE UNIQUE INDEX events_by_id ON events (room_id, id)",
        "CREATE UNIQUE INDEX events_by_key ON events (room_id, key) WHERE key IS NOT NULL",
        "CREATE INDEX events_by_parent ON events (room_id, parent_id) WHERE parent_id IS NOT NULL",
        """
        CREATE TABLE bindings (
            rank {rank},
            room_id {id} NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
            channel_id {id} NOT NULL,
            channel_type TEXT NOT NULL,
            participant_id {id},
            doc {json} NOT NULL,
            UNIQUE (room_id, channel_id)
        )
        """,
        "CREATE INDEX bindings_by_channel ON bindings (channel_id)",
        """
        CREATE INDEX bindings_by_participant ON bindings (participant_id)
            WHERE participant_id IS NOT NULL
        """,
        """
        CREATE TABLE participants (
            rank {rank},
            room_id {id} NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
            id {id} NOT NULL,
            external_id {id},
            status TEXT NOT NULL,
            doc {json} NOT NULL,
            UNIQUE (room_id, id)
        )
        """,
        "CREATE INDEX participants_by_id ON participants (id)",
        """
        CREATE INDEX participants_by_external_id ON participants (external_id)
            WHERE external_id IS NOT NULL
        """,
        """
        CREATE TABLE presences (
            room_id {id} NOT NULL,
            participant_id {id} NOT NULL,
            channel_id {id} NOT NULL,
            PRIMARY KEY (room_id, participant_id, channel_id),
            FOREIGN KEY (room_id, participant_id) REFERENCES participants (room_id, id)
                ON DELETE CASCADE
        )
        """,
        """
        CREATE TABLE cursors (
            room_id {id} NOT NULL,
            channel_id {id} NOT NULL,
            delivered BIGINT NOT NULL,
            PRIMARY KEY (room_id, channel_id),
            FOREIGN KEY (room_id, channel_id) REFERENCES bindings (room_id, channel_id)
                ON DELETE CASCADE
        )
        """,
        """
        CREATE TABLE read_markers (
            room_id {id} NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
            channel_id {id} NOT NULL,
            idx BIGINT NOT NULL,
            PRIMARY KEY (room_id, channel_id)
        )
        """,
        """
        CREATE TABLE tasks (
            rank {rank},
            id {id} NOT NULL UNIQUE,
            room_id {id} NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
            status TEXT NOT NULL,
            doc {json} NOT NULL
        )
        """,
        "CREATE INDEX tasks_by_room ON tasks (room_id)",
        """
        CREATE TABLE observations (
            rank {rank},
            id {id} NOT NULL UNIQUE,
            room_id {id} NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
            doc {json} NOT NULL
        )
        """,
        "CREATE INDEX observations_by_room ON observations (room_id)",
        """
        CREATE TABLE identities (
            id {id} PRIMARY KEY,
            organization_id {id},
            doc {json} NOT NULL
        )
        """,
        # '' is no organization: NULLs would all be different to the key.
        """
        CREATE TABLE identity_addresses (
            organization_id {id} NOT NULL,
            channel_type TEXT NOT NULL,
            address {id} NOT NULL,
            identity_id {id} NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
            PRIMARY KEY (organization_id, channel_type, address)
        )
        """,
        "CREATE INDEX identity_addresses_by_identity ON identity_addresses (identity_id)",
    )
)


def _find_words(database: Migrator) -> None:
    """The words of all events that were there before words were kept."""
    last = 0
    while True:
        batch = database.execute(
            "SELECT rank, doc FROM events WHERE rank > ? ORDER BY rank LIMIT ?", (last, BATCH)
        )
        if not batch:
            return
        found = [(words_of(restored(doc, RoomEvent)), rank) for rank, doc in batch]
        database.execute_many(
            "UPDATE events SET words = ? WHERE rank = ?", [row for row in found if row[0]]
        )
        last = batch[-1][0]


TEXT_SEARCH = Migration(
    ("ALTER TABLE events ADD COLUMN words TEXT",),
    {
        "sqlite": (
            # The index holds no copy of the words, it reads them here, and all of them: so SQLite's
            # own `integrity-check` and `rebuild` of it are right.
            "CREATE VIEW events_said AS SELECT rank, words FROM events WHERE words IS NOT NULL",
            """
            CREATE VIRTUAL TABLE events_words USING fts5 (
                words, content = 'events_said', content_rowid = 'rank',
                tokenize = 'unicode61 remove_diacritics 0'
            )
            """,
            """
            CREATE TRIGGER events_words_in AFTER INSERT ON events WHEN new.words IS NOT NULL
            BEGIN
                INSERT INTO events_words (rowid, words) VALUES (new.rank, new.words);
            END
            """,
            """
            CREATE TRIGGER events_words_out AFTER DELETE ON events WHEN old.words IS NOT NULL
            BEGIN
                INSERT INTO events_words (events_words, rowid, words)
                    VALUES ('delete', old.rank, old.words);
            END
            """,
            """
            CREATE TRIGGER events_words_change AFTER UPDATE OF words ON events
                WHEN old.words IS NOT new.words
            BEGIN
                INSERT INTO events_words (events_words, rowid, words)
                    SELECT 'delete', old.rank, old.words WHERE old.words IS NOT NULL;
                INSERT INTO events_words (rowid, words)
                    SELECT new.rank, new.words WHERE new.words IS NOT NULL;
            END
            """,
        ),
        "postgres": (
            """
            ALTER TABLE events ADD COLUMN found_by tsvector
                GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, words)) STORED
            """,
            "CREATE INDEX events_words ON events USING gin (found_by)",
        ),
    },
    _find_words,
)

IS_THERE: Mapping[str, str] = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'",
    "postgres": "SELECT 1 WHERE to_regclass('schema_version') IS NOT NULL",
}
"""A row, if anybody was here before."""

MIGRATIONS: Sequence[Migration] = (ROOMS, TEXT_SEARCH)


def migrate(
    database: Migrator, engine: str, migrations: Sequence[Migration] = MIGRATIONS
) -> tuple[int, int]:
    """Bring the schema up to date, inside a transaction that somebody else commits.

    Returns:
        The version that was found, 0 in an empty database, and the one that it has now.
    Raises:
        NewerSchema: a newer Troupe was here.
    """
    # Not IF NOT EXISTS: a user who may only read and write would be refused even where it does.
    if not database.execute(IS_THERE[engine]):
        database.execute("CREATE TABLE schema_version (version BIGINT NOT NULL)")
    rows = database.execute("SELECT version FROM schema_version")
    found = int(rows[0][0]) if rows else 0
    known = len(migrations)
    if found > known:
        raise NewerSchema(found=found, known=known)
    for migration in migrations[found:]:
        for text in migration.statements:
            database.execute(text.format_map(TYPES[engine]))
        for text in migration.own.get(engine, ()):
            database.execute(text)
        if migration.fill is not None:
            migration.fill(database)
    if not rows:
        database.execute("INSERT INTO schema_version (version) VALUES (?)", (known,))
    elif found < known:
        database.execute("UPDATE schema_version SET version = ?", (known,))
    return found, known
