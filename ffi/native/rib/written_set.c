#include "rib/written_set.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_START 1024

void round_free(struct round *round)
{
    free(round->slots);
    *round = (struct round){0};
}

void round_clear(struct round *round)
{
    if (round->room > ROOM_START)
        round_free(round);
    else if (round->n)
        memset(round->slots, 0, round->room * sizeof *round->slots);
    round->n = 0;
}

static struct round_slot *slot_of(const struct round *round, uint64_t place)
{
    uint32_t mask = round->room - 1;
    uint32_t i = (uint32_t)place & mask;
    while (round->slots[i].place && round->slots[i].place != place)
        i = (i + 1) & mask;
    return &round->slots[i];
}

bool round_has(const struct round *round, uint64_t place, uint64_t receivers)
{
    return round->n && (slot_of(round, place ? place : 1)->receivers & receivers);
}

static bool grow(struct round *round)
{
    struct round bigger = {.room = round->room ? round->room * 2 : ROOM_START, .n = round->n};
    bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (uint32_t i = 0; i < round->room; i++)
        if (round->slots[i].place)
            *slot_of(&bigger, round->slots[i].place) = round->slots[i];
    free(round->slots);
    *round = bigger;
    return true;
}

bool round_add(struct round *round, uint64_t place, uint64_t receivers)
{
    place = place ? place : 1;
    if (round->n >= ROUND_MOST || (round->n * 2 >= round->room && !grow(round)))
        return false;
    struct round_slot *slot = slot_of(round, place);
    round->n += slot->place == 0;
    slot->place = place;
    slot->receivers |= receivers;
    return true;
}
