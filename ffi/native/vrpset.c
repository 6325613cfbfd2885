/* The VRPs of all sources and what they stage. What comes into force is in steps.c and proposed.c, questions are in
 * validity.c. */

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "vrpset_table.h"

#define TABLE_START 16
#define LINE 64         /* of the cache: no entry lies in two */
#define HUGE (2 << 20)  /* a large page: a look-up needs no walk through the page tables */
#define TOUCHED_MOST 16384

/* ---- entries ----------------------------------------------------------------------------------------------- */

static struct table *table_at(struct family_set *fam, uint64_t hash) { return &fam->tables[table_number(hash)]; }

static bool keeps(const struct vrpset *set, const struct entry *entry)
{
    bool forced = set->walk.each ? entry->force != 0 : in_force(set, entry);
    return entry->used && (forced || entry->live | entry->next);
}

static int table_resize(struct vrpset *set, struct table *table)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; i < table->room; i++)
        alive += keeps(set, &table->entries[i]);
    uint32_t room = TABLE_START;
    while (room < UINT32_C(1) << 30 && (uint64_t)room * 5 < ((uint64_t)alive + 1) * 8)
        room *= 2;
    size_t size = room * sizeof(struct entry);
    struct entry *entries = aligned_alloc(size < HUGE ? LINE : HUGE, size);
    if (!entries)
        return -1;
    if (size >= HUGE)
        madvise(entries, size, MADV_HUGEPAGE);
    memset(entries, 0, room * sizeof *entries);
    for (uint32_t i = 0; i < table->room; i++) {
        const struct entry *old = &table->entries[i];
        if (!keeps(set, old))
            continue;
        uint32_t at = (uint32_t)hash_prefix(set, (struct key){old->hi, old->lo}, old->len) & (room - 1);
        while (entries[at].used)
            at = (at + 1) & (room - 1);
        entries[at] = *old;
    }
    free(table->entries);
    table->entries = entries;
    table->room = room;
    table->used = alive;
    return 0;
}

/* The entry of exactly this VRP; with `make` it is made when missing. NULL: missing, or no memory. */
static struct entry *find(struct vrpset *set, uint8_t family, const struct vrp *vrp, bool make)
{
    struct key key = key_of(vrp->addr);
    uint64_t hash = hash_prefix(set, key, vrp->len);
    struct table *table = table_at(family_of(set, family), hash);
    if (make && (uint64_t)(table->used + 1) * 4 > (uint64_t)table->room * 3 && table_resize(set, table) != 0)
        return NULL;
    if (table->room == 0)
        return NULL;
    uint32_t mask = table->room - 1;
    uint32_t i = (uint32_t)hash & mask;
    for (; table->entries[i].used; i = (i + 1) & mask) {
        struct entry *entry = &table->entries[i];
        if (entry->hi == key.hi && entry->lo == key.lo && entry->len == vrp->len && entry->asn == vrp->asn &&
            entry->max == vrp->max)
            return entry;
    }
    if (!make || lens_note(&family_of(set, family)->lens, key.hi, vrp->len) != 0)
        return NULL;
    table->used++;
    table->entries[i] = (struct entry){
        .hi = key.hi, .lo = key.lo, .asn = vrp->asn, .len = vrp->len, .max = vrp->max, .used = 1,
        .filtered = set->filters && filters_match(set->filters, vrp)};
    return &table->entries[i];
}

struct entry *vrpset_find(struct vrpset *set, uint8_t family, const struct vrp *vrp)
{
    return find(set, family, vrp, false);
}

struct vrp vrp_of(const struct entry *entry, uint8_t family, bool announce)
{
    struct vrp vrp = {.asn = entry->asn, .len = entry->len, .max = entry->max, .family = family, .announce = announce};
    uint64_t halves[2] = {htobe64(entry->hi), htobe64(entry->lo)};
    memcpy(vrp.addr, halves, sizeof halves);
    return vrp;
}

/* ---- life -------------------------------------------------------------------------------------------------- */

struct vrpset *vrpset_new(void)
{
    struct vrpset *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    set->active = ASSERTIONS;
    set->shown = 1;
    if (getrandom(&set->seed, sizeof set->seed, 0) != (ssize_t)sizeof set->seed ||
        lens_init(&set->v4.lens, set->seed) != 0 || lens_init(&set->v6.lens, set->seed) != 0) {
        vrpset_free(set);
        return NULL;
    }
    return set;
}

static void family_free(struct family_set *fam)
{
    for (int i = 0; i < TABLES; i++)
        free(fam->tables[i].entries);
    lens_free(&fam->lens);
}

void vrpset_free(struct vrpset *set)
{
    if (!set)
        return;
    family_free(&set->v4);
    family_free(&set->v6);
    filters_free(set->filters);
    for (int i = 0; i < VRPSET_SOURCES; i++)
        free(set->touched[i].records);
    free(set);
}

/* ---- staging ----------------------------------------------------------------------------------------------- */

bool vrp_well_formed(const struct vrp *vrp, struct vrp_faults *faults)
{
    if ((vrp->family != 4 && vrp->family != 6) || vrp->len > family_bits(vrp->family)) {
        faults->length++;
        return false;
    }
    if (!prefix_no_host_bits(vrp->addr, vrp->len)) {
        faults->host_bits++;
        return false;
    }
    if (vrp->max < vrp->len || vrp->max > family_bits(vrp->family)) {
        faults->max_length++;
        return false;
    }
    return true;
}

static void touch(struct touched *touched, const struct vrp *vrp)
{
    if (touched->all)
        return;
    if (touched->n == touched->room) {
        uint32_t room = touched->room ? touched->room * 2 : 64;
        struct vrp *records = room > TOUCHED_MOST ? NULL : realloc(touched->records, room * sizeof *records);
        if (!records) {
            touched->all = true; /* commit walks the whole set instead */
            return;
        }
        touched->records = records;
        touched->room = room;
    }
    touched->records[touched->n++] = *vrp;
}

void vrpset_touched_reset(struct vrpset *set, unsigned source)
{
    free(set->touched[source].records);
    set->touched[source] = (struct touched){NULL, 0, 0, false};
}

int vrpset_stage(struct vrpset *set, unsigned source, const void *records, size_t n, struct vrp_faults *faults)
{
    if (source >= VRPSET_SOURCES)
        return -1;
    uint32_t bit = UINT32_C(1) << source;
    for (size_t i = 0; i < n; i++) {
        struct vrp vrp;
        memcpy(&vrp, (const uint8_t *)records + i * sizeof vrp, sizeof vrp);
        if (!vrp_well_formed(&vrp, faults))
            continue;
        struct entry *entry = find(set, vrp.family, &vrp, vrp.announce != 0);
        if (!entry && vrp.announce)
            return -1;
        if (!entry || !(entry->next & bit) == !vrp.announce) {
            *(vrp.announce ? &faults->duplicate : &faults->unknown) += 1;
            continue;
        }
        entry->next ^= bit;
        touch(&set->touched[source], &vrp);
    }
    return 0;
}
