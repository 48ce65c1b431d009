-- Portable columns only: 16-byte ids and 32-byte digests as binary, times as integer microseconds since the epoch,
-- states as text with a CHECK that lists the names of the Rust enum, payloads as binary.

CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- The engines that own runs, by their epoch. A row is gone once its engine closed in order or was taken over from.
-- There is no lease: an engine lives for as long as it locks the file.
CREATE TABLE owner (
    epoch       BIGINT NOT NULL PRIMARY KEY,
    lease_until BIGINT
);

-- One version of a package in one tenant. The digest is the version's identity; names and versions are for people.
CREATE TABLE package (
    tenant         TEXT   NOT NULL,
    digest         BLOB   NOT NULL CHECK (length(digest) = 32),
    archive_digest BLOB   NOT NULL CHECK (length(archive_digest) = 32),
    library_digest BLOB   NOT NULL CHECK (length(library_digest) = 32),
    name           TEXT   NOT NULL,
    version        TEXT   NOT NULL,
    state          TEXT   NOT NULL CHECK (state IN ('registered', 'active', 'retired', 'quarantined')),
    actor          TEXT   NOT NULL,
    registered_at  BIGINT NOT NULL,
    library_path   TEXT   NOT NULL,
    descriptor     TEXT   NOT NULL,
    PRIMARY KEY (tenant, digest),
    UNIQUE (tenant, name, version)
);

-- What runs refer to: a workflow of one package version, or one compiled into the program (digest empty). A row
-- outlives its package, so that old runs can still be shown.
CREATE TABLE workflow (
    id          BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant      TEXT NOT NULL,
    package     TEXT NOT NULL,
    name        TEXT NOT NULL,
    digest      BLOB NOT NULL CHECK (length(digest) IN (0, 32)),
    fingerprint TEXT NOT NULL,
    descriptor  TEXT NOT NULL,
    UNIQUE (tenant, package, name, digest, fingerprint)
);

-- On the tables of runs names are compared one by one: SQLite builds a table anew for each row that is checked
-- against a list with IN, which was measured to take as long as everything else about an insert.
CREATE TABLE run (
    id          BLOB   NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    workflow    BLOB   NOT NULL REFERENCES workflow (id),
    state       TEXT   NOT NULL,
    owner_epoch BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    started_at  BIGINT,
    -- Set when, and only when, the state is terminal.
    finished_at BIGINT,
    -- A second submission with the same key gets the same run.
    submission_key TEXT UNIQUE,
    -- Set when somebody has seen that the run failed and wants no more of it.
    dismissed_at BIGINT,
    CHECK (
        state = 'running' OR state = 'pending' OR state = 'paused' OR state = 'completed'
        OR state = 'partially_completed' OR state = 'failed' OR state = 'cancelled'
    )
);

CREATE INDEX run_unfinished ON run (id) WHERE finished_at IS NULL;

-- The history of runs, written once and never changed, in the order in which it happened. The row of an attempt's
-- end is also the task's result: its payload is the context delta or the error. One row serves both, as two would
-- be written, indexed and synced together every time.
CREATE TABLE event (
    run        BLOB    NOT NULL,
    sequence   BIGINT  NOT NULL,
    kind       TEXT    NOT NULL,
    task       INTEGER,
    attempt    INTEGER,
    at         BIGINT  NOT NULL,
    started_at BIGINT,
    payload    BLOB,
    CHECK (
        kind = 'task_completed' OR kind = 'run_created' OR kind = 'run_started' OR kind = 'run_finished'
        OR kind = 'task_failed' OR kind = 'task_skipped' OR kind = 'attempt_started'
        OR kind = 'attempt_interrupted' OR kind = 'context_conflict' OR kind = 'run_delayed'
        OR kind = 'run_derived' OR kind = 'run_paused' OR kind = 'run_resumed' OR kind = 'run_cancel_requested'
        OR kind = 'run_timed_out' OR kind = 'attempt_failed' OR kind = 'attempt_fenced' OR kind = 'retry_requested'
        OR kind = 'task_reused' OR kind = 'task_cancelled' OR kind = 'callback_completed' OR kind = 'callback_failed'
    )
);

CREATE UNIQUE INDEX event_sequence ON event (run, sequence);
CREATE UNIQUE INDEX event_attempt_end ON event (run, task, attempt)
    WHERE attempt IS NOT NULL AND kind <> 'attempt_started' AND kind <> 'attempt_fenced';
