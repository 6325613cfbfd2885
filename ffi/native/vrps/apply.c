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

static int walk_start(struct vrpset *set, unsigned source, struct walk walk)
{
    if (set->walk.change)
        return -2;
    if (source >= VRPSET_SOURCES)
        return -1;
    walk.source = source;
    walk.bit = UINT32_C(1) << source;
    if (!walk.records)
        for (int i = 0; i < TABLES; i++)
            walk.most += table_used(&set->v4.tables[i]) + table_used(&set->v6.tables[i]);
    set->walk = walk;
    return 0;
}

/* What the change does to an entry, but for whether it is in force. */
static void edit(struct walk *walk, struct entry *entry, uint8_t family)
{
    switch (walk->change) {
    case BEGIN:
        entry->next &= ~walk->bit;
        break;
    case DISCARD:
        entry->next = (entry->next & ~walk->bit) | (entry->live & walk->bit);
        break;
    case DROP:
        entry->next &= ~walk->bit; /* fall through */
    case COMMIT:
        if ((entry->live ^ entry->next) & walk->bit) {
            entry->live ^= walk->bit;
            walk->count += entry->live & walk->bit ? 1 : -1;
        }
        break;
    case FILTER: {
        struct vrp vrp = vrp_of(entry, family, true);
        entry->filtered = walk->filters && filters_match(walk->filters, &vrp);
        break;
    }
    case NO_CHANGE:
    case ACTIVATE:
    case TAKE:
    case EXEMPTING:
        break;
    }
}

static void visit(struct vrpset *set, struct entry *entry, struct crowd *crowd, uint8_t family)
{
    struct walk *walk = &set->walk;
    const uint32_t next = entry->next;
    const unsigned force = entry->force;
    const uint32_t active = walk->active ? walk->active : set->active;
    const bool was_exempt = (force & EXEMPT) != 0, exempt = walk->change == EXEMPTING ? entry->exempting : was_exempt;
    /* Without exempts: whether it was due, and in force, and what only assertions say. */
    const bool was_due = counts(entry, set->active, entry->filtered), had = (force & set->shown & BOTH) != 0;
    const bool was_heard = had && (entry->live & set->active) != ASSERTIONS;
    /* Nobody else who counts says it. A filter is not asked: that one matches may be pending. */
    const bool sole = (entry->live & set->active) == walk->bit;
    edit(walk, entry, family);
    const bool is_due = counts(entry, active, entry->filtered);
    bool has = had, deferred = false;
    if (walk->change == TAKE)
        has = is_due;
    else if (walk->change == DROP)
        has = had && !sole;
    else if (was_due != is_due) {
        deferred = set->deferring; /* what is due is only told */
        has = deferred ? had : is_due;
    }
    const bool was = had || was_exempt, is = has || exempt;
    const bool told = deferred || was != is, announce = deferred ? is_due : is;
    walk->due[family == 6] += (is_due || exempt) - (was_due || was_exempt);
    walk->pending += (is_due != has) - (was_due != had);
    walk->effective[family == 6] += is - was;
    walk->heard += (has && (entry->live & active) != ASSERTIONS) - was_heard;
    entry->force = (had ? BOTH : 0) | (exempt ? EXEMPT : 0);
    if (had != has)
        entry->force ^= walk->records ? BOTH : BOTH & ~set->shown;
    if (crowd)
        crowd_recount(crowd, entry, next, force);
    struct vrp_list *changes = walk->changes;
    if (told && changes->n < changes->room) /* there was room for as many as there are entries that may change */
        changes->records[changes->n++] = vrp_of(entry, family, announce);
}

static size_t visit_part(struct vrpset *set, unsigned part)
{
    uint8_t family = part < TABLES ? 4 : 6;
    const struct table *table = &family_of(set, family)->tables[part % TABLES];
    struct table_cursor cursor = {0, 0};
    struct crowd *crowd;
    for (struct entry *entry; (entry = table_next(table, &cursor, &crowd));)
        visit(set, entry, crowd, family);
    return table_room(table);
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
    set->heard += (uint64_t)walk->heard;
    set->count[walk->source] += (uint64_t)walk->count;
    set->active = walk->active ? walk->active : set->active;
    if (walk->change == COMMIT || walk->change == DISCARD || walk->change == DROP)
        vrpset_touched_reset(set, walk->source); /* what is staged of the source is done with */
    *walk = (struct walk){NO_CHANGE};
}

bool vrpset_changing(const struct vrpset *set) { return set->walk.change != NO_CHANGE; }

int vrpset_apply(struct vrpset *set, size_t budget, struct vrp_list *changes)
{
    struct walk *walk = &set->walk;
    if (!walk->change)
        return 0;
    walk->changes = changes;
    if (walk->part == 0) {
        if (vrp_list_reserve(changes, walk->most) != 0) {
            if (walk->change == FILTER)
                filters_free(walk->filters);
            if (walk->change == EXEMPTING)
                vrpset_unstage_exempts(set, walk->records, walk->n);
            *walk = (struct walk){NO_CHANGE};
            return -1;
        }
        if (walk->change == FILTER) { /* from now on new entries are made by them */
            filters_free(set->filters);
            set->filters = walk->filters;
        }
    }
    for (size_t i = 0; walk->records && i < walk->n; i++) {
        struct found found = vrpset_find(set, walk->records[i].family, &walk->records[i]);
        if (found.entry) /* gone when it was swept out: then it had changed back before */
            visit(set, found.entry, found.crowd, walk->records[i].family);
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

/* Over n records only: what one source staged, or what is taken. */
static int start_few(struct vrpset *set, unsigned source, enum change change, const struct vrp *records, size_t n)
{
    static const struct vrp none;
    return walk_start(set, source, (struct walk){.change = change, .records = n ? records : &none, .n = n, .most = n});
}

int vrpset_begin(struct vrpset *set, unsigned source)
{
    int started = walk_start(set, source, (struct walk){.change = BEGIN});
    if (started != 0)
        return started;
    vrpset_touched_reset(set, source);
    set->touched[source].all = true;
    return 0;
}

static int start_staged(struct vrpset *set, unsigned source, enum change change)
{
    if (source >= VRPSET_SOURCES || set->touched[source].all)
        return walk_start(set, source, (struct walk){.change = change});
    return start_few(set, source, change, set->touched[source].records, set->touched[source].n);
}

int vrpset_commit(struct vrpset *set, unsigned source) { return start_staged(set, source, COMMIT); }

int vrpset_discard(struct vrpset *set, unsigned source) { return start_staged(set, source, DISCARD); }

int vrpset_activate(struct vrpset *set, uint32_t sources)
{
    sources |= ASSERTIONS;
    if (sources == set->active && !set->walk.change)
        return 0;
    return walk_start(set, 0, (struct walk){.change = ACTIVATE, .active = sources});
}

int vrpset_filter(struct vrpset *set, const void *filters, size_t n)
{
    struct filters *fresh = n ? filters_new(filters, n) : NULL;
    if (n && !fresh)
        return -1;
    int started = walk_start(set, 0, (struct walk){.change = FILTER, .filters = fresh});
    if (started != 0)
        filters_free(fresh);
    return started;
}

int vrpset_drop(struct vrpset *set, unsigned source) { return walk_start(set, source, (struct walk){.change = DROP}); }

int vrpset_exempt(struct vrpset *set, const struct vrp *records, size_t n)
{
    if (set->walk.change)
        return -2;
    return vrpset_stage_exempts(set, records, n) ? start_few(set, 0, EXEMPTING, records, n) : -1;
}

/* ---- what is pending ----------------------------------------------------------------------------------------- */

void vrpset_defer(struct vrpset *set, bool defer) { set->deferring = defer; }

uint64_t vrpset_pending(const struct vrpset *set) { return set->pending; }

uint64_t vrpset_due(const struct vrpset *set, uint8_t family) { return family_const(set, family)->due; }

int vrpset_take(struct vrpset *set, const struct vrp_list *pending)
{
    if (!pending)
        return walk_start(set, 0, (struct walk){.change = TAKE});
    return start_few(set, 0, TAKE, pending->records, pending->n);
}
