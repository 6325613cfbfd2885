/* The VRPs of all sources and what they stage. */

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/pages.h"
#include "vrps/vrpset_table.h"

#define TABLE_START 16
#define TOUCHED_MOST 16384

/* ---- entries ----------------------------------------------------------------------------------------------- */

static struct table *table_at(struct family_set *fam, uint64_t hash) { return &fam->tables[table_number(hash)]; }

static bool keeps(const struct vrpset *set, const struct table *table, const struct entry *entry)
{
    if (entry->crowd && (entry->len == NO_LENGTH || !table->crowds))
        return false;
    if (entry->crowd)
        return !crowd_is_empty(table->crowds[entry->asn], kept_forces(set));
    return entry_is_kept(entry, kept_forces(set));
}

static int table_resize(struct vrpset *set, struct table *table)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; i < table->room; i++)
        alive += keeps(set, table, &table->entries[i]);
    uint32_t room = TABLE_START;
    while (room < UINT32_C(1) << 30 && (uint64_t)room * 5 < ((uint64_t)alive + 1) * 8)
        room *= 2;
    size_t size = room * sizeof(struct entry);
    struct entry *entries = pages_zeroed(size);
    struct crowd **crowds = table->crowds_n ? malloc(table->crowds_n * sizeof(struct crowd *)) : NULL;
    if (!entries || (table->crowds_n && !crowds)) {
        free(entries);
        free(crowds);
        return -1;
    }
    struct table bigger = {entries, room, alive, crowds, 0, table->crowds_n};
    for (uint32_t i = 0; i < table->room; i++) {
        const struct entry *old = &table->entries[i];
        bool is_mark = old->crowd && old->len != NO_LENGTH, kept = keeps(set, table, old);
        if (is_mark && !kept)
            crowd_free(table->crowds[old->asn]);
        if (!kept)
            continue;
        uint32_t first = (uint32_t)hash_prefix(set, (struct key){old->hi, old->lo}, old->len) & (room - 1), at = 0;
        while (run_slot(&bigger, first, at)->used)
            at++;
        run_put(&bigger, first, at, *old);
        if (is_mark && crowds) {
            crowds[bigger.crowds_n] = table->crowds[old->asn];
            run_slot(&bigger, first, at)->asn = bigger.crowds_n++;
        }
    }
    free(table->entries);
    free(table->crowds);
    *table = bigger;
    return 0;
}

static bool has_prefix(const struct entry *entry, struct key key, unsigned len)
{
    return entry->hi == key.hi && entry->lo == key.lo && entry->len == len;
}

static bool says(const struct entry *entry, const struct vrp *vrp) /* of entries with its prefix */
{
    return entry->asn == vrp->asn && entry->max == vrp->max;
}

struct found vrpset_find(const struct vrpset *set, uint8_t family, const struct vrp *vrp)
{
    if (!family_has_length(family, vrp->len))
        return (struct found){NULL, NULL};
    struct key key = key_of(vrp->addr);
    uint64_t hash = hash_prefix(set, key, vrp->len);
    const struct table *table = &family_const(set, family)->tables[table_number(hash)];
    if (table->room == 0)
        return (struct found){NULL, NULL};
    uint32_t first = (uint32_t)hash & (table->room - 1), end = run_end(table, first);
    struct entry *entry;
    for (uint32_t i = 0; i <= end && (entry = run_slot(table, first, i))->used; i++) {
        if (!has_prefix(entry, key, vrp->len))
            continue;
        struct crowd *crowd = crowd_of(table, entry);
        if (crowd)
            return (struct found){crowd_find(crowd, vrp->asn, vrp->max), crowd};
        if (says(entry, vrp))
            return (struct found){entry, NULL};
    }
    return (struct found){NULL, NULL};
}

/* Whether one entry more is too many. Of tables that fill alike one after the other is: 16 that grew together would
 * hold the loop for tens of milliseconds. From 0.65 of its room on, which is more than a table has of it after it grew.
 */
static bool is_full(const struct family_set *fam, const struct table *table)
{
    return (uint64_t)(table->used + 1) * 160 > (uint64_t)table->room * (uint64_t)(104 + (table - fam->tables));
}

/* A prefix's entries move into a crowd, which is returned; `first`: where its probe run begins. NULL: no memory. */
static struct crowd *make_crowd(const struct vrpset *set, struct table *table, uint32_t first, struct key key,
                                unsigned len)
{
    if (table->crowds_n == table->crowds_room) {
        uint32_t room = table->crowds_room ? table->crowds_room * 2 : 4;
        struct crowd **crowds = realloc(table->crowds, room * sizeof(struct crowd *));
        if (!crowds)
            return NULL;
        table->crowds = crowds;
        table->crowds_room = room;
    }
    struct crowd *crowd = crowd_new(set->seeds[len]);
    uint32_t end = run_end(table, first);
    const struct entry moved = {.used = 1, .crowd = 1, .len = NO_LENGTH};
    const struct entry mark = {
        .hi = key.hi, .lo = key.lo, .asn = table->crowds_n, .used = 1, .crowd = 1, .len = (uint8_t)len};
    const struct entry *entry;
    for (uint32_t i = 0; crowd && i <= end && (entry = run_slot(table, first, i))->used; i++) {
        if (has_prefix(entry, key, len) && !crowd_add(crowd, entry, kept_forces(set))) {
            crowd_free(crowd);
            crowd = NULL;
        }
    }
    bool marked = false;
    for (uint32_t i = 0; crowd && i <= end && (entry = run_slot(table, first, i))->used; i++) {
        if (!has_prefix(entry, key, len))
            continue;
        run_put(table, first, i, marked ? moved : mark);
        marked = true;
    }
    if (marked)
        table->crowds[table->crowds_n++] = crowd;
    return crowd;
}

static struct found found_in_crowd(const struct vrpset *set, struct crowd *crowd, const struct entry *wanted,
                                   unsigned source, bool *crowded)
{
    struct entry *entry = crowd_find(crowd, wanted->asn, wanted->max);
    *crowded = !entry && source < VRPSET_SOURCES && crowd->staged[source] >= VRPSET_OF_PREFIX;
    if (!entry && !*crowded)
        entry = crowd_add(crowd, wanted, kept_forces(set));
    return (struct found){entry, crowd};
}

/* The entry of exactly this VRP, made when it is missing. No entry: no memory, or (`crowded`) the source, if it is for
 * one, stages too many of its prefix. An entry that nobody has any more gives its slot to a new one, so that a prefix's
 * run stays short whatever a cache announces and withdraws. */
static struct found find_or_make(struct vrpset *set, const struct vrp *vrp, unsigned source, bool *crowded)
{
    const struct found none = {NULL, NULL};
    struct family_set *fam = family_of(set, vrp->family);
    struct key key = key_of(vrp->addr);
    uint64_t hash = hash_prefix(set, key, vrp->len);
    struct table *table = table_at(fam, hash);
    if (is_full(fam, table) && table_resize(set, table) != 0)
        return none;
    const struct entry wanted = {.hi = key.hi,
                                 .lo = key.lo,
                                 .asn = vrp->asn,
                                 .len = vrp->len,
                                 .max = vrp->max,
                                 .used = 1,
                                 .filtered = set->filters && filters_match(set->filters, vrp)};
    uint32_t first = (uint32_t)hash & (table->room - 1), end = run_end(table, first), i = 0, dead = 0, n = 0;
    bool any_dead = false;
    struct entry *entry;
    for (; i <= end && (entry = run_slot(table, first, i))->used; i++) {
        if (!has_prefix(entry, key, vrp->len))
            continue;
        struct crowd *crowd = crowd_of(table, entry);
        if (crowd)
            return found_in_crowd(set, crowd, &wanted, source, crowded);
        if (says(entry, vrp))
            return (struct found){entry, NULL};
        n++;
        if (!any_dead && !keeps(set, table, entry)) {
            any_dead = true;
            dead = i;
        }
    }
    if (lengths_note(&fam->lengths, key.hi, vrp->len) != 0)
        return none;
    if (n >= CROWD_FROM && !any_dead) {
        struct crowd *crowd = make_crowd(set, table, first, key, vrp->len);
        return crowd ? found_in_crowd(set, crowd, &wanted, source, crowded) : none;
    }
    table->used += !any_dead;
    while (!any_dead && run_slot(table, first, i)->used)
        i++;
    uint32_t at = any_dead ? dead : i;
    run_put(table, first, at, wanted);
    return (struct found){run_slot(table, first, at), NULL};
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
    set->shown = 1 | EXEMPT;
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed || lengths_init(&set->v4.lengths, seed) != 0 ||
        lengths_init(&set->v6.lengths, seed) != 0) {
        vrpset_free(set);
        return NULL;
    }
    for (size_t len = 0; len < sizeof set->seeds / sizeof *set->seeds; len++)
        set->seeds[len] = mix_bits(seed + len + 1);
    return set;
}

static void family_free(struct family_set *fam)
{
    for (int i = 0; i < TABLES; i++) {
        for (uint32_t crowd = 0; crowd < fam->tables[i].crowds_n; crowd++)
            crowd_free(fam->tables[i].crowds[crowd]);
        free(fam->tables[i].crowds);
        free(fam->tables[i].entries);
    }
    lengths_free(&fam->lengths);
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

static bool well_formed(const struct vrp *vrp, struct vrp_faults *faults)
{
    if (!family_has_length(vrp->family, vrp->len)) {
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
        if (!well_formed(&vrp, faults))
            continue;
        bool crowded = false;
        struct found found =
            vrp.announce ? find_or_make(set, &vrp, source, &crowded) : vrpset_find(set, vrp.family, &vrp);
        struct entry *entry = found.entry;
        if (crowded) {
            faults->crowded++;
            continue;
        }
        if (!entry && vrp.announce)
            return -1;
        if (!entry || !(entry->next & bit) == !vrp.announce) {
            *(vrp.announce ? &faults->duplicate : &faults->unknown) += 1;
            continue;
        }
        entry->next ^= bit;
        if (found.crowd)
            crowd_recount(found.crowd, entry, entry->next ^ bit, entry->force);
        touch(&set->touched[source], &vrp);
    }
    return 0;
}

bool vrpset_stage_exempts(struct vrpset *set, const struct vrp *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct vrp_faults faults = {0};
        bool crowded = false, makes = records[i].announce && well_formed(&records[i], &faults);
        struct entry *entry = makes ? find_or_make(set, &records[i], VRPSET_SOURCES, &crowded).entry
                                    : vrpset_find(set, records[i].family, &records[i]).entry;
        if (!entry && makes) {
            vrpset_unstage_exempts(set, records, i);
            return false;
        }
        if (entry)
            entry->exempting = records[i].announce;
    }
    return true;
}

void vrpset_unstage_exempts(struct vrpset *set, const struct vrp *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct entry *entry = vrpset_find(set, records[i].family, &records[i]).entry;
        if (entry)
            entry->exempting = (entry->force & EXEMPT) != 0;
    }
}
