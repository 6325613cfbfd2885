/* Changes of the set, applied in slices: a source's full set begins, what is staged comes into force, sources and
 * filters are switched, what is pending is taken.
 *
 * A change goes over all entries, table by table, and writes into each whether it will be in force, beside whether it
 * is. With the last table the new bits hold (vrpset.shown), and the counts follow. Between two slices nothing of it
 * shows, and what other sources stage disturbs nothing: a new entry is in nobody's force. Few entries are changed
 * in one slice, in place.
 */

#include <stdlib.h>

#include "vrps/vrpset_table.h"

#define BOTH 3 /* the bits of entry.force */

struct status {
    bool due, in_force;
};

static int walk_start(struct vrpset *set, unsigned source, struct walk walk)
{
    if (set->walk.each)
        return -2;
    if (source >= VRPSET_SOURCES)
        return -1;
    walk.source = source;
    walk.bit = UINT32_C(1) << source;
    if (!walk.records)
        for (int i = 0; i < TABLES; i++)
            walk.most += (size_t)set->v4.tables[i].used + set->v6.tables[i].used;
    set->walk = walk;
    return 0;
}

static void walk_move(struct vrpset *set, struct entry *entry, uint8_t family, struct status was, struct status is)
{
    struct walk *walk = &set->walk;
    walk->due[family == 6] += is.due - was.due;
    walk->pending += (is.due != is.in_force) - (was.due != was.in_force);
    if (was.in_force == is.in_force)
        return;
    walk->effective[family == 6] += is.in_force - was.in_force;
    entry->force ^= walk->records ? BOTH : BOTH ^ set->shown;
}

static void walk_tell(struct vrpset *set, const struct entry *entry, uint8_t family, bool announce)
{
    struct vrp_list *changes = set->walk.changes;
    if (changes->n < changes->room) /* always so: there was room for as many as there are entries that may change */
        changes->records[changes->n++] = vrp_of(entry, family, announce);
}

static void visit(struct vrpset *set, struct entry *entry, uint8_t family)
{
    entry->force = in_force(set, entry) ? BOTH : 0;
    set->walk.each(set, entry, family, &set->walk);
}

static size_t visit_part(struct vrpset *set, unsigned part)
{
    uint8_t family = part < TABLES ? 4 : 6;
    struct table *table = &family_of(set, family)->tables[part % TABLES];
    for (uint32_t i = 0; i < table->room; i++)
        if (table->entries[i].used)
            visit(set, &table->entries[i], family);
    return table->room;
}

static void finish(struct vrpset *set)
{
    struct walk *walk = &set->walk;
    if (!walk->records)
        set->shown ^= BOTH;
    for (int i = 0; i < 2; i++) {
        struct family_set *fam = i ? &set->v6 : &set->v4;
        fam->due += (uint64_t)walk->due[i];
        fam->effective += (uint64_t)walk->effective[i];
    }
    set->pending += (uint64_t)walk->pending;
    set->count[walk->source] += (uint64_t)walk->count;
    set->active = walk->active ? walk->active : set->active;
    if (walk->staged_ends)
        vrpset_touched_reset(set, walk->source);
    *walk = (struct walk){NULL};
}

bool vrpset_changing(const struct vrpset *set) { return set->walk.each != NULL; }

int vrpset_apply(struct vrpset *set, size_t budget, struct vrp_list *changes)
{
    struct walk *walk = &set->walk;
    if (!walk->each)
        return 0;
    walk->changes = changes;
    if (walk->part == 0) {
        if (vrp_list_reserve(changes, walk->most) != 0) {
            if (walk->filtering)
                filters_free(walk->filters);
            *walk = (struct walk){NULL};
            return -1;
        }
        if (walk->filtering) { /* from now on new entries are made by them */
            filters_free(set->filters);
            set->filters = walk->filters;
        }
    }
    for (size_t i = 0; walk->records && i < walk->n; i++) {
        struct entry *entry = vrpset_find(set, walk->records[i].family, &walk->records[i]);
        if (entry) /* gone when it was swept out: then it had changed back before */
            visit(set, entry, walk->records[i].family);
    }
    for (size_t done = 0; !walk->records && walk->part < VRPSET_PARTS;) {
        if (done && done >= budget)
            return 1;
        done += visit_part(set, walk->part++);
    }
    finish(set);
    return 0;
}

/* ---- the changes ------------------------------------------------------------------------------------------- */

/* Whether the entry is due has changed, or not: put that into force or, while changes are deferred, note it. */
static void settle(struct vrpset *set, struct entry *entry, uint8_t family, bool was, bool is)
{
    if (was == is)
        return;
    bool before = in_force(set, entry);
    walk_move(set, entry, family, (struct status){was, before}, (struct status){is, set->deferring ? before : is});
    walk_tell(set, entry, family, is);
}

static void begin_entry(struct vrpset *set, struct entry *entry, uint8_t family, struct walk *walk)
{
    (void)set, (void)family;
    entry->next &= ~walk->bit;
}

int vrpset_begin(struct vrpset *set, unsigned source)
{
    int started = walk_start(set, source, (struct walk){.each = begin_entry});
    if (started != 0)
        return started;
    vrpset_touched_reset(set, source);
    set->touched[source].all = true;
    return 0;
}

/* Over what the source has staged. */
static int start_staged(struct vrpset *set, unsigned source, each_entry *each)
{
    struct walk walk = {.each = each, .staged_ends = true};
    if (source < VRPSET_SOURCES && !set->touched[source].all) {
        static const struct vrp none;
        walk.records = set->touched[source].n ? set->touched[source].records : &none;
        walk.n = walk.most = set->touched[source].n;
    }
    return walk_start(set, source, walk);
}

static void commit_entry(struct vrpset *set, struct entry *entry, uint8_t family, struct walk *walk)
{
    if (!((entry->live ^ entry->next) & walk->bit))
        return;
    bool was = due(set, entry);
    entry->live ^= walk->bit;
    walk->count += entry->live & walk->bit ? 1 : -1;
    settle(set, entry, family, was, due(set, entry));
}

int vrpset_commit(struct vrpset *set, unsigned source) { return start_staged(set, source, commit_entry); }

static void discard_entry(struct vrpset *set, struct entry *entry, uint8_t family, struct walk *walk)
{
    (void)set, (void)family;
    entry->next = (entry->next & ~walk->bit) | (entry->live & walk->bit);
}

int vrpset_discard(struct vrpset *set, unsigned source) { return start_staged(set, source, discard_entry); }

static void activate_entry(struct vrpset *set, struct entry *entry, uint8_t family, struct walk *walk)
{
    settle(set, entry, family, due(set, entry), counts(entry, walk->active, entry->filtered));
}

int vrpset_activate(struct vrpset *set, uint32_t sources)
{
    sources |= ASSERTIONS;
    if (sources == set->active && !set->walk.each)
        return 0;
    return walk_start(set, 0, (struct walk){.each = activate_entry, .active = sources});
}

static void filter_entry(struct vrpset *set, struct entry *entry, uint8_t family, struct walk *walk)
{
    struct vrp vrp = vrp_of(entry, family, true);
    bool was = due(set, entry);
    entry->filtered = walk->filters && filters_match(walk->filters, &vrp);
    settle(set, entry, family, was, due(set, entry));
}

int vrpset_filter(struct vrpset *set, const void *filters, size_t n)
{
    struct filters *fresh = n ? filters_new(filters, n) : NULL;
    if (n && !fresh)
        return -1;
    int started = walk_start(set, 0, (struct walk){.each = filter_entry, .filters = fresh, .filtering = true});
    if (started != 0)
        filters_free(fresh);
    return started;
}

/* ---- what is pending ----------------------------------------------------------------------------------------- */

void vrpset_defer(struct vrpset *set, bool defer) { set->deferring = defer; }

uint64_t vrpset_pending(const struct vrpset *set) { return set->pending; }

uint64_t vrpset_due(const struct vrpset *set, uint8_t family) { return family_const(set, family)->due; }

static void take_entry(struct vrpset *set, struct entry *entry, uint8_t family, struct walk *walk)
{
    (void)walk;
    bool was = in_force(set, entry), is = due(set, entry);
    if (was == is)
        return;
    walk_move(set, entry, family, (struct status){is, was}, (struct status){is, is});
    walk_tell(set, entry, family, is);
}

int vrpset_take(struct vrpset *set, const struct vrp_list *pending)
{
    static const struct vrp none;
    struct walk walk = {.each = take_entry};
    if (pending) {
        walk.records = pending->n ? pending->records : &none;
        walk.n = walk.most = pending->n;
    }
    return walk_start(set, 0, walk);
}

static void drop_entry(struct vrpset *set, struct entry *entry, uint8_t family, struct walk *walk)
{
    entry->next &= ~walk->bit;
    if (!(entry->live & walk->bit))
        return;
    struct status was = {due(set, entry), in_force(set, entry)}, is = was;
    /* Nobody else who counts says it. A filter is not asked: that one matches may be pending. */
    if (was.in_force && (entry->live & set->active) == walk->bit)
        is.in_force = false;
    entry->live ^= walk->bit;
    walk->count--;
    is.due = due(set, entry);
    walk_move(set, entry, family, was, is);
    if (was.in_force != is.in_force)
        walk_tell(set, entry, family, false);
}

int vrpset_drop(struct vrpset *set, unsigned source)
{
    return walk_start(set, source, (struct walk){.each = drop_entry, .staged_ends = true});
}
