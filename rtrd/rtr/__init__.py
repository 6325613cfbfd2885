"""The server's side of the RTR protocol (RFC 6810, RFC 8210): the relay and `rtrd cache`."""
