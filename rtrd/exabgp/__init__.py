"""The door to ExaBGP: reads its lines, writes its commands."""
