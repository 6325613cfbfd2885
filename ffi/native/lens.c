#include "lens.h"

#include <stdlib.h>

int lens_init(struct lens *lens, uint64_t seed)
{
    *lens = (struct lens){.first = calloc(65536, sizeof *lens->first), .seed = seed};
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
    if (len <= 32) {
        uint32_t first = (uint32_t)(hi >> 48);
        uint32_t n = len < 16 ? UINT32_C(1) << (16 - len) : 1;
        for (uint32_t i = 0; i < n; i++)
            lens->first[first + i] |= UINT64_C(1) << len;
        return 0;
    }
    /* A mark under the /32 says that there is something longer, so that most lookups end there. */
    if (add(&lens->mid, lens->seed, anchor(hi, 32), len <= 48 ? len - 33 : 63) != 0)
        return -1;
    return len <= 48 ? 0 : add(&lens->far, lens->seed, anchor(hi, 48), far_bit(len));
}

uint64_t lens_first(const struct lens *lens, uint64_t hi) { return lens->first[hi >> 48]; }
uint64_t lens_mid(const struct lens *lens, uint64_t hi) { return find(&lens->mid, lens->seed, anchor(hi, 32)); }
uint64_t lens_far(const struct lens *lens, uint64_t hi) { return find(&lens->far, lens->seed, anchor(hi, 48)); }

uint64_t lens_memory(const struct lens *lens)
{
    return 65536 * sizeof *lens->first + ((uint64_t)lens->mid.room + lens->far.room) * sizeof(struct lens_entry);
}
