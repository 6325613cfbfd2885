/* Prefixes with many routes, whose records lie in a list as ever; beside it each has an index: by neighbor and path id,
 * and by the path id with which they are announced. Those that share one announcement have a ranking, too; ranking.c.
 * So neither a look at one route nor a command for it is a walk over all, however many there are.
 *
 * In real tables no prefix has so many routes. Where memory ends a throng has no index, and is walked over.
 */
#ifndef RTRD_THRONGS_H
#define RTRD_THRONGS_H

#include "rib/rib_private.h"

struct throng_slot {
    uint32_t number; /* of a route */
    uint32_t other;  /* the route before it in the list, or NO_ROUTE; of `paths`: the path id of the announcement */
};

#define SLOT_REMOVED (UINT32_MAX - 1) /* the number in a slot whose route is gone; NO_ROUTE: it is free */
#define NOT_LISTED UINT32_MAX
#define LIST_END (UINT32_MAX - 1)

struct ranked {         /* a route of a ranking, by its slot in `routes` */
    uint64_t degree;    /* as it was when the route got its rank */
    uint64_t receivers; /* where it can be announced; 0: it has no rank */
    uint64_t below;     /* the same of all at and below it in the tree */
    uint32_t left, right;
    uint32_t heard, demanding; /* the next slot of the list, LIST_END or NOT_LISTED */
};

/* Routes of which a receiver hears one at most: all at plain receivers; those without path ids at others. */
struct ranking {
    uint64_t epoch;            /* another one than that of the throngs: it is to be made anew */
    struct ranked *at;         /* by slot; NULL: not yet made */
    uint32_t root;             /* of a tree, best first, of those that can be announced; NO_ROUTE: none */
    uint32_t heard, demanding; /* lists: of what is advertised, and of what demands a withdraw; others may be in them */
    uint64_t withdrawn;        /* receivers that were told last that it is withdrawn */
    uint64_t disowned;         /* receivers at which what a previous run announced is disowned, */
    uint64_t disowned_of;      /* when so many sessions had ended, and one more; 0: that is not known */
};

struct throng {
    struct throng *next; /* in its bucket */
    struct prefix prefix;
    uint32_t n;                 /* routes */
    uint32_t room;              /* slots of each table, a power of two */
    uint32_t used;              /* slots of `routes` that are not free, those of removed routes too */
    struct throng_slot *routes; /* by neighbor and path id */
    struct throng_slot *paths;  /* by our path id, those that have one; NULL: none has */
    struct map counts;          /* of those, by neighbor */
    struct tally tally;         /* as covers.c keeps it, */
    uint64_t tally_era;         /* in this era: in another one it is not known */
    struct ranking rankings[2]; /* of the routes without path ids; and at plain receivers of all */
};

struct throng *throng_among(const struct rib *rib, const struct prefix *prefix);
static inline struct throng *throng_of(const struct rib *rib, const struct prefix *prefix) /* NULL: it is none */
{
    return rib->throngs.n ? throng_among(rib, prefix) : NULL;
}
static inline struct throng *throng_of_route(const struct rib *rib, uint32_t number)
{
    struct prefix prefix = route_prefix(rib, number);
    return throng_of(rib, &prefix);
}

/* The routes of a prefix from `first` on get an index, unless there is no memory for it, or they have one. */
void throng_begin(struct rib *rib, const struct prefix *prefix, uint32_t first);
void throng_add(struct rib *rib, struct throng *throng, uint32_t number); /* it is the first one of the list now */
/* Takes a route out of the index and out of the list, whose first one is `first`. The throng may end. */
void throng_remove(struct rib *rib, struct throng *throng, uint32_t number, uint32_t *first);
/* As find_route. */
uint32_t throng_find(const struct rib *rib, const struct throng *throng, uint32_t neighbor, const struct nlri *nlri,
                     uint32_t *others);
/* The next route that is announced with this path id. `at`: NO_ROUTE for the first one, then what the last call left
 * there, as long as the throng stays as it is. They are few: what several sessions of one neighbor have, one after the
 * other, or a previous run. */
uint32_t throng_path(const struct rib *rib, const struct throng *throng, uint32_t path_id, uint32_t *at);
/* One of its routes may have another rank. */
void throng_rank(const struct rib *rib, struct throng *throng, uint32_t number);
/* A route is advertised from now on at receivers of this ranking, which ranking_of gave. */
void throng_heard(const struct rib *rib, const struct throng *throng, struct ranking *ranking, uint32_t number);

/* ranking.c */
void rankings_forget(struct throng *throng); /* they are made anew when they are needed */
/* Up to date, with no other routes in `heard` than those that are advertised. NULL: no memory. */
struct ranking *ranking_of(struct rib *rib, struct throng *throng, bool plain);
/* Takes what is advertised no longer out of `heard`, and what demands nothing any more off the front of `demanding`. */
void ranking_tidy(struct rib *rib, struct throng *throng, bool plain);
/* The best route that can be announced to some of the receivers, or NO_ROUTE. */
uint32_t ranking_best(const struct throng *throng, const struct ranking *ranking, uint64_t receivers);
void ranking_hears(struct ranking *ranking, uint32_t slot);
/* The route of a slot gets the rank that is its now. */
void rankings_rank(const struct rib *rib, struct throng *throng, uint32_t slot);
void rankings_leave(const struct rib *rib, struct throng *throng, uint32_t slot);

#endif
