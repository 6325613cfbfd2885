"""BMP (RFC 7854): the routes of routers that tell them, only observed."""
