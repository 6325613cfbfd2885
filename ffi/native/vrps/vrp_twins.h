/* Two VRP sets that say the same, one of which is read by any number of threads while one thread changes the other.
 *
 * So a reader waits for nobody, however large a change is, and a process that is forked in the middle of one still has
 * a whole set to read. The writer changes the set that is not shown, shows it, and does the same change to the other
 * one. Who writes is one thread at a time; the sets belong to whoever made them.
 */
#ifndef RTRD_VRP_TWINS_H
#define RTRD_VRP_TWINS_H

#include "vrps/vrpset.h"

/* ---- Python sees this ---- */

struct vrp_twins;

struct vrp_twins *vrp_twins_new(struct vrpset *shown, struct vrpset *other); /* NULL: no memory */
void vrp_twins_free(struct vrp_twins *twins);

unsigned vrp_twins_other(const struct vrp_twins *twins); /* 0 or 1: the number of the one that is not shown */
/* From now on the other one is read; returns when nobody reads this one any more. */
void vrp_twins_show(struct vrp_twins *twins);
void vrp_twins_replace(struct vrp_twins *twins, struct vrpset *set); /* instead of the one that is not shown */
/* In the child after a fork, which has no other threads: nobody reads. */
void vrp_twins_forked(struct vrp_twins *twins);

/* Change records of one source at once, in both sets; how many changed what is in force. -1: no memory; -2: there
 * would be more than VRPSET_OF_PREFIX of one prefix, and what is shown is as before. Then the sets may differ. */
int64_t vrp_twins_change(struct vrp_twins *twins, unsigned source, const void *records, size_t n);

/* The validity of one route (packed as struct vrp), and the VRPs that cover it, both of one moment: how many there are;
 * at most `room` are written. Bits behind its length are not looked at. */
size_t vrp_twins_validate(struct vrp_twins *twins, const void *route, uint8_t *validity, struct vrp_source *out,
                          size_t room);
void vrp_twins_validate_many(struct vrp_twins *twins, const void *routes, size_t n, uint8_t *out);

/* Append the VRPs in force of one moment, or (from 0 on) those of one AS; `announce` is 1 and the number of the first
 * active source that has the VRP. -1: no memory. */
int vrp_twins_list(struct vrp_twins *twins, int64_t asn, struct vrp_list *out);
/* The same of those that lie within a prefix, itself included. */
int vrp_twins_within(struct vrp_twins *twins, uint8_t family, const uint8_t addr[16], unsigned len,
                     struct vrp_list *out);
uint64_t vrp_twins_count(struct vrp_twins *twins, uint8_t family);

/* ---- only C sees this ---- */

#endif
