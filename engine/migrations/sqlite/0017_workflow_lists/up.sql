-- Where lists of workflows find a page in its order: all or those of a tenant, those of a name, those of a package.
CREATE INDEX workflow_list ON workflow (tenant, package, name, id DESC);
CREATE INDEX workflow_name ON workflow (name, tenant, package, id DESC);
CREATE INDEX workflow_package ON workflow (package, tenant, name, id DESC);
-- Where a version is found by the first digits of its digest.
CREATE INDEX package_digest ON package (digest, tenant);
