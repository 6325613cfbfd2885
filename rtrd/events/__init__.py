"""Events for one place of many hosts: what is published to NATS, and what waits while its server is away."""
