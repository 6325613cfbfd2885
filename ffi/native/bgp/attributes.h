/* The path attributes of an UPDATE: found, checked, and written again in one form. */
#ifndef RTRD_BGP_ATTRIBUTES_H
#define RTRD_BGP_ATTRIBUTES_H

#include "bgp/update.h"

enum code { /* RFC 4271 section 5 and IANA's registry */
            ORIGIN = 1,
            AS_PATH = 2,
            NEXT_HOP = 3,
            MULTI_EXIT_DISC = 4,
            LOCAL_PREF = 5,
            ATOMIC_AGGREGATE = 6,
            AGGREGATOR = 7,
            COMMUNITIES = 8,
            ORIGINATOR_ID = 9,
            CLUSTER_LIST = 10,
            MP_REACH_NLRI = 14,
            MP_UNREACH_NLRI = 15,
            EXTENDED_COMMUNITIES = 16,
            AS4_PATH = 17,
            AS4_AGGREGATOR = 18,
            PMSI_TUNNEL = 22,
            TUNNEL_ENCAPSULATION = 23,
            IPV6_EXTENDED_COMMUNITIES = 25,
            AIGP = 26,
            LARGE_COMMUNITIES = 32,
            ONLY_TO_CUSTOMER = 35,
            PREFIX_SID = 40,
            ATTR_SET = 128,
};

enum { OPTIONAL = 0x80, TRANSITIVE = 0x40, PARTIAL = 0x20, EXTENDED_LENGTH = 0x10 };

struct attribute {
    struct octets value;
    uint8_t flags;
};

struct attributes {
    uint64_t present[4]; /* a bit for each code */
    struct attribute at[256];
};

static inline bool has(const struct attributes *attributes, unsigned code)
{
    return attributes->present[code / 64] >> code % 64 & 1;
}

static inline void discard(struct attributes *attributes, unsigned code)
{
    attributes->present[code / 64] &= ~(UINT64_C(1) << code % 64);
}

/* Finds them, and leaves out what is discarded. What is wrong is added to `faults`. */
void attributes_find(struct attributes *out, struct octets octets, const struct bgp_session *session, uint64_t *faults);

/* Whether we have reflected the route: its ORIGINATOR_ID or a CLUSTER_ID is ours (RFC 4456 section 8). */
bool attributes_reflected(const struct attributes *attributes, const struct bgp_session *session);

/* Writes them (see bgp_set_key); what has no fault fits. The number of octets. `first_as`: the first AS of the path, -1
 * if there is none. */
size_t attributes_write(const struct attributes *attributes, const struct bgp_session *session, uint8_t *out,
                        int64_t *first_as);

#endif
