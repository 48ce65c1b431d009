-- Of each package the first library.
ALTER TABLE package ADD COLUMN library_digest BLOB NOT NULL DEFAULT x'';
ALTER TABLE package ADD COLUMN library_path TEXT NOT NULL DEFAULT '';
ALTER TABLE package ADD COLUMN descriptor TEXT NOT NULL DEFAULT '';
UPDATE package SET
    library_digest = unhex(json_extract(libraries, '$[0].digest')),
    library_path = json_extract(libraries, '$[0].path'),
    descriptor = json_extract(libraries, '$[0].descriptor');
ALTER TABLE package DROP COLUMN libraries;
