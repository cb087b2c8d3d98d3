-- A store of schema version 1, as it was written to postgres. Never edited.

CREATE TABLE schema_version (version BIGINT NOT NULL);
INSERT INTO schema_version (version) VALUES (1);
CREATE TABLE rooms (
    id TEXT COLLATE "C" PRIMARY KEY,
    organization_id TEXT COLLATE "C",
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    latest_index BIGINT NOT NULL,
    delivered_index BIGINT NOT NULL,
    timed BOOLEAN NOT NULL,
    metadata JSONB NOT NULL,
    doc JSON NOT NULL
);
CREATE INDEX rooms_by_activity ON rooms (updated_at, id);
CREATE INDEX rooms_by_organization ON rooms (organization_id, updated_at, id);
CREATE INDEX rooms_unfinished ON rooms (id) WHERE delivered_index < latest_index OR timed;
CREATE TABLE events (
    rank BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    room_id TEXT COLLATE "C" NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    idx BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    visibility TEXT NOT NULL,
    channel_id TEXT COLLATE "C" NOT NULL,
    channel_type TEXT NOT NULL,
    participant_id TEXT COLLATE "C",
    correlation_id TEXT COLLATE "C",
    parent_id TEXT COLLATE "C",
    key TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    doc JSON NOT NULL
);
CREATE UNIQUE INDEX events_by_index ON events (room_id, idx);
CREATE UNIQUE INDEX events_by_id ON events (room_id, id);
CREATE UNIQUE INDEX events_by_key ON events (room_id, key) WHERE key IS NOT NULL;
CREATE INDEX events_by_parent ON events (room_id, parent_id) WHERE parent_id IS NOT NULL;
CREATE TABLE bindings (
    rank BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    room_id TEXT COLLATE "C" NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    channel_id TEXT COLLATE "C" NOT NULL,
    channel_type TEXT NOT NULL,
    participant_id TEXT COLLATE "C",
    doc JSON NOT NULL,
    UNIQUE (room_id, channel_id)
);
CREATE INDEX bindings_by_channel ON bindings (channel_id);
CREATE INDEX bindings_by_participant ON bindings (participant_id)
    WHERE participant_id IS NOT NULL;
CREATE TABLE participants (
    rank BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    room_id TEXT COLLATE "C" NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    id TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C",
    status TEXT NOT NULL,
    doc JSON NOT NULL,
    UNIQUE (room_id, id)
);
CREATE INDEX participants_by_id ON participants (id);
CREATE INDEX participants_by_external_id ON participants (external_id)
    WHERE external_id IS NOT NULL;
CREATE TABLE presences (
    room_id TEXT COLLATE "C" NOT NULL,
    participant_id TEXT COLLATE "C" NOT NULL,
    channel_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (room_id, participant_id, channel_id),
    FOREIGN KEY (room_id, participant_id) REFERENCES participants (room_id, id)
        ON DELETE CASCADE
);
CREATE TABLE cursors (
    room_id TEXT COLLATE "C" NOT NULL,
    channel_id TEXT COLLATE "C" NOT NULL,
    delivered BIGINT NOT NULL,
    PRIMARY KEY (room_id, channel_id),
    FOREIGN KEY (room_id, channel_id) REFERENCES bindings (room_id, channel_id)
        ON DELETE CASCADE
);
CREATE TABLE read_markers (
    room_id TEXT COLLATE "C" NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    channel_id TEXT COLLATE "C" NOT NULL,
    idx BIGINT NOT NULL,
    PRIMARY KEY (room_id, channel_id)
);
CREATE TABLE tasks (
    rank BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    room_id TEXT COLLATE "C" NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    doc JSON NOT NULL
);
CREATE INDEX tasks_by_room ON tasks (room_id);
CREATE TABLE observations (
    rank BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    room_id TEXT COLLATE "C" NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    doc JSON NOT NULL
);
CREATE INDEX observations_by_room ON observations (room_id);
CREATE TABLE identities (
    id TEXT COLLATE "C" PRIMARY KEY,
    organization_id TEXT COLLATE "C",
    doc JSON NOT NULL
);
CREATE TABLE identity_addresses (
    organization_id TEXT COLLATE "C" NOT NULL,
    channel_type TEXT NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    identity_id TEXT COLLATE "C" NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    PRIMARY KEY (organization_id, channel_type, address)
);
CREATE INDEX identity_addresses_by_identity ON identity_addresses (identity_id);
INSERT INTO rooms (id, organization_id, status, created_at, updated_at, event_count, latest_index, timed, metadata, doc, delivered_index) VALUES ('r', 'acme', 'active', 1772366400000000, 1772366940000000, 6, 5, FALSE, '{"case":7}', '{"v":1,"id":"r","created_at":"2026-03-01T12:00:00+00:00","updated_at":"2026-03-01T12:09:00+00:00","organization_id":"acme","metadata":{"case":7},"event_count":6,"latest_index":5}', 4);
INSERT INTO rooms (id, organization_id, status, created_at, updated_at, event_count, latest_index, timed, metadata, doc, delivered_index) VALUES ('s', NULL, 'closed', 1772366400000000, 1772366580000000, 1, 0, FALSE, '{}', '{"v":1,"id":"s","created_at":"2026-03-01T12:00:00+00:00","updated_at":"2026-03-01T12:03:00+00:00","status":"closed","event_count":1,"latest_index":0}', 0);
INSERT INTO events (room_id, idx, id, type, status, visibility, channel_id, channel_type, participant_id, correlation_id, parent_id, key, created_at, doc) VALUES ('r', 0, 'e0', 'message', 'pending', 'all', 'sms', 'sms', 'ann', NULL, NULL, 'k0', 1772366400000000, '{"v":1,"id":"e0","room_id":"r","source":{"channel_id":"sms","channel_type":"sms","participant_id":"ann"},"content":{"type":"text","body":"The Ängström isn''t a lamp"},"created_at":"2026-03-01T12:00:00+00:00","idempotency_key":"k0"}');
INSERT INTO events (room_id, idx, id, type, status, visibility, channel_id, channel_type, participant_id, correlation_id, parent_id, key, created_at, doc) VALUES ('r', 1, 'e1', 'message', 'pending', 'all', 'ai', 'ai', NULL, NULL, 'e0', NULL, 1772366460000000, '{"v":1,"id":"e1","room_id":"r","source":{"channel_id":"ai","channel_type":"ai"},"content":{"type":"text","body":"a lamp, then"},"created_at":"2026-03-01T12:01:00+00:00","index":1,"parent_event_id":"e0"}');
INSERT INTO events (room_id, idx, id, type, status, visibility, channel_id, channel_type, participant_id, correlation_id, parent_id, key, created_at, doc) VALUES ('r', 2, 'e2', 'message', 'blocked', 'all', 'sms', 'sms', NULL, NULL, NULL, NULL, 1772366520000000, '{"v":1,"id":"e2","room_id":"r","source":{"channel_id":"sms","channel_type":"sms"},"content":{"type":"text","body":"a blocked lamp"},"created_at":"2026-03-01T12:02:00+00:00","status":"blocked","blocked_by":"a_hook","index":2}');
INSERT INTO events (room_id, idx, id, type, status, visibility, channel_id, channel_type, participant_id, correlation_id, parent_id, key, created_at, doc) VALUES ('r', 3, 'e3', 'message', 'pending', 'all', 'sms', 'sms', NULL, NULL, NULL, NULL, 1772366580000000, '{"v":1,"id":"e3","room_id":"r","source":{"channel_id":"sms","channel_type":"sms"},"content":{"type":"text","body":"a lamp taken back"},"created_at":"2026-03-01T12:03:00+00:00","index":3,"metadata":{"deleted":true}}');
INSERT INTO events (room_id, idx, id, type, status, visibility, channel_id, channel_type, participant_id, correlation_id, parent_id, key, created_at, doc) VALUES ('r', 4, 'e4', 'edit', 'pending', 'all', 'sms', 'sms', NULL, NULL, NULL, NULL, 1772366640000000, '{"v":1,"id":"e4","room_id":"r","source":{"channel_id":"sms","channel_type":"sms"},"content":{"type":"edit","target_event_id":"e1","new_content":{"type":"text","body":"no lamp"}},"created_at":"2026-03-01T12:04:00+00:00","type":"edit","index":4}');
INSERT INTO events (room_id, idx, id, type, status, visibility, channel_id, channel_type, participant_id, correlation_id, parent_id, key, created_at, doc) VALUES ('r', 5, 'e5', 'message', 'pending', 'all', 'sms', 'sms', NULL, NULL, NULL, NULL, 1772366700000000, '{"v":1,"id":"e5","room_id":"r","source":{"channel_id":"sms","channel_type":"sms"},"content":{"type":"media","url":"https://example.org/lamp.png","mime_type":"image/png","caption":"Lamp?"},"created_at":"2026-03-01T12:05:00+00:00","index":5}');
INSERT INTO events (room_id, idx, id, type, status, visibility, channel_id, channel_type, participant_id, correlation_id, parent_id, key, created_at, doc) VALUES ('s', 0, 's-e0', 'message', 'pending', 'all', 'sms', 'sms', NULL, NULL, NULL, NULL, 1772366400000000, '{"v":1,"id":"s-e0","room_id":"s","source":{"channel_id":"sms","channel_type":"sms"},"content":{"type":"text","body":"another lamp"},"created_at":"2026-03-01T12:00:00+00:00"}');
INSERT INTO bindings (room_id, channel_id, channel_type, participant_id, doc) VALUES ('r', 'sms', 'sms', 'ann', '{"v":1,"channel_id":"sms","room_id":"r","channel_type":"sms","attached_at":"2026-03-01T12:00:00+00:00","participant_id":"ann"}');
INSERT INTO bindings (room_id, channel_id, channel_type, participant_id, doc) VALUES ('r', 'ai', 'ai', NULL, '{"v":1,"channel_id":"ai","room_id":"r","channel_type":"ai","attached_at":"2026-03-01T12:00:00+00:00","category":"intelligence"}');
INSERT INTO participants (room_id, id, external_id, status, doc) VALUES ('r', 'ann', NULL, 'active', '{"v":1,"id":"ann","room_id":"r","channel_id":"sms","joined_at":"2026-03-01T12:00:00+00:00","display_name":"Ann"}');
INSERT INTO presences (room_id, participant_id, channel_id) VALUES ('r', 'ann', 'sms');
INSERT INTO cursors (room_id, channel_id, delivered) VALUES ('r', 'ai', 4);
INSERT INTO read_markers (room_id, channel_id, idx) VALUES ('r', 'sms', 1);
INSERT INTO tasks (id, room_id, status, doc) VALUES ('t', 'r', 'pending', '{"v":1,"id":"t","room_id":"r","title":"see to t","created_at":"2026-03-01T12:00:00+00:00"}');
INSERT INTO observations (id, room_id, doc) VALUES ('o', 'r', '{"v":1,"id":"o","room_id":"r","channel_id":"sms","content":"so it seems","created_at":"2026-03-01T12:00:00+00:00"}');
INSERT INTO identities (id, organization_id, doc) VALUES ('ann-id', 'acme', '{"v":1,"id":"ann-id","organization_id":"acme","display_name":"Ann","channel_addresses":{"sms":["+15551234"]}}');
INSERT INTO identity_addresses (organization_id, channel_type, address, identity_id) VALUES ('acme', 'sms', '+15551234', 'ann-id');
