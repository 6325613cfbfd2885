/* What is known of the router from elsewhere in: what stands there from an earlier run, what does not stand after all.
 */

#include "rib/rib_private.h"

int routes_previous_run(struct routes *routes, uint32_t number)
{
    struct neighbor *neighbor = neighbor_at(routes, number);
    if (!neighbor || neighbor->routes)
        return -1;
    neighbor->previous_run = true;
    for (int i = 0; i < 4; i++)
        neighbor->policy.action[i] = ACTION_HOLD;
    return 0;
}

/* The receivers at which a route and the line share a place. */
static uint64_t shared(const struct routes *routes, const struct route *route, const struct route_line *line)
{
    if (!(route->bits & HAS_PATH_ID) == !line->has_path_id && route->path_id == line->path_id)
        return UINT64_MAX;
    return routes->plain[family_at(line->prefix.family)];
}

static int stands(struct routes *routes, uint32_t neighbor, uint32_t attrs, const struct route_line *line,
                  uint64_t receivers)
{
    uint32_t chain = chain_of(routes, line), same = NO_ROUTE;
    for (uint32_t i = chain; i != NO_ROUTE; i = route_at(routes, i)->next) {
        const struct route *route = route_at(routes, i);
        receivers &= ~(route->advertised & shared(routes, route, line)); /* what was written since is newer */
        if (route->neighbor == neighbor && route->attrs == attrs && shared(routes, route, line) == UINT64_MAX)
            same = i;
    }
    if (!receivers)
        return 0;
    if (same == NO_ROUTE)
        same = add_route(routes, neighbor, attrs, line);
    if (same == NO_ROUTE)
        return -1;
    route_at(routes, same)->advertised |= receivers;
    /* Those that share the place may be owed something now: a withdraw that was written counts no more. */
    for (uint32_t i = chain_of(routes, line); i != NO_ROUTE; i = route_at(routes, i)->next) {
        struct route *route = route_at(routes, i);
        if (i != same && (shared(routes, route, line) & receivers)) {
            route->bits &= (uint8_t)~TOLD_BOTH;
            outbox_consider(routes, i);
        }
    }
    return 1;
}

int routes_previous_run_add(struct routes *routes, uint32_t neighbor, uint32_t attrs, const char *text, size_t size,
                            uint64_t receivers)
{
    struct route_line line;
    struct neighbor *previous_run = neighbor_at(routes, neighbor);
    if (!previous_run || !previous_run->previous_run || !attrs_at(&routes->attrs, attrs))
        return -1;
    attrs_hold(&routes->attrs, attrs);
    int result = take_line(&text, &size, &line) && line.good && size == 0
                     ? stands(routes, neighbor, attrs, &line, receivers)
                     : -1;
    attrs_release(&routes->attrs, attrs);
    return result;
}

uint64_t routes_previous_run_left(const struct routes *routes, uint32_t neighbor)
{
    uint64_t n = 0;
    for (uint32_t bit = 0, family = 0; family < 2; family++, bit = IPV6_BIT)
        for (uint32_t i = 0; i < routes->arenas[family].used; i++) {
            const struct route *route = route_at(routes, i | bit); /* of a free one nothing stands */
            n += route->neighbor == neighbor && route->advertised;
        }
    return n;
}

int routes_unwritten(struct routes *routes, const char *text, size_t size, uint64_t receivers)
{
    struct route_line line;
    if (!take_line(&text, &size, &line) || !line.good || size)
        return -1;
    for (uint32_t i = chain_of(routes, &line); i != NO_ROUTE; i = route_at(routes, i)->next) {
        struct route *route = route_at(routes, i);
        route->advertised &= ~(receivers & shared(routes, route, &line));
        outbox_consider(routes, i);
    }
    return 0;
}

bool routes_has(const struct routes *routes, uint32_t neighbor, const char *text, size_t size)
{
    struct route_line line;
    if (!neighbor_at(routes, neighbor) || !take_line(&text, &size, &line) || !line.good)
        return false;
    uint32_t number = find_route(routes, chain_of(routes, &line), neighbor, &line);
    return number != NO_ROUTE && !(route_at(routes, number)->bits & GONE);
}
