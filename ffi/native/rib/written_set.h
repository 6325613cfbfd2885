/* The NLRI for which something was written since the last send barrier, each with the receivers: they are not written
 * again before the next one. */
#ifndef RTRD_WRITTEN_SET_H
#define RTRD_WRITTEN_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITTEN_SET_MOST 65536 /* NLRI; then there must be a send barrier */

struct written_slot {
    uint64_t hash; /* 0: empty */
    uint64_t receivers;
};

struct written_set {
    struct written_slot *slots; /* open addressing */
    uint32_t room;              /* a power of two, or 0 */
    uint32_t n;
};

void written_set_free(struct written_set *set);
void written_set_clear(struct written_set *set);

/* Whether the NLRI of this hash, which is not 0, was written at one of the receivers. That two have the same one costs
 * a wait, nothing else. */
bool written_set_has(const struct written_set *set, uint64_t hash, uint64_t receivers);
/* False: it is full, or there is no memory. */
bool written_set_add(struct written_set *set, uint64_t hash, uint64_t receivers);

#endif
