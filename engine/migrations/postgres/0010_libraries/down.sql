-- Of each package the first library.
ALTER TABLE package ADD COLUMN library_digest BYTEA NOT NULL DEFAULT '';
ALTER TABLE package ADD COLUMN library_path TEXT NOT NULL DEFAULT '';
ALTER TABLE package ADD COLUMN descriptor TEXT NOT NULL DEFAULT '';
UPDATE package SET
    library_digest = decode(libraries::json -> 0 ->> 'digest', 'hex'),
    library_path = libraries::json -> 0 ->> 'path',
    descriptor = libraries::json -> 0 ->> 'descriptor';
ALTER TABLE package DROP COLUMN libraries;
