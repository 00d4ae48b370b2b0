-- What the consumer keeps. Its effect and the note that it is done are written in one transaction.
CREATE TABLE IF NOT EXISTS consumed (
    dedup_key text PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now()   -- remove rows when RocketMQ can deliver them no more: after fileReservedTime
);
CREATE TABLE IF NOT EXISTS customer_total (
    customer text PRIMARY KEY,
    orders   bigint NOT NULL,
    cents    bigint NOT NULL,
    last     bigint NOT NULL                       -- the number of the customer's order that came last
);
