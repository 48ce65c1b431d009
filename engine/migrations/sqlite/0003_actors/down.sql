ALTER TABLE run DROP COLUMN created_by;
ALTER TABLE run DROP COLUMN dismissed_by;
