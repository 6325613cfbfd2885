/* Attribute sets: the raw attributes of an update in (once a set), a small number and what the route table must know
 * of them out. Many routes share one set, so a route carries the number. */
#ifndef RTRD_ATTRS_H
#define RTRD_ATTRS_H

#include <stddef.h>
#include <stdint.h>

/* ---- Python sees this ---- */

#define ATTRS_NONE UINT32_MAX

enum fitness {
    FIT = 0,                   /* everywhere */
    UNFIT = 1,                 /* nowhere: no next hop that its family can carry, malformed, too long */
    FIT_EXTENDED_NEXT_HOP = 2, /* where an IPv6 next hop of IPv4 routes was negotiated (RFC 8950) */
};

/* What the route table reads of an attribute set; the rest it never needs. */
struct attrs_summary {
    uint64_t announced_hash;   /* equal for two sets that are announced with the same words */
    int64_t origin;            /* origin AS; below 0: NONE (RFC 6811 section 2) */
    uint32_t local_preference; /* RFC 4271 section 9.1 compares these three, when two routes want one place */
    uint32_t path_length;
    uint32_t origin_code;
    uint32_t fitness;  /* enum fitness: where a route with it can be announced */
    uint64_t identity; /* equal for two sets of one next hop and path: most likely of one route */
};

/* ---- only C sees this ---- */

struct attrs {
    struct attrs_summary summary;
    uint8_t *key;
    uint32_t key_size : 31;
    uint32_t retagged : 1; /* what stands of it was written with other words than it would be now */
    uint32_t references;
    uint64_t hash;
};

struct attrs_table {
    struct attrs *sets;
    uint32_t n, room;    /* numbers in use are below n */
    uint32_t free;       /* the first free number; its `references` holds the next */
    uint32_t *slots;     /* open addressing by hash; ATTRS_NONE: empty */
    uint32_t slots_room; /* a power of two */
    uint32_t used;
    uint64_t secret[2]; /* of the hashes */
    uint64_t key_bytes;
};

int attrs_init(struct attrs_table *table);
void attrs_free(struct attrs_table *table);

uint32_t attrs_find(const struct attrs_table *table, const void *key, size_t n);
/* `key` must not be in the table. ATTRS_NONE: no memory. The set has no reference yet. */
uint32_t attrs_add(struct attrs_table *table, const void *key, size_t n, const struct attrs_summary *summary);
void attrs_hold(struct attrs_table *table, uint32_t number);
void attrs_release(struct attrs_table *table, uint32_t number); /* the last one ends the set */
const struct attrs *attrs_at(const struct attrs_table *table, uint32_t number);
uint64_t attrs_memory(const struct attrs_table *table);

#endif
