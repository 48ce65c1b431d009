-- Where lists of runs by workflow, tenant and state find the newest of each workflow and state. A run gets its entry when
-- it ends, so its beginning costs nothing more; what has not ended is in run_unfinished.
CREATE INDEX run_workflow ON run (workflow, state, id) WHERE finished_at IS NOT NULL;
