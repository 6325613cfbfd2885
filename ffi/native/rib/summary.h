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
    uint32_t local_preference; /* RFC 4271 section 9.1 compares this, the path's length and the origin */
    uint16_t path_length;
    uint16_t path_at; /* where the attribute AS_PATH begins in the set's octets; 0: it has none */
    uint8_t origin_code;
    uint8_t fitness;     /* enum fitness */
    uint16_t traits;     /* of enum trait */
    uint32_t conditions; /* those of the policy that it meets: bits of struct condition */
    uint64_t identity;   /* equal for two sets of one next hop and path: most likely of one route */
};

enum trait {                           /* what a rule asks for */
             TRAIT_LOOP = 1,           /* our own AS is in the path (RFC 4271 section 9.1.2), or we have reflected it */
             TRAIT_OTHER_FIRST_AS = 2, /* of an external neighbor, whose AS is not the first one of the path */
             TRAIT_AS_SET = 4,         /* AS_SET or AS_CONFED_SET is in the path (RFC 9774) */
             TRAIT_NO_ADVERTISE = 8,   /* the well-known communities of RFC 1997 */
             TRAIT_NO_EXPORT = 16,
             TRAIT_NO_EXPORT_SUBCONFED = 32,
             TRAIT_BY_KIND = 64,    /* what is announced of it depends on the kind of the receiver */
             TRAIT_WIDE_AS = 128,   /* it has AS numbers that are announced as four octets each, whoever gets them */
             TRAIT_OTC = 256,       /* Only to Customer is there (RFC 9234 section 5), */
             TRAIT_OTHER_OTC = 512, /* and of another AS than the external neighbor's */
};

enum tag_kind { TAG_STANDARD = 0, TAG_LARGE = 1, TAG_EXTENDED = 2 };

struct our_tag {         /* a community that the policy may add, so one that comes from outside is not announced */
    uint64_t numbers[3]; /* as many as its kind has */
    uint8_t kind;
};

struct condition { /* a community that the policy asks for */
    struct our_tag community;
    uint32_t bit; /* of `conditions` */
};

/* ---- only C sees this ---- */

#define ATTRS_NONE UINT32_MAX

/* What a decoder must know to make a summary. */
struct summary_terms {
    const struct our_tag *our_tags; /* NULL: not known yet, so all sets are Python's to read */
    size_t our_tags_n;
    const struct condition *conditions;
    size_t conditions_n;
    uint64_t hash_key[2]; /* of announced_hash */
};

#endif
