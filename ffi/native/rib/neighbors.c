/* The sessions of the neighbors, what the policy says of each, and what receivers can take, in; the neighbors by number
 * or name out. */

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

static bool policy_sound(const struct neighbor_policy *policy)
{
    for (int i = 0; i < 4; i++)
        if (policy->action[i] > ACTION_ANNOUNCE)
            return false;
    return true;
}

struct neighbor *neighbor_at(const struct routes *routes, uint32_t number)
{
    if (number >= routes->neighbors_n || !routes->neighbors[number].used || routes->neighbors[number].retired)
        return NULL;
    return &routes->neighbors[number];
}

int32_t routes_neighbor_add(struct routes *routes, const struct neighbor_policy *policy, const uint8_t rank[17])
{
    uint32_t number = 0;
    while (number < routes->neighbors_n && routes->neighbors[number].used)
        number++;
    if (number >= ROUTES_NEIGHBORS || !policy_sound(policy))
        return -1;
    if (number == routes->neighbors_room) {
        uint32_t room = routes->neighbors_room ? routes->neighbors_room * 2 : 16;
        struct neighbor *neighbors = realloc(routes->neighbors, room * sizeof *neighbors);
        if (!neighbors)
            return -1;
        routes->neighbors = neighbors;
        routes->neighbors_room = room;
    }
    if (number == routes->neighbors_n)
        routes->neighbors_n++;
    routes->neighbors[number] = (struct neighbor){.policy = *policy, .used = true};
    memcpy(routes->neighbors[number].rank, rank, sizeof routes->neighbors[number].rank);
    return (int32_t)number;
}

int routes_neighbor_policy(struct routes *routes, uint32_t number, const struct neighbor_policy *policy)
{
    struct neighbor *neighbor = neighbor_at(routes, number);
    if (!neighbor || !policy_sound(policy))
        return -1;
    for (int i = 0; i < 4; i++)
        if (neighbor->policy.variant[i] != policy->variant[i])
            neighbor->rewrite |= (uint8_t)(1u << i);
    neighbor->policy = *policy;
    return 0;
}

int routes_neighbor_name(struct routes *routes, uint32_t number, const char *name, size_t n)
{
    struct neighbor *neighbor = neighbor_at(routes, number);
    if (!neighbor || n == 0 || n > NAME_MOST)
        return -1;
    memcpy(neighbor->name, name, n);
    neighbor->name_n = (uint8_t)n;
    return 0;
}

static bool is_named(const struct routes *routes, uint32_t number, const char *name, size_t n)
{
    const struct neighbor *neighbor = neighbor_at(routes, number);
    return neighbor && n && neighbor->name_n == n && memcmp(neighbor->name, name, n) == 0;
}

int64_t neighbor_named(struct routes *routes, const char *name, size_t n)
{
    /* A route server has a thousand neighbors: of each name it is remembered where it was last found. */
    if (n > NAME_MOST)
        return -1;
    uint32_t hash = 0;
    for (size_t i = 0; i < n; i++)
        hash = hash * 31 + (uint8_t)name[i];
    uint32_t *guess = &routes->named[hash % NAMED];
    if (is_named(routes, *guess, name, n))
        return *guess;
    for (uint32_t i = 0; i < routes->neighbors_n; i++) {
        if (is_named(routes, i, name, n)) {
            *guess = i;
            return i;
        }
    }
    return -1;
}

int routes_neighbor_retire(struct routes *routes, uint32_t number)
{
    struct neighbor *neighbor = neighbor_at(routes, number);
    if (!neighbor)
        return -1;
    for (int i = 0; i < 4; i++) {
        routes->state.routes -= neighbor->counts[i];
        neighbor->counts[i] = 0;
    }
    if (neighbor->routes == 0) {
        neighbor->used = false;
        return 0;
    }
    neighbor->retired = true;
    routes->purge.running = routes->state.work = true;
    routes->purge.family = 4;
    memset(routes->purge.key, 0, sizeof routes->purge.key);
    return 0;
}

void routes_neighbor_counts(const struct routes *routes, uint32_t number, uint64_t counts[4])
{
    const struct neighbor *neighbor = neighbor_at(routes, number);
    for (int i = 0; i < 4; i++)
        counts[i] = neighbor ? neighbor->counts[i] : 0;
}

void routes_plain(struct routes *routes, uint64_t ipv4, uint64_t ipv6)
{
    routes->plain[0] = ipv4;
    routes->plain[1] = ipv6;
}

void routes_extended_next_hop(struct routes *routes, uint64_t receivers) { routes->extended_next_hop = receivers; }

void routes_up(struct routes *routes, uint64_t receivers) { routes->up = receivers; }
