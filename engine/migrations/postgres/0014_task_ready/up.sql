-- A rule may let a task run before its dependencies have ended, or later than that. The moment is stored, as the task sees
-- the context of that moment.
-- Rows that are there were checked before.
ALTER TABLE event DROP CONSTRAINT event_kind_check;
ALTER TABLE event ADD CONSTRAINT event_kind_check CHECK (
    kind = 'task_completed' OR kind = 'run_created' OR kind = 'run_started' OR kind = 'run_finished'
    OR kind = 'task_failed' OR kind = 'task_skipped' OR kind = 'attempt_started' OR kind = 'attempt_interrupted'
    OR kind = 'attempt_lost' OR kind = 'context_conflict' OR kind = 'run_delayed' OR kind = 'run_derived'
    OR kind = 'run_paused' OR kind = 'run_resumed' OR kind = 'run_cancel_requested' OR kind = 'run_timed_out'
    OR kind = 'attempt_failed' OR kind = 'attempt_fenced' OR kind = 'retry_requested' OR kind = 'task_reused'
    OR kind = 'task_ready' OR kind = 'task_cancelled' OR kind = 'callback_completed' OR kind = 'callback_failed'
) NOT VALID;
