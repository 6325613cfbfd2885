/* Neighbors: a number for each session, with its policy. And what receivers can take. */

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

struct neighbor *neighbor_at(const struct rib *rib, uint32_t number)
{
    if (number >= rib->neighbors_n || !rib->neighbors[number].used || rib->neighbors[number].retired)
        return NULL;
    return &rib->neighbors[number];
}

int32_t rib_neighbor_add(struct rib *rib, const struct neighbor_policy *policy, const uint8_t rank[17])
{
    uint32_t number = 0;
    while (number < rib->neighbors_n && rib->neighbors[number].used)
        number++;
    if (number >= RIB_NEIGHBORS || !policy_sound(policy))
        return -1;
    if (number == rib->neighbors_room) {
        uint32_t room = rib->neighbors_room ? rib->neighbors_room * 2 : 16;
        struct neighbor *neighbors = realloc(rib->neighbors, room * sizeof *neighbors);
        if (!neighbors)
            return -1;
        rib->neighbors = neighbors;
        rib->neighbors_room = room;
    }
    if (number == rib->neighbors_n)
        rib->neighbors_n++;
    rib->neighbors[number] = (struct neighbor){.policy = *policy, .used = true};
    memcpy(rib->neighbors[number].rank, rank, sizeof rib->neighbors[number].rank);
    return (int32_t)number;
}

int rib_neighbor_policy(struct rib *rib, uint32_t number, const struct neighbor_policy *policy)
{
    struct neighbor *neighbor = neighbor_at(rib, number);
    if (!neighbor || !policy_sound(policy))
        return -1;
    for (int i = 0; i < 4; i++) {
        if (neighbor->policy.variant[i] != policy->variant[i])
            neighbor->outdated |= (uint8_t)(1u << i);
        if (!(neighbor->changed >> i & 1) && neighbor->policy.action[i] != policy->action[i]) {
            neighbor->changed |= (uint8_t)(1u << i);
            neighbor->did[i] = neighbor->policy.action[i];
        }
    }
    neighbor->policy = *policy;
    return 0;
}

int rib_neighbor_retire(struct rib *rib, uint32_t number)
{
    struct neighbor *neighbor = neighbor_at(rib, number);
    if (!neighbor)
        return -1;
    for (int i = 0; i < 4; i++) {
        rib->state.routes -= neighbor->counts[i];
        neighbor->counts[i] = 0;
    }
    if (neighbor->routes == 0) {
        neighbor->used = false;
        return 0;
    }
    neighbor->retired = true;
    walk_begin(&rib->purge, NULL);
    rib->state.work = true;
    return 0;
}

void rib_neighbor_counts(const struct rib *rib, uint32_t number, uint64_t counts[4])
{
    const struct neighbor *neighbor = neighbor_at(rib, number);
    for (int i = 0; i < 4; i++)
        counts[i] = neighbor ? neighbor->counts[i] : 0;
}

void rib_set_plain(struct rib *rib, uint64_t ipv4, uint64_t ipv6)
{
    rib->plain[0] = ipv4;
    rib->plain[1] = ipv6;
}

void rib_set_extended_next_hop(struct rib *rib, uint64_t receivers) { rib->extended_next_hop = receivers; }

void rib_set_up(struct rib *rib, uint64_t receivers) { rib->up = receivers; }

void rib_forget_receivers(struct rib *rib, uint64_t receivers)
{
    rib->forgotten |= receivers;
    walk_begin(&rib->purge, NULL);
    rib->state.work = true;
}

uint64_t rib_forgotten(const struct rib *rib) { return rib->forgotten; }
