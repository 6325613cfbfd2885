/* Filters of VRPs (RFC 8416 section 3.3.1), and whether one of them matches a VRP.
 *
 * A match costs one search and a walk over the filters that cover the VRP, however many there are.
 */
#ifndef RTRD_FILTERS_H
#define RTRD_FILTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vrp.h"

/* Matches VRPs whose prefix is the filter's or more specific, and whose AS is the filter's; either may be left open. */
struct vrp_filter {
    uint8_t addr[16]; /* as in struct vrp; no host bits */
    uint32_t asn;     /* host byte order */
    uint8_t len;
    uint8_t family; /* 4 or 6; 0: any prefix, addr and len are 0 */
    uint8_t any_as; /* 1: any AS, asn is 0 */
    uint8_t unused; /* 0 */
};

_Static_assert(sizeof(struct vrp_filter) == 24, "the filter has one size on every side");

struct filters;

/* Copies n filters. One that has a family or length that is none, or host bits, matches nothing. NULL: no memory. */
struct filters *filters_new(const void *records, size_t n);
void filters_free(struct filters *filters);

/* The VRP must be well-formed. */
bool filters_match(const struct filters *filters, const struct vrp *vrp);

#endif
