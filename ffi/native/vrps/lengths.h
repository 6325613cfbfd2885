/* Which prefix lengths occur among the VRPs that may cover an address: those that are worth a look-up.
 *
 * Bitmaps by the first 20 bits of the address (lengths 0 to 32), and for IPv6 by the first 32 (33 to 48) and 48
 * (beyond). By 20 bits instead of 16 there are 2.1 lengths to look for in a full IPv4 table instead of 3.5; 1.9 have a
 * VRP. A bit is never cleared: a stale one costs a look-up, never an answer.
 */
#ifndef RTRD_LENGTHS_H
#define RTRD_LENGTHS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"

#define LENGTHS_FIRST_BITS 20

struct lengths {
    uint32_t *first;     /* [1 << LENGTHS_FIRST_BITS], bit i: length i + 1 */
    bool zero;           /* there is a VRP of length 0 */
    struct map mid, far; /* bit i of mid: length 33 + i, the last one: there is something longer */
};

/* The lengths of far: 49 to 111 have a bit each, 112 to 128 share the last one (such VRPs are all but unknown). */
#define LENGTHS_FAR_SHARED 112

int lengths_init(struct lengths *lengths, uint64_t seed); /* -1: no memory */
void lengths_free(struct lengths *lengths);
int lengths_note(struct lengths *lengths, uint64_t hi, unsigned len); /* hi: the first 64 bits. -1: no memory */

/* The lengths up to some length that may occur above an address, one after the other, the shortest first. */
struct lengths_walk {
    const struct lengths *lengths;
    uint64_t hi, bits;
    unsigned base, most;
    bool more;
};

static inline struct lengths_walk lengths_begin(const struct lengths *lengths, uint64_t hi, unsigned most)
{
    uint64_t bits = (uint64_t)lengths->first[hi >> (64 - LENGTHS_FIRST_BITS)] << 1 | lengths->zero;
    return (struct lengths_walk){lengths, hi, bits & ((UINT64_C(2) << (most < 32 ? most : 32)) - 1), 0, most, true};
}

bool lengths_longer(
    struct lengths_walk *walk); /* goes on to lengths beyond those that `bits` is for; false: there are none */

/* The next length; -1: that was the last one. */
static inline int lengths_next(struct lengths_walk *walk)
{
    while (!walk->bits)
        if (walk->most <= 32 || !lengths_longer(walk))
            return -1;
    unsigned len = walk->base + (unsigned)__builtin_ctzll(walk->bits);
    walk->bits &= walk->bits - 1;
    return len <= walk->most ? (int)len : -1;
}

/* Brings nearer what lengths_begin reads. */
static inline void lengths_prefetch(const struct lengths *lengths, uint64_t hi)
{
    __builtin_prefetch(&lengths->first[hi >> (64 - LENGTHS_FIRST_BITS)]);
}

uint64_t lengths_memory(const struct lengths *lengths);

#endif
