"""rtrd: RPKI origin validation on the router's own host."""
