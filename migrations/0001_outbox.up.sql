-- The outbox and everything the relay keeps about it. Plain SQL for PostgreSQL 14 and newer: no psql commands, no
-- schema name (all names resolve through search_path), so any migration tool can run it.

-- One row per message that is not yet on its topic. A row that exists is pending; a confirmed row is deleted.
CREATE TABLE outbox (
    -- The order of a key. The relay reads the sequence by this name, and CACHE must stay 1: ids must not be set aside.
    -- Only an id written by hand can be below 1; reads begin there.
    id           bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME outbox_id_seq CACHE 1) PRIMARY KEY CHECK (id > 0),
    created_at   timestamptz NOT NULL DEFAULT now(),
    available_at timestamptz,                                      -- NULL = now; in the future = delayed or backing off
    deliver_at   timestamptz,                                      -- DELAY topics only
    -- Who relays the row: 64 shards by ordering key, or by id where there is none. The relay computes it nowhere else.
    shard        smallint NOT NULL GENERATED ALWAYS AS
                 ((coalesce(hashtextextended(topic || chr(1) || ordering_key, 0), id) & 63)::smallint) STORED,
    attempts     smallint NOT NULL DEFAULT 0,                      -- failed for a fault of the row, never for an outage
    topic        text NOT NULL,
    tag          text,
    keys         text,                                             -- business keys, separated by spaces
    ordering_key text,                                             -- rows with the same topic and key arrive in id order
    dedup_key    text,                                             -- NULL = <origin>-<id>
    headers      jsonb,                                            -- an object of scalars; becomes user properties
    payload      bytea NOT NULL,
    last_error   text
) WITH (
    -- Rows are short-lived: vacuum early and often, and never take the ACCESS EXCLUSIVE lock to truncate.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000, vacuum_truncate = off,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000, toast.vacuum_truncate = off
);

-- Touched only by rows that were delayed or failed.
CREATE INDEX outbox_retry ON outbox (available_at, id) WHERE available_at IS NOT NULL;

-- One row per relay session. The session never changes: a fence locks it FOR KEY SHARE, a take-over deletes it.
CREATE TABLE outbox_lease (
    session    uuid PRIMARY KEY,
    instance   text NOT NULL,               -- the pod; a restart under the same name replaces its predecessor at once
    shards     bigint NOT NULL DEFAULT 0,   -- bit n = this session owns shard n
    client_id  text NOT NULL DEFAULT '',    -- the RocketMQ client id of the session
    version    text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    renewed_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

-- The ledger: one row per attempt, that is a batch of messages to one broker. Written before the first commit is sent,
-- or on topics that are not transactional before the first message; the history of what was sent once it is closed.
-- Position n of the per-entry arrays is entry n-1.
CREATE TABLE outbox_attempt (
    id            bytea PRIMARY KEY,             -- 14 bytes; with the entry's index in 2 more it is the UNIQ_KEY
    way           text NOT NULL DEFAULT 'half'   -- half = half messages; send = plain; oneway = plain, unconfirmed
                  CHECK (way IN ('half', 'send', 'oneway')),
    session       uuid NOT NULL,
    shards        bigint NOT NULL,               -- the shards of its entries
    broker        text NOT NULL,                 -- broker name
    address       text NOT NULL,                 -- the master that stored the halves, or is sent to
    born_at       timestamptz NOT NULL,          -- born time of every message: the window runs from here
    window_s      smallint NOT NULL,             -- CHECK_IMMUNITY_TIME_IN_SECONDS of every half; how long sends may begin
    decided_at    timestamptz NOT NULL DEFAULT now(),
    closed_at     timestamptz,                   -- no entry is open any more
    closed_by     uuid,
    refused_at    timestamptz,                   -- when the broker was first seen to refuse commits as late (604) ...
    refused_by    text,                          -- ... by the master at this address
    open          smallint[],                    -- entries (from 0) still open; NULL = all of them, until closed_at is set
    struck        smallint[],                    -- entries that are not on the topic: their rows went back to pending
    topics        text[] NOT NULL,               -- the queues the attempt goes to: topics[t], queues[t] ...
    queues        integer[] NOT NULL,
    read_from     bigint[] NOT NULL,             -- ... and a consume offset no message of the attempt can lie before
    ids           bigint[] NOT NULL,             -- per entry: the outbox row,
    targets       smallint[] NOT NULL,           -- its t, from 1,
    indexes       smallint[],                    -- its index in the UNIQ_KEY; NULL where that is the entry's number
    shard         smallint[] NOT NULL,
    half_offsets  bigint[],                      -- queue offset of the half,
    log_offsets   bigint[],                      -- commit log offset of the half, where there are halves,
    ordering_keys text[],                        -- '' where the entry has none; NULL where none has
    dedup_keys    text[],                        -- '' where the entry has none of its own; NULL where none has
    CHECK (way <> 'half' OR num_nulls(half_offsets, log_offsets) = 0)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX outbox_attempt_open ON outbox_attempt (session) WHERE closed_at IS NULL;
CREATE INDEX outbox_attempt_closed ON outbox_attempt (closed_at) WHERE closed_at IS NOT NULL;

-- Rows that can never be published, payload intact.
CREATE TABLE outbox_dead (
    id           bigint PRIMARY KEY,             -- the outbox id: a requeue keeps it, and with it the order
    created_at   timestamptz NOT NULL,
    deliver_at   timestamptz,
    shard        smallint NOT NULL,
    attempts     smallint NOT NULL,
    topic        text NOT NULL,
    tag          text,
    keys         text,
    ordering_key text,
    dedup_key    text,
    headers      jsonb,
    payload      bytea NOT NULL,
    reason       text NOT NULL,                  -- one of the closed set in docs/wire.md
    error        text NOT NULL,
    status       text,                           -- what the broker answered, as '13 MESSAGE_ILLEGAL'; NULL = it was not asked
    broker       text,
    died_at      timestamptz NOT NULL DEFAULT now()
);

-- A key that died of its length fits into no index.
CREATE INDEX outbox_dead_key ON outbox_dead (topic, left(ordering_key, 64), id) WHERE ordering_key IS NOT NULL;

-- What holds for a topic, for all relays: where a relay's file differs, this table is right.
CREATE TABLE outbox_topic (
    topic    text PRIMARY KEY,
    type     text NOT NULL DEFAULT 'transaction' CHECK (type IN ('transaction', 'normal', 'fifo', 'delay')),
    mode     text NOT NULL DEFAULT '' CHECK (mode IN ('', 'sync', 'async', 'oneway')), -- of type normal
    namespace text NOT NULL DEFAULT '', -- of the RocketMQ instance: the same name in another is another topic
    delivery text NOT NULL DEFAULT 'exactly_once' CHECK (delivery IN ('exactly_once', 'at_least_once')),
    on_dead  text NOT NULL DEFAULT 'block' CHECK (on_dead IN ('block', 'skip')),
    queues   text[],                             -- 'broker:queue', the fixed list that ordering keys are hashed over
    bound_at timestamptz NOT NULL DEFAULT now()
);

-- Which outbox this is. Made once; in every message as outbox-origin. schema_version says which of these files was applied
-- last, whatever tool applies them: every migration sets it.
CREATE TABLE outbox_origin (
    one               boolean PRIMARY KEY DEFAULT true CHECK (one),
    origin            uuid NOT NULL DEFAULT gen_random_uuid(),
    system_identifier bigint NOT NULL,
    database_oid      bigint NOT NULL,
    schema_version    integer NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now()
);

INSERT INTO outbox_origin (system_identifier, database_oid, schema_version)
SELECT (SELECT system_identifier FROM pg_control_system()),
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
       1;

-- What became of the half messages that applications send themselves (package txcheck): the application inserts a row in its
-- own transaction, the checker one that says "rolled back", and of two rows with one id only one can be. The id begins with
-- its time in milliseconds, by which old rows are removed: the primary key is the index for that.
CREATE TABLE outbox_marker (
    id        uuid PRIMARY KEY,
    committed boolean NOT NULL,                  -- false: ROLLBACK was answered, and the transaction can commit no more
    made_at   timestamptz NOT NULL DEFAULT now(),
    asked_at  timestamptz                        -- when a broker last asked
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000);

-- "Where is event X?": the ledger made readable.
CREATE VIEW outbox_sent AS
SELECT a.ids[e.n]                                                       AS id,
       nullif(a.dedup_keys[e.n], '')                                    AS dedup_key,
       upper(encode(a.id, 'hex') || lpad(to_hex(coalesce(a.indexes[e.n]::integer, e.n - 1)), 4, '0')) AS uniq_key,
       a.topics[a.targets[e.n]]                                         AS topic,
       nullif(a.ordering_keys[e.n], '')                                 AS ordering_key,
       a.broker                                                         AS broker,
       a.queues[a.targets[e.n]]                                         AS queue,
       a.way <> 'oneway'                                                AS confirmed,
       coalesce(a.closed_at, a.decided_at)                              AS sent_at
  FROM outbox_attempt a
 CROSS JOIN LATERAL generate_subscripts(a.ids, 1) AS e(n)
 WHERE (a.closed_at IS NOT NULL OR (a.open IS NOT NULL AND NOT (e.n - 1) = ANY (a.open)))
   AND (a.struck IS NULL OR NOT (e.n - 1) = ANY (a.struck));
