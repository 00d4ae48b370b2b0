-- Removes the outbox with everything in it, pending rows and history included.
DROP VIEW outbox_sent;
DROP TABLE outbox_marker;
DROP TABLE outbox_origin;
DROP TABLE outbox_topic;
DROP TABLE outbox_dead;
DROP TABLE outbox_attempt;
DROP TABLE outbox_lease;
DROP TABLE outbox;
