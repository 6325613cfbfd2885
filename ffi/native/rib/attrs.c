#include "rib/attrs.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/siphash.h"

#define BUCKETS_START 256 /* a power of two */

/* False: no memory. All is as it was then, which only costs time. */
static bool grow_buckets(struct attrs_table *table)
{
    uint32_t n = table->buckets_n ? table->buckets_n * 2 : BUCKETS_START;
    uint32_t *buckets = n > table->buckets_n ? malloc(n * sizeof *buckets) : NULL;
    if (!buckets)
        return false;
    memset(buckets, 0xff, n * sizeof *buckets);
    for (uint32_t i = 0; i < table->n; i++) {
        struct attrs *set = &table->sets[i];
        if (set->key) {
            set->next = buckets[set->hash & (n - 1)];
            buckets[set->hash & (n - 1)] = i;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->buckets_n = n;
    return true;
}

int attrs_init(struct attrs_table *table)
{
    *table = (struct attrs_table){.free = ATTRS_NONE, .free_owner = ATTRS_NONE};
    bool good = getrandom(table->secret, sizeof table->secret, 0) == (ssize_t)sizeof table->secret;
    return good && grow_buckets(table) ? 0 : -1;
}

void attrs_free(struct attrs_table *table)
{
    for (uint32_t i = 0; i < table->n; i++)
        free(table->sets[i].key);
    free(table->sets);
    free(table->buckets);
    free(table->owners);
}

/* Keyed, so that nobody outside can choose sets that collide. */
static uint32_t hash_key(const struct attrs_table *table, const uint8_t *key, size_t n)
{
    return (uint32_t)siphash(table->secret, key, n);
}

uint32_t attrs_hash(const struct attrs_table *table, const void *key, size_t n)
{
    uint32_t hash = hash_key(table, key, n);
    __builtin_prefetch(&table->buckets[hash & (table->buckets_n - 1)]);
    return hash;
}

void attrs_fetch(const struct attrs_table *table, uint32_t hash)
{
    uint32_t number = table->buckets[hash & (table->buckets_n - 1)];
    if (number != ATTRS_NONE)
        __builtin_prefetch(&table->sets[number], 1);
}

uint32_t attrs_find(const struct attrs_table *table, uint32_t hash, const void *key, size_t n)
{
    uint32_t number = table->buckets[hash & (table->buckets_n - 1)];
    for (; number != ATTRS_NONE; number = table->sets[number].next) {
        const struct attrs *set = &table->sets[number];
        if (set->hash == hash && set->key_size == n && memcmp(set->key, key, n) == 0)
            break;
    }
    return number;
}

static uint32_t take_number(struct attrs_table *table)
{
    uint32_t number = table->free;
    if (number != ATTRS_NONE) {
        table->free = table->sets[number].next;
        return number;
    }
    if (table->n == table->room) {
        uint32_t room = table->room ? table->room + table->room / 2 : 64;
        struct attrs *sets = room > table->room && room < ATTRS_MOST ? realloc(table->sets, room * sizeof *sets) : NULL;
        if (!sets)
            return ATTRS_NONE;
        table->sets = sets;
        table->room = room;
    }
    return table->n++;
}

uint32_t attrs_add(struct attrs_table *table, uint32_t owner, uint32_t hash, const void *key, size_t n,
                   const struct attrs_summary *summary)
{
    if (table->used >= table->buckets_n)
        grow_buckets(table);
    uint8_t *copy = n <= UINT32_MAX >> 1 ? malloc(n ? n : 1) : NULL;
    uint32_t number = copy ? take_number(table) : ATTRS_NONE;
    if (number == ATTRS_NONE) {
        free(copy);
        return ATTRS_NONE;
    }
    memcpy(copy, key, n);
    uint32_t *bucket = &table->buckets[hash & (table->buckets_n - 1)];
    table->sets[number] = (struct attrs){.summary = *summary,
                                         .key = copy,
                                         .key_size = (uint32_t)n & UINT32_MAX >> 1,
                                         .hash = hash,
                                         .next = *bucket,
                                         .owner = owner};
    if (owner != ATTRS_NONE)
        table->owners[owner].octets += n;
    *bucket = number;
    table->used++;
    table->key_bytes += n;
    return number;
}

void attrs_hold(struct attrs_table *table, uint32_t number) { table->sets[number].references++; }

void attrs_release(struct attrs_table *table, uint32_t number)
{
    struct attrs *set = &table->sets[number];
    if (--set->references != 0)
        return;
    uint32_t *at = &table->buckets[set->hash & (table->buckets_n - 1)];
    while (*at != number)
        at = &table->sets[*at].next;
    *at = set->next;
    table->used--;
    table->key_bytes -= set->key_size;
    free(set->key);
    if (set->owner != ATTRS_NONE) {
        struct attrs_owner *owner = &table->owners[set->owner];
        owner->octets -= set->key_size;
        if (owner->ended)
            attrs_owner_end(table, set->owner);
    }
    *set = (struct attrs){.next = table->free};
    table->free = number;
}

uint32_t attrs_owner_new(struct attrs_table *table)
{
    uint32_t number = table->free_owner;
    if (number != ATTRS_NONE) {
        table->free_owner = table->owners[number].next;
    } else {
        struct attrs_owner *owners = realloc(table->owners, (table->owners_n + 1) * sizeof *owners);
        if (!owners)
            return ATTRS_NONE;
        table->owners = owners;
        number = table->owners_n++;
    }
    table->owners[number] = (struct attrs_owner){0};
    return number;
}

void attrs_owner_end(struct attrs_table *table, uint32_t number)
{
    struct attrs_owner *owner = &table->owners[number];
    owner->ended = true;
    if (owner->octets)
        return;
    owner->next = table->free_owner;
    table->free_owner = number;
}

const struct attrs *attrs_at(const struct attrs_table *table, uint32_t number)
{
    return number < table->n && table->sets[number].key ? &table->sets[number] : NULL;
}

/* ---- paths --------------------------------------------------------------------------------------------------- */

/* It stands in the set's octets as in an UPDATE (RFC 4271 section 4.3). */
struct octets attrs_path(const struct attrs_table *table, uint32_t number)
{
    const struct attrs *set = &table->sets[number];
    struct octets rest = {set->key, set->key_size}, head, value = {0};
    if (!take(&rest, set->summary.path_at, &head) || !rest.n || !take(&rest, rest.at[0] & 0x10 ? 4 : 3, &head) ||
        !take(&rest, head.n == 4 ? get16(head.at + 2) : head.at[2], &value))
        return (struct octets){0};
    return value;
}

enum path_outcome attrs_path_outcome(struct attrs_table *table, uint32_t number, const struct aspa_set *aspas,
                                     enum path_procedure procedure)
{
    struct attrs *set = &table->sets[number];
    unsigned shift = 2 * (unsigned)procedure;
    if (!set->summary.path_at)
        return PATH_UNJUDGED;
    if (!(set->paths >> shift & 3))
        set->paths |= (uint8_t)(path_verify_octets(aspas, attrs_path(table, number), procedure) << shift);
    return (enum path_outcome)(set->paths >> shift & 3);
}

bool attrs_judge_again(struct attrs_table *table, uint32_t number, const struct aspa_set *aspas,
                       const uint32_t *customers, size_t n, size_t *cost)
{
    struct attrs *set = &table->sets[number];
    *cost = 0;
    if (!set->key || !set->paths)
        return false;
    struct octets path = attrs_path(table, number);
    *cost = path.n / 4;
    if (customers && !path_has_any(path, customers, n))
        return false;
    uint8_t before = set->paths;
    set->paths = 0;
    for (unsigned procedure = PATH_UPSTREAM; procedure <= PATH_DOWNSTREAM; procedure++)
        if (before >> 2 * procedure & 3)
            attrs_path_outcome(table, number, aspas, (enum path_procedure)procedure);
    return set->paths != before;
}

uint64_t attrs_memory(const struct attrs_table *table)
{
    return table->room * sizeof *table->sets + table->buckets_n * sizeof *table->buckets + table->key_bytes;
}
