package example;

import javax.sql.DataSource;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.annotation.EnableTransactionManagement;

/** A service with Spring that writes the outbox: JDBC_URL=… TOPIC=… java -cp … example.Main */
@Configuration
@EnableTransactionManagement(proxyTargetClass = true)
public class Main {
    public static void main(String[] args) {
        try (AnnotationConfigApplicationContext context = new AnnotationConfigApplicationContext(Main.class)) {
            context.getBean(JdbcTemplate.class).execute(
                    "CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, customer text NOT NULL, cents bigint NOT NULL)");
            OrderService service = context.getBean(OrderService.class);
            service.place("java-1", "ada", 1250);
            try {
                service.place("java-2", "ada", 9900);
            } catch (OrderService.SoldOut e) {
                System.out.println(e.getMessage());
            }
        }
    }

    @Bean
    public DataSource dataSource() {
        return new DriverManagerDataSource(System.getenv("JDBC_URL")); // A service would have a pool.
    }

    @Bean
    public PlatformTransactionManager transactionManager(DataSource dataSource) {
        return new DataSourceTransactionManager(dataSource);
    }

    @Bean
    public JdbcTemplate jdbcTemplate(DataSource dataSource) {
        return new JdbcTemplate(dataSource);
    }

    @Bean
    public OrderService orderService(JdbcTemplate jdbc) {
        return new OrderService(jdbc, System.getenv("TOPIC"));
    }
}
