-- What an attempt used up, in the row of its end; absent where it was not alone in its process.
ALTER TABLE event ADD COLUMN cpu_us BIGINT;
ALTER TABLE event ADD COLUMN peak_bytes BIGINT;
