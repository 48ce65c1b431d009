DROP INDEX run_dead_letter;
DROP INDEX run_finished;
DROP TABLE removal;
ALTER TABLE run DROP COLUMN events_pruned_at;
ALTER TABLE run DROP COLUMN context_pruned_at;
DROP TABLE log;
