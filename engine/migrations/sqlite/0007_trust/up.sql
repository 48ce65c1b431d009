-- How many different trusted keys must have signed a package of a tenant. Without a row the engine's own default holds.
CREATE TABLE trust_policy (
    tenant   TEXT    NOT NULL PRIMARY KEY,
    required INTEGER NOT NULL CHECK (required >= 0)
);

-- The keys that may sign packages of a tenant. A revoked key stays, so that nobody can trust it again by mistake. The
-- scopes are names of packages or beginnings of them, separated by spaces.
CREATE TABLE trust_key (
    tenant         TEXT   NOT NULL,
    key_id         TEXT   NOT NULL CHECK (length(key_id) = 16),
    name           TEXT   NOT NULL,
    public_key     TEXT   NOT NULL,
    scopes         TEXT   NOT NULL,
    expires_at     BIGINT,
    added_at       BIGINT NOT NULL,
    added_by       TEXT   NOT NULL,
    revoked_at     BIGINT,
    revoked_by     TEXT,
    revoked_reason TEXT,
    PRIMARY KEY (tenant, key_id),
    UNIQUE (tenant, name),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
);

-- Every change of whom a tenant trusts, with who made it, and by whose signatures packages were taken. Rows are never
-- changed, and outlive what they speak of.
CREATE TABLE trust_event (
    id     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant TEXT   NOT NULL,
    kind   TEXT   NOT NULL CHECK (kind IN ('key_added', 'key_removed', 'key_revoked', 'requirement_changed', 'vouched')),
    at     BIGINT NOT NULL,
    actor  TEXT   NOT NULL,
    key_id TEXT,
    -- The package that was signed.
    digest BLOB CHECK (length(digest) = 32),
    -- For people.
    detail TEXT   NOT NULL
);

CREATE INDEX trust_event_tenant ON trust_event (tenant, id);
