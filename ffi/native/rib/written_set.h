/* The places that were written since the router last sent all it had, each with the receivers: in, whether one may be
 * written again, out. */
#ifndef RTRD_ROUND_H
#define RTRD_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUND_MOST 65536 /* places; then the round must end */

struct round_slot {
    uint64_t place; /* a hash; 0: empty */
    uint64_t receivers;
};

struct round {
    struct round_slot *slots; /* open addressing */
    uint32_t room;            /* a power of two, or 0 */
    uint32_t n;
};

void round_free(struct round *round);
void round_clear(struct round *round);

/* Whether the place was written at one of the receivers. Two places of one hash cost a wait, nothing else. */
bool round_has(const struct round *round, uint64_t place, uint64_t receivers);
/* False: the round is full, or there is no memory. */
bool round_add(struct round *round, uint64_t place, uint64_t receivers);

#endif
