/* Connects to a host and port within a time limit, or tells why not.
 *
 * Given to librtr as its `new_socket`, because its own connect tries only the first address of a name, says nothing of
 * the cause, and writes beyond an fd_set when the process has 1024 descriptors open.
 */
#ifndef RTRLIB_CONNECT_H
#define RTRLIB_CONNECT_H

/* `bind`: a local address, or NULL. `timeout`: seconds for all addresses together. `keepalive`: seconds after which the
 * connection fails (ETIMEDOUT) when the other host acknowledges nothing any more, whether something is sent or not.
 * Returns the descriptor, or -1 with the cause in `error`: an errno, or below 0 what getaddrinfo returned. */
int connect_stream(const char *host, const char *port, const char *bind, unsigned timeout, unsigned keepalive,
                   int *error);

#endif
