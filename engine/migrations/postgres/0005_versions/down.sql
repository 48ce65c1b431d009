DROP TABLE package_event;
ALTER TABLE package DROP COLUMN quarantined_until;
ALTER TABLE package DROP COLUMN quarantined_at;
ALTER TABLE package DROP COLUMN quarantine_reason;
ALTER TABLE package DROP COLUMN state_before;
ALTER TABLE package DROP COLUMN share;
DROP TABLE signature;
DROP TABLE archive;
