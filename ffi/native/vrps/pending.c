/* What may differ from what the sources say: changes that are proposed first, and taken later. */

#include "vrps/vrpset_table.h"

void vrpset_propose(struct vrpset *set, bool propose) { set->proposing = propose; }

uint64_t vrpset_pending(const struct vrpset *set) { return set->pending; }

uint64_t vrpset_due(const struct vrpset *set, uint8_t family) { return family_const(set, family)->due; }

static void take_entry(struct vrpset *set, struct entry *entry, uint8_t family, struct walk *walk)
{
    (void)walk;
    bool was = in_force(set, entry), is = due(set, entry);
    if (was == is)
        return;
    walk_move(set, entry, family, (struct advertised){is, was}, (struct advertised){is, is});
    walk_tell(set, entry, family, is);
}

int vrpset_take(struct vrpset *set, const struct vrp_list *proposed)
{
    static const struct vrp none;
    struct walk walk = {.each = take_entry};
    if (proposed) {
        walk.records = proposed->n ? proposed->records : &none;
        walk.n = walk.most = proposed->n;
    }
    return walk_start(set, 0, walk);
}

static void drop_entry(struct vrpset *set, struct entry *entry, uint8_t family, struct walk *walk)
{
    entry->next &= ~walk->bit;
    if (!(entry->live & walk->bit))
        return;
    struct advertised was = {due(set, entry), in_force(set, entry)}, is = was;
    /* Nobody else who counts says it. A filter is not asked: that one matches may be what is only proposed. */
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
