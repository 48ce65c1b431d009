-- One row for each store that writes. Each transaction of a writer puts a number there that the writer has not
-- used before, and holds the row until it ends: when the answer to a COMMIT is lost, the row says whether the transaction
-- was committed. A row is removed when its store is closed, or when it has not been used for a day.
CREATE TABLE commit_mark (
    writer BYTEA  NOT NULL PRIMARY KEY CHECK (length(writer) = 16),
    number BIGINT NOT NULL,
    -- In the time of this server.
    at     BIGINT NOT NULL
);
