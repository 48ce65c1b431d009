-- Who asked for a run, and who took it off the list of failed ones; absent where nobody was named.
ALTER TABLE run ADD COLUMN created_by TEXT;
ALTER TABLE run ADD COLUMN dismissed_by TEXT;
