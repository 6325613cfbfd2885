/* What was last written for a place and what the decisions demand now in, the next command out. */

#include <string.h>

#include "routes_table.h"
#include "siphash.h"

static const struct neighbor *neighbor_of(const struct routes *routes, const struct route *route)
{
    return &routes->neighbors[route->neighbor];
}

enum action route_action(const struct routes *routes, const struct route *route)
{
    enum action action = neighbor_of(routes, route)->policy.action[route->bits & VALIDITY_BITS];
    if (action == ACTION_ANNOUNCE && routes->attrs.sets[route->attrs].facts.fitness == UNFIT)
        return ACTION_OBSERVE;
    return action;
}

/* Where the route is to be announced, as far as it can be. */
static uint64_t targets_of(const struct routes *routes, const struct route *route)
{
    uint64_t targets = neighbor_of(routes, route)->policy.targets;
    if (routes->attrs.sets[route->attrs].facts.fitness == FIT_EXTENDED_NEXT_HOP)
        targets &= routes->extended_next_hop;
    return targets;
}

uint16_t route_manner(const struct routes *routes, const struct route *route)
{
    return neighbor_of(routes, route)->policy.manner[route->bits & VALIDITY_BITS];
}

/* A route of a withdrawn session counts as gone at once, before its record is. */
bool route_gone(const struct routes *routes, const struct route *route)
{
    return (route->bits & GONE) || neighbor_of(routes, route)->retired;
}

static bool announced(const struct routes *routes, const struct route *route)
{
    return !route_gone(routes, route) && route_action(routes, route) == ACTION_ANNOUNCE;
}

void outbox_consider(struct routes *routes, uint32_t number)
{
    struct route *route = route_at(routes, number);
    if (route->waiting != NOT_WAITING)
        return;
    bool wanted;
    if (route_gone(routes, route)) {
        wanted = true;
    } else {
        switch (route_action(routes, route)) {
        case ACTION_ANNOUNCE:
            wanted = (route->bits & STALE_BOTH) || route->standing != targets_of(routes, route);
            break;
        case ACTION_WITHDRAW:
            wanted = (route->bits & TOLD_BOTH) != TOLD_BOTH || route->standing;
            break;
        case ACTION_OBSERVE:
            wanted = route->standing != 0;
            break;
        default:
            wanted = false;
        }
    }
    if (!wanted)
        return;
    route->waiting = NO_ROUTE;
    if (routes->outbox_first == NO_ROUTE)
        routes->outbox_first = number;
    else
        route_at(routes, routes->outbox_last)->waiting = number;
    routes->outbox_last = number;
    routes->outbox_n++;
}

static void outbox_drop_first(struct routes *routes)
{
    struct route *route = route_at(routes, routes->outbox_first);
    routes->outbox_first = route->waiting;
    if (routes->outbox_first == NO_ROUTE)
        routes->outbox_last = NO_ROUTE;
    route->waiting = NOT_WAITING;
    routes->outbox_n--;
}

/* The first route was written in this round: it waits for the next one, still of the outbox. */
static void park_first(struct routes *routes)
{
    uint32_t number = routes->outbox_first;
    outbox_drop_first(routes);
    routes->outbox_n++;
    route_at(routes, number)->waiting = NO_ROUTE;
    if (routes->parked_first == NO_ROUTE)
        routes->parked_first = number;
    else
        route_at(routes, routes->parked_last)->waiting = number;
    routes->parked_last = number;
    routes->parked_n++;
}

void routes_round(struct routes *routes)
{
    routes->rounds = true;
    round_clear(&routes->round);
    if (routes->parked_first == NO_ROUTE)
        return;
    route_at(routes, routes->parked_last)->waiting = routes->outbox_first;
    if (routes->outbox_first == NO_ROUTE)
        routes->outbox_last = routes->parked_last;
    routes->outbox_first = routes->parked_first;
    routes->parked_first = routes->parked_last = NO_ROUTE;
    routes->parked_n = 0;
}

uint64_t routes_parked(const struct routes *routes) { return routes->parked_n; }
bool routes_round_full(const struct routes *routes) { return routes->round.n >= ROUND_MOST; }

/* ---- one place ---------------------------------------------------------------------------------------------- */

struct place {
    uint64_t targets; /* where it is one */
    uint32_t chain;   /* the routes of its prefix */
    uint32_t path_id;
    bool plain, has_path_id;
    uint8_t stale, told; /* which bits of a route speak of these targets */
};

static struct place place_of(const struct routes *routes, uint32_t number, bool plain)
{
    const struct route *route = route_at(routes, number);
    size_t family = number & IPV6_BIT ? 1 : 0;
    uint8_t key[INDEX_KEY_MOST];
    route_key(routes, number, key);
    const uint32_t *first = index_get(&routes->prefixes[family], key);
    return (struct place){.targets = plain ? routes->plain[family] : ~routes->plain[family],
                          .chain = first ? *first : NO_ROUTE,
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

#define FOR_PLACE(i)                                                                                                   \
    for (uint32_t i = in_place(routes, place, place->chain); i != NO_ROUTE;                                            \
         i = in_place(routes, place, route_at(routes, i)->next))

/* RFC 4271 section 9.1, as far as ExaBGP's JSON carries it; below 0: a is better. Never 0 for two routes. */
static int compare(const struct routes *routes, uint32_t a_number, uint32_t b_number)
{
    const struct route *a = route_at(routes, a_number), *b = route_at(routes, b_number);
    const struct attrs_facts *fa = &routes->attrs.sets[a->attrs].facts, *fb = &routes->attrs.sets[b->attrs].facts;
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

/* The best announced route of the place that is worse than `after`. */
static uint32_t next_best(const struct routes *routes, const struct place *place, uint32_t after)
{
    uint32_t best = NO_ROUTE;
    FOR_PLACE(i) {
        if (!announced(routes, route_at(routes, i)) || (after != NO_ROUTE && compare(routes, i, after) <= 0))
            continue;
        if (best == NO_ROUTE || compare(routes, i, best) < 0)
            best = i;
    }
    return best;
}

struct emission {
    uint32_t number;
    uint32_t former; /* attributes that stand there from an earlier run */
    uint64_t targets;
    bool announce, plain;
};

static bool is_former(const struct routes *routes, const struct route *route)
{
    return neighbor_of(routes, route)->former;
}

/* What stands from an earlier run at all of these targets. */
static uint32_t former_at(const struct routes *routes, const struct place *place, uint64_t targets)
{
    FOR_PLACE(i) {
        const struct route *route = route_at(routes, i);
        if (is_former(routes, route) && (route->standing & targets) == targets)
            return route->attrs;
    }
    return ATTRS_NONE;
}

/* Whether a route is what `former` was, and is not announced now. */
static bool disowned(const struct routes *routes, const struct place *place, const struct route *former)
{
    uint64_t identity = routes->attrs.sets[former->attrs].facts.identity;
    FOR_PLACE(i) {
        const struct route *route = route_at(routes, i);
        enum action action = route_action(routes, route);
        if (!is_former(routes, route) && !route_gone(routes, route) &&
            (action == ACTION_WITHDRAW || action == ACTION_OBSERVE) &&
            routes->attrs.sets[route->attrs].facts.identity == identity)
            return true;
    }
    return false;
}

/* An announcement that stands for another route of the place in the same words is this route's now: nothing is
 * written. */
static void inherit(struct routes *routes, const struct place *place, uint32_t number, uint64_t need)
{
    struct route *heir = route_at(routes, number);
    if (heir->bits & place->stale && heir->standing & place->targets)
        return;
    FOR_PLACE(i) {
        struct route *other = route_at(routes, i);
        if (i == number || (other->bits & place->stale) || route_respelled(routes, other) || is_former(routes, other) ||
            !(other->standing & need) ||
            routes->attrs.sets[other->attrs].facts.outcome != routes->attrs.sets[heir->attrs].facts.outcome ||
            route_manner(routes, other) != route_manner(routes, heir))
            continue;
        heir->standing |= other->standing & need;
        other->standing &= ~need;
        heir->bits &= (uint8_t)~place->stale;
    }
}

/* What is to be withdrawn of a route, when `kept` is what stays of the place. */
static uint64_t lost_of(struct routes *routes, const struct place *place, uint32_t number, uint64_t kept)
{
    struct route *route = route_at(routes, number);
    uint64_t lost = route->standing & place->targets & ~kept;
    if (!route_gone(routes, route) && route_action(routes, route) == ACTION_WITHDRAW) {
        if (!(route->bits & place->told))
            lost |= neighbor_of(routes, route)->policy.targets & place->targets & ~kept;
        if (!lost)
            route->bits |= place->told;
    }
    return lost;
}

static bool place_emission(struct routes *routes, const struct place *place, struct emission *out)
{
    uint64_t taken = 0, kept = 0; /* whose place it is; what stays of what stands */
    for (uint32_t best = next_best(routes, place, NO_ROUTE); best != NO_ROUTE; best = next_best(routes, place, best)) {
        struct route *route = route_at(routes, best);
        uint64_t want = targets_of(routes, route) & place->targets & ~taken;
        if (want & ~route->standing)
            inherit(routes, place, best, want & ~route->standing);
        uint64_t old = route->bits & place->stale ? route->standing & place->targets & ~routes->up : 0;
        if (old) {
            *out = (struct emission){best, ATTRS_NONE, old, false, place->plain};
            return true;
        }
        uint64_t need = (route->bits & place->stale ? want : want & ~route->standing) & routes->up;
        if (need) {
            *out = (struct emission){best, former_at(routes, place, need), need, true, place->plain};
            return true;
        }
        kept |= route->standing & want;
        taken |= want;
    }
    FOR_PLACE(i) {
        const struct route *route = route_at(routes, i);
        if (!route_gone(routes, route) && route_action(routes, route) == ACTION_HOLD &&
            !(is_former(routes, route) && disowned(routes, place, route)))
            kept |= route->standing & place->targets;
    }
    for (int former = 0; former < 2; former++) {
        FOR_PLACE(i) {
            uint64_t lost = is_former(routes, route_at(routes, i)) == former ? lost_of(routes, place, i, kept) : 0;
            if (lost) {
                *out = (struct emission){i, ATTRS_NONE, lost, false, place->plain};
                return true;
            }
        }
    }
    return false;
}

/* What is to be written next for the places of the route `number`; false: nothing. */
static bool next_emission(struct routes *routes, uint32_t number, struct emission *out)
{
    for (int plain = 0; plain < 2; plain++) {
        struct place place = place_of(routes, number, plain != 0);
        if (place.targets && place_emission(routes, &place, out))
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

/* From here on what `emission` says counts as written. */
static void apply(struct routes *routes, const struct emission *emission)
{
    struct route *route = route_at(routes, emission->number);
    struct place at = place_of(routes, emission->number, emission->plain);
    const struct place *place = &at;
    FOR_PLACE(i)
        route_at(routes, i)->standing &= ~emission->targets;
    if (emission->announce) {
        route->standing |= emission->targets;
        route->bits &= (uint8_t)~(place->stale | place->told);
    } else if (route_action(routes, route) == ACTION_WITHDRAW) {
        route->bits |= place->told;
    }
}

static bool fits(const struct routes *routes, const struct command *command, const struct emission *emission,
                 size_t most)
{
    const struct route *route = route_at(routes, emission->number);
    if (command->n == 0)
        return true;
    return command->n < most && command->size + 1 + PREFIX_TEXT_MAX <= COMMAND_TEXT &&
           command->announce == emission->announce && command->targets == emission->targets &&
           command->family == route_family(emission->number) &&
           /* ExaBGP 4.2 takes a path id for one prefix only. */
           !command->has_path_id && (emission->plain || !(route->bits & HAS_PATH_ID)) &&
           (!emission->announce || (command->attrs == route->attrs && command->manner == route_manner(routes, route) &&
                                    command->former == emission->former));
}

static void append(struct routes *routes, struct command *command, const struct emission *emission)
{
    const struct route *route = route_at(routes, emission->number);
    if (command->n == 0) {
        command->targets = emission->targets;
        command->announce = emission->announce;
        command->family = route_family(emission->number);
        command->has_path_id = !emission->plain && (route->bits & HAS_PATH_ID);
        command->path_id = route->path_id;
        command->attrs = route->attrs;
        command->former = emission->former;
        if (emission->former != ATTRS_NONE) { /* the caller asks for it, and its last route may go with this command */
            attrs_hold(&routes->attrs, emission->former);
            routes->asked_former = emission->former;
        }
        command->manner = route_manner(routes, route);
    } else {
        command->text[command->size++] = ' ';
    }
    struct prefix prefix = route_prefix(routes, emission->number);
    command->size += (uint32_t)prefix_print(&prefix, command->text + command->size);
    command->n++;
}

/* Records of the prefix that were only kept until their end was written. */
static void sweep(struct routes *routes, uint32_t number)
{
    uint32_t i = place_of(routes, number, true).chain;
    while (i != NO_ROUTE) {
        struct route *route = route_at(routes, i);
        uint32_t next = route->next;
        if ((route->bits & GONE) && route->waiting == NOT_WAITING && !route->standing)
            route_remove(routes, i);
        i = next;
    }
}

/* Of what ExaBGP keeps one announcement for, whatever the target. */
static uint64_t place_hash(const struct routes *routes, const struct emission *emission)
{
    struct prefix prefix = route_prefix(routes, emission->number);
    uint64_t words[3] = {(uint64_t)prefix.family << 8 | prefix.len};
    memcpy(words + 1, prefix.addr, sizeof prefix.addr);
    if (!emission->plain && (route_at(routes, emission->number)->bits & HAS_PATH_ID))
        words[0] |= (uint64_t)route_at(routes, emission->number)->path_id << 16 | UINT64_C(1) << 48;
    return siphash(routes->attrs.secret, words, sizeof words);
}

bool routes_next(struct routes *routes, size_t most, struct command *out)
{
    out->n = 0;
    out->size = 0;
    if (routes->asked_former != ATTRS_NONE)
        attrs_release(&routes->attrs, routes->asked_former);
    routes->asked_former = ATTRS_NONE;
    while (routes->outbox_first != NO_ROUTE) {
        uint32_t number = routes->outbox_first;
        struct emission emission;
        if (!next_emission(routes, number, &emission)) {
            outbox_drop_first(routes);
            sweep(routes, number);
            continue;
        }
        uint64_t place = routes->rounds ? place_hash(routes, &emission) : 0;
        if (routes->rounds && round_has(&routes->round, place, emission.targets)) {
            park_first(routes);
            continue;
        }
        if (!fits(routes, out, &emission, most) ||
            (routes->rounds && !round_add(&routes->round, place, emission.targets)))
            return out->n > 0;
        append(routes, out, &emission);
        apply(routes, &emission);
    }
    return out->n > 0;
}

uint64_t routes_waiting(const struct routes *routes) { return routes->outbox_n; }
