/* An entry of the VRP set: a VRP, and which sources have it. */
#ifndef RTRD_ENTRY_H
#define RTRD_ENTRY_H

#include "vrps/vrpset.h"

struct entry {
    uint64_t hi, lo; /* address as numbers */
    uint32_t asn;    /* of a mark: the crowd's number in its table */
    uint32_t live;   /* sources that have it, in force */
    uint32_t next;   /* the same, after their next commit */
    uint8_t len, max;
    uint8_t used : 1;
    uint8_t force : 3;     /* in force: see in_force() */
    uint8_t filtered : 1;  /* a filter matches */
    uint8_t crowd : 1;     /* a mark: the prefix's VRPs are in its crowd */
    uint8_t exempting : 1; /* EXEMPT after the change that is to come */
    uint8_t reach;         /* of the slot, whatever is in it; see run_end() */
};

#define REACH_MOST 255

/* The bits of entry.force: one of BOTH holds, see vrpset.shown; EXEMPT whatever the sources say. */
#define BOTH 3
#define EXEMPT 4

#define NO_LENGTH 255 /* of an entry that has moved into a crowd: it is of no prefix */

/* Whether somebody has it, or will, or it is in force by one of these bits. */
static inline bool entry_is_kept(const struct entry *entry, unsigned forces)
{
    return entry->used && (entry->live | entry->next || entry->force & forces || entry->exempting);
}

/* AS 0 in a VRP matches no route (RFC 6483 section 4), nor does a route of AS 0 (RFC 7607). */
static inline bool entry_matches(const struct entry *entry, int64_t asn, unsigned len)
{
    return entry->asn != 0 && entry->asn == asn && len <= entry->max;
}

#endif
