DROP TABLE audit;
DROP FUNCTION audit_kept;
DROP TABLE refresh_token;
DROP TABLE api_key;
DROP TABLE account;
DROP TABLE tenant;
