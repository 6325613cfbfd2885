/* Lines of ExaBGP that are UPDATEs of unicast routes, straight into the RIB: the short way for nearly all lines.
 *
 * Python (rtrd/exabgp/decode.py, attributes.py) knows every shape of a line. What is odd in any way is left to it, and
 * then the RIB is as it was: a line is read whole before its first route is touched. Read update.c (the line and its
 * routes), then attributes.c (a summary of the path attributes, as the RIB wants it), then json.h.
 *
 * Nothing here owns memory: what is read are slices of the caller's line, what lasts is the RIB's. This folder calls
 * rib/rib.h and base/, and nothing calls it but Python.
 */
#ifndef RTRD_UPDATE_H
#define RTRD_UPDATE_H

#include "rib/rib.h"

/* ---- Python sees this ---- */

#define LINE_KEY_MOST 16384 /* octets of an attribute set's key; a longer one is for the complete decoder */

struct lines_taken {
    size_t size; /* of what was taken: whole lines, with their LF */
    size_t lines;
    bool path_ids; /* some route has one */
};

/* Takes lines, each ended by LF, up to the first one that is for the complete decoder, or whose routes found no memory.
 * Routes that can't be taken are counted in `faults`. */
void exabgp_take_lines(struct rib *rib, const char *text, size_t size, struct route_faults *faults,
                       struct lines_taken *out);

#endif
