"""A service in Python that writes the outbox with psycopg 3: DATABASE_URL=… TOPIC=… python order.py"""

import json
import os

import psycopg
from psycopg.types.json import Jsonb


class SoldOut(Exception):
    """The order was rolled back, and with it the message about it."""


def place(conn: psycopg.Connection, topic: str, order: dict) -> None:
    """Stores an order and the message about it in one transaction."""
    with conn.transaction():
        # Writers of one customer take turns, so that the order of the messages is that of the commits.
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", ["customer " + order["customer"]])
        conn.execute(
            "INSERT INTO orders VALUES (%s, %s, %s)", [order["id"], order["customer"], order["cents"]]
        )
        conn.execute(
            """INSERT INTO outbox (topic, tag, keys, ordering_key, dedup_key, headers, payload)
               VALUES (%s, %s, %s, %s, %s, %s, %s)""",
            [
                topic,
                "placed",
                f"{order['id']} {order['customer']}",
                order["customer"],
                "order-" + order["id"],
                Jsonb({"content-type": "application/json", "priority": 3, "gift": True}),
                json.dumps(order, ensure_ascii=False).encode(),
            ],
        )
        if order["cents"] > 5000:  # What can go wrong may go wrong after the message was written, too.
            raise SoldOut(order["id"])


def main() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute(
            "CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, customer text NOT NULL, cents bigint NOT NULL)"
        )
        place(conn, os.environ["TOPIC"], {"id": "python-1", "customer": "ada", "cents": 1250, "note": "Grüße"})
        try:
            place(conn, os.environ["TOPIC"], {"id": "python-2", "customer": "ada", "cents": 9900})
        except SoldOut as order:
            print("sold out:", order)


if __name__ == "__main__":
    main()
