/* The VRP set: it takes packed VRPs of many sources, and says of routes whether they are valid (RFC 6811).
 *
 * One table holds what every source says. A VRP carries a bit for each source (a cache, the snapshot, SLURM's
 * assertions) that has it; it is effective when one of the active sources has it. So a failover is one new mask, and
 * two caches with the same VRPs cost their memory once and change no validity.
 *
 * A source's changes are staged record by record, invisible to validation, and come into force all at once at its End
 * of Data (vrpset_commit).
 *
 * Whether a VRP is effective is a bit of its own. So a change can be deferred (vrpset_defer), looked at, and taken
 * later or never, without a second set: what is due by the sources and what is in force differ meanwhile.
 *
 * The folder, in the order to read it: entry.h, vrpset_table.h (where entries lie), crowd.h and .c (many of one
 * prefix), lengths.h and .c (which prefix lengths are worth a look), filters.c (SLURM's), vrpset.c (staging), apply.c
 * (what comes into force), validate.c (questions and lists), vrp_list.c; vrp_twins.c (two sets, for threads),
 * vrp_lines.c (of files) and rtr_order.c stand alone. It uses base/ only.
 *
 * Memory: a set and a list of VRPs belong to whoever made them, who frees them (vrpset_free, vrp_list_free). Everything
 * else that a function is given is read, or copied, before it returns; only vrpset_take's list must stay until the
 * change is applied.
 *
 * Not thread-safe: one thread at a time.
 */
#ifndef RTRD_VRPSET_H
#define RTRD_VRPSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"
#include "base/vrp.h"

/* ---- Python sees this ---- */

#define VRPSET_SOURCES 32
#define VRPSET_ASSERTIONS 31  /* the source of SLURM's assertions: always active, and no filter touches it */
#define VRPSET_OF_PREFIX 1024 /* VRPs of exactly one prefix that a source can have */

enum validity { /* RFC 6811 section 2; UNVERIFIED: no VRP set is usable yet */
                VALIDITY_VALID = 0,
                VALIDITY_NOT_FOUND = 1,
                VALIDITY_INVALID = 2,
                VALIDITY_UNVERIFIED = 3,
                VALIDITY_NONE = 255, /* of what is no prefix, of a route that was not there before */
};

struct vrpset;

/* A set as it would be: what `set` has in force or (`due`) what is due there, less what is in `without`, and what is in
 * `with`. Each may be NULL. */
struct vrp_view {
    const struct vrpset *set, *without, *with;
    bool due;
};

/* What a call of vrpset_stage left out, by reason. */
struct vrp_faults {
    uint64_t length;     /* longer than the address, or no family */
    uint64_t host_bits;  /* bits set behind the prefix length */
    uint64_t max_length; /* below the length, or longer than the address */
    uint64_t duplicate;  /* announced twice (kept once) */
    uint64_t unknown;    /* withdrawn but never announced */
    uint64_t crowded;    /* beyond VRPSET_OF_PREFIX */
};

/* VRPs that became effective (announce 1) or ceased to be (announce 0). The caller's to free by vrp_list_free. */
struct vrp_list {
    struct vrp *records;
    size_t n, room;
};

/* One covering VRP and the sources that have it; an exempt is of VRPSET_ASSERTIONS. */
struct vrp_source {
    struct vrp vrp;
    uint32_t sources;
};

struct vrpset *vrpset_new(void); /* NULL: no memory */
void vrpset_free(struct vrpset *set);

void vrp_list_free(struct vrp_list *list);
int vrp_list_append(struct vrp_list *list, const struct vrp_list *more);

int vrpset_stage(struct vrpset *set, unsigned source, const void *records, size_t n, struct vrp_faults *faults);

/* Each of these begins a change of the set; vrpset_apply does it, and appends to `changes` what it changes. Between two
 * slices the set is asked and listed as before the change, and any source but the one that the change is about stages
 * as ever; after the last slice all of it is in force. Only what single sources say (`sources` of an answer or a list)
 * changes slice by slice. vrpset_stage and these return 0, or -1 when memory ran out or `source` is not below
 * VRPSET_SOURCES, or -2 while another change is under way. */
int vrpset_begin(struct vrpset *set, unsigned source);  /* from here on a full set is staged: it replaces the old one */
int vrpset_commit(struct vrpset *set, unsigned source); /* what is staged comes into force */
int vrpset_discard(struct vrpset *set, unsigned source); /* what was staged since the last commit is void */
int vrpset_activate(struct vrpset *set, uint32_t sources);

/* Do some `budget` entries of the change, a table of a family at least. 1: there is more to do, 0: it is done; -1, and
 * only of a first step: memory ran out, and nothing of it was or will be done. */
int vrpset_apply(struct vrpset *set, size_t budget, struct vrp_list *changes);
bool vrpset_changing(const struct vrpset *set); /* a change is under way */

/* From now on, what one of n filters (packed as struct vrp_filter) matches is not effective for any source but
 * VRPSET_ASSERTIONS (RFC 8416 section 3.3.1); the filters of before are gone. */
int vrpset_filter(struct vrpset *set, const void *filters, size_t n);

/* While `defer`, commit, activate and filter put nothing into force: what they append to `changes` is then due, and
 * pending until it is taken or changes back. Before it is switched off, all must be taken. */
void vrpset_defer(struct vrpset *set, bool defer);
uint64_t vrpset_pending(const struct vrpset *set);             /* VRPs that would appear or vanish */
uint64_t vrpset_due(const struct vrpset *set, uint8_t family); /* effective ones once everything is taken */
/* Put into force what is due: all, or of these `pending` VRPs only, which must stay until it is done. */
int vrpset_take(struct vrpset *set, const struct vrp_list *pending);
/* What the source has and stages is void. Of what is in force, that which no other active source says goes at once,
 * whatever is pending. */
int vrpset_drop(struct vrpset *set, unsigned source);

/* From now on these VRPs are exempts (announce 1) or no more: in force whatever sources and filters say, and whatever
 * is pending. When one ends, that is in force of it which was without it. They must stay until it is done. */
int vrpset_exempt(struct vrpset *set, const struct vrp *records, size_t n);

/* With usable false every route is UNVERIFIED. */
void vrpset_set_usable(struct vrpset *set, bool usable);
bool vrpset_usable(const struct vrpset *set);

/* The validity of a route; `asn` below 0: origin NONE, which is never valid. -1: the text is no prefix. */
int vrpset_validate_text(const struct vrpset *set, const char *prefix, size_t n, int64_t asn);

/* For each of n routes (packed as struct vrp: addr, len, family, asn; max and announce unread; host bits and lengths
 * are checked): its validity into out, VALIDITY_NONE for what is no prefix. */
void vrpset_validate_many(const struct vrpset *set, const void *routes, size_t n, uint8_t *out);

/* The effective VRPs that cover the prefix, shortest first: how many there are; at most `room` are written. */
size_t vrpset_covering(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len,
                       struct vrp_source *out, size_t room);

/* The same of VRPs that an active source has and a filter takes away. */
size_t vrpset_filtered(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len,
                       struct vrp_source *out, size_t room);

/* Append the VRPs of `sources` (0: the effective ones) in one part of the set, 0 to VRPSET_PARTS - 1. A VRP is in the
 * same part forever: who takes part after part and every change in between has missed nothing. -1: no memory. */
#define VRPSET_PARTS 32
int vrpset_part(const struct vrpset *set, uint32_t sources, unsigned part, struct vrp_list *out);

/* The VRPs of one part (as above) that some of `sources` have and others have not: how many there are; at most `room`
 * are written. */
size_t vrpset_differing(const struct vrpset *set, uint32_t sources, unsigned part, struct vrp_source *out, size_t room);

/* The effective VRPs of one part (as above) whose prefix is longer than this one and lies within it: how many there
 * are; at most `room` are written. */
size_t vrpset_within(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len, unsigned part,
                     struct vrp_source *out, size_t room);

uint64_t vrpset_count(const struct vrpset *set, uint8_t family);         /* effective */
uint64_t vrpset_count_source(const struct vrpset *set, unsigned source); /* in force of one source */
uint64_t vrpset_heard(const struct vrpset *set);  /* effective, but for what assertions and exempts alone say */
uint64_t vrpset_memory(const struct vrpset *set); /* bytes */

/* ---- only C sees this ---- */

/* `asn` below 0: origin NONE, which is never valid. The prefix must have no host bits. */
enum validity vrpset_validate(const struct vrpset *set, uint8_t family, const uint8_t addr[16], unsigned len,
                              int64_t asn);

/* Whether a VRP in force that covers the prefix allows so long a one. */
bool vrpset_allows_length(const struct vrpset *set, const struct prefix *prefix);

/* Begin to fetch what the answer for a prefix will read: where VRPs may be, and then these. */
void vrpset_fetch_lengths(const struct vrpset *set, const struct prefix *prefix);
void vrpset_fetch_entries(const struct vrpset *set, const struct prefix *prefix);

/* The VRP in force that makes a route valid, or one that makes it invalid (of its own AS, if there is one). False: it
 * is not of this validity by now. */
bool vrpset_judge(const struct vrpset *set, const struct prefix *prefix, int64_t asn, enum validity validity,
                  struct vrp *out);

/* The validity by a set as it would be. What `looked` grows by is the work: such a question may go over all VRPs that
 * cover the prefix, one by one. */
enum validity vrpset_validate_view(const struct vrp_view *view, uint8_t family, const uint8_t addr[16], unsigned len,
                                   int64_t asn, size_t *looked);

/* The validities of at most VRPSET_TOGETHER prefixes, each with its origin AS (below 0: none). */
#define VRPSET_TOGETHER 32
void vrpset_validate_some(const struct vrpset *set, const struct prefix *const prefixes[], const int64_t asns[],
                          size_t n, uint8_t *out);
/* The same of prefixes of one origin AS, as UPDATEs have them. */
void vrpset_validate_nlri(const struct vrpset *set, const struct nlri *nlri, size_t n, int64_t asn, uint8_t *out);

#endif
