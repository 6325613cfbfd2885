/* What the files of vrps/ share; nobody else includes it. vrpset.h says in what order to read them. */
#ifndef RTRD_VRPSET_TABLE_H
#define RTRD_VRPSET_TABLE_H

#include <endian.h>
#include <string.h>

#include "base/prefix.h"
#include "vrps/crowd.h"
#include "vrps/filters.h"
#include "vrps/lengths.h"

/* Entries live in 16 open-addressing tables a family: a full set's are of 2 MiB, which is one page of the large kind,
 * and growing one takes a few milliseconds. All VRPs of one prefix lie in one probe run, or, where they are many, in
 * its crowd (crowd.h). lengths.h says which lengths are worth probing. */

#define TABLE_BITS 4
#define TABLES (1 << TABLE_BITS)
#define ASSERTIONS (UINT32_C(1) << VRPSET_ASSERTIONS)

struct table {
    struct entry *entries;
    uint32_t room, used; /* room: a power of two; used counts dead entries too */
    struct crowd **crowds;
    uint32_t crowds_n, crowds_room;
};

struct touched { /* what a source staged since its last commit; not counted beyond TOUCHED_MOST */
    struct vrp *records;
    uint32_t n, room;
    bool all;
};

struct family_set {
    struct table tables[TABLES];
    struct lengths lengths;
    uint64_t effective;
    uint64_t due;
};

enum change { NO_CHANGE = 0, BEGIN, COMMIT, DISCARD, ACTIVATE, FILTER, TAKE, DROP, EXEMPTING };

/* How far a change of the whole set has come: its parameters, and what its end adds to the counts. */
struct walk {
    enum change change;        /* NO_CHANGE: none is under way */
    unsigned part;             /* where to go on */
    const struct vrp *records; /* only these n entries, at once; NULL: all */
    size_t n, most;            /* most: so many changes at most */
    struct vrp_list *changes;  /* of this slice */
    struct filters *filters;
    uint32_t bit, active; /* of the source; the sources that will count */
    unsigned source;
    int64_t due[2], effective[2], pending, heard, count;
};

struct vrpset {
    struct family_set v4, v6;
    struct walk walk;
    struct touched touched[VRPSET_SOURCES];
    uint64_t count[VRPSET_SOURCES];
    struct filters *filters; /* NULL: none */
    uint64_t seeds[129];     /* of the hashes, one for each length */
    uint64_t pending;        /* entries that are due and not in force, or the other way around, but for exempts */
    uint64_t heard;          /* entries in force, but for those that only assertions and exempts say */
    uint32_t active;
    uint8_t shown; /* the bits of entry.force that hold: 1 or 2, and EXEMPT */
    bool usable, deferring;
};

struct key {
    uint64_t hi, lo;
};

static inline struct key key_of(const uint8_t addr[16])
{
    uint64_t halves[2];
    memcpy(halves, addr, sizeof halves);
    return (struct key){be64toh(halves[0]), be64toh(halves[1])};
}

static inline struct key masked(struct key key, unsigned len)
{
    if (len < 64) {
        key.hi = len ? key.hi & ~(UINT64_MAX >> len) : 0;
        key.lo = 0;
    } else if (len < 128) {
        key.lo = len > 64 ? key.lo & ~(UINT64_MAX >> (len - 64)) : 0;
    }
    return key;
}

/* With a secret for each length, since a length in clear could make up for other bits of the address: prefixes of 64
 * lengths were one to it. */
static inline uint64_t hash_prefix(const struct vrpset *set, struct key key, unsigned len)
{
    uint64_t hash = mix_bits(key.hi ^ set->seeds[len]);
    return key.lo ? mix_bits(hash ^ key.lo) : hash;
}

static inline struct family_set *family_of(struct vrpset *set, uint8_t family)
{
    return family == 4 ? &set->v4 : &set->v6;
}

static inline const struct family_set *family_const(const struct vrpset *set, uint8_t family)
{
    return family == 4 ? &set->v4 : &set->v6;
}

static inline size_t table_number(uint64_t hash) { return hash >> (64 - TABLE_BITS); }

/* Whether it is effective when these sources are active, and a filter matches it or not. */
static inline bool counts(const struct entry *entry, uint32_t active, bool filtered)
{
    return (entry->live & active & (filtered ? ASSERTIONS : UINT32_MAX)) != 0;
}

/* Whether it is effective by what the sources say now, or as an exempt. */
static inline bool due(const struct vrpset *set, const struct entry *entry)
{
    return counts(entry, set->active, entry->filtered) || entry->force & EXEMPT;
}

/* Whether it is effective; differs from due() while a change is pending. A walk over all writes the other bit of
 * each entry, and at its end that one holds: so it changes the set at once, however long it takes. An exempt lies over
 * it as a bit of its own: what is in force without it is there when it ends, whatever became pending meanwhile. */
static inline bool in_force(const struct vrpset *set, const struct entry *entry)
{
    return (entry->force & set->shown) != 0;
}

/* The bits of entry.force that keep an entry: while a walk is under way, either may hold at its end. */
static inline unsigned kept_forces(const struct vrpset *set) { return set->walk.change ? BOTH | EXEMPT : set->shown; }

/* The probe run that begins at slot `first`: the entries of all prefixes whose hash says so are in the slots from 0 to
 * run_end(), counted from there, up to the first one that is free. The slot itself says how far behind it the last of
 * them lies (REACH_MOST: so far or farther). So what is missing is found to be so without a look at the slots behind,
 * which are in other lines of the cache. */
static inline uint32_t run_end(const struct table *table, uint32_t first)
{
    uint8_t reach = table->entries[first].reach;
    return reach < REACH_MOST ? reach : table->room - 1;
}

static inline struct entry *run_slot(const struct table *table, uint32_t first, uint32_t i)
{
    return &table->entries[(first + i) & (table->room - 1)];
}

/* Puts an entry into slot `i` of a run. */
static inline void run_put(struct table *table, uint32_t first, uint32_t i, struct entry entry)
{
    struct entry *slot = run_slot(table, first, i), *begin = &table->entries[first];
    entry.reach = slot->reach;
    *slot = entry;
    begin->reach = i <= begin->reach ? begin->reach : i < REACH_MOST ? (uint8_t)i : REACH_MOST;
}

/* The crowd for which an entry of a prefix is the mark; NULL: it is none. */
static inline struct crowd *crowd_of(const struct table *table, const struct entry *entry)
{
    return entry->crowd && table->crowds ? table->crowds[entry->asn] : NULL;
}

/* The entries of a table, those of its crowds last, from {0} on. */
struct table_cursor {
    uint32_t in, at; /* in: 0 the table itself, n its crowd n - 1 */
};

/* NULL: that was the last one. `crowd`: the one in which it is, or NULL. */
static inline struct entry *table_next(const struct table *table, struct table_cursor *cursor, struct crowd **crowd)
{
    for (;; *cursor = (struct table_cursor){cursor->in + 1, 0}) {
        *crowd = cursor->in ? table->crowds[cursor->in - 1] : NULL;
        struct entry *entries = *crowd ? (*crowd)->entries : table->entries;
        uint32_t room = *crowd ? (*crowd)->room : table->room;
        while (cursor->at < room) {
            struct entry *entry = &entries[cursor->at++];
            if (entry->used && !entry->crowd)
                return entry;
        }
        if (cursor->in == table->crowds_n)
            return NULL;
    }
}

static inline size_t table_used(const struct table *table) /* no fewer than it has entries */
{
    size_t used = table->used;
    for (uint32_t i = 0; i < table->crowds_n; i++)
        used += table->crowds[i]->used;
    return used;
}

static inline size_t table_room(const struct table *table)
{
    size_t room = table->room;
    for (uint32_t i = 0; i < table->crowds_n; i++)
        room += table->crowds[i]->room;
    return room;
}

/* vrpset.c */
struct found {
    struct entry *entry; /* NULL: missing */
    struct crowd *crowd; /* in which it is, or NULL */
};
struct found vrpset_find(const struct vrpset *set, uint8_t family, const struct vrp *vrp);
void vrpset_touched_reset(struct vrpset *set, unsigned source);
struct vrp vrp_of(const struct entry *entry, uint8_t family, bool announce);
/* Note in each entry whether it is to be an exempt, made when it is missing. False: no memory, and nothing is noted. */
bool vrpset_stage_exempts(struct vrpset *set, const struct vrp *records, size_t n);
void vrpset_unstage_exempts(struct vrpset *set, const struct vrp *records, size_t n);

/* vrp_list.c */
int vrp_list_reserve(struct vrp_list *list, size_t more); /* -1: no memory */

#endif
