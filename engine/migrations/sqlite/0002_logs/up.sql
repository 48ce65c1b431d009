-- Lines that attempts wrote. The id is given in the order in which lines are stored, across all engines that the
-- database ever had, and never twice: a client that follows a run reads the lines after the last id that it saw.
CREATE TABLE log (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run     BLOB    NOT NULL,
    task    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at      BIGINT  NOT NULL,
    level   INTEGER NOT NULL,
    target  TEXT    NOT NULL,
    message TEXT    NOT NULL,
    -- A JSON object, or empty.
    fields  TEXT    NOT NULL,
    -- How many lines are missing here; 0 for a line that somebody wrote.
    n_dropped BIGINT NOT NULL
);

CREATE INDEX log_run ON log (run, id);

-- Set when what the run and its tasks wrote is gone, though the run is still listed.
ALTER TABLE run ADD COLUMN context_pruned_at BIGINT;
-- Set when the run's history is gone.
ALTER TABLE run ADD COLUMN events_pruned_at BIGINT;

-- Runs of which something is being removed: everything (then the run is in no list any more), the history, or what
-- the run and its tasks wrote. A row is gone once all that is; so a removal that was interrupted goes on.
CREATE TABLE removal (
    run  BLOB  NOT NULL CHECK (length(run) = 16),
    what TEXT  NOT NULL CHECK (what IN ('run', 'events', 'context')),
    PRIMARY KEY (run, what)
);

-- Where retention looks for the oldest runs. Dead letters, which may be kept for ever, have an index of their own.
CREATE INDEX run_finished ON run (state, finished_at)
    WHERE finished_at IS NOT NULL AND (state <> 'failed' OR dismissed_at IS NOT NULL);
CREATE INDEX run_dead_letter ON run (finished_at)
    WHERE finished_at IS NOT NULL AND state = 'failed' AND dismissed_at IS NULL;
