"""What an operator sees of the daemon: its logs, its API and the other end of it."""
