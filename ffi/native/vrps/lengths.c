#include "vrps/lengths.h"

#include <stdlib.h>

int lengths_init(struct lengths *lengths, uint64_t seed)
{
    *lengths = (struct lengths){
        .first = calloc((size_t)1 << LENGTHS_FIRST_BITS, sizeof *lengths->first), .mid.seed = seed, .far.seed = seed};
    return lengths->first ? 0 : -1;
}

void lengths_free(struct lengths *lengths)
{
    free(lengths->first);
    map_free(&lengths->mid);
    map_free(&lengths->far);
}

static unsigned far_bit(unsigned len) { return len < LENGTHS_FAR_SHARED ? len - 49 : 63; }

static int add(struct map *map, uint64_t key, unsigned bit)
{
    uint64_t *bits = map_put(map, key);
    if (!bits)
        return -1;
    *bits |= UINT64_C(1) << bit;
    return 0;
}

/* The key of an address's first `bits` bits; never 0. */
static uint64_t anchor(uint64_t hi, unsigned bits) { return (hi >> (64 - bits)) << 1 | 1; }

int lengths_note(struct lengths *lengths, uint64_t hi, unsigned len)
{
    if (len == 0)
        lengths->zero = true;
    if (len > 0 && len <= 32) {
        size_t first = hi >> (64 - LENGTHS_FIRST_BITS);
        size_t n = len < LENGTHS_FIRST_BITS ? (size_t)1 << (LENGTHS_FIRST_BITS - len) : 1;
        if (lengths->first[first] >> (len - 1) & 1)
            return 0; /* noted before, and so is the whole range: of a short prefix the others have a bit as it has */
        for (size_t i = 0; i < n; i++)
            lengths->first[first + i] |= UINT32_C(1) << (len - 1);
    }
    if (len <= 32)
        return 0;
    /* A mark under the /32 says that there is something longer, so that most lookups end there. */
    if (add(&lengths->mid, anchor(hi, 32), len <= 48 ? len - 33 : 63) != 0)
        return -1;
    return len <= 48 ? 0 : add(&lengths->far, anchor(hi, 48), far_bit(len));
}

bool lengths_longer(struct lengths_walk *walk)
{
    const struct lengths *lengths = walk->lengths;
    if (!walk->more)
        return false;
    if (walk->base == 0) {
        uint64_t mid = map_get(&lengths->mid, anchor(walk->hi, 32));
        walk->base = 33;
        walk->bits = mid & 0xffff;
        walk->more = walk->most > 48 && mid >> 63;
    } else if (walk->base == 33) {
        uint64_t far = map_get(&lengths->far, anchor(walk->hi, 48));
        walk->base = 49;
        walk->bits = far & ~(UINT64_C(1) << 63);
        walk->more = walk->most >= LENGTHS_FAR_SHARED && far >> 63;
    } else {
        walk->base = LENGTHS_FAR_SHARED;
        walk->bits = (UINT64_C(2) << (128 - LENGTHS_FAR_SHARED)) - 1;
        walk->more = false;
    }
    return true;
}

uint64_t lengths_memory(const struct lengths *lengths)
{
    return ((uint64_t)sizeof *lengths->first << LENGTHS_FIRST_BITS) +
           ((uint64_t)lengths->mid.room + lengths->far.room) * sizeof(struct map_slot);
}
