/* The packed VRP: what crosses every boundary of the C core in bulk.
 *
 * Out of librtr's callbacks, up the socketpair of a cache process, into the VRP set, out of it to the RTR server and to
 * files: always this record, so that 0.7 M of them are one memcpy and never 0.7 M Python objects.
 */
#ifndef RTRD_VRP_H
#define RTRD_VRP_H

#include <stdint.h>

/* ---- Python sees this ---- */

struct vrp {
    uint8_t addr[16]; /* network byte order; IPv4 in the first four, the rest 0 */
    uint32_t asn;     /* host byte order, as are all numbers here */
    uint8_t len;      /* prefix length; NOT yet checked against the family */
    uint8_t max;      /* max length; NOT yet checked */
    uint8_t family;   /* 4 or 6 */
    uint8_t announce; /* 1: announced, 0: withdrawn (RFC 8210, flags of section 5.6) */
};

_Static_assert(sizeof(struct vrp) == 24, "the packed VRP is 24 bytes on every side");

#endif
