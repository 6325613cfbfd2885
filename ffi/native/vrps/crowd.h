/* The VRPs of one prefix that has many, beside the table: so a look-up at the prefix reads those of one AS and a count,
 * however many there are, and other prefixes' probe runs stay short.
 *
 * A prefix gets its crowd with its entry number CROWD_FROM + 1, and keeps it until it has no entry any more. In the
 * table a mark stands for it (entry.crowd). Entries lie by their AS in an open-addressing table.
 */
#ifndef RTRD_CROWD_H
#define RTRD_CROWD_H

#include "vrps/entry.h"

#define CROWD_FROM 16

struct crowd {
    struct entry *entries;
    uint32_t room, used; /* as of a table */
    uint32_t forced[2];  /* entries in force while bit 1, bit 2 of entry.force holds */
    uint64_t seed;
    uint8_t widest;                  /* no max length is longer */
    uint16_t staged[VRPSET_SOURCES]; /* entries that a source has after its next commit */
};

/* What may be swept out is the caller's to say: `forces` are the bits of entry.force that keep an entry. */
struct crowd *crowd_new(uint64_t seed); /* NULL: no memory */
void crowd_free(struct crowd *crowd);
bool crowd_is_empty(const struct crowd *crowd, unsigned forces);

struct entry *crowd_find(const struct crowd *crowd, uint32_t asn, uint8_t max); /* NULL: missing */
/* Puts an entry in that is not there. NULL: no memory. */
struct entry *crowd_add(struct crowd *crowd, const struct entry *entry, unsigned forces);

/* An entry's `next` and `force` were these, and are as they are now. */
void crowd_recount(struct crowd *crowd, const struct entry *entry, uint32_t next, unsigned force);

/* An entry in force (by the bits `shown`) that matches the route; NULL: there is none. */
const struct entry *crowd_match(const struct crowd *crowd, unsigned shown, int64_t asn, unsigned len);
/* One in force of the AS, or else any; NULL: none is in force. */
const struct entry *crowd_any(const struct crowd *crowd, unsigned shown, int64_t asn);

static inline bool crowd_has_force(const struct crowd *crowd, unsigned shown)
{
    return crowd->forced[(shown & BOTH) - 1] != 0;
}

#endif
