package example;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Base64;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * An example of a consumer: it applies each message of a topic to its own database exactly once, although RocketMQ delivers at
 * least once. Read apply: the effect and the deduplication key are written in one transaction, and the message is acknowledged
 * after it. With the argument "orderly" the messages of a queue come one after the other, and so those of an ordering key in
 * their order.
 */
public final class Consumer {
    private static final String EFFECT =
            "INSERT INTO customer_total AS t (customer, orders, cents, last)"
            + " SELECT e->>'customer', 1, (e->>'cents')::bigint, (e->>'number')::bigint"
            + " FROM (SELECT convert_from(?, 'UTF8')::jsonb) AS event (e)"
            + " ON CONFLICT (customer) DO UPDATE"
            + " SET orders = t.orders + 1, cents = t.cents + excluded.cents, last = excluded.last";

    /** One connection for each of the client's threads. A service would have a pool. */
    private static final ThreadLocal<Connection> CONNECTION = new ThreadLocal<>();

    private Consumer() {
    }

    public static void main(String[] args) throws Exception {
        boolean orderly = args.length > 0 && args[0].equals("orderly");
        try (Connection db = connect()) {
            db.createStatement().execute(schema());
        }
        DefaultMQPushConsumer consumer = start(orderly);
        Runtime.getRuntime().addShutdownHook(new Thread(consumer::shutdown));
        say("ready");
    }

    /** Starts a consumer, and waits for a name server that does not answer. */
    private static DefaultMQPushConsumer start(boolean orderly) throws InterruptedException {
        for (;;) {
            DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(System.getenv("CONSUMER_GROUP"));
            try {
                configure(consumer, orderly);
                consumer.start();
                return consumer;
            } catch (MQClientException | RuntimeException e) { // one that failed cannot be started again
                System.err.println("consumer-java: " + e);
                consumer.shutdown();
                Thread.sleep(1000);
            }
        }
    }

    private static void configure(DefaultMQPushConsumer consumer, boolean orderly) throws MQClientException {
        consumer.setNamesrvAddr(System.getenv("CONSUMER_NAMESERVER"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        consumer.subscribe(System.getenv("CONSUMER_TOPIC"), System.getenv("CONSUMER_TAGS")); // null and "" are all
        if (orderly) { // a queue waits for the message that could not be applied
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) ->
                    handle(messages) ? ConsumeOrderlyStatus.SUCCESS : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT);
        } else { // it comes again later, at most 16 times, and then goes to the dead-letter topic
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) ->
                    handle(messages) ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS : ConsumeConcurrentlyStatus.RECONSUME_LATER);
        }
    }

    /** Returns true if the messages may be acknowledged: their effects are committed, now or before. */
    private static boolean handle(List<MessageExt> messages) {
        for (MessageExt m : messages) {
            String key = dedupKey(m);
            say("delivered\t" + m.getBrokerName() + "\t" + m.getQueueId() + "\t" + m.getQueueOffset() + "\t" + key + "\t"
                    + Base64.getEncoder().encodeToString(m.getBody()));
            try {
                if (key.isEmpty()) {
                    throw new IllegalArgumentException("the message has no deduplication key");
                }
                say((apply(key, m.getBody()) ? "applied\t" : "repeated\t") + key);
            } catch (SQLException | RuntimeException e) {
                System.err.println("consumer-java: " + e);
                disconnect();
                return false;
            }
        }
        return true;
    }

    /** The same in every message of one outbox row. The first of KEYS says it too. */
    static String dedupKey(MessageExt m) {
        String key = m.getUserProperty("outbox-dedup-key");
        if (key == null || key.isEmpty()) {
            key = m.getKeys() == null ? "" : m.getKeys().split(" ")[0];
        }
        return key;
    }

    /** Applies a message in one transaction with the note that it is done; returns false if it was done before. */
    private static boolean apply(String key, byte[] body) throws SQLException {
        Connection db = connection();
        // The same message may be at work in another consumer: this waits for it.
        try (var done = db.prepareStatement("INSERT INTO consumed (dedup_key) VALUES (?) ON CONFLICT DO NOTHING");
                var effect = db.prepareStatement(EFFECT)) {
            done.setString(1, key);
            boolean fresh = done.executeUpdate() == 1;
            if (fresh) {
                effect.setBytes(1, body);
                effect.executeUpdate();
            }
            db.commit();
            return fresh;
        }
    }

    private static Connection connection() throws SQLException {
        Connection db = CONNECTION.get();
        if (db == null) {
            db = connect();
            db.setAutoCommit(false);
            CONNECTION.set(db);
        }
        return db;
    }

    /** After a failure nothing is known of the connection; closing it rolls back. */
    private static void disconnect() {
        Connection db = CONNECTION.get();
        CONNECTION.remove();
        try {
            if (db != null) {
                db.close();
            }
        } catch (SQLException e) {
            System.err.println("consumer-java: " + e);
        }
    }

    private static Connection connect() throws SQLException {
        return DriverManager.getConnection(System.getenv("CONSUMER_JDBC"));
    }

    private static String schema() throws IOException {
        try (InputStream in = Consumer.class.getResourceAsStream("/schema.sql")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
