/* Records: memory for routes, and the routes of a prefix. */

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"
#include "rib/throngs.h"

/* ---- memory -------------------------------------------------------------------------------------------------- */

static uint32_t route_take(struct rib *rib, uint8_t family)
{
    struct arena *arena = &rib->arenas[family_at(family)];
    uint32_t bit = family == 4 ? 0 : IPV6_BIT;
    if (arena->free != NO_ROUTE) {
        uint32_t number = arena->free;
        arena->free = route_at(rib, number)->next;
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
        arena->chunks[arena->n] = malloc((size_t)CHUNK * (arena->size + sizeof(uint32_t)));
        if (!arena->chunks[arena->n])
            return NO_ROUTE;
        arena->n++;
    }
    return arena->used++ | bit;
}

static void arena_give(struct rib *rib, uint32_t number)
{
    struct arena *arena = &rib->arenas[number & IPV6_BIT ? 1 : 0];
    route_at(rib, number)->next = arena->free;
    route_at(rib, number)->len = NO_LENGTH;
    arena->free = number;
}

/* ---- the routes of a prefix ---------------------------------------------------------------------------------- */

void prefix_key(const struct prefix *prefix, uint8_t key[INDEX_KEY_MOST])
{
    copy_address(key, prefix->addr, prefix->family);
    key[address_size(prefix->family)] = prefix->len;
}

uint32_t chain_of(const struct rib *rib, const struct prefix *prefix)
{
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(prefix, key);
    const uint32_t *first = index_get(&rib->prefixes[family_at(prefix->family)], key);
    return first ? *first : NO_ROUTE;
}

uint32_t chain_of_route(const struct rib *rib, uint32_t number)
{
    struct prefix prefix = route_prefix(rib, number);
    return chain_of(rib, &prefix);
}

uint32_t find_route(const struct rib *rib, uint32_t chain, uint32_t neighbor, const struct nlri *nlri,
                    struct beside *beside)
{
    *beside = (struct beside){0};
    const struct throng *throng = throng_of(rib, &nlri->prefix);
    if (throng) {
        beside->all = throng->n;
        return throng_find(rib, throng, neighbor, nlri, &beside->others);
    }
    for (; chain != NO_ROUTE; beside->all++) {
        const struct route *route = route_at(rib, chain);
        if (route->neighbor == neighbor) {
            if (route->path_id == nlri->path_id && !(route->bits & HAS_PATH_ID) == !nlri->has_path_id)
                return chain;
            beside->others++;
        }
        chain = route->next;
    }
    return NO_ROUTE;
}

size_t fetch_chain(const struct rib *rib, const struct prefix *prefix, size_t near)
{
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(prefix, key);
    return index_fetch(&rib->prefixes[family_at(prefix->family)], near, key);
}

uint32_t *make_chain(struct rib *rib, const struct prefix *prefix, size_t near)
{
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(prefix, key);
    uint32_t *first = index_put(&rib->prefixes[family_at(prefix->family)], near, key, NO_ROUTE);
    if (first && *first == NO_ROUTE)
        rib->covers.lengths[family_at(prefix->family)][prefix->len]++;
    return first;
}

static void remove_chain(struct rib *rib, const struct prefix *prefix)
{
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(prefix, key);
    index_remove(&rib->prefixes[family_at(prefix->family)], key);
    rib->covers.lengths[family_at(prefix->family)][prefix->len]--;
}

uint32_t add_route(struct rib *rib, uint32_t *first, uint32_t neighbor, uint32_t attrs, const struct nlri *nlri)
{
    uint32_t number = route_take(rib, nlri->prefix.family);
    if (number == NO_ROUTE) {
        if (*first == NO_ROUTE)
            remove_chain(rib, &nlri->prefix);
        return NO_ROUTE;
    }
    struct route *route = route_at(rib, number);
    *route = (struct route){.attrs = attrs,
                            .path_id = nlri->path_id,
                            .next = *first,
                            .waiting = NOT_WAITING,
                            .neighbor = (uint16_t)neighbor,
                            .len = nlri->prefix.len,
                            .bits = nlri->has_path_id ? HAS_PATH_ID : 0};
    copy_address(route->addr, nlri->prefix.addr, nlri->prefix.family);
    *since_at(rib, number) = rib->now;
    *first = number;
    struct throng *throng = throng_of(rib, &nlri->prefix);
    if (throng)
        throng_add(rib, throng, number);
    attrs_hold(&rib->attrs, attrs);
    rib->neighbors[neighbor].routes++;
    return number;
}

void route_remove(struct rib *rib, uint32_t number)
{
    struct route *route = route_at(rib, number);
    struct prefix prefix = route_prefix(rib, number);
    struct index *index = &rib->prefixes[family_at(prefix.family)];
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(&prefix, key);
    uint32_t *first = index_get(index, key), *at = first;
    struct throng *throng = throng_of(rib, &prefix);
    while (!throng && at && *at != number)
        at = &route_at(rib, *at)->next;
    if (throng)
        throng_remove(rib, throng, number, first);
    else if (at)
        *at = route->next;
    if (first && *first == NO_ROUTE)
        remove_chain(rib, &prefix);
    attrs_release(&rib->attrs, route->attrs);
    struct neighbor *neighbor = neighbor_of(rib, route);
    if (--neighbor->routes == 0 && neighbor->retired)
        neighbor_end(rib, neighbor);
    arena_give(rib, number);
}
