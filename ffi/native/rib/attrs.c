#include "rib/attrs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/siphash.h"

#define SLOTS_START 256

int attrs_init(struct attrs_table *table)
{
    *table = (struct attrs_table){.free = ATTRS_NONE, .slots_room = SLOTS_START};
    table->slots = malloc(SLOTS_START * sizeof *table->slots);
    if (!table->slots || getrandom(table->secret, sizeof table->secret, 0) != (ssize_t)sizeof table->secret)
        return -1;
    memset(table->slots, 0xff, SLOTS_START * sizeof *table->slots);
    return 0;
}

void attrs_free(struct attrs_table *table)
{
    for (uint32_t i = 0; i < table->n; i++)
        free(table->sets[i].key);
    free(table->sets);
    free(table->slots);
}

/* Keyed, so that nobody outside can choose sets that collide. */
static uint64_t hash_key(const struct attrs_table *table, const uint8_t *key, size_t n)
{
    return siphash(table->secret, key, n);
}

static uint32_t slot_of(const struct attrs_table *table, uint64_t hash, const void *key, size_t n)
{
    uint32_t mask = table->slots_room - 1;
    uint32_t slot = (uint32_t)hash & mask;
    for (; table->slots[slot] != ATTRS_NONE; slot = (slot + 1) & mask) {
        const struct attrs *set = &table->sets[table->slots[slot]];
        if (set->hash == hash && set->key_size == n && memcmp(set->key, key, n) == 0)
            break;
    }
    return slot;
}

uint32_t attrs_find(const struct attrs_table *table, const void *key, size_t n)
{
    return table->slots[slot_of(table, hash_key(table, key, n), key, n)];
}

static int grow_slots(struct attrs_table *table)
{
    uint32_t room = table->slots_room * 2;
    uint32_t *slots = malloc((size_t)room * sizeof *slots);
    if (room == 0 || !slots) {
        free(slots);
        return -1;
    }
    memset(slots, 0xff, (size_t)room * sizeof *slots);
    for (uint32_t i = 0; i < table->slots_room; i++) {
        if (table->slots[i] == ATTRS_NONE)
            continue;
        uint32_t slot = (uint32_t)table->sets[table->slots[i]].hash & (room - 1);
        while (slots[slot] != ATTRS_NONE)
            slot = (slot + 1) & (room - 1);
        slots[slot] = table->slots[i];
    }
    free(table->slots);
    table->slots = slots;
    table->slots_room = room;
    return 0;
}

static uint32_t take_number(struct attrs_table *table)
{
    uint32_t number = table->free;
    if (number != ATTRS_NONE) {
        table->free = table->sets[number].references;
        return number;
    }
    if (table->n == table->room) {
        uint32_t room = table->room ? table->room + table->room / 2 : 64;
        struct attrs *sets = room > table->room ? realloc(table->sets, room * sizeof *sets) : NULL;
        if (!sets)
            return ATTRS_NONE;
        table->sets = sets;
        table->room = room;
    }
    return table->n++;
}

static void give_number(struct attrs_table *table, uint32_t number)
{
    table->sets[number] = (struct attrs){.references = table->free};
    table->free = number;
}

uint32_t attrs_add(struct attrs_table *table, const void *key, size_t n, const struct attrs_summary *summary)
{
    uint64_t hash = hash_key(table, key, n);
    uint32_t number = table->slots[slot_of(table, hash, key, n)];
    if (number != ATTRS_NONE)
        return number;
    if (n > UINT32_MAX >> 1 || (table->used * UINT64_C(4) >= table->slots_room * UINT64_C(3) && grow_slots(table) != 0))
        return ATTRS_NONE;
    uint8_t *copy = malloc(n ? n : 1);
    number = copy ? take_number(table) : ATTRS_NONE;
    if (number == ATTRS_NONE) {
        free(copy);
        return ATTRS_NONE;
    }
    memcpy(copy, key, n);
    table->sets[number] =
        (struct attrs){.summary = *summary, .key = copy, .key_size = (uint32_t)n & UINT32_MAX >> 1, .hash = hash};
    table->slots[slot_of(table, hash, key, n)] = number;
    table->used++;
    table->key_bytes += n;
    return number;
}

void attrs_hold(struct attrs_table *table, uint32_t number) { table->sets[number].references++; }

/* Linear probing without marks for the dead: what stood behind the hole moves up. */
static void close_hole(struct attrs_table *table, uint32_t hole)
{
    uint32_t mask = table->slots_room - 1;
    for (uint32_t slot = (hole + 1) & mask; table->slots[slot] != ATTRS_NONE; slot = (slot + 1) & mask) {
        uint32_t home = (uint32_t)table->sets[table->slots[slot]].hash & mask;
        if (((slot - home) & mask) < ((slot - hole) & mask))
            continue;
        table->slots[hole] = table->slots[slot];
        hole = slot;
    }
    table->slots[hole] = ATTRS_NONE;
}

void attrs_release(struct attrs_table *table, uint32_t number)
{
    struct attrs *set = &table->sets[number];
    if (--set->references != 0)
        return;
    close_hole(table, slot_of(table, set->hash, set->key, set->key_size));
    table->used--;
    table->key_bytes -= set->key_size;
    free(set->key);
    give_number(table, number);
}

const struct attrs *attrs_at(const struct attrs_table *table, uint32_t number)
{
    return number < table->n && table->sets[number].key ? &table->sets[number] : NULL;
}

uint64_t attrs_memory(const struct attrs_table *table)
{
    return table->room * sizeof *table->sets + table->slots_room * sizeof *table->slots + table->key_bytes;
}
