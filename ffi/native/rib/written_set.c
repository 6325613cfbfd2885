#include "rib/written_set.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_START 1024

void written_set_free(struct written_set *set)
{
    free(set->slots);
    *set = (struct written_set){0};
}

void written_set_clear(struct written_set *set)
{
    if (set->room > ROOM_START)
        written_set_free(set);
    else if (set->n)
        memset(set->slots, 0, set->room * sizeof *set->slots);
    set->n = 0;
}

static struct written_slot *slot_of(const struct written_set *set, uint64_t hash)
{
    uint32_t mask = set->room - 1;
    uint32_t i = (uint32_t)hash & mask;
    while (set->slots[i].hash && set->slots[i].hash != hash)
        i = (i + 1) & mask;
    return &set->slots[i];
}

bool written_set_has(const struct written_set *set, uint64_t hash, uint64_t receivers)
{
    return set->n && (slot_of(set, hash)->receivers & receivers);
}

static bool grow(struct written_set *set)
{
    struct written_set bigger = {.room = set->room ? set->room * 2 : ROOM_START, .n = set->n};
    bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (uint32_t i = 0; i < set->room; i++)
        if (set->slots[i].hash)
            *slot_of(&bigger, set->slots[i].hash) = set->slots[i];
    free(set->slots);
    *set = bigger;
    return true;
}

bool written_set_add(struct written_set *set, uint64_t hash, uint64_t receivers)
{
    if (set->n >= WRITTEN_SET_MOST || (set->n * 2 >= set->room && !grow(set)))
        return false;
    struct written_slot *slot = slot_of(set, hash);
    set->n += slot->hash == 0;
    slot->hash = hash;
    slot->receivers |= receivers;
    return true;
}
