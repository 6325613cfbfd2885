/* Prefixes with many routes, whose records lie in a list as ever; beside it each has an index: by neighbor and path id,
 * and by the path id with which they are announced. What was found to be written for all of them is kept until one of
 * them changes. So neither a look at one route nor a command for it is a walk over all, however many there are.
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

struct throng_found { /* what group_emission gave, as long as `epoch` is that of the throngs */
    uint64_t epoch;
    bool any;
    struct emission emission;
};

struct throng {
    struct throng *next; /* in its bucket */
    struct prefix prefix;
    uint32_t n;                   /* routes */
    uint32_t room;                /* slots of each table, a power of two */
    uint32_t used;                /* slots of `routes` that are not free, those of removed routes too */
    struct throng_slot *routes;   /* by neighbor and path id */
    struct throng_slot *paths;    /* by our path id, those that have one; NULL: none has */
    struct map counts;            /* of those, by neighbor */
    struct throng_found found[2]; /* for the routes without path ids; and at plain receivers for all */
};

struct throng *throng_of(const struct rib *rib, const struct prefix *prefix); /* NULL: it is none */
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
static inline void throng_touch(struct throng *throng) { throng->found[0].epoch = throng->found[1].epoch = 0; }

#endif
