#include "vrps/lengths.h"

#include <stdlib.h>

int lens_init(struct lens *lens, uint64_t seed)
{
    *lens = (struct lens){.first = calloc((size_t)1 << LENS_FIRST_BITS, sizeof *lens->first), .seed = seed};
    return lens->first ? 0 : -1;
}

void lens_free(struct lens *lens)
{
    free(lens->first);
    free(lens->mid.entries);
    free(lens->far.entries);
}

static unsigned far_bit(unsigned len) { return len < LENS_FAR_SHARED ? len - 49 : 63; }

static uint64_t find(const struct lens_map *map, uint64_t seed, uint64_t key)
{
    if (map->room == 0)
        return 0;
    uint32_t mask = map->room - 1;
    for (uint32_t i = (uint32_t)mix_bits(key ^ seed) & mask;; i = (i + 1) & mask) {
        if (map->entries[i].key == key)
            return map->entries[i].lens;
        if (map->entries[i].key == 0)
            return 0;
    }
}

static void put(struct lens_map *map, uint64_t seed, uint64_t key, uint64_t lens)
{
    uint32_t mask = map->room - 1;
    uint32_t i = (uint32_t)mix_bits(key ^ seed) & mask;
    while (map->entries[i].key != 0 && map->entries[i].key != key)
        i = (i + 1) & mask;
    if (map->entries[i].key == 0)
        map->used++;
    map->entries[i].key = key;
    map->entries[i].lens |= lens;
}

static int add(struct lens_map *map, uint64_t seed, uint64_t key, unsigned bit)
{
    if (map->used * 2 >= map->room) {
        struct lens_map bigger = {NULL, map->room ? map->room * 2 : 256, 0};
        if (bigger.room == 0)
            return -1;
        bigger.entries = calloc(bigger.room, sizeof *bigger.entries);
        if (!bigger.entries)
            return -1;
        for (uint32_t i = 0; i < map->room; i++)
            if (map->entries[i].key)
                put(&bigger, seed, map->entries[i].key, map->entries[i].lens);
        free(map->entries);
        *map = bigger;
    }
    put(map, seed, key, UINT64_C(1) << bit);
    return 0;
}

static uint64_t anchor(uint64_t hi, unsigned bits) { return (hi >> (64 - bits)) << 1 | 1; }

int lens_note(struct lens *lens, uint64_t hi, unsigned len)
{
    if (len == 0)
        lens->zero = true;
    if (len > 0 && len <= 32) {
        size_t first = hi >> (64 - LENS_FIRST_BITS);
        size_t n = len < LENS_FIRST_BITS ? (size_t)1 << (LENS_FIRST_BITS - len) : 1;
        if (lens->first[first] >> (len - 1) & 1)
            return 0; /* noted before, and so is the whole range: of a short prefix the others have a bit as it has */
        for (size_t i = 0; i < n; i++)
            lens->first[first + i] |= UINT32_C(1) << (len - 1);
    }
    if (len <= 32)
        return 0;
    /* A mark under the /32 says that there is something longer, so that most lookups end there. */
    if (add(&lens->mid, lens->seed, anchor(hi, 32), len <= 48 ? len - 33 : 63) != 0)
        return -1;
    return len <= 48 ? 0 : add(&lens->far, lens->seed, anchor(hi, 48), far_bit(len));
}

bool lens_longer(struct lens_walk *walk)
{
    const struct lens *lens = walk->lens;
    if (!walk->more)
        return false;
    if (walk->base == 0) {
        uint64_t mid = find(&lens->mid, lens->seed, anchor(walk->hi, 32));
        walk->base = 33;
        walk->bits = mid & 0xffff;
        walk->more = walk->most > 48 && mid >> 63;
    } else if (walk->base == 33) {
        uint64_t far = find(&lens->far, lens->seed, anchor(walk->hi, 48));
        walk->base = 49;
        walk->bits = far & ~(UINT64_C(1) << 63);
        walk->more = walk->most >= LENS_FAR_SHARED && far >> 63;
    } else {
        walk->base = LENS_FAR_SHARED;
        walk->bits = (UINT64_C(2) << (128 - LENS_FAR_SHARED)) - 1;
        walk->more = false;
    }
    return true;
}

uint64_t lens_memory(const struct lens *lens)
{
    return ((uint64_t)sizeof *lens->first << LENS_FIRST_BITS) + ((uint64_t)lens->mid.room + lens->far.room) * sizeof(struct lens_entry);
}
