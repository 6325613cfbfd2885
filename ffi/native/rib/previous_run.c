/* What the router does not say of itself: what a previous run announced, and what is not advertised after all. */

#include "rib/rib_private.h"
#include "rib/throngs.h"

int rib_previous_run_begin(struct rib *rib, uint32_t number)
{
    struct neighbor *neighbor = neighbor_at(rib, number);
    if (!neighbor || neighbor->routes)
        return -1;
    neighbor->previous_run = true;
    return 0;
}

/* The receivers at which the route is announced as this NLRI. */
static uint64_t shared(const struct rib *rib, uint32_t number, const struct nlri *nlri)
{
    if (!(route_at(rib, number)->bits & HAS_PATH_ID) == !nlri->has_path_id &&
        route_path_id(rib, number) == nlri->path_id)
        return UINT64_MAX;
    return rib->plain[family_at(nlri->prefix.family)];
}

static int add(struct rib *rib, uint32_t neighbor, uint32_t attrs, const struct nlri *nlri, uint64_t receivers)
{
    uint32_t same = NO_ROUTE;
    for (uint32_t i = chain_of(rib, &nlri->prefix); i != NO_ROUTE; i = route_at(rib, i)->next) {
        const struct route *route = route_at(rib, i);
        receivers &= ~(route->advertised & shared(rib, i, nlri)); /* what was written since is newer */
        if (route->neighbor == neighbor && route->attrs == attrs && shared(rib, i, nlri) == UINT64_MAX)
            same = i;
    }
    if (!receivers)
        return 0;
    if (same == NO_ROUTE) {
        uint32_t *first = make_chain(rib, &nlri->prefix, INDEX_LAST);
        same = first ? add_route(rib, first, neighbor, attrs, nlri) : NO_ROUTE;
    }
    if (same == NO_ROUTE)
        return -1;
    route_at(rib, same)->advertised |= receivers;
    struct throng *throng = throng_of(rib, &nlri->prefix);
    if (throng)
        rankings_forget(throng);
    /* Something may have to be written for those that share the NLRI: a withdraw that was written counts no more. */
    for (uint32_t i = chain_of(rib, &nlri->prefix); i != NO_ROUTE; i = route_at(rib, i)->next) {
        struct route *route = route_at(rib, i);
        if (i != same && (shared(rib, i, nlri) & receivers)) {
            route->bits &= (uint8_t)~WITHDRAWN_BOTH;
            outbox_consider(rib, i);
        }
    }
    return 1;
}

static bool read_one(const char *text, size_t size, struct nlri *out)
{
    return nlri_take(&text, &size, out) == 1 && size == 0;
}

int rib_previous_run_add(struct rib *rib, uint32_t number, uint32_t attrs, const char *text, size_t size,
                         uint64_t receivers)
{
    struct nlri nlri;
    const struct neighbor *neighbor = neighbor_at(rib, number);
    if (!neighbor || !neighbor->previous_run || !attrs_at(&rib->attrs, attrs))
        return -1;
    attrs_hold(&rib->attrs, attrs);
    int result = read_one(text, size, &nlri) ? add(rib, number, attrs, &nlri, receivers) : -1;
    attrs_release(&rib->attrs, attrs);
    return result;
}

uint64_t rib_previous_run_left(const struct rib *rib, uint32_t neighbor)
{
    uint64_t n = 0;
    for (uint32_t bit = 0, family = 0; family < 2; family++, bit = IPV6_BIT)
        for (uint32_t i = 0; i < rib->arenas[family].used; i++) {
            const struct route *route = route_at(rib, i | bit); /* a free one is advertised nowhere */
            n += route->neighbor == neighbor && route->advertised;
        }
    return n;
}

int rib_mark_not_announced(struct rib *rib, const char *text, size_t size, uint64_t receivers)
{
    struct nlri nlri;
    if (!read_one(text, size, &nlri))
        return -1;
    for (uint32_t i = chain_of(rib, &nlri.prefix); i != NO_ROUTE; i = route_at(rib, i)->next) {
        struct route *route = route_at(rib, i);
        route->advertised &= ~(receivers & shared(rib, i, &nlri));
        outbox_consider(rib, i);
    }
    return 0;
}

bool rib_has_route(const struct rib *rib, uint32_t neighbor, const char *text, size_t size)
{
    struct nlri nlri;
    if (!neighbor_at(rib, neighbor) || !read_one(text, size, &nlri))
        return false;
    struct beside beside;
    uint32_t number = find_route(rib, chain_of(rib, &nlri.prefix), neighbor, &nlri, &beside);
    return number != NO_ROUTE && !(route_at(rib, number)->bits & GONE);
}
