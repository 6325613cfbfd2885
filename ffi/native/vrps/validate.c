/* What is asked of the VRP set: the validity of routes (RFC 6811), who covers a prefix, lists and counts. */

#include "vrps/vrpset_table.h"

_Static_assert(VRPSET_PARTS == 2 * TABLES, "a part is a table of a family");

void vrpset_set_usable(struct vrpset *set, bool usable) { set->usable = usable; }

bool vrpset_usable(const struct vrpset *set) { return set->usable; }

/* ---- validity ---------------------------------------------------------------------------------------------- */

/* Which VRPs count: those in force, those that are due, or those that would be due if no filter matched them. */
enum which { IN_FORCE, DUE, FILTERED };

static inline bool is_one(const struct vrpset *set, enum which which, const struct entry *entry)
{
    if (which == IN_FORCE)
        return in_force(set, entry);
    return which == DUE ? due(set, entry) : counts(entry, set->active, false) && !due(set, entry);
}

/* Where the VRPs of one length that cover a prefix lie: in this probe run, or in the crowd that it leads to. */
struct run {
    const struct table *table;
    uint32_t first;
    uint8_t len;
};

static inline bool run_of(const struct vrpset *set, uint8_t family, struct key key, unsigned len, struct run *run)
{
    uint64_t hash = hash_prefix(set, masked(key, len), len);
    const struct table *table = &family_const(set, family)->tables[table_number(hash)];
    *run = (struct run){table, (uint32_t)hash & (table->room - 1), (uint8_t)len};
    return table->room != 0;
}

static inline bool is_of(const struct entry *entry, struct key prefix, unsigned len)
{
    return entry->hi == prefix.hi && entry->lo == prefix.lo && entry->len == len;
}

/* A walk over the entries of one length. */
struct probe {
    struct run run;
    const struct crowd *crowd; /* in which `at` is; NULL: in the run */
    uint32_t at;
};

/* The next entry of the prefix; NULL: that was the last one. Each that is looked at is counted. */
static inline const struct entry *probe_next(const struct vrpset *set, enum which which, struct key prefix,
                                             struct probe *probe, size_t *looked)
{
    const struct run *run = &probe->run;
    const struct entry *entry;
    uint32_t end = probe->crowd ? 0 : run_end(run->table, run->first);
    while (!probe->crowd && probe->at <= end && (entry = run_slot(run->table, run->first, probe->at))->used) {
        probe->at++;
        ++*looked;
        if (!is_of(entry, prefix, run->len))
            continue;
        if ((probe->crowd = crowd_of(run->table, entry))) {
            probe->at = 0;
        } else if (is_one(set, which, entry)) {
            return entry;
        }
    }
    while (probe->crowd && probe->at < probe->crowd->room) {
        entry = &probe->crowd->entries[probe->at++];
        ++*looked;
        if (entry->used && is_one(set, which, entry))
            return entry;
    }
    return NULL;
}

/* RFC 6811 section 2 by the VRPs in force of one length. True: the rest makes no difference. */
static inline bool judge_length(const struct vrpset *set, struct key prefix, const struct run *run, int64_t asn,
                                unsigned len, enum validity *validity)
{
    const struct table *table = run->table;
    const struct entry *entry;
    uint32_t end = run_end(table, run->first);
    for (uint32_t i = 0; i <= end && (entry = run_slot(table, run->first, i))->used; i++) {
        if (!is_of(entry, prefix, run->len))
            continue;
        bool matches;
        const struct crowd *crowd = crowd_of(table, entry);
        if (crowd) {
            if (!crowd_has_force(crowd, set->shown))
                return false;
            matches = crowd_match(crowd, set->shown, asn, len) != NULL;
        } else if (in_force(set, entry)) {
            matches = entry_matches(entry, asn, len);
        } else {
            continue;
        }
        *validity = matches ? VALIDITY_VALID : VALIDITY_INVALID;
        if (matches)
            return true;
    }
    return false;
}

/* The entries of a set that cover a prefix, the shortest first. */
struct covering {
    const struct vrpset *set;
    struct key key;
    uint8_t family;
    enum which which;
    struct lengths_walk lengths;
    struct probe probe; /* of one length; its table NULL: none */
    size_t looked;      /* entries */
};

static struct covering covering_begin(const struct vrpset *set, enum which which, uint8_t family, struct key key,
                                      unsigned len)
{
    struct lengths_walk lengths = lengths_begin(&family_const(set, family)->lengths, key.hi, len);
    return (struct covering){set, key, family, which, lengths, {{NULL, 0, 0}, NULL, 0}, 0};
}

static inline const struct entry *covering_next(struct covering *walk)
{
    for (int len;;) {
        const struct entry *entry = NULL;
        struct run *run = &walk->probe.run;
        if (run->table)
            entry = probe_next(walk->set, walk->which, masked(walk->key, run->len), &walk->probe, &walk->looked);
        if (entry)
            return entry;
        do
            if ((len = lengths_next(&walk->lengths)) < 0)
                return NULL;
        while (!run_of(walk->set, walk->family, walk->key, (unsigned)len, run));
        walk->probe = (struct probe){*run, NULL, 0};
    }
}

static bool has(const struct vrpset *set, uint8_t family, const struct entry *entry)
{
    const struct vrp vrp = vrp_of(entry, family, true);
    const struct entry *found = vrpset_find(set, family, &vrp).entry;
    return found && in_force(set, found);
}

/* By what is in force. */
static enum validity validate(const struct vrpset *set, uint8_t family, struct key key, unsigned len, int64_t asn)
{
    enum validity validity = VALIDITY_NOT_FOUND;
    struct lengths_walk lengths = lengths_begin(&family_const(set, family)->lengths, key.hi, len);
    struct run run;
    for (int some; (some = lengths_next(&lengths)) >= 0;)
        if (run_of(set, family, key, (unsigned)some, &run) &&
            judge_length(set, masked(key, (unsigned)some), &run, asn, len, &validity))
            break;
    return validity;
}

/* By what is due, or without what another set has: VRP by VRP. */
static enum validity validate_each(struct covering *walk, int64_t asn, unsigned len, const struct vrpset *without)
{
    enum validity validity = VALIDITY_NOT_FOUND;
    for (const struct entry *entry; validity != VALIDITY_VALID && (entry = covering_next(walk));)
        if (!(without && has(without, walk->family, entry)))
            validity = entry_matches(entry, asn, len) ? VALIDITY_VALID : VALIDITY_INVALID;
    return validity;
}

enum validity vrpset_validate(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len,
                              int64_t asn)
{
    if (!set->usable)
        return VALIDITY_UNVERIFIED;
    return validate(set, family, key_of(addr), len, asn);
}

enum validity vrpset_validate_view(const struct vrp_view *view, uint8_t family, const uint8_t addr[16], unsigned len,
                                   int64_t asn, size_t *looked)
{
    enum validity validity = VALIDITY_NOT_FOUND;
    struct key key = key_of(addr);
    if (view->set && !view->set->usable)
        return VALIDITY_UNVERIFIED;
    if (view->set && !view->due && !view->without) {
        validity = validate(view->set, family, key, len, asn);
    } else if (view->set) {
        struct covering walk = covering_begin(view->set, view->due ? DUE : IN_FORCE, family, key, len);
        validity = validate_each(&walk, asn, len, view->without);
        *looked += walk.looked;
    }
    if (!view->with || validity == VALIDITY_VALID)
        return validity;
    enum validity more = validate(view->with, family, key, len, asn);
    return more == VALIDITY_NOT_FOUND ? validity : more;
}

bool vrpset_allows_length(const struct vrpset *set, const struct prefix *prefix)
{
    struct covering walk = covering_begin(set, IN_FORCE, prefix->family, key_of(prefix->addr), prefix->len);
    const struct entry *entry;
    while ((entry = covering_next(&walk)) && entry->max < prefix->len)
        if (walk.probe.crowd && walk.probe.crowd->widest < prefix->len)
            walk.probe.at = walk.probe.crowd->room; /* none of this crowd does */
    return entry != NULL;
}

bool vrpset_judge(const struct vrpset *set, const struct prefix *prefix, int64_t asn, enum validity validity,
                  struct vrp *out)
{
    struct covering walk = covering_begin(set, IN_FORCE, prefix->family, key_of(prefix->addr), prefix->len);
    enum validity found = VALIDITY_NOT_FOUND;
    bool own = false; /* *out is of the route's AS */
    for (const struct entry *entry; found != VALIDITY_VALID && (entry = covering_next(&walk));) {
        const struct crowd *crowd = walk.probe.crowd;
        if (crowd) { /* two of it are enough */
            const struct entry *match = crowd_match(crowd, set->shown, asn, prefix->len);
            entry = match ? match : crowd_any(crowd, set->shown, asn);
            walk.probe.at = crowd->room;
        }
        found = entry_matches(entry, asn, prefix->len) ? VALIDITY_VALID : VALIDITY_INVALID;
        if (found == VALIDITY_VALID || !own)
            *out = vrp_of(entry, prefix->family, true);
        own = entry->asn == asn || own;
    }
    return found == validity && found != VALIDITY_NOT_FOUND;
}

void vrpset_fetch_lengths(const struct vrpset *set, const struct prefix *prefix)
{
    lengths_prefetch(&family_const(set, prefix->family)->lengths, key_of(prefix->addr).hi);
}

void vrpset_fetch_entries(const struct vrpset *set, const struct prefix *prefix)
{
    struct key key = key_of(prefix->addr);
    struct lengths_walk walk = lengths_begin(&family_const(set, prefix->family)->lengths, key.hi, prefix->len);
    struct run run;
    for (int len; (len = lengths_next(&walk)) >= 0;)
        if (run_of(set, prefix->family, key, (unsigned)len, &run))
            __builtin_prefetch(&run.table->entries[run.first]);
}

/* A route's answer waits for memory two or three times, one after the other. So routes are validated together: the
 * lengths worth a look, the entries of each; what the next step of one route reads is on its way while the others are
 * looked at. */
enum { RUNS = 12 };

struct asked {
    struct key key;
    int64_t asn; /* -1: none */
    uint8_t len, family, n;
    bool good, many; /* many: more lengths than there is room for */
    struct run runs[RUNS];
};

static void read_route(const struct vrpset *set, const uint8_t addr[16], uint8_t len, uint8_t family, int64_t asn,
                       struct asked *asked)
{
    asked->key = key_of(addr);
    asked->asn = asn;
    asked->len = len;
    asked->family = family;
    asked->n = 0;
    asked->many = false;
    struct key prefix = masked(asked->key, len);
    asked->good = family_has_length(family, len) && prefix.hi == asked->key.hi && prefix.lo == asked->key.lo;
    if (asked->good)
        lengths_prefetch(&family_const(set, family)->lengths, asked->key.hi);
}

static void find_runs(const struct vrpset *set, struct asked *asked)
{
    struct lengths_walk walk = lengths_begin(&family_const(set, asked->family)->lengths, asked->key.hi, asked->len);
    for (int len; !asked->many && (len = lengths_next(&walk)) >= 0;) {
        struct run *run = &asked->runs[asked->n];
        if (asked->n == RUNS) {
            asked->many = true;
        } else if (run_of(set, asked->family, asked->key, (unsigned)len, run)) {
            __builtin_prefetch(&run->table->entries[run->first]);
            asked->n++;
        }
    }
}

static enum validity answer(const struct vrpset *set, struct asked *asked)
{
    enum validity validity = VALIDITY_NOT_FOUND;
    if (!asked->good)
        return VALIDITY_NONE;
    if (!set->usable)
        return VALIDITY_UNVERIFIED;
    if (asked->many)
        return validate(set, asked->family, asked->key, asked->len, asked->asn);
    for (unsigned n = asked->n; n-- > 0;)
        if (judge_length(set, masked(asked->key, asked->runs[n].len), &asked->runs[n], asked->asn, asked->len,
                         &validity))
            break;
    return validity;
}

static void validate_together(const struct vrpset *set, struct asked *asked, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        if (asked[i].good)
            find_runs(set, &asked[i]);
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)answer(set, &asked[i]);
}

void vrpset_validate_many(const struct vrpset *set, const void *routes, size_t n, uint8_t *out)
{
    struct asked asked[VRPSET_TOGETHER];
    for (size_t done = 0, some; done < n; done += some) {
        some = n - done < VRPSET_TOGETHER ? n - done : VRPSET_TOGETHER;
        for (size_t i = 0; i < some; i++) {
            struct vrp route;
            memcpy(&route, (const uint8_t *)routes + (done + i) * sizeof route, sizeof route);
            read_route(set, route.addr, route.len, route.family, route.asn, &asked[i]);
        }
        validate_together(set, asked, some, out + done);
    }
}

void vrpset_validate_some(const struct vrpset *set, const struct prefix *const prefixes[], const int64_t asns[],
                          size_t n, uint8_t *out)
{
    struct asked asked[VRPSET_TOGETHER];
    n = n < VRPSET_TOGETHER ? n : VRPSET_TOGETHER;
    for (size_t i = 0; i < n; i++)
        read_route(set, prefixes[i]->addr, prefixes[i]->len, prefixes[i]->family, asns[i], &asked[i]);
    validate_together(set, asked, n, out);
}

void vrpset_validate_nlri(const struct vrpset *set, const struct nlri *nlri, size_t n, int64_t asn, uint8_t *out)
{
    struct asked asked[VRPSET_TOGETHER];
    n = n < VRPSET_TOGETHER ? n : VRPSET_TOGETHER;
    for (size_t i = 0; i < n; i++)
        read_route(set, nlri[i].prefix.addr, nlri[i].prefix.len, nlri[i].prefix.family, asn, &asked[i]);
    validate_together(set, asked, n, out);
}

int vrpset_validate_text(const struct vrpset *set, const char *prefix, size_t n, int64_t asn)
{
    struct prefix parsed;
    if (!prefix_parse(prefix, n, &parsed))
        return -1;
    return (int)vrpset_validate(set, parsed.family, parsed.addr, parsed.len, asn);
}

/* ---- lists ------------------------------------------------------------------------------------------------- */

struct collection {
    struct vrp_source *out;
    size_t room, n;
    uint8_t family;
};

static void collect(struct collection *collection, const struct entry *entry)
{
    if (collection->n < collection->room)
        collection->out[collection->n] = (struct vrp_source){vrp_of(entry, collection->family, true),
                                                             entry->live | (entry->force & EXEMPT ? ASSERTIONS : 0)};
    collection->n++;
}

static size_t collect_covering(const struct vrpset *set, enum which which, uint8_t family, const uint8_t addr[16],
                               unsigned len, struct vrp_source *out, size_t room)
{
    struct collection collection = {out, room, 0, family};
    if (!family_has_length(family, len))
        return 0;
    struct covering walk = covering_begin(set, which, family, key_of(addr), len);
    for (const struct entry *entry; (entry = covering_next(&walk));)
        collect(&collection, entry);
    return collection.n;
}

size_t vrpset_covering(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len,
                       struct vrp_source *out, size_t room)
{
    return collect_covering(set, IN_FORCE, family, addr, len, out, room);
}

size_t vrpset_filtered(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len,
                       struct vrp_source *out, size_t room)
{
    return collect_covering(set, FILTERED, family, addr, len, out, room);
}

static uint8_t part_family(unsigned part) { return part < TABLES ? 4 : part < VRPSET_PARTS ? 6 : 0; }

/* The next entry of the part from the cursor on, which some of `sources` have, or (0) that is in force; NULL: there is
 * none. */
static const struct entry *part_next(const struct vrpset *set, uint32_t sources, unsigned part,
                                     struct table_cursor *cursor)
{
    const struct table *table = &family_const(set, part_family(part))->tables[part % TABLES];
    const struct entry *entry;
    struct crowd *crowd;
    do
        entry = table_next(table, cursor, &crowd);
    while (entry && !(sources ? (entry->live & sources) != 0 : in_force(set, entry)));
    return entry;
}

int vrpset_part(const struct vrpset *set, uint32_t sources, unsigned part, struct vrp_list *out)
{
    uint8_t family = part_family(part);
    struct table_cursor at = {0, 0};
    if (!family || vrp_list_reserve(out, table_used(&family_const(set, family)->tables[part % TABLES])) != 0)
        return -1;
    for (const struct entry *entry; (entry = part_next(set, sources, part, &at));)
        out->records[out->n++] = vrp_of(entry, family, true);
    return 0;
}

size_t vrpset_differing(const struct vrpset *set, uint32_t sources, unsigned part, struct vrp_source *out, size_t room)
{
    struct collection collection = {out, room, 0, part_family(part)};
    struct table_cursor at = {0, 0};
    if (!collection.family || !sources)
        return 0;
    for (const struct entry *entry; (entry = part_next(set, sources, part, &at));)
        if ((entry->live & sources) != sources)
            collect(&collection, entry);
    return collection.n;
}

size_t vrpset_within(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len, unsigned part,
                     struct vrp_source *out, size_t room)
{
    struct collection collection = {out, room, 0, family};
    struct table_cursor at = {0, 0};
    if (family != part_family(part) || !family_has_length(family, len))
        return 0;
    struct key key = masked(key_of(addr), len);
    for (const struct entry *entry; (entry = part_next(set, 0, part, &at));) {
        struct key outer = masked((struct key){entry->hi, entry->lo}, len);
        if (entry->len > len && outer.hi == key.hi && outer.lo == key.lo)
            collect(&collection, entry);
    }
    return collection.n;
}

uint64_t vrpset_count(const struct vrpset *set, uint8_t family) { return family_const(set, family)->effective; }

uint64_t vrpset_heard(const struct vrpset *set) { return set->heard; }

uint64_t vrpset_count_source(const struct vrpset *set, unsigned source)
{
    return source < VRPSET_SOURCES ? set->count[source] : 0;
}

static uint64_t family_memory(const struct family_set *fam)
{
    uint64_t bytes = lengths_memory(&fam->lengths);
    for (int i = 0; i < TABLES; i++)
        bytes += table_room(&fam->tables[i]) * sizeof(struct entry);
    return bytes;
}

uint64_t vrpset_memory(const struct vrpset *set)
{
    return sizeof *set + family_memory(&set->v4) + family_memory(&set->v6);
}
