/* The NLRI for which something was written since the last send barrier, each with the receivers: they are not written
 * again before the next one. */
#ifndef RTRD_WRITTEN_SET_H
#define RTRD_WRITTEN_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"

#define WRITTEN_SET_MOST 65536 /* NLRI; then there must be a send barrier */

/* Whether the NLRI of this hash, which is not 0, was written at one of the receivers. That two have the same one costs
 * a wait, nothing else. */
static inline bool written_set_has(const struct map *set, uint64_t hash, uint64_t receivers)
{
    return (map_get(set, hash) & receivers) != 0;
}

/* False: it is full, or there is no memory. */
static inline bool written_set_add(struct map *set, uint64_t hash, uint64_t receivers)
{
    uint64_t *written = set->used < WRITTEN_SET_MOST ? map_put(set, hash) : NULL;
    if (written)
        *written |= receivers;
    return written != NULL;
}

#endif
