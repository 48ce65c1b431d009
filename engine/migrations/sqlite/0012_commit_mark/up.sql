-- The answer to a COMMIT on a file cannot be lost, so no table of commits is needed.
SELECT 1;
