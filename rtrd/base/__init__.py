"""What every part uses, and nothing of RPKI or BGP: logs, sockets, the event loop, systemd, words for faults."""
