"""`rtrd demo`: the whole chain on this host, from real components, ending by itself."""
