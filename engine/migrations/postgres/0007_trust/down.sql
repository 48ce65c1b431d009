DROP TABLE trust_event;
DROP TABLE trust_key;
DROP TABLE trust_policy;
