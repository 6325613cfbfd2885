"""BIRD, asked by its control socket what its tables hold. Its ROA tables are fed by RTR (rtrd.rtr)."""
