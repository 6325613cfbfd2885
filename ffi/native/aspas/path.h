/* AS paths judged by ASPAs: draft-ietf-sidrops-aspa-verification-28 section 6.
 *
 * A path is what AS_PATH has: the neighbor first, the origin last. Repeats that follow each other count once; `N` is
 * how many ASes are left. What the text calls ramps is counted in one pass, whatever the path's length, and without
 * memory: each AS is looked up once, and of each pair two questions are asked.
 *
 * Segments that are no AS_SEQUENCE make a path invalid, those of confederations too: the text knows none, since nobody
 * inside of one is meant to verify (section 5.2), and from outside they are malformed (RFC 5065 section 5).
 */
#ifndef RTRD_PATH_H
#define RTRD_PATH_H

#include <stdbool.h>

#include "aspas/aspas.h"
#include "base/octets.h"

/* ---- Python sees this ---- */

enum path_outcome { PATH_UNJUDGED = 0, PATH_VALID = 1, PATH_INVALID = 2, PATH_UNKNOWN = 3 };

/* By what the neighbor is to us: section 5.5. Upstream unless it is our provider. */
enum path_procedure { PATH_UPSTREAM = 0, PATH_DOWNSTREAM = 1 };

/* Whether an AS names another one as its provider: section 5.4. */
enum attestation { ATTESTS_NONE = 0, ATTESTS_PROVIDER = 1, ATTESTS_NOT_PROVIDER = 2 };

struct aspa_set { /* a packed set with what aspas_index gives */
    const uint32_t *words;
    const uint32_t *begins;
    size_t count;
};

enum attestation aspas_attest(const struct aspa_set *set, uint32_t customer, uint32_t provider);

/* Judges a path of AS numbers. No AS at all makes it invalid. */
enum path_outcome path_verify(const struct aspa_set *set, const uint32_t *path, size_t n,
                              enum path_procedure procedure);

/* The same of the value of an AS_PATH that was checked, with AS numbers of four octets. */
enum path_outcome path_verify_octets(const struct aspa_set *set, struct octets path, enum path_procedure procedure);

/* ---- only C sees this ---- */

/* Whether some AS of the path is one of n, which ascend. */
bool path_has_any(struct octets path, const uint32_t *asns, size_t n);

#endif
