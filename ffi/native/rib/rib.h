/* The RIB of one router: the routes that its neighbors announce (the Adj-RIB-In), the validity of each (RFC 6811), and
 * what is to be written to the router because of it.
 *
 * Each route has a validity by the VRP set and, by its neighbor's policy, an action. What the action demands and what
 * was last written are compared when the router has room for a command (rib_next_command). So a route that flaps costs
 * one command, and never more waits than there are routes.
 *
 * A router keeps one announcement for each NLRI and receiver: for a prefix and path id (RFC 7911), or for the prefix
 * alone at a receiver that takes no path ids, which is called plain here. Path ids toward receivers are ours, another
 * one for each neighbor and path id of its own. When several routes share an NLRI, the best by RFC 4271 section 9.1 (as
 * far as it can be known) is written there; but an invalid one never before one that is not.
 *
 * Read this header, then rib_private.h (the record of a route, and what the files share), then the way of a route:
 *     receive.c       a neighbor announces or withdraws it
 *     revalidate.c    VRPs or the policy changed, or its session ended: what rib_work does
 *     paths.c         what paths are by ASPAs (draft-ietf-sidrops-aspa-verification) and Only to Customer (RFC 9234)
 *     judging.c       ASPAs changed: paths are judged again, in rib_work
 *     waiting.c       routes for which something may have to be written
 *     outbox.c        the next command
 *     select.c        the best route of an NLRI, and what has to be written there
 * and what these stand on:
 *     neighbors.c     sessions and their policies
 *     rules.c         what the policy says of a route
 *     store.c         records, and the routes of a prefix
 *     throngs.c       an index of the routes of a prefix, where they are many
 *     ranking.c       these in the order of the decision
 *     walk.c          goes over all routes, or those that a prefix covers, in slices
 *     attrs.c         attribute sets, by number            index.c   prefixes in order
 *     demands.c       what a rule demands of a route
 *     covers.c        what else leads to the prefix of a route, which a rule may ask, too
 *     written_set.h   what was written since the last send barrier
 * and beside the way:
 *     previous_run.c  what a previous run announced        changes.c  changes of validity, for whoever asks
 *     whatif.c        validity by a VRP set as it would be rib.c      life, attribute sets, lists
 *
 * The RIB owns all its memory: records, copies of keys, and what rib_vrps_changed is given, too. The VRP set is the
 * caller's and must live longer. Pointers that are given out are good until the next call that changes the RIB, that of
 * rib_state as long as the RIB lives.
 *
 * The decoder of UPDATEs (bgp/) uses this header and summary.h, and nothing else of the folder. Not thread-safe: one
 * thread at a time.
 */
#ifndef RTRD_RIB_H
#define RTRD_RIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aspas/path.h"
#include "base/prefix.h"
#include "rib/demands.h"
#include "rib/summary.h"
#include "rib/walk.h"
#include "vrps/vrpset.h"

/* ---- Python sees this ---- */

#define RIB_NEIGHBORS 65535
#define RIB_ROUTES_OF_PREFIX 1024 /* of one neighbor, by path id */
#define RIB_ROUTES_CROWDED 4096   /* of a prefix that has so many, a neighbor gets no more by path id than */
#define RIB_ROUTES_SHARE 16
#define COMMAND_TEXT 16384

enum action { ACTION_OBSERVE = 0, ACTION_HOLD = 1, ACTION_WITHDRAW = 2, ACTION_ANNOUNCE = 3 };

#define ACTION_BY_VALIDITY 255
#define POLICIES_MOST 256 /* of a neighbor */

#define POLICY_CASES 32     /* by enum validity, and */
#define CASE_PATH_INVALID 4 /* more for a path that is invalid by ASPAs, */
#define CASE_LEAK 8         /* more for a route that has leaked, */
#define CASE_AS_SET 16      /* more for what has TRAIT_AS_SET, unless its action is by validity */

/* What is left where a route goes: by which other route of the same or a less specific prefix it would still be
 * reached. A valid one tells more than one not found. */
enum cover { COVER_NONE = 0, COVER_VALID = 1, COVER_NOT_FOUND = 2 };

/* What a rule says of Only to Customer (RFC 9234 section 5). */
enum otc_rule {
    OTC_AS_LEARNED = 0, /* nothing is done */
    OTC_CHECKED = 1, /* what has it is kept back from some receivers; for others it is added, where it is not there */
    OTC_ADDED = 2    /* likewise, and all routes of the neighbor have it: it is added as they come */
};

/* What a rule of the policy says for one neighbor, and for which of its routes. */
struct neighbor_policy {
    uint64_t receivers;                      /* bit i: announced and withdrawn at receiver i */
    uint32_t local_preference[POLICY_CASES]; /* UINT32_MAX: the learned one */
    uint16_t variant[POLICY_CASES];          /* equal for two whose announcements carry the same additions */
    uint32_t by_kind;                        /* bit i: what case i adds depends on the kind of the receiver */
    uint8_t action[4];                       /* enum action, by enum validity */
    uint8_t as_set;                          /* enum action of what has TRAIT_AS_SET, or ACTION_BY_VALIDITY */
    uint8_t path_invalid;     /* of paths that are invalid by ASPAs, likewise: it counts if it is the more severe one */
    uint8_t leak;             /* and of routes that have leaked */
    uint8_t enforce_first_as; /* what has TRAIT_OTHER_FIRST_AS is not announced */
    uint8_t otc;              /* enum otc_rule */
    uint8_t covered_by;       /* it is for routes of this enum cover; COVER_NONE: for all */
    uint8_t shortest[2];      /* prefixes that it is for: IPv4, IPv6 */
    uint8_t longest[2];
    uint32_t conditions;     /* it is for sets that meet one of them; 0: for all */
    struct demands *demands; /* and for routes that meet these; NULL: for all */
};

/* What we are on a session (RFC 9234 section 3). */
enum local_role { ROLE_NONE = 0, ROLE_PROVIDER, ROLE_CUSTOMER, ROLE_PEER, ROLE_RS, ROLE_RS_CLIENT };

struct route_faults {
    uint64_t prefixes; /* text that is no prefix, or has host bits */
    uint64_t memory;   /* routes that found no memory */
    uint64_t crowded;  /* routes beyond RIB_ROUTES_OF_PREFIX or RIB_ROUTES_SHARE */
};

enum differs_by { DIFFERS_BY_KIND = 1, DIFFERS_BY_OTC = 2 };

struct command {
    uint64_t receivers;
    uint32_t attrs;        /* announce: the attribute set; withdraw: the one it was last known with */
    uint32_t previous_run; /* announce: the set that a previous run announced for all the prefixes; or ATTRS_NONE */
    uint32_t path_id;
    uint32_t n;    /* prefixes */
    uint32_t size; /* bytes of text */
    uint16_t variant;
    uint8_t announce; /* 1 announce, 0 withdraw */
    uint8_t family;
    uint8_t has_path_id;
    uint8_t differs;         /* announce: enum differs_by; by what its words differ from receiver to receiver */
    char text[COMMAND_TEXT]; /* the prefixes, a blank between two */
};

struct route_row {
    struct prefix prefix;
    uint64_t advertised; /* receivers that have our announcement of it */
    uint64_t kept_back;  /* receivers of its rule to which it is not announced, because of Only to Customer */
    int64_t origin;
    uint32_t attrs, path_id;
    uint16_t neighbor;
    uint8_t has_path_id;
    uint8_t validity, action;
    uint8_t waiting; /* something of it may still have to be written */
    uint8_t reason;  /* enum invalid_reason */
    uint8_t path;    /* enum path_outcome */
    uint8_t leak;
    uint32_t since;             /* when its validity changed, or it came: what rib_set_time was given */
    uint32_t announced_path_id; /* ours, at receivers that take some; of a route with one */
};

enum invalid_reason { /* why a route is invalid */
                      REASON_NONE = 0,
                      REASON_AS = 1,    /* a VRP that covers it allows its length, for another AS */
                      REASON_LENGTH = 2 /* none allows its length */
};

#define CAUSE_UPDATE 0                     /* an UPDATE of the neighbor */
#define CAUSE_SESSION UINT32_C(0xFFFFFFFE) /* the neighbor's session ended */
#define ACTION_NONE 255                    /* of a route that is not there */

#define CHANGE_LEAK 4

/* A route changed its validity, what its path is, or its action, came or went. These lie in files, too
 * (rtrd/history_tables.py). */
struct route_change {
    struct prefix prefix;
    struct vrp vrp;   /* one that covers it and became effective (announce 1) or ceased to be (0); family 0: none */
    struct vrp judge; /* one in force that makes it valid, or invalid; family 0: none */
    int64_t origin;
    uint32_t cause; /* CAUSE_UPDATE, CAUSE_SESSION, or the number that rib_set_cause gave */
    uint32_t path_id;
    uint16_t neighbor;
    uint8_t has_path_id;
    uint8_t was, now; /* enum validity, or VALIDITY_NONE */
    uint8_t did;      /* enum action before, or ACTION_NONE */
    uint8_t action;   /* the same now, by the policy for `now`; of a route that went: withdraw, or ACTION_NONE */
    uint8_t paths;    /* what its path is: enum path_outcome, and CHANGE_LEAK; before: the same, four bits higher */
};

/* Changes that were not kept. */
struct changes_lost {
    uint64_t changes; /* for which there was no room */
    uint64_t others;  /* beyond what rib_allow_others allowed */
};

/* What callers ask again and again. Every call that changes the RIB keeps it up to date. */
struct rib_state {
    uint64_t routes;           /* that the neighbors have announced and not withdrawn */
    uint64_t validity_changes; /* since the start */
    uint64_t waiting;          /* routes for which a command may have to be written; parked ones, too */
    uint64_t parked;           /* those of them that wait for the next send barrier */
    uint32_t changes;          /* that are kept, and that rib_take_changes would give */
    bool written_set_full;     /* nothing more can be written before the next send barrier */
    bool searching;            /* the last rib_next_command found nothing yet: it is to be called again */
    bool work;                 /* rib_work has something to do */
};

struct rib;

struct rib *rib_new(struct vrpset *set); /* NULL: no memory */
void rib_free(struct rib *rib);
const struct rib_state *rib_state(const struct rib *rib);

/* ---- attribute sets. One that no route took is gone after the next announcement with it. */

uint32_t rib_attrs_find(const struct rib *rib, const void *key, size_t n); /* UINT32_MAX: no such set */
uint32_t rib_attrs_add(struct rib *rib, const void *key, size_t n, const struct attrs_summary *summary);
const uint8_t *rib_attrs_key(const struct rib *rib, uint32_t attrs, size_t *n); /* NULL: no such set */
uint32_t rib_attrs_end(const struct rib *rib);                                  /* every number in use is below */
/* So many octets the sets may have that are there by one neighbor's UPDATEs; without it there is no bound. */
void rib_set_attrs_most(struct rib *rib, uint64_t octets);
/* The summary of a set has changed, since our tags have. What is advertised with it in other words will be written
 * again, by the next rib_revalidate. -1: no such set. */
int rib_attrs_retag(struct rib *rib, uint32_t attrs, const struct attrs_summary *summary);
/* Our tags are other ones: see struct summary_terms. -1: no memory, or a kind that is none; then they are not known. */
int rib_set_our_tags(struct rib *rib, const struct our_tag *tags, size_t n);
/* The communities that policies ask for. Sets that are there keep what they meet until rib_attrs_retag. -1: no memory.
 */
int rib_set_conditions(struct rib *rib, const struct condition *conditions, size_t n);

/* ---- neighbors are numbered by session: one that comes back is a new one. */

/* Of n policies the first one that is for a route counts, so the last one must be for all. `rank` decides between
 * routes that are equal otherwise. -1: no number or no memory left, or policies that can't be. */
int32_t rib_neighbor_add(struct rib *rib, const struct neighbor_policy *policies, size_t n, const uint8_t rank[17]);
/* Other policies. rib_revalidate makes them count; what is advertised with other additions is written again. */
int rib_neighbor_policy(struct rib *rib, uint32_t neighbor, const struct neighbor_policy *policies, size_t n);
int rib_neighbor_retire(struct rib *rib, uint32_t neighbor); /* its routes go, in rib_work */
/* What we are to it; none at the beginning. rib_revalidate makes it count. */
int rib_neighbor_role(struct rib *rib, uint32_t neighbor, enum local_role role);
void rib_neighbor_paths(const struct rib *rib, uint32_t neighbor, uint64_t counts[4], uint64_t *leaks);
void rib_neighbor_counts(const struct rib *rib, uint32_t neighbor, uint64_t counts[4]); /* by validity */

/* ---- receivers, by bit */

/* A secret by which path ids are made, the same in each run: nobody outside can choose two that are equal. No route has
 * been announced yet. */
void rib_set_path_id_key(struct rib *rib, const uint64_t key[2]);
/* The receivers that take no path ids. What is advertised at one whose bit changes must have been withdrawn before. */
void rib_set_plain(struct rib *rib, uint64_t ipv4, uint64_t ipv6);
/* Receivers for which that is about to happen: what has a path id does not stay there, not even what is held.
 * rib_revalidate makes it count. */
void rib_set_turning(struct rib *rib, uint64_t receivers);
/* The receivers that take IPv4 routes with an IPv6 next hop (RFC 8950). rib_revalidate makes it count. */
void rib_set_extended_next_hop(struct rib *rib, uint64_t receivers);
/* The receivers whose sessions have AS numbers of two octets (RFC 6793): what has TRAIT_WIDE_AS is not announced there.
 * rib_revalidate makes it count. */
void rib_set_two_octet_as(struct rib *rib, uint64_t receivers);
/* What the receivers are to the router: of its own AS, of another AS in its confederation (RFC 5065), clients of the
 * route server that it is (RFC 7947); all others are external. What is announced depends on it (TRAIT_BY_KIND), and
 * whether it is (RFC 1997). rib_revalidate makes it count. */
void rib_set_kinds(struct rib *rib, uint64_t internal, uint64_t confederation, uint64_t clients);
/* What Only to Customer demands where a rule is OTC_CHECKED or OTC_ADDED: routes that have it are not announced to the
 * receivers of `kept_back`; to receiver i those without it are announced with that of AS given[i], if it is not 0, and
 * not at all if it is one of `unknown`. rib_revalidate makes it count. */
#define RECEIVERS_MOST 64
void rib_set_only_to_customer(struct rib *rib, uint64_t kept_back, uint64_t unknown,
                              const uint32_t given[RECEIVERS_MOST]);
/* How many routes of the neighbor are not announced to some receiver for that reason. */
uint64_t rib_neighbor_kept_back(const struct rib *rib, uint32_t neighbor);
/* The receivers whose sessions are up; all, until this was called. At one that is down nothing is announced: what is
 * advertised there in the right words stays, other words are withdrawn. rib_revalidate makes it count. */
void rib_set_up(struct rib *rib, uint64_t receivers);
/* The router has these receivers no longer: from now on nothing is written for them, and, as rib_work comes to it, no
 * route is advertised there. No policy may name them. Their bits are free again once rib_forgotten has them no more. */
void rib_forget_receivers(struct rib *rib, uint64_t receivers);
uint64_t rib_forgotten(const struct rib *rib);

/* ---- routes as text: a prefix, under ADD-PATH a blank and a path id (as an address), each route ended by LF */

/* `n` routes. Returns how many were taken, or -1 when the text does not hold exactly n of them (then nothing was), -2
 * for a bad number. */
int64_t rib_announce_text(struct rib *rib, uint32_t neighbor, uint32_t attrs, const char *text, size_t size, size_t n,
                          struct route_faults *faults);
int64_t rib_withdraw_text(struct rib *rib, uint32_t neighbor, const char *text, size_t size, size_t n,
                          struct route_faults *faults);
/* Of one route: whether the neighbor has announced it and not withdrawn it. */
bool rib_has_route(const struct rib *rib, uint32_t neighbor, const char *text, size_t size);
/* Of one route: what was written for it is not advertised at these receivers after all; it is written again. */
int rib_mark_not_announced(struct rib *rib, const char *text, size_t size, uint64_t receivers);

/* What a previous run announced. It is a neighbor, whose routes are held where they are advertised until another route
 * of their NLRI is announced there, or until one of the same identity is neither announced nor held.
 * rib_neighbor_retire withdraws what is left. Below 0: a bad number, no prefix, no memory. `text`: of one route. */
int rib_previous_run_begin(struct rib *rib, uint32_t neighbor);
int rib_previous_run_add(struct rib *rib, uint32_t neighbor, uint32_t attrs, const char *text, size_t size,
                         uint64_t receivers);
/* How many routes of the neighbor are still advertised. It looks at all routes. */
uint64_t rib_previous_run_left(const struct rib *rib, uint32_t neighbor);

/* ---- validity */

/* VRPs became effective or ceased to be: the routes that they cover will be validated again, in rib_work. */
void rib_vrps_changed(struct rib *rib, const struct vrp_list *changes);
/* These ASPAs count from now on; `set` stays the caller's and must live until the next call. Paths are judged again, in
 * rib_work, before any route is validated; so a route that VRPs and ASPAs of one moment touch changes once. `changes`:
 * as aspas_changes gave them. */
void rib_aspas_changed(struct rib *rib, const struct aspa_set *set, const uint32_t *changes, size_t n);
/* All routes will be validated again, and what the policy says of each is looked up again, in rib_work. */
void rib_revalidate(struct rib *rib);
/* Does up to `budget` routes of the work that the calls above left. True: there is more. */
bool rib_work(struct rib *rib, size_t budget);

/* Unix time: what routes that come or change get from now on. */
void rib_set_time(struct rib *rib, uint32_t now);
/* Keeps the last `room` changes from now on; 0: none, which is how a RIB begins. -1: no memory, all is as it was. */
int rib_keep_changes(struct rib *rib, uint32_t room);
/* Routes that come or go and are not invalid are changes only as long as some are allowed, at the beginning none:
 * `more` are, of each of the two, but never more than `most`. */
void rib_allow_others(struct rib *rib, uint32_t more, uint32_t most);
/* What rib_vrps_changed and rib_revalidate are called for from now on; the changes carry it. */
void rib_set_cause(struct rib *rib, uint32_t cause);
/* The oldest changes, taken away; `lost`: since the last call. */
size_t rib_take_changes(struct rib *rib, struct route_change *out, size_t room, struct changes_lost *lost);
/* How many there were since the start, of validity i to j: [4 * i + j]. */
void rib_change_counts(const struct rib *rib, uint64_t counts[16]);

/* ---- commands */

/* The next command, of at most `most` prefixes (1 or more). False: nothing waits, or the state is `searching`. What it
 * says counts as written. */
bool rib_next_command(struct rib *rib, size_t most, struct command *out);
/* A send barrier: the router has sent all that it was told. From the first call on each NLRI is written once between
 * two barriers, and what is to be written again waits for the next one. A router needs that if it puts what it is told
 * in an order of its own until it is sent. */
void rib_send_barrier(struct rib *rib);
/* Whether a route that waits for the next send barrier is advertised at one of these receivers. */
bool rib_parked_at(const struct rib *rib, uint64_t receivers);

/* ---- lists */

/* Rows in order of prefix, `room` at a time, whole prefixes (a prefix with more routes than room is cut). The RIB may
 * change between two calls. 0: that was all. */
size_t rib_list(const struct rib *rib, struct walk *walk, struct route_row *out, size_t room);
/* The routes of exactly this prefix. Returns how many there are; at most room are written. */
size_t rib_list_prefix(const struct rib *rib, const struct prefix *prefix, struct route_row *out, size_t room);

/* A prefix with so many routes, 2 or more, is a throng, which has an index: THRONG_FROM, but for tests, which have few.
 */
void rib_set_throng_from(struct rib *rib, uint32_t routes);
uint64_t rib_memory(const struct rib *rib);       /* bytes of all but the attribute sets */
uint64_t rib_attrs_memory(const struct rib *rib); /* of those */

/* ---- only C sees this ---- */

/* For decoders of UPDATEs. They read one whole before its first route is touched, and hold its sets meanwhile. */

const struct summary_terms *rib_summary_terms(const struct rib *rib);
/* The hash of a set's key, by which it is found. What that will read begins to be fetched, as with rib_fetch what
 * rib_announce of a route will read; rib_attrs_fetch goes on when the first of it should have come. */
uint32_t rib_attrs_hash(const struct rib *rib, const void *key, size_t n);
void rib_attrs_fetch(const struct rib *rib, uint32_t hash);
void rib_fetch(const struct rib *rib, const struct nlri *nlri);
uint32_t rib_attrs_find_by(const struct rib *rib, uint32_t hash, const void *key, size_t n);
/* Whether a neighbor may have one more set, of n octets; and a set that there is not yet, at its expense. */
bool rib_attrs_fit(const struct rib *rib, uint32_t neighbor, size_t n);
uint32_t rib_attrs_add_for(struct rib *rib, uint32_t neighbor, uint32_t hash, const void *key, size_t n,
                           const struct attrs_summary *summary);
void rib_attrs_hold(struct rib *rib, uint32_t attrs);
void rib_attrs_release(struct rib *rib, uint32_t attrs); /* the last one ends the set */

/* Takes n routes, at most VRPSET_TOGETHER, that a neighbor announced with one set; how many found room. */
size_t rib_announce(struct rib *rib, uint32_t neighbor, uint32_t attrs, const struct nlri *nlri, size_t n,
                    struct route_faults *faults);
bool rib_withdraw(struct rib *rib, uint32_t neighbor, const struct nlri *nlri); /* false: it had none */

#endif
