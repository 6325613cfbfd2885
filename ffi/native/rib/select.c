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
    struct ranking *ranking;     /* of its routes; NULL: they are looked at one after the other */
};

/* `throng`: of the routes of its prefix, or NULL. */
static struct group group_of(struct rib *rib, uint32_t number, uint32_t chain, struct throng *throng, bool plain)
{
    const struct route *route = route_at(rib, number);
    struct group group = {.receivers = receivers_of(rib, route_family(number), plain),
                          .chain = chain,
                          .path_id = route_path_id(rib, number),
                          .plain = plain,
                          .has_path_id = (route->bits & HAS_PATH_ID) != 0,
                          .outdated = plain ? OUTDATED_PLAIN : OUTDATED,
                          .withdrawn = plain ? WITHDRAWN_PLAIN : WITHDRAWN,
                          .throng = throng};
    if (group.receivers && group.throng && (plain || !group.has_path_id))
        group.ranking = ranking_of(rib, group.throng, plain);
    return group;
}

/* Its routes are found by their path id. */
static bool is_by_path(const struct group *group) { return group->throng && !group->plain && group->has_path_id; }

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

/* The routes of a group that may be advertised: where it has a ranking, no others. */
static uint32_t first_heard(const struct rib *rib, const struct group *group, uint32_t *at)
{
    if (!group->ranking)
        return first_in_group(rib, group, at);
    *at = group->ranking->heard;
    return *at == LIST_END ? NO_ROUTE : group->throng->routes[*at].number;
}

static uint32_t next_heard(const struct rib *rib, const struct group *group, uint32_t number, uint32_t *at)
{
    if (!group->ranking)
        return next_in_group(rib, group, number, at);
    *at = group->ranking->at[*at].heard;
    return *at == LIST_END ? NO_ROUTE : group->throng->routes[*at].number;
}

#define FOR_HEARD(i) \
    for (uint32_t at, i = first_heard(rib, group, &at); i != NO_ROUTE; i = next_heard(rib, group, i, &at))

static void now_advertised(struct rib *rib, const struct group *group, uint32_t number, uint64_t receivers)
{
    route_at(rib, number)->advertised |= receivers;
    if (group->ranking)
        throng_heard(rib, group->throng, group->ranking, number);
}

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

/* Below 0: a is better. Never 0 for two routes. */
static int compare(const struct rib *rib, uint32_t a, uint32_t b)
{
    uint64_t degree_a = route_degree(rib, a), degree_b = route_degree(rib, b);
    return degree_a != degree_b ? (degree_a < degree_b ? -1 : 1) : route_break_tie(rib, a, b);
}

/* The best announced route for one of the group's receivers that are not yet `taken`. */
static uint32_t best_route(struct rib *rib, const struct group *group, uint64_t taken)
{
    uint32_t best = NO_ROUTE;
    if (group->ranking) {
        /* Those of a session that has ended leave it as they are met. */
        while ((best = ranking_best(group->throng, group->ranking, group->receivers & ~taken)) != NO_ROUTE &&
               route_gone(rib, route_at(rib, best)))
            route_rank(rib, best);
        return best;
    }
    FOR_GROUP (i) {
        if (is_announced(rib, i) && (route_receivers(rib, i) & group->receivers & ~taken) &&
            (best == NO_ROUTE || compare(rib, i, best) < 0))
            best = i;
    }
    return best;
}

/* The attribute set that a previous run announced at some of these receivers, which are the ones that are left then; or
 * ATTRS_NONE. */
static uint32_t previous_run_at(const struct rib *rib, const struct group *group, uint64_t *receivers)
{
    FOR_HEARD (i) {
        const struct route *route = route_at(rib, i);
        if (of_previous_run(rib, route) && (route->advertised & *receivers)) {
            *receivers &= route->advertised;
            return route->attrs;
        }
    }
    return ATTRS_NONE;
}

static bool has_previous_run(const struct rib *rib, const struct group *group)
{
    FOR_HEARD (i) {
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
    FOR_HEARD (i) {
        const struct route *other = route_at(rib, i);
        if (i == number || (other->bits & group->outdated) || route_retagged(rib, i) || of_previous_run(rib, other) ||
            !(other->advertised & need) ||
            summary_of(rib, other)->announced_hash != summary_of(rib, heir)->announced_hash ||
            route_variant(rib, i) != route_variant(rib, number))
            continue;
        now_advertised(rib, group, number, other->advertised & need);
        no_longer_advertised(rib, i, need);
        heir->bits &= (uint8_t)~group->outdated;
    }
}

/* The receivers of a ranking at which what a previous run announced is disowned: that is a walk over all its routes,
 * once as long as they stay as they are. */
static uint64_t disowned_at(struct rib *rib, const struct group *group)
{
    struct ranking *ranking = group->ranking;
    if (ranking->disowned_of == rib->throngs.ended + 1)
        return ranking->disowned;
    ranking->disowned = 0;
    FOR_HEARD (i) {
        const struct route *route = route_at(rib, i);
        if (!of_previous_run(rib, route) || route_gone(rib, route))
            continue;
        rib->looked += group->throng->n;
        if (is_disowned(rib, group, route))
            ranking->disowned |= route->advertised & group->receivers;
    }
    ranking->disowned_of = rib->throngs.ended + 1;
    return ranking->disowned;
}

/* The receivers at which a route is to be withdrawn, when the group keeps an announcement at `kept`. */
static uint64_t to_withdraw(struct rib *rib, const struct group *group, uint32_t number, uint64_t kept)
{
    struct route *route = route_at(rib, number);
    uint64_t lost = route->advertised & group->receivers & ~kept;
    if (is_withdrawn(rib, number)) {
        if (!(route->bits & group->withdrawn))
            lost |= route_policy(rib, number)->receivers & group->receivers & ~kept &
                    ~(group->ranking ? group->ranking->withdrawn : 0);
        if (!lost)
            route->bits |= group->withdrawn;
    }
    return lost;
}

/* The receivers at which routes are held. */
static uint64_t held(struct rib *rib, const struct group *group)
{
    uint64_t receivers = 0;
    FOR_HEARD (i) {
        const struct route *route = route_at(rib, i);
        uint64_t here = route->advertised & group->receivers & ~route_turned(rib, route);
        if (!here || route_gone(rib, route) || route_action(rib, i) != ACTION_HOLD)
            continue;
        bool disowned = of_previous_run(rib, route) &&
                        (group->ranking ? (disowned_at(rib, group) & here) != 0 : is_disowned(rib, group, route));
        receivers |= disowned ? 0 : here;
    }
    return receivers;
}

/* The next route of the group that is to be withdrawn somewhere: of a previous run, or not. */
static uint32_t next_withdrawn(struct rib *rib, const struct group *group, uint64_t kept, bool previous_run,
                               uint64_t *lost)
{
    /* Those that demand it first: what they withdraw need not be withdrawn for what was advertised there. */
    for (uint32_t slot; group->ranking && !previous_run && (slot = group->ranking->demanding) != LIST_END;) {
        uint32_t number = group->throng->routes[slot].number;
        if ((*lost = to_withdraw(rib, group, number, kept)))
            return number;
        ranking_tidy(rib, group->throng, group->plain); /* it demands nothing any more */
    }
    FOR_HEARD (i) {
        if (of_previous_run(rib, route_at(rib, i)) == previous_run && (*lost = to_withdraw(rib, group, i, kept)))
            return i;
    }
    return NO_ROUTE;
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
            *out = (struct emission){best, ATTRS_NONE, old, false, group->plain, group->chain};
            return true;
        }
        uint64_t need = (route->bits & group->outdated ? want : want & ~route->advertised) & rib->up;
        if (need && !(route->bits & group->outdated) && route_differs(rib, best) && has_previous_run(rib, group))
            need = route_alike_at(rib, best, need); /* it may be advertised to some of them, each in its words */
        if (need) {
            uint64_t again = route->advertised & need; /* there it has other words; no previous run has it there */
            uint32_t previous_run = previous_run_at(rib, group, &need);
            if (again && previous_run != ATTRS_NONE) {
                /* First: once it is written, the route counts as announced in the words of now wherever it is. */
                need = again;
                previous_run = ATTRS_NONE;
            }
            *out = (struct emission){best, previous_run, need, true, group->plain, group->chain};
            return true;
        }
        kept |= route->advertised & want;
        taken |= want;
    }
    kept |= held(rib, group);
    for (int previous_run = 0; previous_run < 2; previous_run++) {
        uint64_t lost;
        uint32_t number = next_withdrawn(rib, group, kept, previous_run != 0, &lost);
        if (number != NO_ROUTE) {
            *out = (struct emission){number, ATTRS_NONE, lost, false, group->plain, group->chain};
            return true;
        }
    }
    return false;
}

/* The receivers that some route of a prefix is advertised at or may be: where there are none, a group has no turn. */
static uint64_t concerned(const struct rib *rib, uint32_t chain)
{
    uint64_t receivers = 0;
    for (const struct route *route; chain != NO_ROUTE; chain = route->next) {
        route = route_at(rib, chain);
        receivers |= route->advertised | (route_gone(rib, route) ? 0 : route_policy(rib, chain)->receivers);
    }
    return receivers;
}

uint32_t chain_in_turn(struct rib *rib, uint32_t number)
{
    struct prefix prefix = route_prefix(rib, number);
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(&prefix, key);
    size_t family = family_at(prefix.family);
    const uint32_t *first = index_get_near(&rib->prefixes[family], &rib->turn[family], key);
    return first ? *first : NO_ROUTE;
}

bool emission_next(struct rib *rib, uint32_t number, uint32_t chain, struct emission *out)
{
    *out = (struct emission){.number = number};
    bool alone = chain == number && route_at(rib, number)->next == NO_ROUTE;
    if (alone && !route_may_differ(rib, number))
        return false;
    struct throng *throng = throng_of_route(rib, number);
    uint64_t receivers = throng ? ~UINT64_C(0) : concerned(rib, chain);
    for (int plain = 0; plain < 2; plain++) {
        if (!(receivers_of(rib, route_family(number), plain != 0) & receivers))
            continue;
        struct group group = group_of(rib, number, chain, throng, plain != 0);
        if (group_emission(rib, &group, out))
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
    struct throng *throng = throng_of_route(rib, emission->number);
    const struct group found = group_of(rib, emission->number, emission->chain, throng, emission->plain),
                       *group = &found;
    FOR_HEARD (i) {
        no_longer_advertised(rib, i, emission->receivers);
    }
    if (group->ranking)
        group->ranking->withdrawn = emission->announce ? group->ranking->withdrawn & ~emission->receivers
                                                       : group->ranking->withdrawn | emission->receivers;
    if (emission->announce) {
        now_advertised(rib, group, emission->number, emission->receivers);
        route->bits &= (uint8_t) ~(group->outdated | group->withdrawn);
    } else if (route_action(rib, emission->number) == ACTION_WITHDRAW) {
        route->bits |= group->withdrawn;
    }
}
