DROP TABLE commit_mark;
