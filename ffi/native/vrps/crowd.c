#include "vrps/crowd.h"

#include <stdlib.h>

#include "base/map.h"

#define CROWD_START 64

struct crowd *crowd_new(uint64_t seed)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    if (crowd)
        crowd->seed = seed;
    return crowd;
}

void crowd_free(struct crowd *crowd)
{
    if (crowd)
        free(crowd->entries);
    free(crowd);
}

bool crowd_is_empty(const struct crowd *crowd, unsigned forces)
{
    for (uint32_t i = 0; i < crowd->room; i++)
        if (entry_is_kept(&crowd->entries[i], forces))
            return false;
    return true;
}

static uint32_t slot_of(const struct crowd *crowd, uint32_t asn)
{
    return (uint32_t)mix_bits(asn ^ crowd->seed) & (crowd->room - 1);
}

static struct entry *put(struct crowd *crowd, const struct entry *entry)
{
    uint32_t at = slot_of(crowd, entry->asn);
    while (crowd->entries[at].used)
        at = (at + 1) & (crowd->room - 1);
    crowd->entries[at] = *entry;
    crowd->used++;
    return &crowd->entries[at];
}

/* An entry has these forces now, and had those. */
static void recount_forced(struct crowd *crowd, unsigned force, unsigned before)
{
    for (unsigned bit = 1; bit < BOTH; bit++)
        crowd->forced[bit - 1] += ((force & (bit | EXEMPT)) != 0) - ((before & (bit | EXEMPT)) != 0);
}

static bool resize(struct crowd *crowd, unsigned forces)
{
    struct crowd old = *crowd;
    uint32_t kept = 0, room = CROWD_START;
    for (uint32_t i = 0; i < old.room; i++)
        kept += entry_is_kept(&old.entries[i], forces);
    while (room / 2 <= kept)
        room *= 2;
    struct entry *entries = calloc(room, sizeof *entries);
    if (!entries)
        return false;
    crowd->entries = entries;
    crowd->room = room;
    crowd->used = 0;
    crowd->widest = 0;
    crowd->forced[0] = crowd->forced[1] = 0; /* what is swept out may have a bit that counts no more */
    for (uint32_t i = 0; i < old.room; i++) {
        if (!entry_is_kept(&old.entries[i], forces))
            continue;
        const struct entry *moved = put(crowd, &old.entries[i]);
        recount_forced(crowd, moved->force, 0);
        crowd->widest = moved->max > crowd->widest ? moved->max : crowd->widest;
    }
    free(old.entries);
    return true;
}

struct entry *crowd_find(const struct crowd *crowd, uint32_t asn, uint8_t max)
{
    if (crowd->room == 0)
        return NULL;
    for (uint32_t i = slot_of(crowd, asn); crowd->entries[i].used; i = (i + 1) & (crowd->room - 1))
        if (crowd->entries[i].asn == asn && crowd->entries[i].max == max)
            return &crowd->entries[i];
    return NULL;
}

struct entry *crowd_add(struct crowd *crowd, const struct entry *entry, unsigned forces)
{
    if ((uint64_t)(crowd->used + 1) * 8 > (uint64_t)crowd->room * 5 && !resize(crowd, forces))
        return NULL;
    struct entry *made = put(crowd, entry);
    crowd->widest = made->max > crowd->widest ? made->max : crowd->widest;
    crowd_recount(crowd, made, 0, 0);
    return made;
}

void crowd_recount(struct crowd *crowd, const struct entry *entry, uint32_t next, unsigned force)
{
    recount_forced(crowd, entry->force, force);
    for (uint32_t other = entry->next ^ next; other; other &= other - 1) {
        uint32_t bit = other & -other;
        uint16_t *staged = &crowd->staged[__builtin_ctz(bit)];
        *staged = (uint16_t)(entry->next & bit ? *staged + 1 : *staged - 1);
    }
}

const struct entry *crowd_match(const struct crowd *crowd, unsigned shown, int64_t asn, unsigned len)
{
    if (asn <= 0 || asn > UINT32_MAX || !crowd_has_force(crowd, shown))
        return NULL;
    const struct entry *entry;
    for (uint32_t i = slot_of(crowd, (uint32_t)asn); (entry = &crowd->entries[i])->used;
         i = (i + 1) & (crowd->room - 1))
        if (entry->force & shown && entry_matches(entry, asn, len))
            return entry;
    return NULL;
}

const struct entry *crowd_any(const struct crowd *crowd, unsigned shown, int64_t asn)
{
    if (!crowd_has_force(crowd, shown))
        return NULL;
    const struct entry *entry;
    if (asn >= 0 && asn <= UINT32_MAX)
        for (uint32_t i = slot_of(crowd, (uint32_t)asn); (entry = &crowd->entries[i])->used;
             i = (i + 1) & (crowd->room - 1))
            if (entry->force & shown && entry->asn == asn)
                return entry;
    for (uint32_t i = 0; i < crowd->room; i++)
        if (crowd->entries[i].force & shown)
            return &crowd->entries[i];
    return NULL;
}
