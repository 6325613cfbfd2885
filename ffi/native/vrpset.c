/* The VRPs of all sources: staged, put into force, switched and filtered. Questions are in validity.c, what is only
 * proposed and what is dropped in proposed.c. */

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "vrpset_table.h"

#define TABLE_START 16
#define TOUCHED_MOST 16384

/* ---- entries ----------------------------------------------------------------------------------------------- */

static struct table *table_at(struct family_set *fam, uint64_t hash) { return &fam->tables[hash >> 56]; }

static bool keeps(const struct entry *entry) { return entry->used && (entry->live | entry->next | entry->in_force); }

static int table_resize(struct vrpset *set, struct table *table)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; i < table->room; i++)
        alive += keeps(&table->entries[i]);
    uint32_t room = TABLE_START;
    while (room < UINT32_C(1) << 30 && (uint64_t)room * 5 < ((uint64_t)alive + 1) * 8)
        room *= 2;
    struct entry *entries = calloc(room, sizeof *entries);
    if (!entries)
        return -1;
    for (uint32_t i = 0; i < table->room; i++) {
        const struct entry *old = &table->entries[i];
        if (!keeps(old))
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

static void for_family(struct vrpset *set, uint8_t family, each_entry *each, void *data)
{
    struct family_set *fam = family_of(set, family);
    for (int t = 0; t < TABLES; t++)
        for (uint32_t i = 0; i < fam->tables[t].room; i++)
            if (fam->tables[t].entries[i].used)
                each(set, &fam->tables[t].entries[i], family, data);
}

void vrpset_each(struct vrpset *set, each_entry *each, void *data)
{
    for_family(set, 4, each, data);
    for_family(set, 6, each, data);
}

static void for_touched(struct vrpset *set, unsigned source, each_entry *each, void *data)
{
    struct touched *touched = &set->touched[source];
    if (touched->all) {
        vrpset_each(set, each, data);
        return;
    }
    for (uint32_t i = 0; i < touched->n; i++) {
        struct entry *entry = find(set, touched->records[i].family, &touched->records[i], false);
        if (entry) /* gone when it was swept out: then it had changed back before */
            each(set, entry, touched->records[i].family, data);
    }
}

static void clear_next(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    (void)set, (void)family;
    entry->next &= ~*(uint32_t *)data;
}

int vrpset_begin(struct vrpset *set, unsigned source)
{
    if (source >= VRPSET_SOURCES)
        return -1;
    uint32_t bit = UINT32_C(1) << source;
    vrpset_each(set, clear_next, &bit);
    vrpset_touched_reset(set, source);
    set->touched[source].all = true;
    return 0;
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

struct commit {
    uint32_t bit;
    unsigned source;
    struct vrp_list *changes;
};

/* No more VRPs than this can change at once. Counting them exactly would be a walk over all, as long as the change's own;
 * room that nobody writes to is no memory. */
static size_t entries_used(const struct vrpset *set)
{
    size_t n = 0;
    for (int i = 0; i < TABLES; i++)
        n += (size_t)set->v4.tables[i].used + set->v6.tables[i].used;
    return n;
}

/* Whether the entry is due has changed, or not: put that into force or, while changes are proposed, note it. */
static void settle(struct vrpset *set, struct entry *entry, uint8_t family, bool was, bool is,
                   struct vrp_list *changes)
{
    if (was == is)
        return;
    struct family_set *fam = family_of(set, family);
    fam->due += is ? UINT64_C(1) : UINT64_MAX;
    if (set->proposing) {
        set->pending += entry->in_force != is ? UINT64_C(1) : UINT64_MAX;
    } else {
        entry->in_force = is;
        fam->effective += is ? UINT64_C(1) : UINT64_MAX;
    }
    changes->records[changes->n++] = vrp_of(entry, family, is);
}

static void commit_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    struct commit *commit = data;
    if (!((entry->live ^ entry->next) & commit->bit))
        return;
    bool was = due(set, entry);
    entry->live ^= commit->bit;
    set->count[commit->source] += entry->live & commit->bit ? UINT64_C(1) : UINT64_MAX;
    settle(set, entry, family, was, due(set, entry), commit->changes);
}

int vrpset_commit(struct vrpset *set, unsigned source, struct vrp_list *changes)
{
    if (source >= VRPSET_SOURCES)
        return -1;
    struct commit commit = {UINT32_C(1) << source, source, changes};
    const struct touched *touched = &set->touched[source];
    if (vrp_list_reserve(changes, touched->all ? entries_used(set) : touched->n) != 0)
        return -1;
    for_touched(set, source, commit_entry, &commit);
    vrpset_touched_reset(set, source);
    return 0;
}

static void discard_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    (void)set, (void)family;
    uint32_t bit = *(uint32_t *)data;
    entry->next = (entry->next & ~bit) | (entry->live & bit);
}

int vrpset_discard(struct vrpset *set, unsigned source)
{
    if (source >= VRPSET_SOURCES)
        return -1;
    uint32_t bit = UINT32_C(1) << source;
    for_touched(set, source, discard_entry, &bit);
    vrpset_touched_reset(set, source);
    return 0;
}

struct activation {
    uint32_t sources;
    struct vrp_list *changes;
};

static void activate_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    struct activation *activation = data;
    settle(set, entry, family, due(set, entry),
           counts(entry, activation->sources, entry->filtered & 1), activation->changes);
}

int vrpset_activate(struct vrpset *set, uint32_t sources, struct vrp_list *changes)
{
    sources |= ASSERTIONS;
    struct activation activation = {sources, changes};
    if (sources == set->active)
        return 0;
    if (vrp_list_reserve(changes, entries_used(set)) != 0)
        return -1;
    vrpset_each(set, activate_entry, &activation);
    set->active = sources;
    return 0;
}

struct filtering {
    const struct filters *filters;
    struct vrp_list *changes;
    size_t n;
};

static void match_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    struct filtering *filtering = data;
    struct vrp vrp = vrp_of(entry, family, true);
    bool next = filtering->filters && filters_match(filtering->filters, &vrp);
    entry->filtered = (uint8_t)((entry->filtered & 1) | next << 1);
    filtering->n += due(set, entry) != counts(entry, set->active, next);
}

static void filter_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    struct filtering *filtering = data;
    bool was = due(set, entry);
    entry->filtered >>= 1;
    settle(set, entry, family, was, due(set, entry), filtering->changes);
}

int vrpset_filter(struct vrpset *set, const void *filters, size_t n, struct vrp_list *changes)
{
    struct filters *fresh = n ? filters_new(filters, n) : NULL;
    if (n && !fresh)
        return -1;
    struct filtering filtering = {fresh, changes, 0};
    vrpset_each(set, match_entry, &filtering);
    if (vrp_list_reserve(changes, filtering.n) != 0) {
        filters_free(fresh);
        return -1;
    }
    vrpset_each(set, filter_entry, &filtering);
    filters_free(set->filters);
    set->filters = fresh;
    return 0;
}
