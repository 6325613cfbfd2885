/* What has to be written of an NLRI: its best route is announced; what is advertised without one is withdrawn.
 *
 * The routes of one NLRI form a group: those of a prefix with the same path id at receivers that take path ids, all of
 * the prefix at plain ones. A router keeps one announcement for a group and receiver.
 */

#include <string.h>

#include "rib/rib_private.h"
#include "rib/throngs.h"

struct group {
    uint64_t receivers; /* those that keep one announcement for it */
    uint32_t chain;     /* the routes of its prefix */
    uint32_t path_id;
    bool plain, has_path_id;
    uint8_t outdated, withdrawn; /* which bits of a route speak of these receivers */
    struct throng *throng;       /* its routes are many; or NULL */
};

static struct group group_of(const struct rib *rib, uint32_t number, uint32_t chain, bool plain)
{
    const struct route *route = route_at(rib, number);
    uint64_t receivers = rib->plain[family_at(route_family(number))];
    struct prefix prefix = route_prefix(rib, number);
    return (struct group){.receivers = (plain ? receivers : ~receivers) & ~rib->forgotten,
                          .chain = chain,
                          .path_id = route_path_id(rib, number),
                          .plain = plain,
                          .has_path_id = (route->bits & HAS_PATH_ID) != 0,
                          .outdated = plain ? OUTDATED_PLAIN : OUTDATED,
                          .withdrawn = plain ? WITHDRAWN_PLAIN : WITHDRAWN,
                          .throng = throng_of(rib, &prefix)};
}

/* Its routes are found by their path id. */
static bool is_by_path(const struct group *group) { return group->throng && !group->plain && group->has_path_id; }

/* What was found of the routes of a throng that are one group; NULL: none of the kind. */
static struct throng_found *found_of(const struct group *group)
{
    return group->throng && !is_by_path(group) ? &group->throng->found[group->plain] : NULL;
}

/* The next route of the group, from `number` on. */
static uint32_t next_in_chain(const struct rib *rib, const struct group *group, uint32_t number)
{
    while (number != NO_ROUTE && !group->plain) {
        const struct route *route = route_at(rib, number);
        if (((route->bits & HAS_PATH_ID) != 0) == group->has_path_id && route_path_id(rib, number) == group->path_id)
            break;
        number = route->next;
    }
    return number;
}

static uint32_t first_in_group(const struct rib *rib, const struct group *group, uint32_t *at)
{
    *at = NO_ROUTE;
    if (!is_by_path(group))
        return next_in_chain(rib, group, group->chain);
    return throng_path(rib, group->throng, group->path_id, at);
}

static uint32_t next_in_group(const struct rib *rib, const struct group *group, uint32_t number, uint32_t *at)
{
    if (!is_by_path(group))
        return next_in_chain(rib, group, route_at(rib, number)->next);
    return throng_path(rib, group->throng, group->path_id, at);
}

#define FOR_GROUP(i) \
    for (uint32_t at, i = first_in_group(rib, group, &at); i != NO_ROUTE; i = next_in_group(rib, group, i, &at))

/* A route is advertised somewhere no longer. If it was kept for that alone, its turn in the outbox is its end. */
static void no_longer_advertised(struct rib *rib, uint32_t number, uint64_t receivers)
{
    struct route *route = route_at(rib, number);
    bool before = route->advertised != 0;
    route->advertised &= ~receivers;
    if (before && !route->advertised && (route->bits & GONE))
        outbox_consider(rib, number);
}

static bool is_announced(const struct rib *rib, uint32_t number)
{
    return !route_gone(rib, route_at(rib, number)) && route_action(rib, number) == ACTION_ANNOUNCE;
}

static bool is_withdrawn(const struct rib *rib, uint32_t number)
{
    return !route_gone(rib, route_at(rib, number)) && route_action(rib, number) == ACTION_WITHDRAW;
}

static bool of_previous_run(const struct rib *rib, const struct route *route)
{
    return neighbor_of(rib, route)->previous_run;
}

static uint32_t preference(const struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    uint32_t given = route_policy(rib, number)->local_preference[policy_case(route)];
    return given != UINT32_MAX ? given : summary_of(rib, route)->local_preference;
}

/* How far a route is from one that anybody would take: what is invalid never displaces what is not, and an aggregate of
 * which nobody knows whose it is (RFC 9774) no path without a set. */
static int doubt(const struct rib *rib, const struct route *route)
{
    bool invalid = (route->bits & VALIDITY_BITS) == VALIDITY_INVALID;
    return 2 * invalid + ((summary_of(rib, route)->traits & TRAIT_AS_SET) != 0);
}

/* RFC 4271 section 9.1, as far as the summaries go; below 0: a is better. Never 0 for two routes. */
static int compare(const struct rib *rib, uint32_t a_number, uint32_t b_number)
{
    const struct route *a = route_at(rib, a_number), *b = route_at(rib, b_number);
    const struct attrs_summary *of_a = summary_of(rib, a), *of_b = summary_of(rib, b);
    uint32_t preference_a = preference(rib, a_number), preference_b = preference(rib, b_number);
    int doubts = doubt(rib, a) - doubt(rib, b);
    if (doubts)
        return doubts;
    if (preference_a != preference_b)
        return preference_a > preference_b ? -1 : 1;
    if (of_a->path_length != of_b->path_length)
        return of_a->path_length < of_b->path_length ? -1 : 1;
    if (of_a->origin_code != of_b->origin_code)
        return of_a->origin_code < of_b->origin_code ? -1 : 1;
    int order = memcmp(neighbor_of(rib, a)->rank, neighbor_of(rib, b)->rank, sizeof neighbor_of(rib, a)->rank);
    if (order)
        return order;
    if (a->path_id != b->path_id)
        return a->path_id < b->path_id ? -1 : 1;
    return a_number < b_number ? -1 : a_number > b_number;
}

/* The best announced route for one of the group's receivers that are not yet `taken`. */
static uint32_t best_route(const struct rib *rib, const struct group *group, uint64_t taken)
{
    uint32_t best = NO_ROUTE;
    FOR_GROUP (i) {
        if (is_announced(rib, i) && (route_receivers(rib, i) & group->receivers & ~taken) &&
            (best == NO_ROUTE || compare(rib, i, best) < 0))
            best = i;
    }
    return best;
}

/* The attribute set that a previous run announced at all of these receivers, or ATTRS_NONE. */
static uint32_t previous_run_at(const struct rib *rib, const struct group *group, uint64_t receivers)
{
    FOR_GROUP (i) {
        const struct route *route = route_at(rib, i);
        if (of_previous_run(rib, route) && (route->advertised & receivers) == receivers)
            return route->attrs;
    }
    return ATTRS_NONE;
}

static bool has_previous_run(const struct rib *rib, const struct group *group)
{
    FOR_GROUP (i) {
        if (of_previous_run(rib, route_at(rib, i)))
            return true;
    }
    return false;
}

/* Whether a previous run's route is here again, and is neither announced nor held now. */
static bool is_disowned(const struct rib *rib, const struct group *group, const struct route *previous)
{
    FOR_GROUP (i) {
        const struct route *route = route_at(rib, i);
        enum action action = route_action(rib, i);
        if (!of_previous_run(rib, route) && !route_gone(rib, route) &&
            (action == ACTION_WITHDRAW || action == ACTION_OBSERVE) &&
            summary_of(rib, route)->identity == summary_of(rib, previous)->identity)
            return true;
    }
    return false;
}

/* An announcement of another route of the group in the same words is this route's now: nothing is written. */
static void inherit(struct rib *rib, const struct group *group, uint32_t number, uint64_t need)
{
    struct route *heir = route_at(rib, number);
    if (heir->bits & group->outdated && heir->advertised & group->receivers)
        return;
    FOR_GROUP (i) {
        const struct route *other = route_at(rib, i);
        if (i == number || (other->bits & group->outdated) || route_retagged(rib, i) || of_previous_run(rib, other) ||
            !(other->advertised & need) ||
            summary_of(rib, other)->announced_hash != summary_of(rib, heir)->announced_hash ||
            route_variant(rib, i) != route_variant(rib, number))
            continue;
        heir->advertised |= other->advertised & need;
        no_longer_advertised(rib, i, need);
        heir->bits &= (uint8_t)~group->outdated;
    }
}

/* The receivers at which a route is to be withdrawn, when the group keeps an announcement at `kept`. */
static uint64_t to_withdraw(struct rib *rib, const struct group *group, uint32_t number, uint64_t kept)
{
    struct route *route = route_at(rib, number);
    uint64_t lost = route->advertised & group->receivers & ~kept;
    if (is_withdrawn(rib, number)) {
        if (!(route->bits & group->withdrawn))
            lost |= route_policy(rib, number)->receivers & group->receivers & ~kept;
        if (!lost)
            route->bits |= group->withdrawn;
    }
    return lost;
}

/* The receivers at which routes are held. */
static uint64_t held(const struct rib *rib, const struct group *group)
{
    uint64_t receivers = 0;
    FOR_GROUP (i) {
        const struct route *route = route_at(rib, i);
        if (!route_gone(rib, route) && route_action(rib, i) == ACTION_HOLD &&
            !(of_previous_run(rib, route) && is_disowned(rib, group, route)))
            receivers |= route->advertised & group->receivers;
    }
    return receivers;
}

static bool group_emission(struct rib *rib, const struct group *group, struct emission *out)
{
    uint64_t taken = 0, kept = 0; /* the receivers that have a best route; those at which what is advertised stays */
    /* Each turn takes a receiver at least: so many turns there are at most, however many routes the group has. */
    for (uint32_t best; (best = best_route(rib, group, taken)) != NO_ROUTE;) {
        struct route *route = route_at(rib, best);
        uint64_t want = route_receivers(rib, best) & group->receivers & ~taken;
        if (want & ~route->advertised)
            inherit(rib, group, best, want & ~route->advertised);
        uint64_t old = route->bits & group->outdated ? route->advertised & group->receivers & ~rib->up : 0;
        if (old) {
            *out = (struct emission){best, ATTRS_NONE, old, false, group->plain};
            return true;
        }
        uint64_t need = (route->bits & group->outdated ? want : want & ~route->advertised) & rib->up;
        if (need && !(route->bits & group->outdated) && route_differs(rib, best) && has_previous_run(rib, group))
            need = route_alike_at(rib, best, need); /* it may be advertised to some of them, each in its words */
        if (need) {
            *out = (struct emission){best, previous_run_at(rib, group, need), need, true, group->plain};
            return true;
        }
        kept |= route->advertised & want;
        taken |= want;
    }
    kept |= held(rib, group);
    for (int previous_run = 0; previous_run < 2; previous_run++) {
        FOR_GROUP (i) {
            uint64_t lost =
                of_previous_run(rib, route_at(rib, i)) == previous_run ? to_withdraw(rib, group, i, kept) : 0;
            if (lost) {
                *out = (struct emission){i, ATTRS_NONE, lost, false, group->plain};
                return true;
            }
        }
    }
    return false;
}

/* The same, if nothing of the throng has changed since it was found. */
static bool known_emission(struct rib *rib, const struct group *group, struct emission *out)
{
    struct throng_found *found = found_of(group);
    if (found && found->epoch == rib->throngs.epoch) {
        *out = found->emission;
        return found->any;
    }
    bool any = group_emission(rib, group, out);
    if (found) {
        *found = (struct throng_found){rib->throngs.epoch, any, *out};
        rib->looked += group->throng->n;
    }
    return any;
}

bool emission_next(struct rib *rib, uint32_t number, struct emission *out)
{
    *out = (struct emission){.number = number};
    uint32_t chain = chain_of_route(rib, number);
    for (int plain = 0; plain < 2; plain++) {
        struct group group = group_of(rib, number, chain, plain != 0);
        if (group.receivers && known_emission(rib, &group, out))
            return true;
    }
    /* Nothing of the route is left to write, so what its bits say of receivers that it does not have is settled, too.
     */
    struct route *route = route_at(rib, number);
    if (is_announced(rib, number))
        route->bits &= (uint8_t)~OUTDATED_BOTH;
    else if (route_action(rib, number) == ACTION_WITHDRAW)
        route->bits |= WITHDRAWN_BOTH;
    return false;
}

void emission_apply(struct rib *rib, const struct emission *emission)
{
    struct route *route = route_at(rib, emission->number);
    uint32_t chain = chain_of_route(rib, emission->number);
    const struct group found = group_of(rib, emission->number, chain, emission->plain), *group = &found;
    struct throng_found *known = found_of(group);
    if (known) {
        known->epoch = 0;
        rib->looked += group->throng->n;
    }
    FOR_GROUP (i) {
        no_longer_advertised(rib, i, emission->receivers);
    }
    if (emission->announce) {
        route->advertised |= emission->receivers;
        route->bits &= (uint8_t) ~(group->outdated | group->withdrawn);
    } else if (route_action(rib, emission->number) == ACTION_WITHDRAW) {
        route->bits |= group->withdrawn;
    }
}
