/* What the policy says of a route, and the rules of BGP that no policy may break. */

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "rib/rib_private.h"

void policies_free(struct policies *policies)
{
    while (policies) {
        struct policies *before = policies->before;
        for (size_t i = 0; i < policies->n; i++)
            demands_release(policies->at[i].demands);
        free(policies);
        policies = before;
    }
}

void neighbor_end(struct rib *rib, struct neighbor *neighbor)
{
    attrs_owner_end(&rib->attrs, neighbor->owner);
    policies_free(neighbor->policies);
    neighbor->policies = NULL;
    neighbor->used = false;
    rib->covers.wanted -= neighbor->wants_cover;
    neighbor->wants_cover = false;
}

const struct neighbor_policy *policy_for(const struct rib *rib, uint32_t number, const struct policies *policies)
{
    const struct route *route = route_at(rib, number);
    size_t family = family_at(route_family(number)), i = 0;
    for (; i + 1 < policies->n; i++) {
        const struct neighbor_policy *policy = &policies->at[i];
        if (route->len >= policy->shortest[family] && route->len <= policy->longest[family] &&
            (!policy->covered_by || policy->covered_by == route->cover) &&
            (!policy->conditions || (policy->conditions & summary_of(rib, route)->conditions)) &&
            (!policy->demands ||
             demands_met(policy->demands, route_family(number), route->addr, route->len, summary_of(rib, route))))
            break;
    }
    return &policies->at[i];
}

/* The more severe of two; ACTION_BY_VALIDITY: the other one. */
static enum action severer(enum action action, uint8_t other)
{
    static const uint8_t severity[] = {
        [ACTION_OBSERVE] = 0, [ACTION_ANNOUNCE] = 1, [ACTION_HOLD] = 2, [ACTION_WITHDRAW] = 3};
    return other != ACTION_BY_VALIDITY && severity[other] > severity[action] ? (enum action)other : action;
}

static enum action action_by(const struct rib *rib, uint32_t number, const struct neighbor_policy *policy)
{
    const struct route *route = route_at(rib, number);
    const struct attrs_summary *summary = summary_of(rib, route);
    bool as_set = (summary->traits & TRAIT_AS_SET) && policy->as_set != ACTION_BY_VALIDITY;
    enum action action = as_set ? policy->as_set : policy->action[route->bits & VALIDITY_BITS];
    if (route->path == PATH_INVALID)
        action = severer(action, policy->path_invalid);
    if (route->leak)
        action = severer(action, policy->leak);
    bool excluded =
        (summary->traits & TRAIT_LOOP) || (policy->enforce_first_as && (summary->traits & TRAIT_OTHER_FIRST_AS));
    if (action == ACTION_ANNOUNCE && (excluded || summary->fitness == UNFIT))
        return ACTION_OBSERVE;
    return action == ACTION_HOLD && excluded ? ACTION_OBSERVE : action;
}

enum action route_action(const struct rib *rib, uint32_t number)
{
    return action_by(rib, number, route_policy(rib, number));
}

static bool has_otc(const struct neighbor_policy *policy, const struct attrs_summary *summary)
{
    return policy->otc == OTC_ADDED || (summary->traits & TRAIT_OTC);
}

/* The receivers that Only to Customer closes. */
static uint64_t closed_by_otc(const struct rib *rib, const struct neighbor_policy *policy,
                              const struct attrs_summary *summary)
{
    if (policy->otc == OTC_AS_LEARNED)
        return 0;
    return has_otc(policy, summary) ? rib->otc.kept_back : rib->otc.unknown;
}

uint64_t route_kept_back(const struct rib *rib, uint32_t number)
{
    const struct neighbor_policy *policy = route_policy(rib, number);
    if (policy->otc == OTC_AS_LEARNED || action_by(rib, number, policy) != ACTION_ANNOUNCE)
        return 0;
    return policy->receivers & closed_by_otc(rib, policy, summary_of(rib, route_at(rib, number)));
}

uint64_t route_receivers(const struct rib *rib, uint32_t number)
{
    const struct attrs_summary *summary = summary_of(rib, route_at(rib, number));
    const struct neighbor_policy *policy = route_policy(rib, number);
    uint64_t receivers = policy->receivers & ~closed_by_otc(rib, policy, summary);
    if (summary->fitness == FIT_EXTENDED_NEXT_HOP)
        receivers &= rib->extended_next_hop;
    if (summary->traits & TRAIT_WIDE_AS)
        receivers &= ~rib->two_octet_as;
    if (summary->traits & TRAIT_NO_ADVERTISE)
        receivers = 0;
    if (summary->traits & TRAIT_NO_EXPORT) /* RFC 1997: a confederation counts as one AS here */
        receivers &= rib->kinds[KIND_INTERNAL] | rib->kinds[KIND_CONFEDERATION];
    if (summary->traits & TRAIT_NO_EXPORT_SUBCONFED)
        receivers &= rib->kinds[KIND_INTERNAL];
    return receivers;
}

/* Those of the receivers that are of one kind. */
static uint64_t of_one_kind(const struct rib *rib, uint64_t receivers)
{
    uint64_t external = ~UINT64_C(0);
    for (int i = 0; i < KINDS; i++) {
        if (receivers & rib->kinds[i])
            return receivers & rib->kinds[i];
        external &= ~rib->kinds[i];
    }
    return receivers & external;
}

/* Those of the receivers that get the Only to Customer of one AS, or none. */
static uint64_t of_one_otc(const struct rib *rib, uint64_t receivers)
{
    uint64_t alike = 0;
    for (int i = 0, first = -1; i < RECEIVERS_MOST; i++) {
        if (!(receivers >> i & 1))
            continue;
        first = first < 0 ? i : first;
        if (rib->otc.given[i] == rib->otc.given[first])
            alike |= UINT64_C(1) << i;
    }
    return alike;
}

uint8_t route_differs(const struct rib *rib, uint32_t number)
{
    const struct attrs_summary *summary = summary_of(rib, route_at(rib, number));
    const struct neighbor_policy *policy = route_policy(rib, number);
    bool by_kind =
        (summary->traits & TRAIT_BY_KIND) || (policy->by_kind >> policy_case(rib, route_at(rib, number), policy) & 1);
    bool by_otc = policy->otc == OTC_CHECKED && !has_otc(policy, summary);
    return (uint8_t)((by_kind ? DIFFERS_BY_KIND : 0) | (by_otc ? DIFFERS_BY_OTC : 0));
}

uint64_t route_alike_at(const struct rib *rib, uint32_t number, uint64_t receivers)
{
    uint8_t differs = route_differs(rib, number);
    if (differs & DIFFERS_BY_KIND)
        receivers = of_one_kind(rib, receivers);
    return differs & DIFFERS_BY_OTC ? of_one_otc(rib, receivers) : receivers;
}

static uint16_t variant_by(const struct rib *rib, uint32_t number, const struct policies *policies)
{
    const struct neighbor_policy *policy = policy_among(rib, number, policies);
    return policy->variant[policy_case(rib, route_at(rib, number), policy)];
}

uint16_t route_variant(const struct rib *rib, uint32_t number)
{
    return variant_by(rib, number, neighbor_of(rib, route_at(rib, number))->policies);
}

bool route_retagged(const struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    const struct attrs *set = &rib->attrs.sets[route->attrs];
    const struct neighbor *neighbor = neighbor_of(rib, route);
    if (set->retagged || neighbor->outdated)
        return true;
    uint64_t of_otc = route->advertised & rib->otc.changed, of_kind = route->advertised & rib->rekinded;
    uint8_t differs = of_otc || of_kind ? route_differs(rib, number) : 0;
    if ((of_otc && (differs & DIFFERS_BY_OTC)) || (of_kind && (differs & DIFFERS_BY_KIND)))
        return true;
    uint16_t now = route_variant(rib, number);
    for (const struct policies *before = neighbor->policies->before; before; before = before->before)
        if (variant_by(rib, number, before) != now)
            return true;
    return false;
}

uint32_t route_path_id(const struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    const struct neighbor *neighbor = neighbor_of(rib, route);
    if (!(route->bits & HAS_PATH_ID) || neighbor->previous_run)
        return route->path_id;
    uint8_t path[sizeof neighbor->rank + sizeof route->path_id];
    memcpy(path, neighbor->rank, sizeof neighbor->rank);
    memcpy(path + sizeof neighbor->rank, &route->path_id, sizeof route->path_id);
    uint32_t id = (uint32_t)siphash(rib->path_id_key, path, sizeof path);
    return id ? id : 1; /* 0 is what a route without one has on the wire */
}

/* How far a route is from one that anybody would take: what is invalid never displaces what is not, and an aggregate of
 * which nobody knows whose it is (RFC 9774) no path without a set. */
static unsigned doubt(const struct rib *rib, const struct route *route)
{
    bool invalid = (route->bits & VALIDITY_BITS) == VALIDITY_INVALID;
    return 2 * invalid + ((summary_of(rib, route)->traits & TRAIT_AS_SET) != 0);
}

uint64_t route_degree(const struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    const struct attrs_summary *summary = summary_of(rib, route);
    const struct neighbor_policy *policy = route_policy(rib, number);
    uint32_t given = policy->local_preference[policy_case(rib, route, policy)];
    uint32_t preference = given != UINT32_MAX ? given : summary->local_preference;
    return (uint64_t)doubt(rib, route) << 56 | (uint64_t)(UINT32_MAX - preference) << 24 |
           (uint64_t)summary->path_length << 8 | summary->origin_code;
}

int route_break_tie(const struct rib *rib, uint32_t a_number, uint32_t b_number)
{
    const struct route *a = route_at(rib, a_number), *b = route_at(rib, b_number);
    int order = memcmp(neighbor_of(rib, a)->rank, neighbor_of(rib, b)->rank, sizeof neighbor_of(rib, a)->rank);
    if (order)
        return order;
    if (a->path_id != b->path_id)
        return a->path_id < b->path_id ? -1 : 1;
    return a_number < b_number ? -1 : a_number > b_number;
}
