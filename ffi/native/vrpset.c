#include "vrpset.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "filters.h"
#include "prefix.h"

/* Entries live in 256 small open-addressing tables a family, so that growing one stops nobody for long. All VRPs of
 * one prefix lie in one probe run. Which prefix lengths occur below an address is kept in bitmaps (`short_lens` by the
 * first 16 bits, `long_lens` by the first 32 and 48 of IPv6), so that validation probes only lengths that may hit. A
 * bitmap bit is never cleared: a stale one costs a probe, never an answer. */

#define TABLES 256
#define TABLE_START 16
#define TOUCHED_MOST 16384
#define ASSERTIONS (UINT32_C(1) << VRPSET_ASSERTIONS)

struct entry {
    uint64_t hi, lo; /* address as numbers */
    uint32_t asn;
    uint32_t live; /* sources that have it, in force */
    uint32_t next; /* the same, after their next commit */
    uint8_t len, max;
    uint8_t used;
    uint8_t filtered; /* bit 0: a filter matches; bit 1: one of the next filters does */
};

struct table {
    struct entry *entries;
    uint32_t room, used; /* room: a power of two; used counts dead entries too */
};

struct lens_entry {
    uint64_t key;  /* the anchor's first bits, with bit 0 set for "taken" */
    uint64_t lens; /* bit i: length (base + i) occurs */
};

struct lens_map {
    struct lens_entry *entries;
    uint32_t room, used;
};

struct touched { /* what a source staged since its last commit; not counted beyond TOUCHED_MOST */
    struct vrp *records;
    uint32_t n, room;
    bool all;
};

struct family_set {
    struct table tables[TABLES];
    uint64_t *short_lens; /* [65536], bit i: length i (0..32) occurs */
    struct lens_map mid;  /* IPv6 by /32: bit i: length 33+i (..48) */
    struct lens_map far;  /* IPv6 by /48: bit 0: 49..64 by one, see far_bit */
    uint64_t effective;
};

struct vrpset {
    struct family_set v4, v6;
    struct touched touched[VRPSET_SOURCES];
    uint64_t count[VRPSET_SOURCES];
    struct filters *filters; /* NULL: none */
    uint64_t seed;
    uint32_t active;
    bool usable;
};

struct key {
    uint64_t hi, lo;
};

static struct key key_of(const uint8_t addr[16])
{
    struct key key = {0, 0};
    for (int i = 0; i < 8; i++) {
        key.hi = key.hi << 8 | addr[i];
        key.lo = key.lo << 8 | addr[8 + i];
    }
    return key;
}

static struct key masked(struct key key, unsigned len)
{
    if (len < 64) {
        key.hi = len ? key.hi & ~(UINT64_MAX >> len) : 0;
        key.lo = 0;
    } else if (len < 128) {
        key.lo = len > 64 ? key.lo & ~(UINT64_MAX >> (len - 64)) : 0;
    }
    return key;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static uint64_t hash_prefix(const struct vrpset *set, struct key key, unsigned len)
{
    return mix(mix(key.hi ^ set->seed) ^ key.lo ^ (uint64_t)len << 57);
}

static struct family_set *family_of(struct vrpset *set, uint8_t family) { return family == 4 ? &set->v4 : &set->v6; }

static const struct family_set *family_const(const struct vrpset *set, uint8_t family)
{
    return family == 4 ? &set->v4 : &set->v6;
}

/* Whether it is effective when these sources are active, and a filter matches it or not. */
static bool counts(const struct entry *entry, uint32_t active, bool filtered)
{
    return (entry->live & active & (filtered ? ASSERTIONS : UINT32_MAX)) != 0;
}

static bool effective(const struct vrpset *set, const struct entry *entry)
{
    return counts(entry, set->active, entry->filtered & 1);
}

/* ---- the bitmaps of lengths -------------------------------------------------------------------------------- */

/* Lengths 49..111 have a bit each; 112..128 share the last one (such VRPs are all but unknown). */
static unsigned far_bit(unsigned len) { return len < 112 ? len - 49 : 63; }

static uint64_t lens_find(const struct lens_map *map, const struct vrpset *set, uint64_t key)
{
    if (map->room == 0)
        return 0;
    uint32_t mask = map->room - 1;
    for (uint32_t i = (uint32_t)mix(key ^ set->seed) & mask;; i = (i + 1) & mask) {
        if (map->entries[i].key == key)
            return map->entries[i].lens;
        if (map->entries[i].key == 0)
            return 0;
    }
}

static void lens_put(struct lens_map *map, const struct vrpset *set, uint64_t key, uint64_t lens)
{
    uint32_t mask = map->room - 1;
    uint32_t i = (uint32_t)mix(key ^ set->seed) & mask;
    while (map->entries[i].key != 0 && map->entries[i].key != key)
        i = (i + 1) & mask;
    if (map->entries[i].key == 0)
        map->used++;
    map->entries[i].key = key;
    map->entries[i].lens |= lens;
}

static int lens_add(struct lens_map *map, const struct vrpset *set, uint64_t key, unsigned bit)
{
    if (map->used * 2 >= map->room) {
        struct lens_map bigger = {NULL, map->room ? map->room * 2 : 256, 0};
        if (bigger.room == 0)
            return -1;
        bigger.entries = calloc(bigger.room, sizeof *bigger.entries);
        if (!bigger.entries)
            return -1;
        for (uint32_t i = 0; i < map->room; i++)
            if (map->entries[i].key)
                lens_put(&bigger, set, map->entries[i].key, map->entries[i].lens);
        free(map->entries);
        *map = bigger;
    }
    lens_put(map, set, key, UINT64_C(1) << bit);
    return 0;
}

static uint64_t anchor(uint64_t hi, unsigned bits) { return (hi >> (64 - bits)) << 1 | 1; }

static int note_length(struct vrpset *set, uint8_t family, struct key key, unsigned len)
{
    struct family_set *fam = family_of(set, family);
    if (len <= 32) {
        uint32_t first = (uint32_t)(key.hi >> 48);
        uint32_t n = len < 16 ? UINT32_C(1) << (16 - len) : 1;
        for (uint32_t i = 0; i < n; i++)
            fam->short_lens[first + i] |= UINT64_C(1) << len;
        return 0;
    }
    /* A mark under the /32 says that there is something longer, so that most lookups end there. */
    if (lens_add(&fam->mid, set, anchor(key.hi, 32), len <= 48 ? len - 33 : 63) != 0)
        return -1;
    return len <= 48 ? 0 : lens_add(&fam->far, set, anchor(key.hi, 48), far_bit(len));
}

/* ---- entries ----------------------------------------------------------------------------------------------- */

static struct table *table_at(struct family_set *fam, uint64_t hash) { return &fam->tables[hash >> 56]; }

static int table_resize(struct vrpset *set, struct table *table)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; i < table->room; i++)
        alive += table->entries[i].used && (table->entries[i].live | table->entries[i].next);
    uint32_t room = TABLE_START;
    while (room < UINT32_C(1) << 30 && (uint64_t)room * 5 < ((uint64_t)alive + 1) * 8)
        room *= 2;
    struct entry *entries = calloc(room, sizeof *entries);
    if (!entries)
        return -1;
    for (uint32_t i = 0; i < table->room; i++) {
        const struct entry *old = &table->entries[i];
        if (!old->used || !(old->live | old->next))
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
    if (!make || note_length(set, family, key, vrp->len) != 0)
        return NULL;
    table->used++;
    table->entries[i] = (struct entry){
        .hi = key.hi, .lo = key.lo, .asn = vrp->asn, .len = vrp->len, .max = vrp->max, .used = 1,
        .filtered = set->filters && filters_match(set->filters, vrp)};
    return &table->entries[i];
}

static struct vrp vrp_of(const struct entry *entry, uint8_t family, bool announce)
{
    struct vrp vrp = {.asn = entry->asn, .len = entry->len, .max = entry->max, .family = family, .announce = announce};
    for (int i = 0; i < 8; i++) {
        vrp.addr[i] = (uint8_t)(entry->hi >> (56 - 8 * i));
        vrp.addr[8 + i] = (uint8_t)(entry->lo >> (56 - 8 * i));
    }
    return vrp;
}

/* ---- life -------------------------------------------------------------------------------------------------- */

struct vrpset *vrpset_new(void)
{
    struct vrpset *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    set->v4.short_lens = calloc(65536, sizeof *set->v4.short_lens);
    set->v6.short_lens = calloc(65536, sizeof *set->v6.short_lens);
    set->active = ASSERTIONS;
    if (!set->v4.short_lens || !set->v6.short_lens ||
        getrandom(&set->seed, sizeof set->seed, 0) != (ssize_t)sizeof set->seed) {
        vrpset_free(set);
        return NULL;
    }
    return set;
}

static void family_free(struct family_set *fam)
{
    for (int i = 0; i < TABLES; i++)
        free(fam->tables[i].entries);
    free(fam->short_lens);
    free(fam->mid.entries);
    free(fam->far.entries);
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

void vrp_list_free(struct vrp_list *list)
{
    free(list->records);
    *list = (struct vrp_list){NULL, 0, 0};
}

static int list_reserve(struct vrp_list *list, size_t more)
{
    if (more <= list->room - list->n)
        return 0;
    size_t room = list->n + more;
    struct vrp *records = realloc(list->records, room * sizeof *records);
    if (!records)
        return -1;
    list->records = records;
    list->room = room;
    return 0;
}

/* ---- staging ----------------------------------------------------------------------------------------------- */

static bool well_formed(const struct vrp *vrp, struct vrp_faults *faults)
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

static void touched_reset(struct touched *touched)
{
    free(touched->records);
    *touched = (struct touched){NULL, 0, 0, false};
}

typedef void each_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data);

static void for_family(struct vrpset *set, uint8_t family, each_entry *each, void *data)
{
    struct family_set *fam = family_of(set, family);
    for (int t = 0; t < TABLES; t++)
        for (uint32_t i = 0; i < fam->tables[t].room; i++)
            if (fam->tables[t].entries[i].used)
                each(set, &fam->tables[t].entries[i], family, data);
}

static void for_all(struct vrpset *set, each_entry *each, void *data)
{
    for_family(set, 4, each, data);
    for_family(set, 6, each, data);
}

static void for_touched(struct vrpset *set, unsigned source, each_entry *each, void *data)
{
    struct touched *touched = &set->touched[source];
    if (touched->all) {
        for_all(set, each, data);
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
    for_all(set, clear_next, &bit);
    touched_reset(&set->touched[source]);
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
        if (!well_formed(&vrp, faults))
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
    struct vrp_list *changes; /* NULL: count only */
    size_t n;
};

static void count_difference(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    (void)set, (void)family;
    struct commit *commit = data;
    commit->n += ((entry->live ^ entry->next) & commit->bit) != 0;
}

static void record_change(struct vrpset *set, const struct entry *entry, uint8_t family, bool was, bool is,
                          struct vrp_list *changes)
{
    if (was == is)
        return;
    family_of(set, family)->effective += is ? UINT64_C(1) : UINT64_MAX;
    changes->records[changes->n++] = vrp_of(entry, family, is);
}

static void commit_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    struct commit *commit = data;
    if (!((entry->live ^ entry->next) & commit->bit))
        return;
    bool was = effective(set, entry);
    entry->live ^= commit->bit;
    set->count[commit->source] += entry->live & commit->bit ? UINT64_C(1) : UINT64_MAX;
    record_change(set, entry, family, was, effective(set, entry), commit->changes);
}

int vrpset_commit(struct vrpset *set, unsigned source, struct vrp_list *changes)
{
    if (source >= VRPSET_SOURCES)
        return -1;
    struct commit commit = {UINT32_C(1) << source, source, changes, 0};
    for_touched(set, source, count_difference, &commit);
    if (list_reserve(changes, commit.n) != 0)
        return -1;
    for_touched(set, source, commit_entry, &commit);
    touched_reset(&set->touched[source]);
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
    touched_reset(&set->touched[source]);
    return 0;
}

struct activation {
    uint32_t sources;
    struct vrp_list *changes;
    size_t n;
};

static void count_activation(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    (void)family;
    struct activation *activation = data;
    activation->n += effective(set, entry) != counts(entry, activation->sources, entry->filtered & 1);
}

static void activate_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    struct activation *activation = data;
    record_change(set, entry, family, effective(set, entry),
                  counts(entry, activation->sources, entry->filtered & 1), activation->changes);
}

int vrpset_activate(struct vrpset *set, uint32_t sources, struct vrp_list *changes)
{
    sources |= ASSERTIONS;
    struct activation activation = {sources, changes, 0};
    if (sources == set->active)
        return 0;
    for_all(set, count_activation, &activation);
    if (list_reserve(changes, activation.n) != 0)
        return -1;
    for_all(set, activate_entry, &activation);
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
    filtering->n += effective(set, entry) != counts(entry, set->active, next);
}

static void filter_entry(struct vrpset *set, struct entry *entry, uint8_t family, void *data)
{
    struct filtering *filtering = data;
    bool was = effective(set, entry);
    entry->filtered >>= 1;
    record_change(set, entry, family, was, effective(set, entry), filtering->changes);
}

int vrpset_filter(struct vrpset *set, const void *filters, size_t n, struct vrp_list *changes)
{
    struct filters *fresh = n ? filters_new(filters, n) : NULL;
    if (n && !fresh)
        return -1;
    struct filtering filtering = {fresh, changes, 0};
    for_all(set, match_entry, &filtering);
    if (list_reserve(changes, filtering.n) != 0) {
        filters_free(fresh);
        return -1;
    }
    for_all(set, filter_entry, &filtering);
    filters_free(set->filters);
    set->filters = fresh;
    return 0;
}

/* ---- questions --------------------------------------------------------------------------------------------- */

void vrpset_set_usable(struct vrpset *set, bool usable) { set->usable = usable; }

bool vrpset_usable(const struct vrpset *set) { return set->usable; }

typedef bool each_covering(const struct vrpset *set, const struct entry *entry, void *data); /* false: enough */

static bool probe(const struct vrpset *set, const struct family_set *fam, struct key key, unsigned len,
                  each_covering *each, void *data)
{
    struct key prefix = masked(key, len);
    uint64_t hash = hash_prefix(set, prefix, len);
    const struct table *table = &fam->tables[hash >> 56];
    if (table->room == 0)
        return true;
    uint32_t mask = table->room - 1;
    for (uint32_t i = (uint32_t)hash & mask; table->entries[i].used; i = (i + 1) & mask) {
        const struct entry *entry = &table->entries[i];
        if (entry->hi == prefix.hi && entry->lo == prefix.lo && entry->len == len && effective(set, entry) &&
            !each(set, entry, data))
            return false;
    }
    return true;
}

static bool probe_all(const struct vrpset *set, const struct family_set *fam, struct key key, unsigned base,
                      uint64_t lens, unsigned most, each_covering *each, void *data)
{
    for (; lens; lens &= lens - 1) {
        unsigned len = base + (unsigned)__builtin_ctzll(lens);
        if (len > most)
            return true;
        if (!probe(set, fam, key, len, each, data))
            return false;
    }
    return true;
}

static void for_covering(const struct vrpset *set, uint8_t family, struct key key, unsigned len, each_covering *each,
                         void *data)
{
    const struct family_set *fam = family_const(set, family);
    if (!probe_all(set, fam, key, 0, fam->short_lens[key.hi >> 48], len, each, data) || len <= 32)
        return;
    uint64_t mid = lens_find(&fam->mid, set, anchor(key.hi, 32));
    if (!probe_all(set, fam, key, 33, mid & 0xffff, len, each, data) || len <= 48 || !(mid >> 63))
        return;
    uint64_t far = lens_find(&fam->far, set, anchor(key.hi, 48));
    if (!probe_all(set, fam, key, 49, far & ~(UINT64_C(1) << 63), len, each, data) || !(far >> 63))
        return;
    for (unsigned long_len = 112; long_len <= len; long_len++)
        if (!probe(set, fam, key, long_len, each, data))
            return;
}

struct question {
    int64_t asn;
    unsigned len;
    enum validity validity;
};

static bool answer(const struct vrpset *set, const struct entry *entry, void *data)
{
    (void)set;
    struct question *question = data;
    /* RFC 6811: AS 0 in a VRP matches no route (RFC 6483 section 4), nor does a route of AS 0 (RFC 7607). */
    if (entry->asn != 0 && entry->asn == question->asn && question->len <= entry->max) {
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
    for_covering(set, family, key_of(addr), len, answer, &question);
    return question.validity;
}

int vrpset_validate_text(const struct vrpset *set, const char *prefix, size_t n, int64_t asn)
{
    struct prefix parsed;
    if (!prefix_parse(prefix, n, &parsed))
        return -1;
    return (int)vrpset_validate(set, parsed.family, parsed.addr, parsed.len, asn);
}

void vrpset_validate_many(const struct vrpset *set, const void *routes, size_t n, uint8_t *out)
{
    struct vrp_faults unread;
    for (size_t i = 0; i < n; i++) {
        struct vrp route;
        memcpy(&route, (const uint8_t *)routes + i * sizeof route, sizeof route);
        route.max = route.len;
        out[i] = well_formed(&route, &unread)
                     ? (uint8_t)vrpset_validate(set, route.family, route.addr, route.len, route.asn)
                     : 255;
    }
}

struct collection {
    struct vrp_source *out;
    size_t room, n;
    uint8_t family;
};

static bool collect(const struct vrpset *set, const struct entry *entry, void *data)
{
    (void)set;
    struct collection *collection = data;
    if (collection->n < collection->room)
        collection->out[collection->n] =
            (struct vrp_source){vrp_of(entry, collection->family, true), entry->live};
    collection->n++;
    return true;
}

size_t vrpset_covering(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len,
                       struct vrp_source *out, size_t room)
{
    struct collection collection = {out, room, 0, family};
    if ((family != 4 && family != 6) || len > family_bits(family))
        return 0;
    for_covering(set, family, key_of(addr), len, collect, &collection);
    return collection.n;
}

static bool listed(const struct vrpset *set, const struct entry *entry, uint32_t sources)
{
    return entry->used && (sources ? (entry->live & sources) != 0 : effective(set, entry));
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
    if (list_reserve(out, table->used) != 0)
        return -1;
    for (uint32_t i = 0; i < table->room; i++)
        if (listed(set, &table->entries[i], sources))
            out->records[out->n++] = vrp_of(&table->entries[i], family, true);
    return 0;
}

uint64_t vrpset_count(const struct vrpset *set, uint8_t family) { return family_const(set, family)->effective; }

uint64_t vrpset_count_source(const struct vrpset *set, unsigned source)
{
    return source < VRPSET_SOURCES ? set->count[source] : 0;
}

static uint64_t family_memory(const struct family_set *fam)
{
    uint64_t bytes = 65536 * sizeof *fam->short_lens;
    for (int i = 0; i < TABLES; i++)
        bytes += fam->tables[i].room * sizeof(struct entry);
    return bytes + ((uint64_t)fam->mid.room + fam->far.room) * sizeof(struct lens_entry);
}

uint64_t vrpset_memory(const struct vrpset *set)
{
    return sizeof *set + family_memory(&set->v4) + family_memory(&set->v6);
}
