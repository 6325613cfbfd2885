"""rtrd: the router's end of the RPKI. Caches and routes in, tags and withdraws out."""
