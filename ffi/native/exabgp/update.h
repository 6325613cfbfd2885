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

/* What exabgp_take_line made of a line. */
enum line_taken {
    LINE_OTHER = 0,          /* nothing: it is for the complete decoder */
    LINE_TAKEN = 1,          /* all of it */
    LINE_TAKEN_PATH_IDS = 2, /* all of it, and some route has a path id */
    LINE_NEW_ATTRIBUTES = 3, /* nothing yet: the set of this key is to be added, then the line comes again */
};

#define LINE_KEY_MOST 16384

struct line_key { /* of an attribute set: see rtrd/exabgp/decode.py: attribute_key */
    size_t size;
    char bytes[LINE_KEY_MOST];
};

struct lines_taken {
    size_t size; /* of what was taken: whole lines, with their LF */
    size_t lines;
    bool path_ids; /* some route has one */
};

/* A line without its LF. Routes that can't be taken are counted in `faults`. */
int exabgp_take_line(struct rib *rib, const char *line, size_t size, struct line_key *key, struct route_faults *faults);

/* Lines, each ended by LF, up to the first one of which exabgp_take_line would not take all. */
void exabgp_take_lines(struct rib *rib, const char *text, size_t size, struct line_key *key,
                       struct route_faults *faults, struct lines_taken *out);

#endif
