DELETE FROM event WHERE kind = 'task_ready';

CREATE TABLE event_new (
    run        BLOB    NOT NULL,
    sequence   BIGINT  NOT NULL,
    kind       TEXT    NOT NULL,
    task       INTEGER,
    attempt    INTEGER,
    at         BIGINT  NOT NULL,
    started_at BIGINT,
    payload    BLOB,
    cpu_us     BIGINT,
    peak_bytes BIGINT,
    CHECK (
        kind = 'task_completed' OR kind = 'run_created' OR kind = 'run_started' OR kind = 'run_finished'
        OR kind = 'task_failed' OR kind = 'task_skipped' OR kind = 'attempt_started'
        OR kind = 'attempt_interrupted' OR kind = 'attempt_lost' OR kind = 'context_conflict'
        OR kind = 'run_delayed' OR kind = 'run_derived' OR kind = 'run_paused' OR kind = 'run_resumed'
        OR kind = 'run_cancel_requested' OR kind = 'run_timed_out' OR kind = 'attempt_failed'
        OR kind = 'attempt_fenced' OR kind = 'retry_requested' OR kind = 'task_reused'
        OR kind = 'task_cancelled' OR kind = 'callback_completed' OR kind = 'callback_failed'
    )
);

INSERT INTO event_new (run, sequence, kind, task, attempt, at, started_at, payload, cpu_us, peak_bytes)
SELECT run, sequence, kind, task, attempt, at, started_at, payload, cpu_us, peak_bytes FROM event ORDER BY rowid;

DROP TABLE event;
ALTER TABLE event_new RENAME TO event;

CREATE UNIQUE INDEX event_sequence ON event (run, sequence);
CREATE UNIQUE INDEX event_attempt_end ON event (run, task, attempt)
    WHERE attempt IS NOT NULL AND kind <> 'attempt_started' AND kind <> 'attempt_fenced';
