/* Which routes of a RIB would have another validity by a VRP set as it would be, or another outcome of their path by
 * ASPAs. Nothing is changed.
 *
 * The work of a call is bounded, so that it may run beside everything else: the RIB and the set may change between two
 * calls, and each route is validated as they are when its turn comes. The question owns its memory, but neither of
 * them.
 */
#ifndef RTRD_WHATIF_H
#define RTRD_WHATIF_H

#include "rib/rib.h"

/* ---- Python sees this ---- */

struct whatif_row {
    struct prefix prefix;
    int64_t origin;
    uint32_t path_id;
    uint16_t neighbor;
    uint8_t has_path_id;
    uint8_t now, then; /* enum validity */
    uint8_t cover;     /* enum cover, when it is newly invalid */
};

struct whatif_counts {
    uint64_t routes;      /* looked at */
    uint64_t moved[4][4]; /* by validity now and then; only those that differ */
    uint64_t covers[3];   /* newly invalid ones by enum cover; only if asked for */
};

struct whatif;

/* `rib`, and `then` with its sets, stay the caller's and must live longer. `ranges`: only routes that these VRPs
 * cover (the list is copied; it is sorted: keep it short); NULL: all. `covers`: tell how newly invalid ones are still
 * reached, which costs a search for each length. NULL: no memory. */
struct whatif *whatif_new(const struct rib *rib, const struct vrp_view *then, const struct vrp_list *ranges,
                          bool covers);
void whatif_free(struct whatif *whatif);

/* Goes over some `budget` routes. Those that would change are written to `rows`, from *n on, while *n is below room;
 * the others are only counted. True: there is more to do. */
bool whatif_work(struct whatif *whatif, size_t budget, struct whatif_row *rows, size_t room, size_t *n);
const struct whatif_counts *whatif_counted(const struct whatif *whatif);

struct path_row { /* a route whose path would be something else */
    struct prefix prefix;
    int64_t origin;
    uint32_t path_id, attrs;
    uint16_t neighbor;
    uint8_t has_path_id;
    uint8_t now, then; /* enum path_outcome */
    uint8_t cover;     /* enum cover, when it is newly invalid */
};

struct path_counts {
    uint64_t routes;      /* looked at: those whose paths are judged */
    uint64_t moved[4][4]; /* by outcome now and then; only those that differ */
    uint64_t covers[3];   /* newly invalid ones by enum cover; only if asked for */
};

/* Which routes would have another outcome by these ASPAs, `customers` (n, ascending) being all that differs;
 * NULL: any may. `covers`: tell how newly invalid ones are still reached, by routes of which
 * neither the origin nor the path would be invalid. Goes on with the walk over some `budget` routes; rows and result as
 * of whatif_work. */
bool whatif_paths(struct rib *rib, struct walk *walk, const struct aspa_set *then, const uint32_t *customers, size_t n,
                  bool covers, size_t budget, struct path_counts *counts, struct path_row *rows, size_t room,
                  size_t *found);

#endif
