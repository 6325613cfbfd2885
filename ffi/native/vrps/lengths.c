#include "vrps/lengths.h"

#include <stdlib.h>

int lengths_init(struct lengths *lengths, uint64_t seed)
{
    *lengths = (struct lengths){.first = calloc((size_t)1 << LENGTHS_FIRST_BITS, sizeof *lengths->first), .seed = seed};
    return lengths->first ? 0 : -1;
}

void lengths_free(struct lengths *lengths)
{
    free(lengths->first);
    free(lengths->mid.entries);
    free(lengths->far.entries);
}

static unsigned far_bit(unsigned len) { return len < LENGTHS_FAR_SHARED ? len - 49 : 63; }

static uint64_t find(const struct lengths_map *map, uint64_t seed, uint64_t key)
{
    if (map->room == 0)
        return 0;
    uint32_t mask = map->room - 1;
    for (uint32_t i = (uint32_t)mix_bits(key ^ seed) & mask;; i = (i + 1) & mask) {
        if (map->entries[i].key == key)
            return map->entries[i].lengths;
        if (map->entries[i].key == 0)
            return 0;
    }
}

static void put(struct lengths_map *map, uint64_t seed, uint64_t key, uint64_t lengths)
{
    uint32_t mask = map->room - 1;
    uint32_t i = (uint32_t)mix_bits(key ^ seed) & mask;
    while (map->entries[i].key != 0 && map->entries[i].key != key)
        i = (i + 1) & mask;
    if (map->entries[i].key == 0)
        map->used++;
    map->entries[i].key = key;
    map->entries[i].lengths |= lengths;
}

static int add(struct lengths_map *map, uint64_t seed, uint64_t key, unsigned bit)
{
    if (map->used * 2 >= map->room) {
        struct lengths_map bigger = {NULL, map->room ? map->room * 2 : 256, 0};
        if (bigger.room == 0)
            return -1;
        bigger.entries = calloc(bigger.room, sizeof *bigger.entries);
        if (!bigger.entries)
            return -1;
        for (uint32_t i = 0; i < map->room; i++)
            if (map->entries[i].key)
                put(&bigger, seed, map->entries[i].key, map->entries[i].lengths);
        free(map->entries);
        *map = bigger;
    }
    put(map, seed, key, UINT64_C(1) << bit);
    return 0;
}

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
    if (add(&lengths->mid, lengths->seed, anchor(hi, 32), len <= 48 ? len - 33 : 63) != 0)
        return -1;
    return len <= 48 ? 0 : add(&lengths->far, lengths->seed, anchor(hi, 48), far_bit(len));
}

bool lengths_longer(struct lengths_walk *walk)
{
    const struct lengths *lengths = walk->lengths;
    if (!walk->more)
        return false;
    if (walk->base == 0) {
        uint64_t mid = find(&lengths->mid, lengths->seed, anchor(walk->hi, 32));
        walk->base = 33;
        walk->bits = mid & 0xffff;
        walk->more = walk->most > 48 && mid >> 63;
    } else if (walk->base == 33) {
        uint64_t far = find(&lengths->far, lengths->seed, anchor(walk->hi, 48));
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
           ((uint64_t)lengths->mid.room + lengths->far.room) * sizeof(struct lengths_entry);
}
