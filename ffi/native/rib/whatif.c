/* Routes whose validity would be another one, in slices; the walk is that of revalidate.c, with each route only once.
 */

#include "rib/whatif.h"

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

struct whatif {
    const struct rib *rib;
    struct vrp_view then;
    struct prefix *ranges; /* none covers another one, in order: so no route is met twice */
    size_t n, at;
    struct walk walk; /* of ranges[at]; over: not yet begun */
    bool covers;
    size_t looked; /* routes and VRPs, for the routes since the budget was last charged */
    struct whatif_counts counts;
};

#define LOOKS_OF_ROUTE 64 /* that many cost about as much as a route */

static int compare(const void *a, const void *b)
{
    const struct prefix *x = a, *y = b;
    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    int order = memcmp(x->addr, y->addr, sizeof x->addr);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* The outermost of n prefixes, in order; how many are left. */
static size_t outermost(struct prefix *prefixes, size_t n)
{
    size_t kept = 0;
    qsort(prefixes, n, sizeof *prefixes, compare);
    for (size_t i = 0; i < n; i++) {
        const struct prefix *last = kept ? &prefixes[kept - 1] : NULL;
        if (last && last->family == prefixes[i].family && prefix_covers(last->addr, last->len, prefixes[i].addr))
            continue;
        prefixes[kept++] = prefixes[i];
    }
    return kept;
}

struct whatif *whatif_new(const struct rib *rib, const struct vrp_view *then, const struct vrp_list *ranges,
                          bool covers)
{
    struct whatif *whatif = calloc(1, sizeof *whatif);
    size_t n = ranges ? ranges->n : 2;
    struct prefix *prefixes = whatif ? calloc(n ? n : 1, sizeof *prefixes) : NULL;
    if (!prefixes) {
        free(whatif);
        return NULL;
    }
    size_t given = 0;
    for (size_t i = 0; i < n; i++) {
        struct vrp range = ranges ? ranges->records[i] : (struct vrp){.family = i ? 6 : 4};
        if (!family_has_length(range.family, range.len))
            continue; /* covers nothing */
        struct prefix *prefix = &prefixes[given++];
        *prefix = (struct prefix){.len = range.len, .family = range.family};
        memcpy(prefix->addr, range.addr, sizeof prefix->addr);
    }
    *whatif = (struct whatif){.rib = rib, .then = *then, .ranges = prefixes, .covers = covers};
    whatif->n = outermost(prefixes, given);
    return whatif;
}

void whatif_free(struct whatif *whatif)
{
    if (!whatif)
        return;
    free(whatif->ranges);
    free(whatif);
}

static enum validity validity_by(struct whatif *whatif, const struct vrp_view *view, uint32_t number)
{
    const struct route *route = route_at(whatif->rib, number);
    struct prefix prefix = route_prefix(whatif->rib, number);
    int64_t origin = summary_of(whatif->rib, route)->origin;
    whatif->looked += LOOKS_OF_ROUTE / 2;
    return vrpset_validate_view(view, prefix.family, prefix.addr, prefix.len, origin, &whatif->looked);
}

static void shorten(struct prefix *prefix)
{
    prefix->len--;
    prefix->addr[prefix->len / 8] &= (uint8_t) ~(0x80u >> prefix->len % 8);
}

/* How the prefix of a route that would be invalid is still reached; a valid route tells more than one not found. */
static enum cover cover_of(struct whatif *whatif, struct prefix prefix)
{
    const struct rib *rib = whatif->rib;
    enum cover found = COVER_NONE;
    for (;; shorten(&prefix)) {
        whatif->looked += LOOKS_OF_ROUTE / 4;
        for (uint32_t i = chain_of(rib, &prefix); i != NO_ROUTE; i = route_at(rib, i)->next) {
            if (route_gone(rib, route_at(rib, i)))
                continue;
            enum validity validity = validity_by(whatif, &whatif->then, i);
            if (validity == VALIDITY_VALID)
                return COVER_VALID;
            if (validity == VALIDITY_NOT_FOUND)
                found = COVER_NOT_FOUND;
        }
        if (prefix.len == 0)
            return found;
    }
}

static bool judge(struct whatif *whatif, uint32_t number, struct whatif_row *row)
{
    const struct rib *rib = whatif->rib;
    const struct route *route = route_at(rib, number);
    const struct vrp_view today = {.set = rib->set};
    enum validity now = validity_by(whatif, &today, number), then = validity_by(whatif, &whatif->then, number);
    whatif->counts.routes++;
    if (now == then)
        return false;
    whatif->counts.moved[now][then]++;
    *row = (struct whatif_row){.prefix = route_prefix(rib, number),
                               .origin = summary_of(rib, route)->origin,
                               .path_id = route->path_id,
                               .neighbor = route->neighbor,
                               .has_path_id = (route->bits & HAS_PATH_ID) != 0,
                               .now = (uint8_t)now,
                               .then = (uint8_t)then};
    if (then == VALIDITY_INVALID && whatif->covers) {
        row->cover = (uint8_t)cover_of(whatif, row->prefix);
        whatif->counts.covers[row->cover]++;
    }
    return true;
}

static size_t less(size_t budget, size_t cost) { return budget > cost ? budget - cost : 0; }

bool whatif_work(struct whatif *whatif, size_t budget, struct whatif_row *rows, size_t room, size_t *n)
{
    const struct rib *rib = whatif->rib;
    while (whatif->at < whatif->n && budget) {
        uint32_t chain;
        bool more;
        if (walk_is_over(&whatif->walk))
            walk_begin(&whatif->walk, &whatif->ranges[whatif->at]);
        for (; (more = walk_at(rib, &whatif->walk, &chain)) && budget; walk_step(&whatif->walk)) {
            for (; chain != NO_ROUTE; chain = route_at(rib, chain)->next) {
                struct whatif_row row;
                bool moved = !route_gone(rib, route_at(rib, chain)) && judge(whatif, chain, &row);
                budget = less(budget, 1 + whatif->looked / LOOKS_OF_ROUTE);
                whatif->looked %= LOOKS_OF_ROUTE;
                if (moved && *n < room)
                    rows[(*n)++] = row;
            }
        }
        whatif->at += !more;
        budget = less(budget, 1);
    }
    return whatif->at < whatif->n;
}

const struct whatif_counts *whatif_counted(const struct whatif *whatif) { return &whatif->counts; }

/* ---- paths --------------------------------------------------------------------------------------------------- */

#define ASES_OF_ROUTE 8 /* that many are judged in the time of a route's validation */

/* What the path of a route would be; `cost`: routes, for the budget. */
static enum path_outcome path_then(struct rib *rib, const struct route *route, const struct aspa_set *then,
                                   const uint32_t *customers, size_t n, size_t *cost)
{
    enum path_outcome now = route_path(rib, route);
    struct octets path = attrs_path(&rib->attrs, route->attrs);
    *cost = 1 + path.n / 4 / ASES_OF_ROUTE;
    bool other_first = (summary_of(rib, route)->traits & TRAIT_OTHER_FIRST_AS) != 0;
    enum local_role role = (enum local_role)neighbor_of(rib, route)->role;
    if (now == PATH_UNJUDGED || (other_first && role != ROLE_RS_CLIENT) ||
        (customers != NULL && !path_has_any(path, customers, n)))
        return now;
    return path_verify_octets(then, path, role == ROLE_CUSTOMER ? PATH_DOWNSTREAM : PATH_UPSTREAM);
}

/* How the prefix of a route whose path would be invalid is still reached. */
static enum cover path_cover(struct rib *rib, struct prefix prefix, const struct aspa_set *then,
                             const uint32_t *customers, size_t n, size_t *cost)
{
    enum cover found = COVER_NONE;
    for (;; shorten(&prefix)) {
        for (uint32_t i = chain_of(rib, &prefix); i != NO_ROUTE; i = route_at(rib, i)->next) {
            const struct route *route = route_at(rib, i);
            enum validity validity = (enum validity)(route->bits & VALIDITY_BITS);
            size_t more = 0;
            if (route_gone(rib, route) || (validity != VALIDITY_VALID && validity != VALIDITY_NOT_FOUND))
                continue;
            bool invalid = path_then(rib, route, then, customers, n, &more) == PATH_INVALID;
            *cost += more;
            if (!invalid && validity == VALIDITY_VALID)
                return COVER_VALID;
            if (!invalid)
                found = COVER_NOT_FOUND;
        }
        if (prefix.len == 0)
            return found;
    }
}

bool whatif_paths(struct rib *rib, struct walk *walk, const struct aspa_set *then, const uint32_t *customers, size_t n,
                  bool covers, size_t budget, struct path_counts *counts, struct path_row *rows, size_t room,
                  size_t *found)
{
    uint32_t chain;
    bool more;
    for (; (more = walk_at(rib, walk, &chain)) && budget; walk_step(walk)) {
        for (; chain != NO_ROUTE; chain = route_at(rib, chain)->next) {
            const struct route *route = route_at(rib, chain);
            size_t cost = 1;
            if (!route_gone(rib, route) && neighbor_of(rib, route)->role != ROLE_NONE) {
                enum path_outcome now = route_path(rib, route),
                                  later = path_then(rib, route, then, customers, n, &cost);
                counts->routes++;
                counts->moved[now][later] += now != later;
                enum cover cover = COVER_NONE;
                if (covers && later == PATH_INVALID && now != later) {
                    cover = path_cover(rib, route_prefix(rib, chain), then, customers, n, &cost);
                    cost++;
                    counts->covers[cover]++;
                }
                if (now != later && *found < room)
                    rows[(*found)++] = (struct path_row){.prefix = route_prefix(rib, chain),
                                                         .origin = summary_of(rib, route)->origin,
                                                         .path_id = route->path_id,
                                                         .attrs = route->attrs,
                                                         .neighbor = route->neighbor,
                                                         .has_path_id = (route->bits & HAS_PATH_ID) != 0,
                                                         .now = (uint8_t)now,
                                                         .then = (uint8_t)later,
                                                         .cover = (uint8_t)cover};
            }
            budget = less(budget, cost);
        }
    }
    return more;
}
