/* Which prefix lengths occur below an address: VRPs' prefixes in, the lengths worth looking for out.
 *
 * Bitmaps by the first 16 bits of the address (lengths 0 to 32), and for IPv6 by the first 32 (33 to 48) and 48
 * (beyond). A bit is never cleared: a stale one costs a look-up, never an answer.
 */
#ifndef RTRD_LENS_H
#define RTRD_LENS_H

#include <stdint.h>

struct lens_entry {
    uint64_t key; /* see anchor() in lens.c; 0: free */
    uint64_t lens;
};

struct lens_map {
    struct lens_entry *entries;
    uint32_t room, used;
};

struct lens {
    uint64_t *first;          /* [65536], bit i: length i */
    struct lens_map mid, far; /* bit i of mid: length 33 + i, the last one: there is something longer */
    uint64_t seed;
};

/* The lengths of far: 49 to 111 have a bit each, 112 to 128 share the last one (such VRPs are all but unknown). */
#define LENS_FAR_SHARED 112

int lens_init(struct lens *lens, uint64_t seed); /* -1: no memory */
void lens_free(struct lens *lens);
int lens_note(struct lens *lens, uint64_t hi, unsigned len); /* hi: the first 64 bits. -1: no memory */

uint64_t lens_first(const struct lens *lens, uint64_t hi); /* bit i: length i may occur */
uint64_t lens_mid(const struct lens *lens, uint64_t hi);   /* bit i: length 33 + i; bit 63: something longer */
uint64_t lens_far(const struct lens *lens, uint64_t hi);   /* bit i: length 49 + i; bit 63: LENS_FAR_SHARED or more */
uint64_t lens_memory(const struct lens *lens);

/* Mixes all bits into all bits (a finalizer of multiplications and shifts); with a secret seed nobody chooses buckets. */
static inline uint64_t mix_bits(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

#endif
