/* A cache by librtr: options in, a manager of librtr that runs, and everything it says as frames of a queue.
 *
 * One manager, one group, one socket: failover between caches is rtrlib.failover's. librtr's own reaction to state
 * changes (rtr_mgr_cb) is taken out of the way: it locks a mutex that rtr_mgr_stop holds while it waits for the very
 * thread that wants it (rtrlib issue 269), and with one group there is nothing for it to decide.
 *
 * The folder, in the order to read it: queue.h (the frames), session.c, connect.c (librtr's connect), transport.c (what
 * stands between the cache's octets and librtr). It uses base/ only, and is linked into a module of its own. What goes
 * wrong is told in numbers and octets; rtrlib.causes puts them into words.
 *
 * Memory: a session owns its queue, its transport and copies of its options; session_close gives it to a thread of C,
 * which frees it when librtr has stopped. What session_take writes is the caller's.
 */
#ifndef RTRLIB_SESSION_H
#define RTRLIB_SESSION_H

#include <stddef.h>
#include <stdint.h>

/* ---- Python sees this ---- */

struct session_options {
    const char *host, *port;
    const char *bind;         /* local address, or NULL */
    unsigned connect_timeout; /* seconds */
    unsigned keepalive;       /* seconds after which a host that does not answer any more is given up */
    const char *username;     /* NULL: TCP; else SSH */
    const char *private_key, *host_key, *password; /* paths and text, or NULL */
    unsigned refresh, expire, retry;               /* seconds, in librtr's ranges (RFC 8210 section 6) */
    int follow_cache;                              /* 1: take the intervals of End of Data; 0: keep these */
    int soon; /* 1: the next attempts follow the first soon; so they do in any case once a session was established */
    size_t queue_limit; /* bytes that may wait to be read */
};

struct session;

/* Returns NULL, with an enum fault in `fault`, when an option is out of range or the manager does not start. */
struct session *session_open(const struct session_options *options, uint32_t *fault);

int session_fd(const struct session *session);
size_t session_take(struct session *session, void *out, size_t size); /* as queue_take */

/* Returns at once: librtr can take its retry interval to stop, so a thread of C waits for it and frees the session. */
void session_close(struct session *session);

/* In a forked child, where its threads are not: closes what is the child's of its descriptors. Nothing else of it may
 * be used again, and its memory stays: a thread may have been anywhere in it. */
void session_forked(struct session *session);

/* Sessions that are open or not yet freed. */
int session_count(void);

/* For a process that does nothing else: dies with its parent, takes at most `memory` bytes of address space, dumps no
 * core, and is shown as `name`. Returns 0 or an errno. */
int session_confine(int parent, uint64_t memory, const char *name);

#endif
