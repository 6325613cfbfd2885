"""The routing information base of a router: its routes, the validity of each, and what is to be announced."""
