/* What the table's parts share. Nobody else includes it. */
#ifndef RTRD_ROUTES_TABLE_H
#define RTRD_ROUTES_TABLE_H

#include "exabgp/attributes.h"
#include "rib/attrs.h"
#include "rib/index.h"
#include "rib/rib.h"
#include "rib/written_set.h"

#define CHUNK 4096 /* routes of one piece of memory */
#define NO_ROUTE UINT32_MAX
#define NOT_WAITING (UINT32_MAX - 1)
#define NAME_MOST 46                  /* an address as text */
#define NAMED 1024                    /* names of which it is remembered whose they are */
#define IPV6_BIT UINT32_C(0x80000000) /* of a route's number: which arena it lies in */

enum {
    VALIDITY_BITS = 0x03,
    STALE = 0x04,       /* what stands was written with other words than it would be now */
    STALE_PLAIN = 0x08, /* the same, at receivers that take no path ids */
    TOLD = 0x10,        /* its withdraw decision has been written */
    TOLD_PLAIN = 0x20,  /* the same, at receivers that take no path ids */
    GONE = 0x40,        /* the neighbor withdrew it; here until that is written */
    HAS_PATH_ID = 0x80,
    STALE_BOTH = STALE | STALE_PLAIN,
    TOLD_BOTH = TOLD | TOLD_PLAIN,
};

struct route {
    uint64_t advertised; /* receivers at which our announcement of it stands */
    uint32_t attrs;
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
};

struct neighbor {
    struct neighbor_policy policy;
    char name[NAME_MOST];
    uint8_t name_n;   /* 0: it has none */
    uint8_t rank[17]; /* its address: decides between routes that are equal otherwise */
    bool used, retired;
    uint8_t
        rewrite; /* bit i: what stands of validity i was written with other additions, until revalidate has marked it */
    bool previous_run; /* what an earlier run announced: held until its place is taken */
    uint64_t counts[4];
    uint64_t routes; /* records, gone ones too */
};

struct revalidate { /* what is still to be validated again */
    struct vrp_list list;
    uint32_t *causes; /* one for each of list.records */
    size_t at;
    bool all, rewrite;
    bool attrs;     /* some attribute sets are marked as retagged */
    uint32_t cause; /* of `all` */
    bool in_range;  /* the range of list.records[at] is begun: go on at range_key */
    uint8_t range_key[INDEX_KEY_MOST];
    uint8_t family; /* of `all`: where to go on */
    uint8_t key[INDEX_KEY_MOST];
};

struct events { /* a ring of those that nobody took yet */
    struct route_event *ring;
    uint32_t room, first, n;
    uint32_t given;        /* by routes_set_cause */
    uint32_t cause;        /* of what is being done */
    const struct vrp *vrp; /* the one whose routes are being looked at, or NULL */
    uint64_t lost;
};

struct routes {
    struct rib_state state;
    struct vrpset *set;
    struct attrs_table attrs;
    struct arena arenas[2];
    struct index prefixes[2]; /* prefix -> first route of its chain */
    struct neighbor *neighbors;
    uint32_t neighbors_n, neighbors_room;
    uint32_t named[NAMED]; /* by a hash of a name: the neighbor that it was last found to be */
    struct revalidate revalidate;
    struct {
        bool running;
        uint8_t family;
        uint8_t key[INDEX_KEY_MOST];
    } purge;
    uint32_t outbox_first, outbox_last;
    uint64_t plain[2];          /* receivers that take no path ids, by family */
    uint64_t extended_next_hop; /* receivers that take IPv4 routes with an IPv6 next hop */
    struct our_tag *our_tags;   /* what summary_read must know; NULL: Python reads all sets */
    size_t our_tags_n;
    struct events events;
    uint64_t changes[4][4]; /* of validity since the start: from, to */
    uint64_t up;            /* receivers that can be announced to */
    bool rounds;
    struct round round;
    uint32_t parked_first, parked_last; /* of the outbox, and wait for the next round */
    uint32_t asked_previous_run;        /* the set of the last command, held until the next one */
};

/* store.c: the records. Nothing below calls upward: each section may use those before it. */
static inline size_t address_size(uint8_t family) { return family == 4 ? 4 : 16; }
static inline size_t family_at(uint8_t family) { return family == 4 ? 0 : 1; }
void prefix_key(const struct prefix *prefix, uint8_t key[INDEX_KEY_MOST]);
uint32_t route_take(struct routes *routes, uint8_t family); /* NO_ROUTE: no memory */
struct route *route_at(const struct routes *routes, uint32_t number);
uint8_t route_family(uint32_t number);
void route_key(const struct routes *routes, uint32_t number, uint8_t key[INDEX_KEY_MOST]);
struct prefix route_prefix(const struct routes *routes, uint32_t number);
void route_remove(struct routes *routes, uint32_t number);
static inline const struct neighbor *neighbor_of(const struct routes *routes, const struct route *route)
{
    return &routes->neighbors[route->neighbor];
}

struct route_line { /* what a neighbor says of one prefix */
    struct prefix prefix;
    uint32_t path_id;
    bool has_path_id;
    bool good; /* false: no prefix, or no path id */
};
/* The first route of the prefix of a route. */
uint32_t prefix_chain(const struct routes *routes, uint32_t number);
/* The first route of the line's prefix, or NO_ROUTE. */
uint32_t chain_of(const struct routes *routes, const struct route_line *line);
/* The neighbor's route of this path id, from `chain` on. */
uint32_t find_route(const struct routes *routes, uint32_t chain, uint32_t neighbor, const struct route_line *line);
/* The first route of the line's prefix, to be read or written. The prefix is made when it is new, and NO_ROUTE is its
 * first then: to be replaced at once. NULL: no memory. */
uint32_t *make_chain(struct routes *routes, const struct route_line *line);
/* A new record, of no validity yet; `first`: its prefix's, by make_chain. NO_ROUTE: no memory. */
uint32_t add_route_at(struct routes *routes, uint32_t *first, uint32_t neighbor, uint32_t attrs,
                      const struct route_line *line);
uint32_t add_route(struct routes *routes, uint32_t neighbor, uint32_t attrs, const struct route_line *line);

/* A route of a withdrawn session counts as gone at once, before its record is. */
bool route_gone(const struct routes *routes, const struct route *route);
enum action route_action(const struct routes *routes, const struct route *route); /* as far as it can be */
uint64_t route_receivers(const struct routes *routes, const struct route *route); /* where it is to be announced */
uint16_t route_variant(const struct routes *routes, const struct route *route);
bool route_retagged(const struct routes *routes, const struct route *route); /* and perhaps not marked so yet */
enum validity route_validate(const struct routes *routes, uint32_t number);

/* neighbors.c */
struct neighbor *neighbor_at(const struct routes *routes, uint32_t number); /* NULL: none, or retired */
int64_t neighbor_named(struct routes *routes, const char *name, size_t n);  /* -1: none is */

/* changes.c */
void event_note(struct routes *routes, uint32_t number, uint8_t was, uint8_t now);

/* select.c */
struct emission { /* what is to be written of one place */
    uint32_t number;
    uint32_t previous_run; /* attributes that stand there from an earlier run */
    uint64_t receivers;
    bool announce;
    bool plain; /* at receivers that take no path ids */
};
/* What is to be written next for the places of the route `number`; false: nothing. */
bool emission_next(struct routes *routes, uint32_t number, struct emission *out);
/* From here on what `emission` says counts as written. */
void emission_apply(struct routes *routes, const struct emission *emission);

/* outbox.c */
/* Puts the route into the outbox if something may have to be written for it. */
void outbox_consider(struct routes *routes, uint32_t number);

/* receive.c */
/* `path_id` NULL: none. */
void route_line_read(struct route_line *line, const char *prefix, size_t n, const char *path_id, size_t id_n);
/* Takes n good lines, at most VRPSET_TOGETHER, that a neighbor announced with one set; how many found room. */
size_t routes_announce_batch(struct routes *routes, uint32_t neighbor, uint32_t attrs, const struct route_line *lines,
                             size_t n, struct route_faults *faults);
bool route_take_back(struct routes *routes, uint32_t neighbor, const struct route_line *line); /* false: it had none */
/* One line of `text`, taken off its front; false: no LF, so no line. */
bool take_line(const char **text, size_t *size, struct route_line *line);
void route_set_validity(struct routes *routes, uint32_t number, enum validity validity);
void route_withdraw(struct routes *routes, uint32_t number);

/* revalidate.c */
void revalidate_forget(struct revalidate *revalidate); /* frees what it holds */
uint64_t revalidate_memory(const struct revalidate *revalidate);

#endif
