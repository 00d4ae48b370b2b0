-- The service's own tables. The outbox is a table beside them: outbox-relay migrate up.
CREATE TABLE customers (
    name   text PRIMARY KEY,
    orders bigint NOT NULL DEFAULT 0   -- placed so far
);

CREATE TABLE stock (
    item text PRIMARY KEY,
    left_over bigint NOT NULL
);

CREATE TABLE orders (
    id       text PRIMARY KEY,
    customer text NOT NULL REFERENCES customers,
    number   bigint NOT NULL,          -- the customer's first, second, …
    item     text NOT NULL REFERENCES stock,
    cents    bigint NOT NULL,
    UNIQUE (customer, number)
);
