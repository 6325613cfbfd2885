/* What the RIB must know of an attribute set. Whoever decodes the set says it: Python, or a decoder in C. */
#ifndef RTRD_SUMMARY_H
#define RTRD_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

/* ---- Python sees this ---- */

enum fitness {
    FIT = 0,                   /* can be announced everywhere */
    UNFIT = 1,                 /* nowhere: no next hop that its family can carry, malformed, too long */
    FIT_EXTENDED_NEXT_HOP = 2, /* where an IPv6 next hop of IPv4 routes was negotiated (RFC 8950) */
};

struct attrs_summary {
    uint64_t announced_hash;   /* equal for two sets that are announced in the same words */
    int64_t origin;            /* origin AS; below 0: NONE (RFC 6811 section 2) */
    uint32_t local_preference; /* RFC 4271 section 9.1 compares these three */
    uint32_t path_length;
    uint32_t origin_code;
    uint32_t fitness;  /* enum fitness */
    uint64_t identity; /* equal for two sets of one next hop and path: most likely of one route */
};

enum tag_kind { TAG_STANDARD = 0, TAG_LARGE = 1, TAG_EXTENDED = 2 };

struct our_tag {         /* a community that the policy may add, so one that comes from outside is not announced */
    uint64_t numbers[3]; /* as many as its kind has */
    uint8_t kind;
};

/* ---- only C sees this ---- */

#define ATTRS_NONE UINT32_MAX

/* What a decoder must know to make a summary. */
struct summary_terms {
    const struct our_tag *our_tags; /* NULL: not known yet, so all sets are Python's to read */
    size_t our_tags_n;
    uint64_t hash_key[2]; /* of announced_hash */
};

#endif
