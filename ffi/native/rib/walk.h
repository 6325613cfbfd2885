/* A walk over the routes of the RIB in order of prefix, in slices: the RIB may change in between. A prefix that stays
 * is met exactly once, one that comes or goes meanwhile once or not at all. */
#ifndef RTRD_WALK_H
#define RTRD_WALK_H

#include <stdbool.h>

#include "base/prefix.h"
#include "rib/index.h"

/* ---- Python sees this ---- */

struct walk {                       /* all zero: it is over */
    struct prefix within;           /* what covers the prefixes to come */
    uint8_t key[17];                /* of the prefix that it has come to */
    bool passed;                    /* that one is done */
    bool whole;                     /* IPv6 comes after IPv4 */
    struct index_position position; /* of the key, while the index has this version */
    uint64_t version;
};

/* Over all prefixes that `within` covers, itself too; NULL: over all. */
void walk_begin(struct walk *walk, const struct prefix *within);

/* ---- only C sees this ---- */

struct rib;

static inline bool walk_is_over(const struct walk *walk) { return walk->within.family == 0; }
/* The first route of the prefix that the walk has come to. False: it is over. */
bool walk_at(const struct rib *rib, struct walk *walk, uint32_t *chain);
/* Whether the walk has yet to come to a prefix, or is at it. */
bool walk_comes_to(const struct walk *walk, const struct prefix *prefix);
/* On to the next prefix. */
void walk_step(struct walk *walk);
/* On to the next prefix that this one does not cover; it is the one that the walk has come to. */
void walk_over_covered(struct walk *walk, const struct prefix *prefix);

#endif
