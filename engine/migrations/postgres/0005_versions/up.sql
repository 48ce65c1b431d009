-- The bytes of archives, as they were sent, so that a library can be unpacked again wherever the database is. Kept by
-- the digest of the bytes and not of the content, as signatures are over the bytes. A row is there for as long as a
-- package of any tenant names it.
CREATE TABLE archive (
    digest BYTEA NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    bytes  BYTEA NOT NULL
);

-- Detached signatures of archives; the digest is that of the signature's bytes.
CREATE TABLE signature (
    archive  BYTEA   NOT NULL REFERENCES archive (digest),
    digest   BYTEA   NOT NULL CHECK (length(digest) = 32),
    bytes    BYTEA   NOT NULL,
    added_at BIGINT NOT NULL,
    PRIMARY KEY (archive, digest)
);

-- The percentage of new runs that an active version gets while another is active beside it and gets the rest.
ALTER TABLE package ADD COLUMN share INTEGER CHECK (share BETWEEN 1 AND 99);
-- Of a quarantined version: what it goes back to, why it is quarantined, since when, and until when if that is known.
ALTER TABLE package ADD COLUMN state_before TEXT CHECK (state_before IN ('registered', 'active', 'retired'));
ALTER TABLE package ADD COLUMN quarantine_reason TEXT;
ALTER TABLE package ADD COLUMN quarantined_at BIGINT;
ALTER TABLE package ADD COLUMN quarantined_until BIGINT;

-- Every change of a package, with who made it. Ids are in the order of the changes, so the last one tells whether
-- there is anything new. Rows outlive their package.
CREATE TABLE package_event (
    id         BIGINT  NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    tenant     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    digest     BYTEA    NOT NULL CHECK (length(digest) = 32),
    kind       TEXT    NOT NULL CHECK (kind IN (
        'registered', 'activated', 'rolled_back', 'retired', 'quarantined', 'released', 'removed', 'signatures_added'
    )),
    at         BIGINT  NOT NULL,
    actor      TEXT    NOT NULL,
    reason     TEXT,
    from_state TEXT    CHECK (from_state IN ('registered', 'active', 'retired', 'quarantined')),
    to_state   TEXT    CHECK (to_state IN ('registered', 'active', 'retired', 'quarantined')),
    share      INTEGER
);

CREATE INDEX package_event_name ON package_event (tenant, name, id);
