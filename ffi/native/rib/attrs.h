/* Attribute sets: a number for the raw path attributes of an UPDATE. Many routes share one set, so a route carries the
 * number. A set counts its references and is gone with the last one; its key is the table's own copy. */
#ifndef RTRD_ATTRS_H
#define RTRD_ATTRS_H

#include <stdbool.h>

#include "aspas/path.h"
#include "rib/summary.h"

struct attrs {
    struct attrs_summary summary;
    uint8_t *key;
    uint32_t key_size : 31;
    uint32_t retagged : 1; /* what is advertised with it has other words than it would have now */
    uint32_t references;
    uint32_t hash;
    uint32_t next;  /* of the same bucket; of a free one: the next free one. ATTRS_NONE: the last */
    uint32_t owner; /* to whose account it goes */
    uint8_t paths;  /* enum path_outcome, two bits for each enum path_procedure; those that nobody asked for: 0 */
};

#define ATTRS_MOST (UINT32_C(1) << 24) /* a route's record has so many bits for a set's number */

struct attrs_owner { /* whoever came with sets first that nobody had */
    uint64_t octets; /* of the keys of its sets that are left */
    uint32_t next;   /* the next free one */
    bool ended;      /* it is free with its last set */
};

struct attrs_table {
    struct attrs *sets;
    uint32_t n, room;   /* numbers in use are below n */
    uint32_t free;      /* the first free number */
    uint32_t *buckets;  /* by hash, the first set of each */
    uint32_t buckets_n; /* a power of two */
    uint32_t used;
    uint64_t secret[2]; /* of the hashes */
    uint64_t key_bytes;
    struct attrs_owner *owners;
    uint32_t owners_n, free_owner;
};

int attrs_init(struct attrs_table *table); /* -1: no memory, or no secret */
void attrs_free(struct attrs_table *table);

/* The hash of a key. What attrs_find will read with it begins to be fetched: where the set is, and, once that is here,
 * by attrs_fetch the set. */
uint32_t attrs_hash(const struct attrs_table *table, const void *key, size_t n);
void attrs_fetch(const struct attrs_table *table, uint32_t hash);
uint32_t attrs_find(const struct attrs_table *table, uint32_t hash, const void *key,
                    size_t n); /* ATTRS_NONE: no such set */
/* The number of a set that there is not yet: with no reference, at the expense of `owner` (ATTRS_NONE: nobody's).
 * ATTRS_NONE: no memory. */
uint32_t attrs_add(struct attrs_table *table, uint32_t owner, uint32_t hash, const void *key, size_t n,
                   const struct attrs_summary *summary);
void attrs_hold(struct attrs_table *table, uint32_t number);
void attrs_release(struct attrs_table *table, uint32_t number); /* the last one ends the set */
const struct attrs *attrs_at(const struct attrs_table *table, uint32_t number);
uint32_t attrs_owner_new(struct attrs_table *table); /* ATTRS_NONE: no memory */
void attrs_owner_end(struct attrs_table *table, uint32_t owner);
/* The value of its AS_PATH; none at all: it has none. */
struct octets attrs_path(const struct attrs_table *table, uint32_t number);
/* The path by these ASPAs. It is judged when that is asked for the first time. */
enum path_outcome attrs_path_outcome(struct attrs_table *table, uint32_t number, const struct aspa_set *aspas,
                                     enum path_procedure procedure);
/* Judges again what has been judged. `customers`: only if it names one of them (n, ascending); NULL: in any case. True:
 * an outcome is another one. `cost`: the ASes that were looked at. */
bool attrs_judge_again(struct attrs_table *table, uint32_t number, const struct aspa_set *aspas,
                       const uint32_t *customers, size_t n, size_t *cost);
uint64_t attrs_memory(const struct attrs_table *table);

#endif
