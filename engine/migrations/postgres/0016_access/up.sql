-- The tenants that were made. The tenant `public` is always there, without a row.
CREATE TABLE tenant (
    name       TEXT   NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL
);

-- The people that may log in. The tenant `*` means every tenant: the account of a system admin.
CREATE TABLE account (
    name        TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL,
    role        TEXT   NOT NULL CHECK (role IN ('worker', 'viewer', 'operator', 'admin')),
    -- Argon2id, as a PHC string with its salt and its costs.
    password    TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    disabled_at BIGINT,
    CHECK (tenant <> '*' OR role = 'admin')
);

CREATE INDEX account_tenant ON account (tenant, name);

-- The keys with which programs ask. A revoked key stays, so that its name keeps its meaning in the audit log.
CREATE TABLE api_key (
    id         TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    role       TEXT   NOT NULL CHECK (role IN ('worker', 'viewer', 'operator', 'admin')),
    -- SHA-256 of the key, which is random: a slow hash would protect it no better.
    secret     BYTEA  NOT NULL CHECK (length(secret) = 32),
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    expires_at BIGINT,
    -- Written once a minute at most.
    used_at    BIGINT,
    revoked_at BIGINT,
    UNIQUE (tenant, name),
    CHECK (tenant <> '*' OR role = 'admin')
);

-- The refresh tokens of sessions. All tokens that descend from one login are a family, which ends as a whole.
CREATE TABLE refresh_token (
    -- SHA-256 of the token.
    hash      BYTEA  NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    family    BYTEA  NOT NULL CHECK (length(family) = 16),
    account   TEXT   NOT NULL,
    -- The end of the family.
    until     BIGINT NOT NULL,
    used_at   BIGINT,
    -- The token that came out of this one, sealed with a key that only the holder of this one can make.
    successor BYTEA  CHECK (length(successor) = 32),
    CHECK ((used_at IS NULL) = (successor IS NULL))
);

CREATE INDEX refresh_token_family ON refresh_token (family);
CREATE INDEX refresh_token_account ON refresh_token (account);
CREATE INDEX refresh_token_until ON refresh_token (until);

-- Who did what. Each entry of a tenant has the SHA-256 of the entry before it, so a changed or missing entry can be
-- found. What concerns every tenant is in the chain of the tenant `*`.
CREATE TABLE audit (
    tenant   TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    actor    TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    -- What the action was about.
    subject  TEXT   NOT NULL,
    result   TEXT   NOT NULL CHECK (result IN ('done', 'refused')),
    -- From where it was asked: an address and the id of a request, if they are known.
    address  TEXT   NOT NULL,
    request  TEXT   NOT NULL,
    -- For people.
    detail   TEXT   NOT NULL,
    previous BYTEA  NOT NULL CHECK (length(previous) = 32),
    digest   BYTEA  NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (tenant, sequence)
);

-- Nothing of this program changes an entry. A mistake of its own, or of a person with a shell, is stopped here.
CREATE FUNCTION audit_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the audit log are only added';
END
$$;
CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_kept();
