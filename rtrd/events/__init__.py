"""Events for a view of many hosts: what is published to NATS, and what waits while its server is away."""
