/* A hash table: 64-bit words by 64-bit keys, by open addressing, at most half full. Nothing is ever removed.
 *
 * Its owner initializes it to zero, but for the seed, and frees it by map_free.
 */
#ifndef RTRD_MAP_H
#define RTRD_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/pages.h"

#define MAP_START 256

struct map_slot {
    uint64_t key, word; /* key 0: free */
};

struct map {
    struct map_slot *slots;
    uint32_t room, used; /* room: a power of two, or 0 */
    uint64_t seed;       /* secret where others choose the keys */
};

/* Mixes all bits into all bits (a finalizer of multiplications and shifts); with a secret seed nobody chooses slots. */
static inline uint64_t mix_bits(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static inline struct map_slot *map_slot(const struct map *map, uint64_t key)
{
    uint32_t mask = map->room - 1;
    uint32_t i = (uint32_t)mix_bits(key ^ map->seed) & mask;
    while (map->slots[i].key != 0 && map->slots[i].key != key)
        i = (i + 1) & mask;
    return &map->slots[i];
}

/* 0: it has no such key. */
static inline uint64_t map_get(const struct map *map, uint64_t key) { return map->room ? map_slot(map, key)->word : 0; }

/* The word of a key, which is not 0; a new one is 0. NULL: no memory. */
static inline uint64_t *map_put(struct map *map, uint64_t key)
{
    if (map->used * UINT64_C(2) >= map->room) {
        struct map bigger = {.room = map->room ? map->room * 2 : MAP_START, .used = map->used, .seed = map->seed};
        bigger.slots = bigger.room ? pages_zeroed(bigger.room * sizeof *bigger.slots) : NULL;
        if (!bigger.slots)
            return NULL;
        for (uint32_t i = 0; i < map->room; i++)
            if (map->slots[i].key)
                *map_slot(&bigger, map->slots[i].key) = map->slots[i];
        free(map->slots);
        *map = bigger;
    }
    struct map_slot *slot = map_slot(map, key);
    map->used += slot->key == 0;
    slot->key = key;
    return &slot->word;
}

static inline void map_free(struct map *map)
{
    free(map->slots);
    *map = (struct map){.seed = map->seed};
}

#endif
