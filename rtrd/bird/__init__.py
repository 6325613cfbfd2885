"""BIRD's dialect: its control socket in, what its tables hold out. Its ROA tables are fed by rtrd.rtr, by RTR."""
