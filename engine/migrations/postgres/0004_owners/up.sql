-- Who the owners of runs are, so that people can be told, and how they ended. An owner lives while `ended` is absent
-- and its lease has not run out; what was once said to have ended stays so. The row is gone when none of its runs is
-- unfinished.
ALTER TABLE owner ADD COLUMN ended TEXT CHECK (ended = 'closed' OR ended = 'dead');
ALTER TABLE owner ADD COLUMN started_at BIGINT;
ALTER TABLE owner ADD COLUMN host TEXT;
ALTER TABLE owner ADD COLUMN pid BIGINT;
-- The machine since its last boot with the name space of the process ids, and when the process began there: with
-- these, another process of the same machine can prove that this one is gone.
ALTER TABLE owner ADD COLUMN machine TEXT;
ALTER TABLE owner ADD COLUMN process_began BIGINT;

-- What is asked of a run that another engine drives. Its owner answers in the row; the engine that asked removes it.
CREATE TABLE request (
    id          BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    run         BYTEA  NOT NULL,
    owner_epoch BIGINT NOT NULL,
    action      TEXT   NOT NULL,
    task        TEXT,
    actor       TEXT   NOT NULL,
    asked_at    BIGINT NOT NULL,
    answer      TEXT
);

CREATE INDEX request_open ON request (owner_epoch) WHERE answer IS NULL;
