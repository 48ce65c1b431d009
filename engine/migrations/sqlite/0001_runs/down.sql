DROP TABLE event;
DROP TABLE run;
DROP TABLE workflow;
DROP TABLE package;
DROP TABLE owner;
DROP TABLE setting;
