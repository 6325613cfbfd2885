/* One cache's options in; its librtr manager, running, with everything it says as frames of a queue, out.
 *
 * One manager, one group, one socket: failover between caches is rtrlib.failover's.
 * librtr's own reaction to state changes (rtr_mgr_cb) is taken out of the way: it
 * locks a mutex that rtr_mgr_stop holds while it waits for the very thread that
 * wants it (rtrlib issue 269), and with one group there is nothing for it to decide.
 */
#ifndef RTRLIB_FEED_H
#define RTRLIB_FEED_H

#include <stddef.h>
#include <stdint.h>

/* ---- Python sees this ---- */

struct feed_options {
    const char *host, *port;
    const char *bind;         /* local address, or NULL */
    unsigned connect_timeout; /* seconds */
    unsigned keepalive;       /* seconds after which a host that does not answer any more is given up */
    const char *username;     /* NULL: TCP; else SSH */
    const char *private_key, *host_key, *password; /* paths and text, or NULL */
    unsigned refresh, expire, retry;               /* seconds, in librtr's ranges (RFC 8210 section 6) */
    int follow_cache;                              /* 1: take the intervals of End of Data; 0: keep these */
    size_t queue_limit;                            /* bytes that may wait to be read */
};

struct feed;

/* Returns NULL, with a sentence in `fault`, when an option is out of range or the manager does not start. */
struct feed *feed_open(const struct feed_options *options, char *fault, size_t size);

int feed_fd(const struct feed *feed);
size_t feed_take(struct feed *feed, void *out, size_t size); /* as queue_take */

/* Returns at once: librtr can take its retry interval to stop, so a thread of C waits for it and frees the feed. */
void feed_close(struct feed *feed);

/* Feeds that are open or not yet freed. */
int feed_count(void);

/* For a process that does nothing else: dies with its parent, takes at most `memory` bytes of address space, dumps no
 * core, and is shown as `name`. Returns 0 or an errno. */
int feed_confine(int parent, uint64_t memory, const char *name);

#endif
