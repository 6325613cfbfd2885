/* What may differ from what the sources say: changes that are proposed first, and taken later. */

#include "vrpset_table.h"

void vrpset_propose(struct vrpset *set, bool propose) { set->proposing = propose; }

uint64_t vrpset_pending(const struct vrpset *set) { return set->pending; }

uint64_t vrpset_due(const struct vrpset *set, uint8_t family) { return family_const(set, family)->due; }

static void put(struct vrpset *set, struct entry *entry, uint8_t family, bool in_force, struct vrp_list *changes)
{
    entry->in_force = in_force;
    family_of(set, family)->effective += in_force ? UINT64_C(1) : UINT64_MAX;
    changes->records[changes->n++] = vrp_of(entry, family, in_force);
}

static void take_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    bool is = due(set, entry);
    if (entry->in_force == is)
        return;
    set->pending--;
    put(set, entry, family, is, data);
}

int vrpset_take(struct vrpset *set, const struct vrp_list *proposed, struct vrp_list *changes)
{
    if (vrp_list_reserve(changes, set->pending) != 0)
        return -1;
    if (!proposed) {
        vrpset_each(set, take_entry, changes);
        return 0;
    }
    for (size_t i = 0; i < proposed->n; i++) {
        const struct vrp *vrp = &proposed->records[i];
        struct entry *entry = vrpset_find(set, vrp->family, vrp);
        if (entry)
            take_entry(set, entry, vrp->family, changes);
    }
    return 0;
}

struct dropping {
    struct vrp_list *changes;
    uint64_t n;
    uint32_t bit;
    unsigned source;
};

/* Nobody else who counts says it. A filter is not asked: that one matches may be what is only proposed. */
static bool rests_on(const struct vrpset *set, const struct entry *entry, uint32_t bit)
{
    return entry->in_force && (entry->live & set->active) == bit;
}

static void count_drop(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    (void)family;
    struct dropping *dropping = data;
    dropping->n += rests_on(set, entry, dropping->bit);
}

static void drop_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    struct dropping *dropping = data;
    entry->next &= ~dropping->bit;
    if (!(entry->live & dropping->bit))
        return;
    bool was = due(set, entry), was_pending = entry->in_force != was, goes = rests_on(set, entry, dropping->bit);
    entry->live ^= dropping->bit;
    set->count[dropping->source]--;
    bool is = due(set, entry);
    family_of(set, family)->due -= was != is;
    if (goes)
        put(set, entry, family, false, dropping->changes);
    set->pending -= was_pending;
    set->pending += entry->in_force != is;
}

int vrpset_drop(struct vrpset *set, unsigned source, struct vrp_list *changes)
{
    if (source >= VRPSET_SOURCES)
        return -1;
    struct dropping dropping = {changes, 0, UINT32_C(1) << source, source};
    vrpset_each(set, count_drop, &dropping);
    if (vrp_list_reserve(changes, dropping.n) != 0)
        return -1;
    vrpset_each(set, drop_entry, &dropping);
    vrpset_touched_reset(set, source);
    return 0;
}
