/* The route table: announcements and withdrawals of neighbors in (the Adj-RIB-In), commands for the router out.
 *
 * Each route has a validity (from the VRP set) and, by its neighbor's policy, a decision. What the decision demands
 * and what was last written for it are compared when the router's pipe has room (routes_next), so a route that flaps
 * costs one command, and what waits is never more than the table.
 *
 * A place is what ExaBGP keeps one announcement for at a receiver: a prefix and a path id, or the prefix alone where no
 * ids are taken. When several neighbors announce routes for one place, the best by RFC 4271 section 9.1 (of what ExaBGP
 * tells us) is written there.
 *
 * Not thread-safe: one thread at a time.
 */
#ifndef RTRD_ROUTES_H
#define RTRD_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"
#include "exabgp/attributes.h"
#include "rib/attrs.h"
#include "vrps/vrpset.h"

/* ---- Python sees this ---- */

#define ROUTES_NEIGHBORS 65535
#define ROUTES_OF_PREFIX 1024 /* of one neighbor, by path id */
#define COMMAND_TEXT 16384

enum action { ACTION_OBSERVE = 0, ACTION_HOLD = 1, ACTION_WITHDRAW = 2, ACTION_ANNOUNCE = 3 };

/* What the policy says for one neighbor, a value for each validity. */
struct neighbor_policy {
    uint64_t receivers;           /* bit i: announced and withdrawn at receiver i */
    uint32_t local_preference[4]; /* UINT32_MAX: the learned one */
    uint16_t variant[4];          /* equal for two validities whose announcements carry the same additions */
    uint8_t action[4];            /* enum action, by enum validity */
};

struct route_faults {
    uint64_t prefixes; /* text that is no prefix, or has host bits */
    uint64_t memory;   /* routes that found no memory */
    uint64_t crowded;  /* routes beyond ROUTES_OF_PREFIX */
};

struct command {
    uint64_t receivers;
    uint32_t attrs;        /* announce: the attribute set; withdraw: the one it was last known with */
    uint32_t previous_run; /* announce: the set that stands there from an earlier run, of all prefixes; or ATTRS_NONE */
    uint32_t path_id;
    uint32_t n;    /* prefixes */
    uint32_t size; /* bytes of text */
    uint16_t variant;
    uint8_t announce; /* 1 announce, 0 withdraw */
    uint8_t family;
    uint8_t has_path_id;
    char text[COMMAND_TEXT]; /* the prefixes, a blank between two */
};

struct route_row {
    struct prefix prefix;
    uint64_t advertised; /* receivers at which our announcement of it stands */
    int64_t origin;
    uint32_t attrs, path_id;
    uint16_t neighbor;
    uint8_t has_path_id;
    uint8_t validity, action;
    uint8_t waiting; /* something of it is still to be written */
};

#define CAUSE_UPDATE 0 /* the router's own word */

/* A route whose validity changed, or that came and is invalid. */
struct route_event {
    struct prefix prefix;
    struct vrp vrp; /* if has_vrp: a VRP that covers it and became effective (announce 1) or ceased to be (0) */
    int64_t origin;
    uint32_t cause; /* CAUSE_UPDATE, or the number that routes_set_cause gave */
    uint32_t path_id;
    uint16_t neighbor;
    uint8_t has_path_id, has_vrp;
    uint8_t was, now; /* enum validity, or VALIDITY_NONE */
    uint8_t action;   /* enum action, by the policy for `now` */
};

/* A position in the table for routes_list; all zero: the beginning. */
struct route_cursor {
    uint8_t family; /* 0: before IPv4 */
    uint8_t key[17];
    uint8_t done;
};

struct routes;

/* What callers ask again and again. Every call that changes the table keeps it up to date. */
struct rib_state {
    uint64_t routes;           /* that the neighbors have announced and not withdrawn */
    uint64_t validity_changes; /* since the start */
    uint64_t waiting;          /* routes for which a command may have to be written; parked ones, too */
    uint64_t parked;           /* those of them that wait for the next send barrier */
    bool written_set_full;     /* nothing more can be written before the next send barrier */
    bool searching;            /* the last routes_next found nothing yet: it is to be called again */
    bool work;                 /* routes_work has something to do */
};

/* The table's own, to be read as long as the table lives. */
const struct rib_state *routes_state(const struct routes *routes);

struct routes *routes_new(struct vrpset *set); /* the set stays the caller's and must live longer; NULL: no memory */
void routes_free(struct routes *routes);

/* Attribute sets; see attrs.h. A set that no route took is gone after the next routes_announce with it. */
uint32_t routes_attrs_find(const struct routes *routes, const void *key, size_t n);
uint32_t routes_attrs_add(struct routes *routes, const void *key, size_t n, const struct attrs_summary *summary);
const uint8_t *routes_attrs_key(const struct routes *routes, uint32_t attrs, size_t *n); /* NULL: no such set */
uint32_t routes_attrs_end(const struct routes *routes); /* every number in use is below */
/* What is known of a set has changed, since the communities that are ours have. With another treatment what stands of
 * it will be written again, by the next routes_reconsider. -1: no such set. */
int routes_attrs_retag(struct routes *routes, uint32_t attrs, const struct attrs_summary *summary);

/* Neighbors are numbered by session: one that comes back is a new one. -1: no number or no memory left. */
int32_t routes_neighbor_add(struct routes *routes, const struct neighbor_policy *policy, const uint8_t rank[17]);
/* Another policy; routes_reconsider makes it count, and what stands with other additions is written again. */
int routes_neighbor_policy(struct routes *routes, uint32_t neighbor, const struct neighbor_policy *policy);
int routes_neighbor_name(struct routes *routes, uint32_t neighbor, const char *name,
                         size_t n);                                   /* for routes_take_line */
int routes_neighbor_retire(struct routes *routes, uint32_t neighbor); /* its routes go, in routes_work */
void routes_neighbor_counts(const struct routes *routes, uint32_t neighbor, uint64_t counts[4]); /* by validity */

/* `text`: `n` prefixes, each ended by LF, each followed by a blank and a path id (as an address) under ADD-PATH.
 * Returns how many were taken, or -1 when the text does not hold exactly n of them (then nothing was), -2 for a bad
 * number. */
int64_t routes_announce(struct routes *routes, uint32_t neighbor, uint32_t attrs, const char *text, size_t size,
                        size_t n, struct route_faults *faults);
int64_t routes_withdraw(struct routes *routes, uint32_t neighbor, const char *text, size_t size, size_t n,
                        struct route_faults *faults);

/* The communities that the policy can add: routes_take_line reads sets that have none of them by itself, and none at
 * all before this was called. -1: no memory, or a kind that is none; then it leaves all sets to the caller. */
int routes_our_tags(struct routes *routes, const struct our_tag *tags, size_t n);

/* What routes_take_line made of a line. */
enum line_taken {
    LINE_OTHER = 0,          /* nothing: it is for a complete decoder */
    LINE_TAKEN = 1,          /* all of it */
    LINE_TAKEN_PATH_IDS = 2, /* all of it, and some route has a path id */
    LINE_NEW_ATTRIBUTES = 3, /* nothing yet: the set of this key is to be added, then the line comes again */
};

#define LINE_KEY_MOST 16384

struct line_key {
    size_t size;
    char bytes[LINE_KEY_MOST];
};

/* A line of ExaBGP, without its LF. Routes that can't be taken are counted in `faults`. */
int routes_take_line(struct routes *routes, const char *line, size_t size, struct line_key *key,
                     struct route_faults *faults);

struct lines_taken {
    size_t size; /* of what was taken: whole lines, with their LF */
    size_t lines;
    bool path_ids; /* some route has one */
};

/* Takes lines as routes_take_line does, each ended by LF, up to the first one that needs more than that. */
void routes_take_lines(struct routes *routes, const char *text, size_t size, struct line_key *key,
                       struct route_faults *faults, struct lines_taken *out);

/* The receivers that take no path ids (no ADD-PATH towards them): there all paths of a prefix are one place, and the
 * best of them stands without an id. What stands at a receiver whose bit changes must have been withdrawn before. */
void routes_plain(struct routes *routes, uint64_t ipv4, uint64_t ipv6);

/* The receivers that take IPv4 routes with an IPv6 next hop (RFC 8950). routes_reconsider makes it count. */
void routes_extended_next_hop(struct routes *routes, uint64_t receivers);

/* The receivers whose sessions are up; all, until this was called. At one that is down nothing is announced: what
 * stands there in the right words stays, other words are taken back. routes_reconsider makes it count. */
void routes_up(struct routes *routes, uint64_t receivers);

/* What an earlier run announced. Its routes are those of a neighbor that is declared previous_run: they are held where
 * they stand until a route takes their place, or until one of the same identity is neither announced nor held.
 * routes_neighbor_retire takes back what is left. Below 0: a bad number, no prefix, no memory. `text`: as
 * routes_announce takes it, of one prefix. */
int routes_previous_run(struct routes *routes, uint32_t neighbor);
int routes_previous_run_add(struct routes *routes, uint32_t neighbor, uint32_t attrs, const char *text, size_t size,
                            uint64_t receivers);

/* How many routes of the neighbor stand somewhere. It looks at all routes. */
uint64_t routes_previous_run_left(const struct routes *routes, uint32_t neighbor);

/* What was written for a prefix does not stand at these receivers after all; it is said again. */
int routes_unwritten(struct routes *routes, const char *text, size_t size, uint64_t receivers);

/* Whether the neighbor has announced the route and not withdrawn it. */
bool routes_has(const struct routes *routes, uint32_t neighbor, const char *text, size_t size);

/* Begins a round, in which each place is written once; what is to be written again waits for the next. A router that
 * puts what it is told in order of its own until it is sent (docs/exabgp.md) needs that. Never called: no rounds. */
void routes_round(struct routes *routes);

/* VRPs became effective or ceased to be: the routes that they cover will be validated again. */
void routes_vrps_changed(struct routes *routes, const struct vrp_list *changes);
/* Everything will be looked at again; with `rewrite` also written again (the tags of the policy changed). */
void routes_reconsider(struct routes *routes, bool rewrite);
/* Does up to `budget` routes of the work that the calls above left. True: there is more. */
bool routes_work(struct routes *routes, size_t budget);

/* The next command, of at most `most` prefixes (1 or more). False: nothing waits, or (state: searching) nothing was
 * found yet among many routes for which there is nothing to write: to be called again. What it says counts as written.
 */
bool routes_next(struct routes *routes, size_t most, struct command *out);

/* Rows in order of prefix, `room` at a time, whole prefixes (a prefix with more routes than room is cut). */
size_t routes_list(const struct routes *routes, struct route_cursor *cursor, struct route_row *out, size_t room);
/* The routes of exactly this prefix. Returns how many there are; at most room are written. */
size_t routes_at(const struct routes *routes, const struct prefix *prefix, struct route_row *out, size_t room);
/* A cursor for routes_list that starts at a prefix. */
void routes_seek(struct route_cursor *cursor, const struct prefix *prefix);

/* Keeps the last `room` events from now on; 0: none, which is how a table begins. -1: no memory, all is as it was. */
int routes_listen(struct routes *routes, uint32_t room);
/* What routes_vrps_changed and routes_reconsider are called for from now on; it comes back in the events. */
void routes_set_cause(struct routes *routes, uint32_t cause);
/* The oldest events, taken away; `lost`: how many found no room since the last call. */
size_t routes_events(struct routes *routes, struct route_event *out, size_t room, uint64_t *lost);

void routes_changes(const struct routes *routes,
                    uint64_t changes[16]);                 /* of validity since the start: [4 * from + to] */
uint64_t routes_memory(const struct routes *routes);       /* bytes of all but the sets */
uint64_t routes_attrs_memory(const struct routes *routes); /* of attribute sets */

#endif
