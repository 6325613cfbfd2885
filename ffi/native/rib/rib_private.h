/* The record of a route, and what the files of rib/ share; nobody else includes it. Each file calls only those whose
 * section stands before its own. */
#ifndef RTRD_RIB_PRIVATE_H
#define RTRD_RIB_PRIVATE_H

#include <string.h>

#include "rib/attrs.h"
#include "rib/index.h"
#include "rib/rib.h"
#include "rib/walk.h"
#include "rib/written_set.h"

#define NO_ROUTE UINT32_MAX
#define NOT_WAITING (UINT32_MAX - 1)
#define IPV6_BIT UINT32_C(0x80000000) /* of a route's number: in which arena it lies */
#define NO_LENGTH UINT8_MAX           /* of a record that is free */
#define CHUNK 4096                    /* routes of one piece of an arena */

enum kind { KIND_INTERNAL, KIND_CONFEDERATION, KIND_CLIENT, KINDS };

enum {
    VALIDITY_BITS = 0x03,
    OUTDATED = 0x04,       /* what is advertised has other words than it would have now */
    OUTDATED_PLAIN = 0x08, /* the same, at plain receivers */
    WITHDRAWN = 0x10,      /* the withdraw that its action demands has been written */
    WITHDRAWN_PLAIN = 0x20,
    GONE = 0x40, /* the neighbor withdrew it; the record is here until that is written */
    HAS_PATH_ID = 0x80,
    OUTDATED_BOTH = OUTDATED | OUTDATED_PLAIN,
    WITHDRAWN_BOTH = WITHDRAWN | WITHDRAWN_PLAIN,
};

struct route {
    uint64_t advertised; /* receivers that have our announcement of it */
    uint32_t attrs : 24;
    uint32_t did : 2;       /* enum action, as changes.c has noted it last */
    uint32_t path : 2;      /* enum path_outcome: by the ASPAs that counted when the route was looked at last */
    uint32_t leak : 1;      /* as its Only to Customer says (RFC 9234 section 5) */
    uint32_t kept_back : 1; /* its neighbor counts it as such */
    uint32_t cover : 2;     /* enum cover, as it was when it was looked at last; only where its neighbor wants_cover */
    uint32_t path_id;
    uint32_t next;    /* route of the same prefix; in the free list: the next free one */
    uint32_t waiting; /* the next in the outbox; NO_ROUTE: the last one; NOT_WAITING: not in it */
    uint16_t neighbor;
    uint8_t len;
    uint8_t bits;
    uint8_t addr[]; /* 4 or 16 */
};

_Static_assert(offsetof(struct route, addr) + 4 == 32, "an IPv4 route lies in one cache line");

struct arena { /* routes of one family, in chunks that never move */
    void **chunks;
    uint32_t n, room; /* chunks */
    uint32_t used;    /* routes ever taken */
    uint32_t free;
    uint32_t size; /* of a route */
};                 /* behind the routes of a chunk: since when each has its validity */

struct policies {            /* of one neighbor */
    struct policies *before; /* those that it had when rib_work last was through with all routes, and since; or NULL */
    size_t n;
    struct neighbor_policy at[];
};

struct neighbor {
    struct policies *policies;
    uint32_t owner;   /* of attribute sets */
    uint8_t rank[17]; /* its address: decides between routes that are equal otherwise */
    bool used, retired;
    bool outdated;     /* its routes may be advertised with other additions, until rib_work has marked them */
    bool previous_run; /* its routes are what a previous run announced */
    bool wants_cover;  /* some policy of it asks what else covers a route */
    uint8_t role;      /* enum local_role */
    uint64_t counts[4];
    uint64_t paths[4]; /* its routes by enum path_outcome */
    uint64_t leaks;
    uint64_t kept_back; /* those that Only to Customer keeps back from some receiver */
    uint64_t routes;    /* records, gone ones too */
};

struct queue { /* of routes that wait, linked by their `waiting` */
    uint32_t first, last;
};

struct revalidate { /* what is still to be validated again */
    struct vrp_list list;
    uint32_t *causes;  /* one for each of list.records */
    size_t at;         /* list.records before it are done */
    struct walk range; /* of the routes that list.records[at] covers; over: not yet begun */
    struct walk all;
    uint32_t cause; /* of `all` */
    bool attrs;     /* some attribute sets are marked as retagged */
};

enum { ASPAS_NAMED_MOST = 64 }; /* customers that a change of ASPAs is remembered by */

struct judging { /* what is left to do since ASPAs changed: first all paths, then the routes of those that differ */
    struct aspa_set set;
    uint32_t customers[ASPAS_NAMED_MOST]; /* whose ASPAs changed */
    size_t customers_n;                   /* more than there is room for: any */
    uint32_t attrs;                       /* the attribute sets before this one are done; ATTRS_NONE: all */
    bool differ;                          /* some have another outcome */
    uint32_t routes[2];                   /* the records before these are done, by family */
    bool over;
    uint32_t cause;
};

enum { COVERS_WAIT_MOST = 4096 };

struct changed_cover { /* a prefix with a route that came, went or changed its validity */
    struct prefix prefix;
    bool below;     /* it is another cover for what it covers; else only for the routes of it */
    uint32_t cause; /* of the changes that come of it */
};

struct tally { /* routes of a prefix, by what they are to others; all of them */
    uint32_t valid, not_found, n;
};

struct covers {
    uint32_t wanted;            /* neighbors that want them */
    uint64_t era;               /* of the tallies that are kept of prefixes with many routes; never 0 */
    uint32_t lengths[2][129];   /* prefixes of each length, by family */
    struct changed_cover *list; /* those before `at` are done */
    size_t n, room, at;
    struct walk walk; /* over what list[at] covers; over: not yet begun */
    struct walk all;  /* over all routes */
    bool again;       /* another one is to follow */
    uint32_t cause;   /* of `all` */
};

struct only_to_customer { /* what is done about it toward the receivers (RFC 9234 section 5) */
    uint64_t kept_back;   /* they do not get what has it */
    uint64_t unknown;     /* nor these what would need it: of which AS nobody knows */
    uint64_t changed;     /* it may be another one in what they have, until rib_work has marked that */
    uint32_t given[RECEIVERS_MOST];
};

struct change_ring { /* of the changes that nobody took yet */
    struct route_change *at;
    uint32_t room, first, n;
    uint32_t given;         /* by rib_set_cause */
    uint32_t cause;         /* of what is being done */
    const struct vrp *vrp;  /* the one whose routes are being validated again, or NULL */
    uint32_t coming, going; /* by rib_allow_others, less those that were */
    struct changes_lost lost;
};

struct emission {          /* what is to be written next of one NLRI */
    uint32_t number;       /* of a route */
    uint32_t previous_run; /* the set that a previous run announced at all the receivers, or ATTRS_NONE */
    uint64_t receivers;
    bool announce;
    bool plain;     /* the receivers are */
    uint32_t chain; /* the first route of its prefix */
};

#define THRONG_FROM 64

struct throngs {             /* see throngs.h */
    struct throng **buckets; /* by prefix */
    uint32_t room, n;
    uint32_t from;  /* a prefix with so many routes is one */
    uint64_t epoch; /* another one after each change that is not of one route */
    uint64_t ended; /* sessions with routes */
};

struct rib {
    struct rib_state state;
    struct vrpset *set;
    struct attrs_table attrs;
    uint64_t attrs_most; /* octets of one neighbor's */
    struct arena arenas[2];
    struct index prefixes[2]; /* the first route of each prefix; the others follow by `next` */
    struct throngs throngs;
    uint64_t looked; /* at routes of throngs, since rib_next_command began */
    struct neighbor *neighbors;
    uint32_t neighbors_n, neighbors_room;
    struct summary_terms terms;
    struct our_tag *our_tags; /* those of `terms` */
    struct condition *conditions;
    struct revalidate revalidate;
    struct judging judging;
    struct covers covers;
    struct walk purge;             /* of what retired neighbors and forgotten receivers have */
    struct queue outbox;           /* routes for which something may have to be written */
    struct index_position turn[2]; /* behind the prefix whose turn it was last, by family */
    struct queue parked;           /* those of them that wait for the next send barrier */
    uint64_t plain[2];             /* receivers that take no path ids, by family */
    uint64_t turning;              /* receivers for which that is about to change */
    uint64_t extended_next_hop;    /* receivers that take IPv4 routes with an IPv6 next hop */
    uint64_t two_octet_as;         /* receivers that take no AS numbers of four octets */
    uint64_t up;                   /* receivers that can be announced to */
    uint64_t kinds[KINDS];         /* receivers by kind; external: those of none */
    uint64_t rekinded;             /* those that are of another kind now, until rib_work has marked what they have */
    struct only_to_customer otc;
    uint64_t forgotten;      /* receivers that are gone, until `purge` is over */
    uint64_t path_id_key[2]; /* of the path ids with which routes are announced */
    bool has_barriers;
    struct map written;         /* see written_set.h */
    uint32_t held_previous_run; /* the set of the last command, held until the next one */
    struct change_ring changes;
    uint32_t now;                 /* Unix time */
    uint64_t change_counts[4][4]; /* since the start: from, to */
};

/* The record of a route. */
static inline size_t address_size(uint8_t family) { return family == 4 ? 4 : 16; }
static inline void copy_address(uint8_t *to, const uint8_t *from, uint8_t family)
{
    if (family == 4) /* a size that is known needs no call */
        memcpy(to, from, 4);
    else
        memcpy(to, from, 16);
}

static inline size_t family_at(uint8_t family) { return family == 4 ? 0 : 1; }
static inline uint8_t route_family(uint32_t number) { return number & IPV6_BIT ? 6 : 4; }

static inline struct route *route_at(const struct rib *rib, uint32_t number)
{
    const struct arena *arena = &rib->arenas[number & IPV6_BIT ? 1 : 0];
    uint32_t i = number & ~IPV6_BIT;
    return (struct route *)((uint8_t *)arena->chunks[i / CHUNK] + (size_t)(i % CHUNK) * arena->size);
}

static inline uint32_t *since_at(const struct rib *rib, uint32_t number)
{
    const struct arena *arena = &rib->arenas[number & IPV6_BIT ? 1 : 0];
    uint32_t i = number & ~IPV6_BIT;
    return (uint32_t *)((uint8_t *)arena->chunks[i / CHUNK] + (size_t)CHUNK * arena->size) + i % CHUNK;
}

static inline struct neighbor *neighbor_of(const struct rib *rib, const struct route *route)
{
    return &rib->neighbors[route->neighbor];
}

static inline const struct attrs_summary *summary_of(const struct rib *rib, const struct route *route)
{
    return &rib->attrs.sets[route->attrs].summary;
}

/* rules.c: what the policy says of a route */
void neighbor_end(struct rib *rib, struct neighbor *neighbor); /* frees its policies; its number is free, too */
/* The first of several policies that is for a route. */
const struct neighbor_policy *policy_for(const struct rib *rib, uint32_t number, const struct policies *policies);
static inline const struct neighbor_policy *policy_among(const struct rib *rib, uint32_t number,
                                                         const struct policies *policies)
{
    return policies->n == 1 ? policies->at : policy_for(rib, number, policies);
}
static inline const struct neighbor_policy *route_policy(const struct rib *rib, uint32_t number)
{
    return policy_among(rib, number, neighbor_of(rib, route_at(rib, number))->policies);
}
/* Withdrawn, or of a retired neighbor. */
static inline bool route_gone(const struct rib *rib, const struct route *route)
{
    return (route->bits & GONE) || neighbor_of(rib, route)->retired;
}
enum action route_action(const struct rib *rib, uint32_t number);
uint64_t route_receivers(const struct rib *rib, uint32_t number); /* where it can be announced */
/* Where its rule would announce it, and Only to Customer forbids it. */
uint64_t route_kept_back(const struct rib *rib, uint32_t number);
/* Where it would be held, and must not: its path id is about to mean something there, or nothing. */
static inline uint64_t route_turned(const struct rib *rib, const struct route *route)
{
    return route->bits & HAS_PATH_ID ? route->advertised & rib->turning : 0;
}
/* By what its words differ from receiver to receiver: enum differs_by. */
uint8_t route_differs(const struct rib *rib, uint32_t number);
/* Those of the receivers, all or some, to which it is announced in the same words. */
uint64_t route_alike_at(const struct rib *rib, uint32_t number, uint64_t receivers);
uint16_t route_variant(const struct rib *rib, uint32_t number);
bool route_retagged(const struct rib *rib, uint32_t number); /* and perhaps not marked as outdated yet */
/* The path id with which it is announced, at receivers that take some: ours (RFC 7911 section 2), the same in the next
 * run. Where two of one prefix are equal all the same, the routes share an NLRI. */
uint32_t route_path_id(const struct rib *rib, uint32_t number);
void policies_free(struct policies *policies);
/* The decision of RFC 4271 section 9.1, as far as the summaries go (none compares MEDs, so all routes have one order):
 * the route of the lower degree is better, or else by what never changes of a route; below 0: a is. */
uint64_t route_degree(const struct rib *rib, uint32_t number);
int route_break_tie(const struct rib *rib, uint32_t a, uint32_t b);

/* Which of the policy's values is for a route. */
static inline size_t policy_case(const struct rib *rib, const struct route *route, const struct neighbor_policy *policy)
{
    bool as_set = policy->as_set != ACTION_BY_VALIDITY && (summary_of(rib, route)->traits & TRAIT_AS_SET);
    return (route->bits & VALIDITY_BITS) + (route->path == PATH_INVALID ? CASE_PATH_INVALID : 0) +
           (route->leak ? CASE_LEAK : 0) + (as_set ? CASE_AS_SET : 0);
}

/* Those that keep one announcement for all routes of a prefix (`plain`), or one for each path. */
static inline uint64_t receivers_of(const struct rib *rib, uint8_t family, bool plain)
{
    uint64_t receivers = rib->plain[family_at(family)];
    return (plain ? receivers : ~receivers) & ~rib->forgotten;
}

/* throngs.c: prefixes with many routes; throngs.h */
void throngs_free(struct rib *rib);
uint64_t throngs_memory(const struct rib *rib);

/* store.c: records, the routes of a prefix */
void prefix_key(const struct prefix *prefix, uint8_t key[INDEX_KEY_MOST]);
static inline struct prefix route_prefix(const struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    struct prefix prefix = {.len = route->len, .family = route_family(number)};
    copy_address(prefix.addr, route->addr, prefix.family);
    return prefix;
}
uint32_t chain_of(const struct rib *rib, const struct prefix *prefix); /* its first route, or NO_ROUTE */
uint32_t chain_of_route(const struct rib *rib, uint32_t number);       /* the first route of its prefix */
struct beside {      /* what there is of a prefix beside the route that was not found */
    uint32_t others; /* routes of the neighbor, gone ones too; only those with path ids may be counted */
    uint32_t all;
};
/* The neighbor's route of this path id, from `chain` on; if there is none, what there is beside. */
uint32_t find_route(const struct rib *rib, uint32_t chain, uint32_t neighbor, const struct nlri *nlri,
                    struct beside *beside);
/* Begins to fetch what make_chain will read, and gives its `near`; see index.h. */
size_t fetch_chain(const struct rib *rib, const struct prefix *prefix, size_t near);
/* The first route of the prefix, to be read or written. The prefix is made when it is new, and NO_ROUTE is its first
 * then, to be replaced at once. NULL: no memory. */
uint32_t *make_chain(struct rib *rib, const struct prefix *prefix, size_t near);
/* A new record, of no validity yet; `first`: of its prefix, by make_chain. NO_ROUTE: no memory. */
uint32_t add_route(struct rib *rib, uint32_t *first, uint32_t neighbor, uint32_t attrs, const struct nlri *nlri);
void route_remove(struct rib *rib, uint32_t number);

/* neighbors.c */
struct neighbor *neighbor_at(const struct rib *rib, uint32_t number); /* NULL: none, or retired */

/* changes.c */
/* A route has another validity, path or action than before; `path_was`: as of struct route_change. */
void change_note(struct rib *rib, uint32_t number, uint8_t was, uint8_t path_was);
uint8_t change_path(const struct route *route);     /* what its path is, likewise */
void change_came(struct rib *rib, uint32_t number); /* a new route */
void change_goes(struct rib *rib, uint32_t number); /* a route that is still there */

/* waiting.c */
/* Whether its action may demand something else than what was last written. For the only route of a prefix: it does, or
 * there is nothing to be written. */
bool route_may_differ(const struct rib *rib, uint32_t number);
/* Puts the route into the outbox if something may have to be written for it. Whoever has changed a route calls it. */
void outbox_consider(struct rib *rib, uint32_t number);
/* The same for one whose turn comes later: among many of its prefix it may have another rank. */
void route_rank(struct rib *rib, uint32_t number);
void append_to(struct rib *rib, struct queue *queue, uint32_t number);
void drop_first(struct rib *rib, struct queue *queue);

/* select.c */
/* The first route of the prefix of a route whose turn it is. */
uint32_t chain_in_turn(struct rib *rib, uint32_t number);
/* What is to be written next for the NLRI of a route; false: nothing. `chain`: by chain_in_turn. */
bool emission_next(struct rib *rib, uint32_t number, uint32_t chain, struct emission *out);
/* From here on the emission counts as written. */
void emission_apply(struct rib *rib, const struct emission *emission);

/* paths.c */
enum path_outcome path_of(struct rib *rib, uint32_t neighbor, uint32_t attrs); /* by the ASPAs of now */
bool leak_of(const struct rib *rib, uint32_t neighbor, uint32_t attrs);        /* as Only to Customer says */
enum path_outcome route_path(struct rib *rib, const struct route *route);
bool route_leak(const struct rib *rib, const struct route *route);

/* covers.c */
void covers_free(struct covers *covers);
/* All covers are to be looked at again, in rib_work. */
void covers_all_again(struct rib *rib);
/* A route that is not gone is new: its own cover. */
void covers_route_came(struct rib *rib, uint32_t number);
/* A route was of a validity for others, and is of another one now; VALIDITY_UNVERIFIED: it was not, or is not there. */
void covers_changed(struct rib *rib, uint32_t number, unsigned was, unsigned now);
bool covers_wait(const struct rib *rib); /* something is to be looked at */
/* All covers are, that of the route yet, and what is done with it may hang on that: its turn comes then. */
bool covers_decide(const struct rib *rib, uint32_t number);
bool covers_work(struct rib *rib, size_t *budget); /* false: nothing is, any more */

/* receive.c */
/* Takes a route off the front of `text`. 1: it is read, 0: it is none, -1: the text has no LF. */
int nlri_take(const char **text, size_t *size, struct nlri *out);
/* Gives a route that is not gone its validity, and what its path is now; its action may be another one then. */
void route_set_validity(struct rib *rib, uint32_t number, enum validity validity);
/* The neighbor has the route no longer. Its record stays until what was written for it is withdrawn. */
void route_withdraw(struct rib *rib, uint32_t number);

/* judging.c */
bool judging_paths(struct rib *rib, size_t *budget);  /* false: all paths are judged */
bool judging_routes(struct rib *rib, size_t *budget); /* false: the routes have what came out */

/* revalidate.c */
void revalidate_forget(struct revalidate *revalidate); /* frees what it holds */
uint64_t revalidate_memory(const struct revalidate *revalidate);

#endif
