DROP TABLE audit;
DROP TABLE refresh_token;
DROP TABLE api_key;
DROP TABLE account;
DROP TABLE tenant;
