/* What was last written for a place and what the decisions demand now in, what to write next for it out.
 *
 * A place is what ExaBGP keeps one announcement for: a prefix, where receivers take path ids a prefix with its path id.
 */

#include <string.h>

#include "rib/rib_private.h"

static bool announced(const struct routes *routes, const struct route *route)
{
    return !route_gone(routes, route) && route_action(routes, route) == ACTION_ANNOUNCE;
}

struct place {
    uint64_t receivers; /* where it is one */
    uint32_t chain;     /* the routes of its prefix */
    uint32_t path_id;
    bool plain, has_path_id;
    uint8_t stale, told; /* which bits of a route speak of these receivers */
};

static struct place place_of(const struct routes *routes, uint32_t number, uint32_t chain, bool plain)
{
    const struct route *route = route_at(routes, number);
    size_t family = number & IPV6_BIT ? 1 : 0;
    return (struct place){.receivers = plain ? routes->plain[family] : ~routes->plain[family],
                          .chain = chain,
                          .path_id = route->path_id,
                          .plain = plain,
                          .has_path_id = (route->bits & HAS_PATH_ID) != 0,
                          .stale = plain ? STALE_PLAIN : STALE,
                          .told = plain ? TOLD_PLAIN : TOLD};
}

/* The next route of the place, from `number` on. */
static uint32_t in_place(const struct routes *routes, const struct place *place, uint32_t number)
{
    while (number != NO_ROUTE && !place->plain) {
        const struct route *route = route_at(routes, number);
        if (((route->bits & HAS_PATH_ID) != 0) == place->has_path_id && route->path_id == place->path_id)
            break;
        number = route->next;
    }
    return number;
}

#define FOR_PLACE(i)                                                        \
    for (uint32_t i = in_place(routes, place, place->chain); i != NO_ROUTE; \
         i = in_place(routes, place, route_at(routes, i)->next))

/* RFC 4271 section 9.1, as far as ExaBGP's JSON carries it; below 0: a is better. Never 0 for two routes. */
static int compare(const struct routes *routes, uint32_t a_number, uint32_t b_number)
{
    const struct route *a = route_at(routes, a_number), *b = route_at(routes, b_number);
    const struct attrs_summary *fa = &routes->attrs.sets[a->attrs].summary, *fb = &routes->attrs.sets[b->attrs].summary;
    uint32_t pa = neighbor_of(routes, a)->policy.local_preference[a->bits & VALIDITY_BITS];
    uint32_t pb = neighbor_of(routes, b)->policy.local_preference[b->bits & VALIDITY_BITS];
    if (pa == UINT32_MAX)
        pa = fa->local_preference;
    if (pb == UINT32_MAX)
        pb = fb->local_preference;
    if (pa != pb)
        return pa > pb ? -1 : 1;
    if (fa->path_length != fb->path_length)
        return fa->path_length < fb->path_length ? -1 : 1;
    if (fa->origin_code != fb->origin_code)
        return fa->origin_code < fb->origin_code ? -1 : 1;
    int order = memcmp(neighbor_of(routes, a)->rank, neighbor_of(routes, b)->rank, sizeof neighbor_of(routes, a)->rank);
    if (order)
        return order;
    if (a->path_id != b->path_id)
        return a->path_id < b->path_id ? -1 : 1;
    return a_number < b_number ? -1 : a_number > b_number;
}

/* The best announced route for one of the place's receivers that are not taken. */
static uint32_t best_beside(const struct routes *routes, const struct place *place, uint64_t taken)
{
    uint32_t best = NO_ROUTE;
    FOR_PLACE(i)
    {
        const struct route *route = route_at(routes, i);
        if (announced(routes, route) && (route_receivers(routes, route) & place->receivers & ~taken) &&
            (best == NO_ROUTE || compare(routes, i, best) < 0))
            best = i;
    }
    return best;
}

static bool is_previous_run(const struct routes *routes, const struct route *route)
{
    return neighbor_of(routes, route)->previous_run;
}

/* What stands from an earlier run at all of these receivers. */
static uint32_t previous_run_at(const struct routes *routes, const struct place *place, uint64_t receivers)
{
    FOR_PLACE(i)
    {
        const struct route *route = route_at(routes, i);
        if (is_previous_run(routes, route) && (route->advertised & receivers) == receivers)
            return route->attrs;
    }
    return ATTRS_NONE;
}

/* Whether a route is what `previous_run` was, and is not announced now. */
static bool disowned(const struct routes *routes, const struct place *place, const struct route *previous_run)
{
    uint64_t identity = routes->attrs.sets[previous_run->attrs].summary.identity;
    FOR_PLACE(i)
    {
        const struct route *route = route_at(routes, i);
        enum action action = route_action(routes, route);
        if (!is_previous_run(routes, route) && !route_gone(routes, route) &&
            (action == ACTION_WITHDRAW || action == ACTION_OBSERVE) &&
            routes->attrs.sets[route->attrs].summary.identity == identity)
            return true;
    }
    return false;
}

/* An announcement that stands for another route of the place in the same words is this route's now: nothing is
 * written. */
static void inherit(struct routes *routes, const struct place *place, uint32_t number, uint64_t need)
{
    struct route *heir = route_at(routes, number);
    if (heir->bits & place->stale && heir->advertised & place->receivers)
        return;
    FOR_PLACE(i)
    {
        struct route *other = route_at(routes, i);
        if (i == number || (other->bits & place->stale) || route_retagged(routes, other) ||
            is_previous_run(routes, other) || !(other->advertised & need) ||
            routes->attrs.sets[other->attrs].summary.announced_hash !=
                routes->attrs.sets[heir->attrs].summary.announced_hash ||
            route_variant(routes, other) != route_variant(routes, heir))
            continue;
        heir->advertised |= other->advertised & need;
        other->advertised &= ~need;
        heir->bits &= (uint8_t)~place->stale;
    }
}

/* What is to be withdrawn of a route, when `kept` is what stays of the place. */
static uint64_t lost_of(struct routes *routes, const struct place *place, uint32_t number, uint64_t kept)
{
    struct route *route = route_at(routes, number);
    uint64_t lost = route->advertised & place->receivers & ~kept;
    if (!route_gone(routes, route) && route_action(routes, route) == ACTION_WITHDRAW) {
        if (!(route->bits & place->told))
            lost |= neighbor_of(routes, route)->policy.receivers & place->receivers & ~kept;
        if (!lost)
            route->bits |= place->told;
    }
    return lost;
}

static bool place_emission(struct routes *routes, const struct place *place, struct emission *out)
{
    uint64_t taken = 0, kept = 0; /* whose place it is; what stays of what stands */
    /* Each turn takes a receiver at least: so many turns there are at most, however many routes the place has. */
    for (uint32_t best; (best = best_beside(routes, place, taken)) != NO_ROUTE;) {
        struct route *route = route_at(routes, best);
        uint64_t want = route_receivers(routes, route) & place->receivers & ~taken;
        if (want & ~route->advertised)
            inherit(routes, place, best, want & ~route->advertised);
        uint64_t old = route->bits & place->stale ? route->advertised & place->receivers & ~routes->up : 0;
        if (old) {
            *out = (struct emission){best, ATTRS_NONE, old, false, place->plain};
            return true;
        }
        uint64_t need = (route->bits & place->stale ? want : want & ~route->advertised) & routes->up;
        if (need) {
            *out = (struct emission){best, previous_run_at(routes, place, need), need, true, place->plain};
            return true;
        }
        kept |= route->advertised & want;
        taken |= want;
    }
    FOR_PLACE(i)
    {
        const struct route *route = route_at(routes, i);
        if (!route_gone(routes, route) && route_action(routes, route) == ACTION_HOLD &&
            !(is_previous_run(routes, route) && disowned(routes, place, route)))
            kept |= route->advertised & place->receivers;
    }
    for (int previous_run = 0; previous_run < 2; previous_run++) {
        FOR_PLACE(i)
        {
            uint64_t lost =
                is_previous_run(routes, route_at(routes, i)) == previous_run ? lost_of(routes, place, i, kept) : 0;
            if (lost) {
                *out = (struct emission){i, ATTRS_NONE, lost, false, place->plain};
                return true;
            }
        }
    }
    return false;
}

bool emission_next(struct routes *routes, uint32_t number, struct emission *out)
{
    uint32_t chain = prefix_chain(routes, number);
    for (int plain = 0; plain < 2; plain++) {
        struct place place = place_of(routes, number, chain, plain != 0);
        if (place.receivers && place_emission(routes, &place, out))
            return true;
    }
    /* Nothing of the route is left to write, so what its bits say of places that it doesn't have is settled too. */
    struct route *route = route_at(routes, number);
    if (announced(routes, route))
        route->bits &= (uint8_t)~STALE_BOTH;
    else if (route_action(routes, route) == ACTION_WITHDRAW)
        route->bits |= TOLD_BOTH;
    return false;
}

void emission_apply(struct routes *routes, const struct emission *emission)
{
    struct route *route = route_at(routes, emission->number);
    struct place at = place_of(routes, emission->number, prefix_chain(routes, emission->number), emission->plain);
    const struct place *place = &at;
    FOR_PLACE(i)
    route_at(routes, i)->advertised &= ~emission->receivers;
    if (emission->announce) {
        route->advertised |= emission->receivers;
        route->bits &= (uint8_t) ~(place->stale | place->told);
    } else if (route_action(routes, route) == ACTION_WITHDRAW) {
        route->bits |= place->told;
    }
}
