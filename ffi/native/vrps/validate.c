/* What is asked of the VRP set: the validity of routes (RFC 6811), who covers a prefix, lists and counts. */

#include <string.h>

#include "vrps/vrpset_table.h"

void vrpset_set_usable(struct vrpset *set, bool usable) { set->usable = usable; }

bool vrpset_usable(const struct vrpset *set) { return set->usable; }

typedef bool each_covering(const struct entry *entry, void *data); /* false: enough */

/* Whose entries are gone through: those in force, or those that are due. */
struct scope {
    const struct vrpset *set;
    const struct family_set *fam;
    bool due;
};

static bool in_scope(const struct scope *scope, const struct entry *entry)
{
    return scope->due ? due(scope->set, entry) : in_force(scope->set, entry);
}

static bool probe(const struct scope *scope, struct key key, unsigned len, each_covering *each, void *data)
{
    const struct vrpset *set = scope->set;
    const struct family_set *fam = scope->fam;
    struct key prefix = masked(key, len);
    uint64_t hash = hash_prefix(set, prefix, len);
    const struct table *table = &fam->tables[table_number(hash)];
    if (table->room == 0)
        return true;
    uint32_t mask = table->room - 1;
    for (uint32_t i = (uint32_t)hash & mask; table->entries[i].used; i = (i + 1) & mask) {
        const struct entry *entry = &table->entries[i];
        if (entry->hi == prefix.hi && entry->lo == prefix.lo && entry->len == len && in_scope(scope, entry) &&
            !each(entry, data))
            return false;
    }
    return true;
}

static void for_covering(const struct vrpset *set, bool due, uint8_t family, struct key key, unsigned len,
                         each_covering *each, void *data)
{
    struct scope scope = {set, family_const(set, family), due};
    struct lengths_walk walk = lengths_begin(&scope.fam->lengths, key.hi, len);
    for (int one; (one = lengths_next(&walk)) >= 0;)
        if (!probe(&scope, key, (unsigned)one, each, data))
            return;
}

struct question {
    int64_t asn;
    unsigned len;
    enum validity validity;
};

static bool answer(const struct entry *entry, void *data)
{
    struct question *question = data;
    if (entry_matches(entry, question->asn, question->len)) {
        question->validity = VALIDITY_VALID;
        return false;
    }
    question->validity = VALIDITY_INVALID;
    return true;
}

enum validity vrpset_validate(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len,
                              int64_t asn)
{
    if (!set->usable)
        return VALIDITY_UNVERIFIED;
    struct question question = {asn, len, VALIDITY_NOT_FOUND};
    for_covering(set, false, family, key_of(addr), len, answer, &question);
    return question.validity;
}

static bool same(const struct entry *entry, void *data)
{
    const struct entry **wanted = data;
    if (entry->asn != (*wanted)->asn || entry->max != (*wanted)->max)
        return true;
    *wanted = NULL;
    return false;
}

static bool has(const struct vrpset *set, uint8_t family, const struct entry *entry)
{
    struct scope scope = {set, family_const(set, family), false};
    const struct entry *wanted = entry;
    probe(&scope, (struct key){entry->hi, entry->lo}, entry->len, same, &wanted);
    return wanted == NULL;
}

struct view_question {
    struct question question; /* first: answer() reads it */
    const struct vrpset *without;
    uint8_t family;
};

static bool answer_less(const struct entry *entry, void *data)
{
    struct view_question *view = data;
    return has(view->without, view->family, entry) || answer(entry, &view->question);
}

enum validity vrpset_validate_view(const struct vrp_view *view, uint8_t family, const uint8_t addr[16], unsigned len,
                                   int64_t asn)
{
    if (view->set && !view->set->usable)
        return VALIDITY_UNVERIFIED;
    struct view_question question = {{asn, len, VALIDITY_NOT_FOUND}, view->without, family};
    if (view->set)
        for_covering(view->set, view->due, family, key_of(addr), len, view->without ? answer_less : answer, &question);
    if (view->with && question.question.validity != VALIDITY_VALID)
        for_covering(view->with, false, family, key_of(addr), len, answer, &question.question);
    return question.question.validity;
}

int vrpset_validate_text(const struct vrpset *set, const char *prefix, size_t n, int64_t asn)
{
    struct prefix parsed;
    if (!prefix_parse(prefix, n, &parsed))
        return -1;
    return (int)vrpset_validate(set, parsed.family, parsed.addr, parsed.len, asn);
}

struct collection {
    struct vrp_source *out;
    size_t room, n;
    uint8_t family;
};

static bool collect(const struct entry *entry, void *data)
{
    struct collection *collection = data;
    if (collection->n < collection->room)
        collection->out[collection->n] = (struct vrp_source){vrp_of(entry, collection->family, true), entry->live};
    collection->n++;
    return true;
}

size_t vrpset_covering(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len,
                       struct vrp_source *out, size_t room)
{
    struct collection collection = {out, room, 0, family};
    if (!family_has_length(family, len))
        return 0;
    for_covering(set, false, family, key_of(addr), len, collect, &collection);
    return collection.n;
}

static bool listed(const struct vrpset *set, const struct entry *entry, uint32_t sources)
{
    return entry->used && (sources ? (entry->live & sources) != 0 : in_force(set, entry));
}

size_t vrpset_list(const struct vrpset *set, uint32_t sources, uint64_t *cursor, struct vrp_source *out, size_t room)
{
    size_t n = 0;
    uint64_t table_at_cursor = *cursor >> 32;
    uint32_t i = (uint32_t)*cursor;
    for (; table_at_cursor < 2 * TABLES; table_at_cursor++, i = 0) {
        uint8_t family = table_at_cursor < TABLES ? 4 : 6;
        const struct table *table = &family_const(set, family)->tables[table_at_cursor % TABLES];
        for (; i < table->room; i++) {
            const struct entry *entry = &table->entries[i];
            if (!listed(set, entry, sources))
                continue;
            if (n == room) {
                *cursor = table_at_cursor << 32 | i;
                return n;
            }
            out[n++] = (struct vrp_source){vrp_of(entry, family, true), entry->live};
        }
    }
    *cursor = UINT64_C(2) * TABLES << 32;
    return n;
}

_Static_assert(VRPSET_PARTS == 2 * TABLES, "a part is a table of a family");

int vrpset_part(const struct vrpset *set, uint32_t sources, unsigned part, struct vrp_list *out)
{
    if (part >= VRPSET_PARTS)
        return -1;
    uint8_t family = part < TABLES ? 4 : 6;
    const struct table *table = &family_const(set, family)->tables[part % TABLES];
    if (vrp_list_reserve(out, table->used) != 0)
        return -1;
    for (uint32_t i = 0; i < table->room; i++)
        if (listed(set, &table->entries[i], sources))
            out->records[out->n++] = vrp_of(&table->entries[i], family, true);
    return 0;
}

size_t vrpset_differing(const struct vrpset *set, uint32_t sources, unsigned part, struct vrp_source *out, size_t room)
{
    if (part >= VRPSET_PARTS)
        return 0;
    uint8_t family = part < TABLES ? 4 : 6;
    const struct table *table = &family_const(set, family)->tables[part % TABLES];
    size_t n = 0;
    for (uint32_t i = 0; i < table->room; i++) {
        const struct entry *entry = &table->entries[i];
        uint32_t having = entry->used ? entry->live & sources : 0;
        if (!having || having == sources)
            continue;
        if (n < room)
            out[n] = (struct vrp_source){vrp_of(entry, family, true), entry->live};
        n++;
    }
    return n;
}

size_t vrpset_within(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len, unsigned part,
                     struct vrp_source *out, size_t room)
{
    if (part >= VRPSET_PARTS || family != (part < TABLES ? 4 : 6) || !family_has_length(family, len))
        return 0;
    const struct table *table = &family_const(set, family)->tables[part % TABLES];
    size_t n = 0;
    for (uint32_t i = 0; i < table->room; i++) {
        if (!listed(set, &table->entries[i], 0))
            continue;
        struct vrp vrp = vrp_of(&table->entries[i], family, true);
        if (vrp.len <= len || !prefix_covers(addr, len, vrp.addr))
            continue;
        if (n < room)
            out[n] = (struct vrp_source){vrp, table->entries[i].live};
        n++;
    }
    return n;
}

uint64_t vrpset_count(const struct vrpset *set, uint8_t family) { return family_const(set, family)->effective; }

uint64_t vrpset_count_source(const struct vrpset *set, unsigned source)
{
    return source < VRPSET_SOURCES ? set->count[source] : 0;
}

static uint64_t family_memory(const struct family_set *fam)
{
    uint64_t bytes = lengths_memory(&fam->lengths);
    for (int i = 0; i < TABLES; i++)
        bytes += fam->tables[i].room * sizeof(struct entry);
    return bytes;
}

uint64_t vrpset_memory(const struct vrpset *set)
{
    return sizeof *set + family_memory(&set->v4) + family_memory(&set->v6);
}
