-- The libraries of a package, one for each target, as a JSON list of objects with `target`, `digest`, `path` and
-- `descriptor`: which of them is unpacked is for each engine to say. Of packages that were registered before, only the
-- library for the machine that registered them is known, without its target.
ALTER TABLE package ADD COLUMN libraries TEXT NOT NULL DEFAULT '[]';
UPDATE package SET libraries = json_build_array(json_build_object(
    'target', NULL::text, 'digest', encode(library_digest, 'hex'), 'path', library_path, 'descriptor', descriptor
))::text;
ALTER TABLE package DROP COLUMN library_digest;
ALTER TABLE package DROP COLUMN library_path;
ALTER TABLE package DROP COLUMN descriptor;
