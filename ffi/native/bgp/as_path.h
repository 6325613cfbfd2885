/* AS_PATH and AS4_PATH (RFC 4271 section 4.3, RFC 5065 section 3, RFC 6793). */
#ifndef RTRD_AS_PATH_H
#define RTRD_AS_PATH_H

#include "base/octets.h"

enum segment { AS_SET = 1, AS_SEQUENCE = 2, AS_CONFED_SEQUENCE = 3, AS_CONFED_SET = 4 };

enum path_fault { PATH_GOOD, PATH_MALFORMED, PATH_HAS_ZERO };

/* `width`: octets of an AS number, 2 or 4. */
enum path_fault path_check(struct octets path, unsigned width);

/* The origin AS of a path that was checked, of four octets an AS (RFC 6811 section 2); below 0: NONE. `own_as`: of the
 * speaker, for a path that has no AS of outside its confederation. */
int64_t path_origin(struct octets path, uint32_t own_as);

/* Whether a path that was checked has a segment of a confederation. */
bool path_confederated(struct octets path, unsigned width);

/* Writes a path that was checked with 4-octet AS numbers; the number of octets, twice those of the path at most. */
size_t path_widen(struct octets path, unsigned width, uint8_t *out);

/* Writes what AS_PATH and AS4_PATH of a peer without 4-octet AS numbers say together (RFC 6793 section 4.2.3). Both
 * were checked. At most twice the octets of `path`, and those of `path4`. */
size_t path_merge(struct octets path, struct octets path4, uint8_t *out);

#endif
