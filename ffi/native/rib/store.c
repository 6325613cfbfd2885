/* The records of the RIB: memory for routes, the routes of each prefix, and what the policy says of a route. */

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

/* ---- records ----------------------------------------------------------------------------------------------- */

uint8_t route_family(uint32_t number) { return number & IPV6_BIT ? 6 : 4; }

struct route *route_at(const struct routes *routes, uint32_t number)
{
    const struct arena *arena = &routes->arenas[number & IPV6_BIT ? 1 : 0];
    uint32_t i = number & ~IPV6_BIT;
    return (struct route *)((uint8_t *)arena->chunks[i / CHUNK] + (size_t)(i % CHUNK) * arena->size);
}

uint32_t route_take(struct routes *routes, uint8_t family)
{
    struct arena *arena = &routes->arenas[family_at(family)];
    uint32_t bit = family == 4 ? 0 : IPV6_BIT;
    if (arena->free != NO_ROUTE) {
        uint32_t number = arena->free;
        arena->free = route_at(routes, number)->next;
        return number;
    }
    if (arena->used == arena->n * CHUNK) {
        if (arena->used > IPV6_BIT - 2 * CHUNK)
            return NO_ROUTE;
        if (arena->n == arena->room) {
            uint32_t room = arena->room ? arena->room * 2 : 16;
            void **chunks = realloc(arena->chunks, room * sizeof *chunks);
            if (!chunks)
                return NO_ROUTE;
            arena->chunks = chunks;
            arena->room = room;
        }
        arena->chunks[arena->n] = malloc((size_t)CHUNK * arena->size);
        if (!arena->chunks[arena->n])
            return NO_ROUTE;
        arena->n++;
    }
    return arena->used++ | bit;
}

static void arena_give(struct routes *routes, uint32_t number)
{
    struct arena *arena = &routes->arenas[number & IPV6_BIT ? 1 : 0];
    route_at(routes, number)->next = arena->free;
    arena->free = number;
}

void prefix_key(const struct prefix *prefix, uint8_t key[INDEX_KEY_MOST])
{
    size_t n = address_size(prefix->family);
    memcpy(key, prefix->addr, n);
    key[n] = prefix->len;
}

struct prefix route_prefix(const struct routes *routes, uint32_t number)
{
    const struct route *route = route_at(routes, number);
    struct prefix prefix = {.len = route->len, .family = route_family(number)};
    memcpy(prefix.addr, route->addr, address_size(prefix.family));
    return prefix;
}

void route_key(const struct routes *routes, uint32_t number, uint8_t key[INDEX_KEY_MOST])
{
    struct prefix prefix = route_prefix(routes, number);
    prefix_key(&prefix, key);
}

/* ---- the routes of a prefix ---------------------------------------------------------------------------------- */

uint32_t prefix_chain(const struct routes *routes, uint32_t number)
{
    uint8_t key[INDEX_KEY_MOST];
    route_key(routes, number, key);
    const uint32_t *first = index_get(&routes->prefixes[number & IPV6_BIT ? 1 : 0], key);
    return first ? *first : NO_ROUTE;
}

uint32_t chain_of(const struct routes *routes, const struct route_line *line)
{
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(&line->prefix, key);
    const uint32_t *first = index_get(&routes->prefixes[family_at(line->prefix.family)], key);
    return first ? *first : NO_ROUTE;
}

uint32_t find_route(const struct routes *routes, uint32_t chain, uint32_t neighbor, const struct route_line *line)
{
    for (; chain != NO_ROUTE; chain = route_at(routes, chain)->next) {
        const struct route *route = route_at(routes, chain);
        if (route->neighbor == neighbor && !(route->bits & HAS_PATH_ID) == !line->has_path_id &&
            route->path_id == line->path_id)
            return chain;
    }
    return NO_ROUTE;
}

uint32_t *make_chain(struct routes *routes, const struct route_line *line)
{
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(&line->prefix, key);
    return index_put(&routes->prefixes[family_at(line->prefix.family)], key, NO_ROUTE);
}

static void forget_chain(struct routes *routes, const struct route_line *line)
{
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(&line->prefix, key);
    index_remove(&routes->prefixes[family_at(line->prefix.family)], key);
}

uint32_t add_route_at(struct routes *routes, uint32_t *first, uint32_t neighbor, uint32_t attrs,
                      const struct route_line *line)
{
    uint32_t number = route_take(routes, line->prefix.family);
    if (number == NO_ROUTE) {
        if (*first == NO_ROUTE)
            forget_chain(routes, line);
        return NO_ROUTE;
    }
    struct route *route = route_at(routes, number);
    *route = (struct route){.attrs = attrs,
                            .path_id = line->path_id,
                            .next = *first,
                            .waiting = NOT_WAITING,
                            .neighbor = (uint16_t)neighbor,
                            .len = line->prefix.len,
                            .bits = line->has_path_id ? HAS_PATH_ID : 0};
    memcpy(route->addr, line->prefix.addr, address_size(line->prefix.family));
    *first = number;
    attrs_hold(&routes->attrs, attrs);
    routes->neighbors[neighbor].routes++;
    return number;
}

uint32_t add_route(struct routes *routes, uint32_t neighbor, uint32_t attrs, const struct route_line *line)
{
    uint32_t *first = make_chain(routes, line);
    return first ? add_route_at(routes, first, neighbor, attrs, line) : NO_ROUTE;
}

static void neighbor_lost_route(struct neighbor *neighbor)
{
    neighbor->routes--;
    if (neighbor->retired && neighbor->routes == 0)
        neighbor->used = false;
}

void route_remove(struct routes *routes, uint32_t number)
{
    struct route *route = route_at(routes, number);
    struct index *index = &routes->prefixes[number & IPV6_BIT ? 1 : 0];
    uint8_t key[INDEX_KEY_MOST];
    route_key(routes, number, key);
    uint32_t *at = index_get(index, key);
    while (at && *at != number)
        at = &route_at(routes, *at)->next;
    if (at)
        *at = route->next;
    uint32_t *first = index_get(index, key);
    if (first && *first == NO_ROUTE)
        index_remove(index, key);
    attrs_release(&routes->attrs, route->attrs);
    neighbor_lost_route(&routes->neighbors[route->neighbor]);
    arena_give(routes, number);
}

/* ---- what the policy says of a route ----------------------------------------------------------------------- */

bool route_gone(const struct routes *routes, const struct route *route)
{
    return (route->bits & GONE) || neighbor_of(routes, route)->retired;
}

enum action route_action(const struct routes *routes, const struct route *route)
{
    enum action action = neighbor_of(routes, route)->policy.action[route->bits & VALIDITY_BITS];
    if (action == ACTION_ANNOUNCE && routes->attrs.sets[route->attrs].summary.fitness == UNFIT)
        return ACTION_OBSERVE;
    return action;
}

uint64_t route_receivers(const struct routes *routes, const struct route *route)
{
    uint64_t receivers = neighbor_of(routes, route)->policy.receivers;
    if (routes->attrs.sets[route->attrs].summary.fitness == FIT_EXTENDED_NEXT_HOP)
        receivers &= routes->extended_next_hop;
    return receivers;
}

uint16_t route_variant(const struct routes *routes, const struct route *route)
{
    return neighbor_of(routes, route)->policy.variant[route->bits & VALIDITY_BITS];
}

bool route_retagged(const struct routes *routes, const struct route *route)
{
    return routes->revalidate.rewrite || routes->attrs.sets[route->attrs].retagged ||
           routes->neighbors[route->neighbor].rewrite >> (route->bits & VALIDITY_BITS) & 1;
}

enum validity route_validate(const struct routes *routes, uint32_t number)
{
    const struct route *route = route_at(routes, number);
    uint8_t addr[16] = {0};
    memcpy(addr, route->addr, address_size(route_family(number)));
    return vrpset_validate(routes->set, route_family(number), addr, route->len,
                           routes->attrs.sets[route->attrs].summary.origin);
}
