/* UPDATEs into the RIB: what a neighbor announces and withdraws, and the summaries of its attribute sets. */
#ifndef RTRD_BGP_RECEIVE_H
#define RTRD_BGP_RECEIVE_H

#include "bgp/update.h"
#include "rib/rib.h"

/* ---- Python sees this ---- */

/* What an address is that no route can be for, or by. */
enum bgp_no_unicast {
    BGP_UNSPECIFIED, /* RFC 6890 */
    BGP_LOOPBACK,
    BGP_LINK_LOCAL,
    BGP_MULTICAST,
    BGP_CLASS_E,
    BGP_NO_UNICAST,
    BGP_UNICAST = BGP_NO_UNICAST,
};

struct bgp_received {  /* what an UPDATE did */
    uint64_t faults;   /* see enum bgp_fault */
    uint32_t left_out; /* routes, for the sum of these reasons: */
    uint32_t by_prefix[BGP_NO_UNICAST];
    uint32_t by_next_hop[BGP_NO_UNICAST];
    uint32_t by_attributes; /* whose set the neighbor has no room for (rib_set_attrs_most) */
    uint8_t end_of_rib;
    uint8_t others;   /* attributes with routes of families that are not taken */
    uint8_t path_ids; /* some route has one */
};

/* Takes an UPDATE of a neighbor: the octets behind its header. `update` is memory to work in. False: some routes found
 * no memory, which `faults` counts; it is as if those had not come. */
bool bgp_receive(struct rib *rib, uint32_t neighbor, const struct bgp_session *session, const uint8_t *body, size_t n,
                 struct bgp_update *update, struct route_faults *faults, struct bgp_received *out);

/* Makes the summary of an attribute set for this RIB. `scratch`: BGP_SET_MOST octets. False: it is none. */
bool rib_bgp_summary(const struct rib *rib, const uint8_t *key, size_t n, uint8_t *scratch, struct attrs_summary *out);

/* ---- only C sees this ---- */

/* bgp_receive in three steps, for whoever has many UPDATEs: what the RIB needs of one is fetched from memory, which
 * takes long, while it is busy with the one before. Only the last step changes something. */
struct bgp_coming {
    bool readable;
    size_t runs;        /* announced, whose sets are looked for */
    uint32_t hashes[2]; /* of their sets */
    /* Of the first one: these routes, and what is behind them. */
    struct nlri nlri[VRPSET_TOGETHER];
    size_t n;
    struct octets rest;
};

/* Reads an UPDATE into `update`, and begins to fetch. */
void bgp_receive_begin(const struct rib *rib, const struct bgp_session *session, const uint8_t *body, size_t n,
                       struct bgp_update *update, struct bgp_coming *out);
/* Goes on to fetch, when what was to be fetched first should be here. */
void bgp_receive_fetch(const struct rib *rib, const struct bgp_coming *coming);
/* Takes it; as bgp_receive. */
bool bgp_receive_end(struct rib *rib, uint32_t neighbor, const struct bgp_session *session, struct bgp_coming *coming,
                     struct bgp_update *update, struct route_faults *faults, struct bgp_received *out);

/* Writes the set without the communities that could pass for our tags; the number of octets, at most those of `key`. */
size_t bgp_set_without_ours(struct octets key, const struct summary_terms *terms, uint8_t *out);

bool bgp_summarize(struct octets key, const struct summary_terms *terms, uint8_t *scratch, struct attrs_summary *out);

#endif
