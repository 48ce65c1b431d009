ALTER TABLE event DROP COLUMN peak_bytes;
ALTER TABLE event DROP COLUMN cpu_us;
