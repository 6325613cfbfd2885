/* Neighbors: a number for each session, with its policy. And what receivers can take. */

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

#define BEFORE_MOST 8

static bool are_sound(const struct neighbor_policy *policies, size_t n)
{
    if (n == 0 || n > POLICIES_MOST)
        return false;
    for (size_t i = 0; i < n; i++) {
        for (int validity = 0; validity < 4; validity++)
            if (policies[i].action[validity] > ACTION_ANNOUNCE)
                return false;
        if (policies[i].otc > OTC_ADDED || policies[i].covered_by > COVER_NOT_FOUND)
            return false;
        const uint8_t others[] = {policies[i].as_set, policies[i].path_invalid, policies[i].leak};
        for (size_t j = 0; j < sizeof others; j++)
            if (others[j] > ACTION_ANNOUNCE && others[j] != ACTION_BY_VALIDITY)
                return false;
    }
    const struct neighbor_policy *last = &policies[n - 1];
    return !last->conditions && !last->demands && !last->covered_by && !last->shortest[0] && !last->shortest[1] &&
           last->longest[0] >= 32 && last->longest[1] >= 128;
}

static struct policies *copy_of(const struct neighbor_policy *policies, size_t n)
{
    struct policies *copy = malloc(sizeof *copy + n * sizeof *policies);
    if (!copy)
        return NULL;
    copy->before = NULL;
    copy->n = n;
    memcpy(copy->at, policies, n * sizeof *policies);
    for (size_t i = 0; i < n; i++)
        demands_hold(copy->at[i].demands);
    return copy;
}

/* Whether both do the same with every route, but for where, and by which preference. */
static bool do_the_same(const struct policies *a, const struct policies *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct neighbor_policy *x = &a->at[i], *y = &b->at[i];
        if (memcmp(x->variant, y->variant, sizeof x->variant) != 0 || x->by_kind != y->by_kind ||
            memcmp(x->action, y->action, sizeof x->action) != 0 ||
            memcmp(x->shortest, y->shortest, sizeof x->shortest) != 0 ||
            memcmp(x->longest, y->longest, sizeof x->longest) != 0 || x->as_set != y->as_set ||
            x->path_invalid != y->path_invalid || x->leak != y->leak || x->enforce_first_as != y->enforce_first_as ||
            x->conditions != y->conditions || x->otc != y->otc || x->covered_by != y->covered_by ||
            !demands_equal(x->demands, y->demands))
            return false;
    }
    return true;
}

struct neighbor *neighbor_at(const struct rib *rib, uint32_t number)
{
    if (number >= rib->neighbors_n || !rib->neighbors[number].used || rib->neighbors[number].retired)
        return NULL;
    return &rib->neighbors[number];
}

/* Takes note whether the neighbor's policies ask for covers. */
static void want_cover(struct rib *rib, struct neighbor *neighbor)
{
    bool wants = false;
    for (size_t i = 0; i < neighbor->policies->n; i++)
        wants |= neighbor->policies->at[i].covered_by != COVER_NONE;
    rib->covers.era += wants != neighbor->wants_cover;
    rib->covers.wanted += (uint32_t)wants - (uint32_t)neighbor->wants_cover;
    neighbor->wants_cover = wants;
}

int32_t rib_neighbor_add(struct rib *rib, const struct neighbor_policy *policies, size_t n, const uint8_t rank[17])
{
    uint32_t number = 0;
    while (number < rib->neighbors_n && rib->neighbors[number].used)
        number++;
    if (number >= RIB_NEIGHBORS || !are_sound(policies, n))
        return -1;
    if (number == rib->neighbors_room) {
        uint32_t room = rib->neighbors_room ? rib->neighbors_room * 2 : 16;
        struct neighbor *neighbors = realloc(rib->neighbors, room * sizeof *neighbors);
        if (!neighbors)
            return -1;
        rib->neighbors = neighbors;
        rib->neighbors_room = room;
    }
    struct policies *copy = copy_of(policies, n);
    uint32_t owner = copy ? attrs_owner_new(&rib->attrs) : ATTRS_NONE;
    if (owner == ATTRS_NONE) {
        policies_free(copy);
        return -1;
    }
    if (number == rib->neighbors_n)
        rib->neighbors_n++;
    rib->neighbors[number] = (struct neighbor){.policies = copy, .owner = owner, .used = true};
    memcpy(rib->neighbors[number].rank, rank, sizeof rib->neighbors[number].rank);
    want_cover(rib, &rib->neighbors[number]);
    return (int32_t)number;
}

/* Keeps what the neighbor's routes may be advertised by, until rib_work has marked those that differ. */
static void keep_before(struct neighbor *neighbor, struct policies *now)
{
    struct policies *last = neighbor->policies;
    size_t kept = 1;
    for (const struct policies *before = last->before; before; before = before->before)
        kept++;
    if (do_the_same(last, now) || kept > BEFORE_MOST) {
        neighbor->outdated |= kept > BEFORE_MOST;
        now->before = last->before;
        last->before = NULL;
        policies_free(last);
    } else {
        now->before = last;
    }
    neighbor->policies = now;
}

int rib_neighbor_policy(struct rib *rib, uint32_t number, const struct neighbor_policy *policies, size_t n)
{
    struct neighbor *neighbor = neighbor_at(rib, number);
    struct policies *now = neighbor && are_sound(policies, n) ? copy_of(policies, n) : NULL;
    if (!now)
        return -1;
    keep_before(neighbor, now);
    want_cover(rib, neighbor);
    rib->throngs.epoch++;
    return 0;
}

int rib_neighbor_retire(struct rib *rib, uint32_t number)
{
    struct neighbor *neighbor = neighbor_at(rib, number);
    if (!neighbor)
        return -1;
    for (int i = 0; i < 4; i++) {
        rib->state.routes -= neighbor->counts[i];
        neighbor->counts[i] = neighbor->paths[i] = 0;
    }
    neighbor->leaks = neighbor->kept_back = 0;
    if (neighbor->routes == 0) {
        neighbor_end(rib, neighbor);
        return 0;
    }
    neighbor->retired = true;
    rib->throngs.ended++;
    rib->covers.era++;
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

int rib_neighbor_role(struct rib *rib, uint32_t number, enum local_role role)
{
    struct neighbor *neighbor = neighbor_at(rib, number);
    if (!neighbor || role > ROLE_RS_CLIENT)
        return -1;
    neighbor->role = (uint8_t)role;
    return 0;
}

void rib_neighbor_paths(const struct rib *rib, uint32_t number, uint64_t counts[4], uint64_t *leaks)
{
    const struct neighbor *neighbor = neighbor_at(rib, number);
    for (int i = 0; i < 4; i++)
        counts[i] = neighbor ? neighbor->paths[i] : 0;
    *leaks = neighbor ? neighbor->leaks : 0;
}

void rib_set_path_id_key(struct rib *rib, const uint64_t key[2])
{
    memcpy(rib->path_id_key, key, sizeof rib->path_id_key);
}

void rib_set_plain(struct rib *rib, uint64_t ipv4, uint64_t ipv6)
{
    rib->plain[0] = ipv4;
    rib->plain[1] = ipv6;
    rib->throngs.epoch++;
}

void rib_set_turning(struct rib *rib, uint64_t receivers)
{
    rib->turning = receivers;
    rib->throngs.epoch++;
}

void rib_set_extended_next_hop(struct rib *rib, uint64_t receivers)
{
    rib->extended_next_hop = receivers;
    rib->throngs.epoch++;
}

void rib_set_two_octet_as(struct rib *rib, uint64_t receivers)
{
    rib->two_octet_as = receivers;
    rib->throngs.epoch++;
}

void rib_set_kinds(struct rib *rib, uint64_t internal, uint64_t confederation, uint64_t clients)
{
    const uint64_t kinds[KINDS] = {internal, confederation, clients};
    for (int i = 0; i < KINDS; i++) {
        rib->rekinded |= rib->kinds[i] ^ kinds[i];
        rib->kinds[i] = kinds[i];
    }
    rib->throngs.epoch++;
}

void rib_set_only_to_customer(struct rib *rib, uint64_t kept_back, uint64_t unknown,
                              const uint32_t given[RECEIVERS_MOST])
{
    rib->otc.kept_back = kept_back;
    rib->otc.unknown = unknown;
    for (int i = 0; i < RECEIVERS_MOST; i++) {
        if (rib->otc.given[i] != given[i])
            rib->otc.changed |= UINT64_C(1) << i;
        rib->otc.given[i] = given[i];
    }
    rib->throngs.epoch++;
}

uint64_t rib_neighbor_kept_back(const struct rib *rib, uint32_t number)
{
    const struct neighbor *neighbor = neighbor_at(rib, number);
    return neighbor ? neighbor->kept_back : 0;
}

void rib_set_up(struct rib *rib, uint64_t receivers)
{
    rib->up = receivers;
    rib->throngs.epoch++;
}

void rib_forget_receivers(struct rib *rib, uint64_t receivers)
{
    rib->forgotten |= receivers;
    rib->throngs.epoch++;
    walk_begin(&rib->purge, NULL);
    rib->state.work = true;
}

uint64_t rib_forgotten(const struct rib *rib) { return rib->forgotten; }
