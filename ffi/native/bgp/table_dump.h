/* Table dumps: the RIB records of TABLE_DUMP_V2 (RFC 6396 section 4.3, RFC 8050), each entry judged.
 *
 * A dump of 40 peers has 40 million entries, so they are counted here, and only those that somebody wants to see come
 * out. All else in a file is left to whoever calls.
 *
 * Memory: nothing is kept but in the caller's `struct dump_walk`. It is independent of the RIB.
 */
#ifndef RTRD_TABLE_DUMP_H
#define RTRD_TABLE_DUMP_H

#include "aspas/path.h"
#include "base/prefix.h"
#include "vrps/vrpset.h"

/* ---- Python sees this ---- */

#define DUMP_RECORD_MOST (1 << 24) /* octets of a record: a thousand paths with 16,000 octets of attributes each */
#define DUMP_HEADER 12             /* octets before a record's body */

enum dump_stop {
    DUMP_MORE,   /* what is left is not a whole record */
    DUMP_ROOM,   /* the entries of the next record may not fit */
    DUMP_OTHER,  /* the next record is no unicast RIB */
    DUMP_BROKEN, /* the next record is one, and malformed */
    DUMP_LONG,   /* the next record is longer than DUMP_RECORD_MOST */
};

struct dump_route { /* an entry of a RIB record */
    struct nlri nlri;
    int64_t origin; /* AS; below 0: NONE (RFC 6811 section 2) */
    uint32_t peer;  /* its number in the peer index table */
    uint8_t now, then;
    uint8_t path; /* enum path_outcome */
};

/* How paths of a peer are judged, by what whoever wrote the dump is to it; 0: not at all. */
enum dump_role {
    DUMP_UPSTREAM = 1,
    DUMP_DOWNSTREAM = 2, /* its customer */
    DUMP_RS_CLIENT = 3,  /* upstream, and the first AS may be another one */
};

struct dump_walk {
    const struct vrpset *now, *then; /* the two sets that judge; they may be the same */
    const uint32_t *peer_as;         /* of the peer index table */
    const uint8_t *roles;            /* of the same peers (enum dump_role); NULL: no path is judged */
    struct aspa_set aspas;           /* that judge them */
    size_t peers_n;
    struct prefix only;  /* entries within it alone are judged; family 0: all */
    uint16_t wanted;     /* bit 4 * now + then: such entries come out */
    uint64_t routes[16]; /* entries, by 4 * now + then */
    uint64_t paths[4];   /* entries, by enum path_outcome */
    bool wanted_paths;   /* entries whose paths are invalid come out, too */
    uint64_t malformed;  /* entries left out: their path attributes or their AS_PATH can't be read */
    uint64_t peerless;   /* entries left out: the peer index table has no such peer, as of GoBGP 3's local routes */
};

/* Goes over the RIB records at the beginning of `octets`. Entries that are wanted go to `rows`; for each record with an
 * entry that is not invalid by `then`, a VRP of its prefix to `offers`, of AS 1 when one is valid, else of AS 2.
 * Returns the octets that are done with; why it stopped goes to `stop`. */
size_t dump_read(struct dump_walk *walk, const uint8_t *octets, size_t n, struct dump_route *rows, size_t room,
                 size_t *rows_n, struct vrp *offers, size_t offers_room, size_t *offers_n, enum dump_stop *stop);

#endif
