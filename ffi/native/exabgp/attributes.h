/* The summary of a line's path attributes, for nearly all sets. Python (rtrd/exabgp/attributes.py) reads the others,
 * and every word of what is announced. */
#ifndef RTRD_ATTRIBUTES_H
#define RTRD_ATTRIBUTES_H

#include <stdbool.h>

#include "exabgp/json.h"
#include "rib/summary.h"

/* False: Python is to read the set. It is of an unusual kind, our tags are not known, or one of its communities could
 * pass for one of ours (or for RFC 8097's), and would have to be left out. */
bool summary_read(struct text attributes, struct text next_hop, uint32_t own_as, uint8_t family,
                  const struct summary_terms *terms, struct attrs_summary *summary);

#endif
