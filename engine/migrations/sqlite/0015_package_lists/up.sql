-- Where lists of packages find a page in its order: all or those of a tenant, those of a name, those of a state.
CREATE INDEX package_list ON package (tenant, name, registered_at, digest);
CREATE INDEX package_name ON package (name, tenant, registered_at, digest);
CREATE INDEX package_state ON package (state, tenant, name, registered_at, digest);
