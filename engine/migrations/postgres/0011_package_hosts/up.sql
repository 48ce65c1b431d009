-- What the processes of packages used up, a row for each process. It is written now and then while the process lives, and
-- for the last time at its end; without an end its engine was gone first. Rows go when they are older than completed runs
-- are kept.
CREATE TABLE package_host (
    id         BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     TEXT   NOT NULL,
    -- The content digest of the package's version.
    digest     BYTEA  NOT NULL CHECK (length(digest) = 32),
    began_at   BIGINT NOT NULL,
    -- When it was looked at last.
    read_at    BIGINT NOT NULL,
    ended      TEXT CHECK (ended IN ('let_go', 'crashed')),
    -- Calls that it was given.
    n_calls    BIGINT NOT NULL CHECK (n_calls >= 0),
    cpu_us     BIGINT,
    peak_bytes BIGINT
);

CREATE INDEX package_host_age ON package_host (read_at);
