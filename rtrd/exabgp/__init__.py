"""ExaBGP's dialect: its lines in, commands out."""
