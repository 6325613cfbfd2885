/* The path attributes of a line of ExaBGP in, what the route table must know of them out: the short way for what nearly
 * all sets are. Python (rtrd/exabgp/attributes.py) knows all of them, and every word of what is announced. */
#ifndef RTRD_ATTRIBUTES_H
#define RTRD_ATTRIBUTES_H

#include <stdbool.h>

#include "exabgp/json.h"
#include "rib/attrs.h"

/* ---- Python sees this ---- */

enum tag_kind { TAG_STANDARD = 0, TAG_LARGE = 1, TAG_EXTENDED = 2 };

struct our_tag {         /* a community that the policy may add */
    uint64_t numbers[3]; /* as many as its kind has */
    uint8_t kind;
};

/* ---- only C sees this ---- */

/* False: the set is of an unusual kind, or one of its communities could pass for one of `own` (or for RFC 8097's) and
 * would have to be left out: Python is to read it. `key`: of the hash that `treatment` is. */
bool summary_read(struct text attributes, struct text next_hop, uint32_t own_as, uint8_t family,
                  const struct our_tag *ours, size_t our_tags_n, const uint64_t key[2], struct attrs_summary *summary);

#endif
