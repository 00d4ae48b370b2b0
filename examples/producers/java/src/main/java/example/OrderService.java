package example;

import java.nio.charset.StandardCharsets;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.annotation.Transactional;

/** Places orders. Spring begins the transaction before place, commits it after, and rolls it back on an exception. */
public class OrderService {
    private final JdbcTemplate jdbc;
    private final String topic;

    public OrderService(JdbcTemplate jdbc, String topic) {
        this.jdbc = jdbc;
        this.topic = topic;
    }

    /** The order was rolled back, and with it the message about it. */
    public static class SoldOut extends RuntimeException {
        public SoldOut(String order) {
            super("sold out: " + order);
        }
    }

    /** Stores an order and the message about it in one transaction. */
    @Transactional
    public void place(String id, String customer, long cents) {
        // Writers of one customer take turns, so that the order of the messages is that of the commits.
        jdbc.query("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", row -> { }, "customer " + customer);
        jdbc.update("INSERT INTO orders VALUES (?, ?, ?)", id, customer, cents);
        String event = "{\"id\": \"" + id + "\", \"customer\": \"" + customer + "\", \"cents\": " + cents + ", \"note\": \"Grüße\"}";
        jdbc.update("INSERT INTO outbox (topic, tag, keys, ordering_key, dedup_key, headers, payload)"
                + " VALUES (?, ?, ?, ?, ?, ?::jsonb, ?)",
                topic, "placed", id + " " + customer, customer, "order-" + id,
                "{\"content-type\": \"application/json\", \"priority\": 3, \"gift\": true}",
                event.getBytes(StandardCharsets.UTF_8));
        if (cents > 5000) { // What can go wrong may go wrong after the message was written, too.
            throw new SoldOut(id);
        }
    }
}
