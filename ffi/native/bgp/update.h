/* BGP UPDATE messages (RFC 4271 section 4.3), read from their octets.
 *
 * What an UPDATE means depends on what its session has negotiated (struct bgp_session). Nothing in it is believed: each
 * length is checked. What is wrong is treated as RFC 7606 demands: an attribute is discarded, or what the UPDATE
 * announces counts as withdrawn. Where it would reset the session, nothing of the UPDATE is taken: whoever holds the
 * session decides about it.
 *
 * The path attributes come out as an attribute set in one form, whatever the session: see bgp_set_key. Read update.c
 * (the message and its routes), then attributes.c (the path attributes), then as_path.c; then receive.c, which puts
 * them into the RIB, and summary.c, which tells the RIB what it must know of an attribute set. base/octets.h is their
 * tool.
 *
 * Nothing here owns memory: what is read are slices of the caller's message, and `struct bgp_update` is the caller's.
 * Whoever has octets of BGP can use the folder; update.c, attributes.c and as_path.c also without a RIB.
 */
#ifndef RTRD_BGP_UPDATE_H
#define RTRD_BGP_UPDATE_H

#include "base/octets.h"
#include "base/prefix.h"

/* ---- Python sees this ---- */

#define BGP_BODY_MOST 65516 /* octets of an UPDATE behind its header of 19 (RFC 8654) */

/* What an UPDATE can't be read without. */
struct bgp_session {
    uint32_t local_as, peer_as;
    uint32_t router_id;        /* ours, as our OPEN has it, and our cluster's, too; 0: not known */
    uint32_t peer_router_id;   /* the peer's, likewise; 0: not known, and its routes are not prepared for reflection */
    uint8_t addresses[2][16];  /* the peer's and ours, of the session itself */
    uint8_t addresses_n[2];    /* octets of each: 4 or 16; 0: not known */
    uint8_t four_octet_as;     /* both sides have the capability (RFC 6793) */
    uint8_t path_ids_ipv4;     /* the peer sends path ids with IPv4 unicast (RFC 7911) */
    uint8_t path_ids_ipv6;     /* and with IPv6 unicast */
    uint8_t extended_next_hop; /* IPv4 unicast may have IPv6 next hops (RFC 8950) */
    uint8_t confederation;     /* the peer is of another AS in our confederation (RFC 5065) */
};

/* What can be wrong with an UPDATE. Each is bit 1 << number of `faults`. */
enum bgp_fault {
    /* It can't be told what is announced and withdrawn: nothing is taken. */
    BGP_LENGTHS,  /* the lengths of withdrawn routes and path attributes don't fit the message (RFC 4271 section 6.3) */
    BGP_NLRI,     /* a prefix is too long, or cut off (RFC 7606 section 5.3) */
    BGP_MP_TWICE, /* MP_REACH_NLRI or MP_UNREACH_NLRI twice (section 3 g) */
    BGP_MP_LENGTHS, /* one of them is shorter than what it says that it holds (section 7.11, 7.12) */
    /* The announced routes count as withdrawn. */
    BGP_OVERRUN,              /* an attribute ends behind the attributes' end (section 4) */
    BGP_FLAGS,                /* Optional or Transitive is not as the attribute demands (section 3 c) */
    BGP_MISSING,              /* ORIGIN, AS_PATH or NEXT_HOP (section 3 d) */
    BGP_UNKNOWN_WELL_KNOWN,   /* an attribute that nobody knows and everybody should (RFC 4271 section 6.3) */
    BGP_ORIGIN,               /* its length or value (RFC 7606 section 7.1) */
    BGP_AS_PATH,              /* its segments (section 7.2), or those of a confederation from outside of ours (RFC 5065
                                 section 5) */
    BGP_EMPTY_AS_PATH,        /* of an external peer, which has at least its own AS to say (RFC 4271 section 5.1.2) */
    BGP_AS_ZERO,              /* in the AS_PATH (RFC 7607) */
    BGP_NEXT_HOP,             /* its length (RFC 7606 section 7.3, 7.11) */
    BGP_MED,                  /* its length (section 7.4) */
    BGP_LOCAL_PREF,           /* its length, of an internal peer (section 7.5) */
    BGP_COMMUNITIES,          /* its length (section 7.8); the next ones likewise */
    BGP_ORIGINATOR_ID,        /* section 7.9 */
    BGP_CLUSTER_LIST,         /* section 7.10 */
    BGP_EXTENDED_COMMUNITIES, /* section 7.14, 7.15 */
    BGP_LARGE_COMMUNITIES,    /* RFC 8092 section 6 */
    BGP_OTC,                  /* RFC 9234 section 5 */
    /* The attribute is discarded. */
    BGP_DUPLICATE,        /* an attribute twice: the first one counts (RFC 7606 section 3 g) */
    BGP_ATOMIC_AGGREGATE, /* its length (section 7.6) */
    BGP_AGGREGATOR,       /* its length (section 7.7), or AS 0 (RFC 7607) */
    BGP_AS4_PATH,         /* its segments (RFC 6793 section 6), or AS 0 */
    BGP_AS4_AGGREGATOR,   /* its length, or AS 0 */
    BGP_AIGP,             /* its flags or TLVs (RFC 7311 section 3) */
    BGP_FAULTS,
};

#define BGP_FIRST_WITHDRAWN BGP_OVERRUN   /* the faults below this one make the UPDATE unreadable */
#define BGP_FIRST_DISCARDED BGP_DUPLICATE /* those below this one make withdrawn what it announces */

/* The head of an attribute set: family of its routes, flags, local AS (4 octets), length of the next hop (0, 4 or 16),
 * next hop. */
#define BGP_HEAD 7 /* octets before the next hop */
#define BGP_HEAD_MOST 23
#define BGP_EXTERNAL 1       /* of an external peer */
#define BGP_OTHER_FIRST_AS 2 /* whose AS is not the first one of the path */
#define BGP_REFLECTED 4      /* by us: it has come back (RFC 4456 section 8) */
#define BGP_OTHER_OTC 8      /* of an external peer, with an Only to Customer of another AS (RFC 9234 section 5) */
#define BGP_SET_MOST 131200

struct bgp_run { /* routes of one family and, if announced, one next hop */
    struct octets nlri;
    uint8_t family;
    bool path_ids;
    uint8_t next_hop_n; /* 0: none that can be used */
    uint8_t next_hop[16];
};

struct bgp_update {
    uint64_t faults;
    struct bgp_run announced[2], withdrawn[2];
    size_t announced_n, withdrawn_n;
    uint8_t end_of_rib; /* 4 or 6: it says that all routes of the family have come (RFC 4724); or 0 */
    uint8_t others;     /* MP_REACH_NLRI and MP_UNREACH_NLRI of families that are not taken */
    uint8_t set_flags;
    size_t set_n; /* octets of path attributes in `set`, behind BGP_HEAD_MOST */
    uint8_t set[BGP_SET_MOST];
    uint8_t scratch[BGP_SET_MOST];
};

/* Reads the octets behind the header. False: it is unreadable, see `faults`; then there are no routes in `out`. */
bool bgp_update_read(struct bgp_update *out, const struct bgp_session *session, const uint8_t *body, size_t n);

/* The attribute set of an announced run: the head, then the path attributes in the order of their codes, each once,
 * with flags, code, length and value as in an UPDATE of 4-octet AS numbers. AS4_PATH and AS4_AGGREGATOR are merged;
 * left out are NEXT_HOP, MP_REACH_NLRI, MP_UNREACH_NLRI, what was discarded, and what is optional, non-transitive and
 * unknown. Good until the next call for this `update`. */
struct octets bgp_set_key(struct bgp_update *update, const struct bgp_session *session, const struct bgp_run *run);

/* The next route of NLRI that were read from an UPDATE; the bits behind its length are 0 (RFC 4271 section 4.3). False:
 * that was all. */
bool bgp_next_route(struct octets *nlri, const struct bgp_run *run, struct nlri *out);

/* ---- only C sees this ---- */

static inline bool bgp_is_link_local(const uint8_t *ipv6) { return ipv6[0] == 0xfe && ipv6[1] >> 6 == 2; }

static inline bool bgp_unreadable(uint64_t faults) { return faults & ((UINT64_C(1) << BGP_FIRST_WITHDRAWN) - 1); }

static inline bool bgp_treat_as_withdraw(uint64_t faults)
{
    return faults & ((UINT64_C(1) << BGP_FIRST_DISCARDED) - 1);
}

#endif
