/* What a rule of the policy demands of a route beside its communities and its length: one of some prefixes, one of some
 * origin ASes, a path with AS_SET or without. Made once for a rule, whose neighbors all hold it; it never changes. It
 * may be let go on any thread.
 */
#ifndef RTRD_DEMANDS_H
#define RTRD_DEMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"
#include "rib/summary.h"

/* ---- Python sees this ---- */

struct prefix_range { /* what the prefix covers, of some lengths */
    struct prefix prefix;
    uint8_t shortest, longest;
};

enum as_set_demand { AS_SET_EITHER = 0, AS_SET_THERE = 1, AS_SET_ABSENT = 2 };

struct demands;

/* No ranges: any prefix. No origins: any origin AS. NULL: no memory, or a range that can't be. */
struct demands *demands_new(const struct prefix_range *ranges, size_t ranges_n, const uint32_t *origins,
                            size_t origins_n, enum as_set_demand as_set);
void demands_release(struct demands *demands);

/* ---- only C sees this ---- */

struct demands *demands_hold(struct demands *demands); /* gives it back; NULL: nothing */
bool demands_equal(const struct demands *one, const struct demands *other);
/* `addr`: as many octets as its family has. */
bool demands_met(const struct demands *demands, uint8_t family, const uint8_t *addr, uint8_t len,
                 const struct attrs_summary *summary);

#endif
