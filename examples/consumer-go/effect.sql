INSERT INTO customer_total AS t (customer, orders, cents, last)
SELECT e->>'customer', 1, (e->>'cents')::bigint, (e->>'number')::bigint
  FROM (SELECT convert_from($1::bytea, 'UTF8')::jsonb) AS event (e)
    ON CONFLICT (customer) DO UPDATE SET orders = t.orders + 1, cents = t.cents + excluded.cents, last = excluded.last
