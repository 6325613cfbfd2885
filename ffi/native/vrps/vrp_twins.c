/* Two VRP sets, one to read and one to change. */

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "vrps/vrp_twins.h"
#include "vrps/vrpset_table.h"

struct vrp_twins {
    struct vrpset *_Atomic sets[2];
    atomic_uint shown;      /* which of them is read */
    atomic_uint readers[2]; /* who is in the middle of it */
};

struct vrp_twins *vrp_twins_new(struct vrpset *shown, struct vrpset *other)
{
    struct vrp_twins *twins = calloc(1, sizeof *twins);
    if (twins) {
        atomic_store(&twins->sets[0], shown);
        atomic_store(&twins->sets[1], other);
    }
    return twins;
}

void vrp_twins_free(struct vrp_twins *twins) { free(twins); }

/* The number of the set that may be read until leave(). Whoever shows another set meanwhile waits for that. */
static unsigned enter(struct vrp_twins *twins)
{
    for (;;) {
        unsigned at = atomic_load(&twins->shown);
        atomic_fetch_add(&twins->readers[at], 1);
        if (at == atomic_load(&twins->shown))
            return at;
        atomic_fetch_sub(&twins->readers[at], 1);
    }
}

static void leave(struct vrp_twins *twins, unsigned at) { atomic_fetch_sub(&twins->readers[at], 1); }

unsigned vrp_twins_other(const struct vrp_twins *twins) { return !atomic_load(&twins->shown); }

void vrp_twins_show(struct vrp_twins *twins)
{
    unsigned old = atomic_load(&twins->shown);
    atomic_store(&twins->shown, !old);
    while (atomic_load(&twins->readers[old]))
        sched_yield();
}

void vrp_twins_replace(struct vrp_twins *twins, struct vrpset *set)
{
    atomic_store(&twins->sets[vrp_twins_other(twins)], set);
}

void vrp_twins_forked(struct vrp_twins *twins)
{
    atomic_store(&twins->readers[0], 0);
    atomic_store(&twins->readers[1], 0);
}

static int change(struct vrpset *set, unsigned source, const void *records, size_t n, struct vrp_list *changes)
{
    struct vrp_faults faults = {0};
    if (vrpset_stage(set, source, records, n, &faults) != 0)
        return -1;
    if (faults.crowded)
        return -2;
    return vrpset_commit(set, source) != 0 || vrpset_apply(set, SIZE_MAX, changes) != 0 ? -1 : 0;
}

int64_t vrp_twins_change(struct vrp_twins *twins, unsigned source, const void *records, size_t n)
{
    struct vrp_list changes = {NULL, 0, 0};
    unsigned at = vrp_twins_other(twins);
    struct vrpset *shown = atomic_load(&twins->sets[!at]), *other = atomic_load(&twins->sets[at]);
    int64_t changed = change(other, source, records, n, &changes);
    if (changed == 0) {
        changed = (int64_t)changes.n;
        vrp_twins_show(twins);
        if (change(shown, source, records, n, &changes) != 0)
            changed = -1;
    }
    vrp_list_free(&changes);
    return changed;
}

static struct vrp clear_host_bits(struct vrp route)
{
    for (unsigned bit = route.len; bit < 8 * sizeof route.addr; bit = (bit | 7) + 1)
        route.addr[bit / 8] &= (uint8_t) ~(0xff >> bit % 8);
    return route;
}

size_t vrp_twins_validate(struct vrp_twins *twins, const void *route, uint8_t *validity, struct vrp_source *out,
                          size_t room)
{
    struct vrp asked;
    memcpy(&asked, route, sizeof asked);
    asked = clear_host_bits(asked);
    unsigned at = enter(twins);
    const struct vrpset *set = atomic_load(&twins->sets[at]);
    vrpset_validate_many(set, &asked, 1, validity);
    size_t n = 0;
    if (*validity == VALIDITY_VALID || *validity == VALIDITY_INVALID)
        n = vrpset_covering(set, asked.family, asked.addr, asked.len, out, room);
    leave(twins, at);
    return n;
}

void vrp_twins_validate_many(struct vrp_twins *twins, const void *routes, size_t n, uint8_t *out)
{
    unsigned at = enter(twins);
    vrpset_validate_many(atomic_load(&twins->sets[at]), routes, n, out);
    leave(twins, at);
}

/* Which of the VRPs in force are listed. */
struct wanted {
    int64_t asn;    /* below 0: any */
    uint8_t family; /* 0: both */
    struct key key;
    unsigned len;
};

static bool is_wanted(const struct wanted *wanted, const struct entry *entry, uint8_t family)
{
    if (wanted->asn >= 0 && entry->asn != wanted->asn)
        return false;
    if (!wanted->family)
        return true;
    struct key outer = masked((struct key){entry->hi, entry->lo}, wanted->len);
    return wanted->family == family && entry->len >= wanted->len && outer.hi == wanted->key.hi &&
           outer.lo == wanted->key.lo;
}

static int list(struct vrp_twins *twins, const struct wanted *wanted, struct vrp_list *out)
{
    int result = 0;
    unsigned at = enter(twins);
    const struct vrpset *set = atomic_load(&twins->sets[at]);
    for (unsigned part = 0; result == 0 && part < VRPSET_PARTS; part++) {
        uint8_t family = part < TABLES ? 4 : 6;
        const struct table *table = &family_const(set, family)->tables[part % TABLES];
        struct table_cursor cursor = {0, 0};
        struct crowd *crowd;
        for (const struct entry *entry; (entry = table_next(table, &cursor, &crowd));) {
            if (!in_force(set, entry) || !is_wanted(wanted, entry, family))
                continue;
            if (out->n == out->room && (result = vrp_list_reserve(out, out->room + 1024)) != 0)
                break;
            struct vrp vrp = vrp_of(entry, family, true);
            uint32_t sources = entry->live & set->active;
            vrp.announce = (uint8_t)(sources ? 1 + __builtin_ctz(sources) : 1);
            out->records[out->n++] = vrp;
        }
    }
    leave(twins, at);
    return result;
}

int vrp_twins_list(struct vrp_twins *twins, int64_t asn, struct vrp_list *out)
{
    const struct wanted wanted = {.asn = asn};
    return list(twins, &wanted, out);
}

int vrp_twins_within(struct vrp_twins *twins, uint8_t family, const uint8_t addr[16], unsigned len,
                     struct vrp_list *out)
{
    const struct wanted wanted = {.asn = -1, .family = family, .key = masked(key_of(addr), len), .len = len};
    return list(twins, &wanted, out);
}

uint64_t vrp_twins_count(struct vrp_twins *twins, uint8_t family)
{
    unsigned at = enter(twins);
    uint64_t n = vrpset_count(atomic_load(&twins->sets[at]), family);
    leave(twins, at);
    return n;
}
