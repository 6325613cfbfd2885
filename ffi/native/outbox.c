/* What was last written for a place and what the decisions demand now in, the next command out. */

#include <string.h>

#include "routes_table.h"

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
    if (route->bits & WAITING)
        return;
    bool wanted;
    if (route_gone(routes, route)) {
        wanted = true;
    } else {
        switch (route_action(routes, route)) {
        case ACTION_ANNOUNCE:
            wanted = (route->bits & STALE) || route->standing != targets_of(routes, route);
            break;
        case ACTION_WITHDRAW:
            wanted = !(route->bits & TOLD) || route->standing;
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
    route->bits |= WAITING;
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
    route->bits &= (uint8_t)~WAITING;
    routes->outbox_n--;
}

/* ---- one place: the routes of one prefix and path id ------------------------------------------------------- */

static bool same_place(const struct route *a, const struct route *b)
{
    return ((a->bits ^ b->bits) & HAS_PATH_ID) == 0 && a->path_id == b->path_id;
}

static uint32_t chain_of(const struct routes *routes, uint32_t number)
{
    uint8_t key[INDEX_KEY_MOST];
    route_key(routes, number, key);
    uint32_t *first = index_get(&routes->prefixes[number & IPV6_BIT ? 1 : 0], key);
    return first ? *first : NO_ROUTE;
}

/* The next route of the same place as `place`, from `number` on. */
static uint32_t in_place(const struct routes *routes, const struct route *place, uint32_t number)
{
    while (number != NO_ROUTE && !same_place(place, route_at(routes, number)))
        number = route_at(routes, number)->next;
    return number;
}

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
    return a_number < b_number ? -1 : a_number > b_number;
}

/* The best announced route of the place that is worse than `after`. */
static uint32_t next_best(const struct routes *routes, const struct route *place, uint32_t chain, uint32_t after)
{
    uint32_t best = NO_ROUTE;
    for (uint32_t i = in_place(routes, place, chain); i != NO_ROUTE;
         i = in_place(routes, place, route_at(routes, i)->next)) {
        if (!announced(routes, route_at(routes, i)) || (after != NO_ROUTE && compare(routes, i, after) <= 0))
            continue;
        if (best == NO_ROUTE || compare(routes, i, best) < 0)
            best = i;
    }
    return best;
}

struct emission {
    uint32_t number;
    uint64_t targets;
    bool announce;
};

/* An announcement that stands for another session's route in the same words is this route's now: nothing is written. */
static void inherit(struct routes *routes, const struct route *place, uint32_t chain, uint32_t number, uint64_t need)
{
    struct route *heir = route_at(routes, number);
    if (heir->bits & STALE && heir->standing)
        return;
    for (uint32_t i = in_place(routes, place, chain); i != NO_ROUTE;
         i = in_place(routes, place, route_at(routes, i)->next)) {
        struct route *other = route_at(routes, i);
        if (i == number || (other->bits & STALE) || !(other->standing & need) ||
            routes->attrs.sets[other->attrs].facts.outcome != routes->attrs.sets[heir->attrs].facts.outcome ||
            route_manner(routes, other) != route_manner(routes, heir))
            continue;
        heir->standing |= other->standing & need;
        other->standing &= ~need;
        heir->bits &= (uint8_t)~STALE;
    }
}

/* What is to be written next for the place of the route `number`; false: nothing. */
static bool next_emission(struct routes *routes, uint32_t number, struct emission *out)
{
    const struct route *place = route_at(routes, number);
    uint32_t chain = chain_of(routes, number);
    uint64_t taken = 0;
    for (uint32_t best = next_best(routes, place, chain, NO_ROUTE); best != NO_ROUTE;
         best = next_best(routes, place, chain, best)) {
        struct route *route = route_at(routes, best);
        uint64_t want = targets_of(routes, route) & ~taken;
        if (want & ~route->standing)
            inherit(routes, place, chain, best, want & ~route->standing);
        uint64_t need = route->bits & STALE ? want : want & ~route->standing;
        if (need) {
            *out = (struct emission){best, need, true};
            return true;
        }
        taken |= want;
    }
    for (uint32_t i = in_place(routes, place, chain); i != NO_ROUTE;
         i = in_place(routes, place, route_at(routes, i)->next)) {
        const struct route *route = route_at(routes, i);
        if (!route_gone(routes, route) && route_action(routes, route) == ACTION_HOLD)
            taken |= route->standing;
    }
    for (uint32_t i = in_place(routes, place, chain); i != NO_ROUTE;
         i = in_place(routes, place, route_at(routes, i)->next)) {
        struct route *route = route_at(routes, i);
        uint64_t targets = neighbor_of(routes, route)->policy.targets;
        uint64_t lost = route->standing & ~taken;
        if (!route_gone(routes, route)) {
            enum action action = route_action(routes, route);
            if (action == ACTION_WITHDRAW && !(route->bits & TOLD))
                lost |= targets & ~taken;
            if (action == ACTION_WITHDRAW && !lost)
                route->bits |= TOLD;
        }
        if (lost) {
            *out = (struct emission){i, lost, false};
            return true;
        }
    }
    return false;
}

/* From here on what `emission` says counts as written. */
static void apply(struct routes *routes, const struct emission *emission)
{
    struct route *route = route_at(routes, emission->number);
    uint32_t chain = chain_of(routes, emission->number);
    for (uint32_t i = in_place(routes, route, chain); i != NO_ROUTE;
         i = in_place(routes, route, route_at(routes, i)->next))
        route_at(routes, i)->standing &= ~emission->targets;
    if (emission->announce) {
        route->standing |= emission->targets;
        route->bits &= (uint8_t)~(STALE | TOLD);
    } else if (route_action(routes, route) == ACTION_WITHDRAW) {
        route->bits |= TOLD;
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
           !command->has_path_id && (route->bits & HAS_PATH_ID) == 0 &&
           (!emission->announce || (command->attrs == route->attrs && command->manner == route_manner(routes, route)));
}

static void append(const struct routes *routes, struct command *command, const struct emission *emission)
{
    const struct route *route = route_at(routes, emission->number);
    if (command->n == 0) {
        command->targets = emission->targets;
        command->announce = emission->announce;
        command->family = route_family(emission->number);
        command->has_path_id = (route->bits & HAS_PATH_ID) != 0;
        command->path_id = route->path_id;
        command->attrs = route->attrs;
        command->manner = route_manner(routes, route);
    } else {
        command->text[command->size++] = ' ';
    }
    struct prefix prefix = route_prefix(routes, emission->number);
    command->size += (uint32_t)prefix_print(&prefix, command->text + command->size);
    command->n++;
}

/* Records of the place that were only kept until their end was written. */
static void sweep(struct routes *routes, uint32_t number)
{
    struct route place = {.path_id = route_at(routes, number)->path_id, .bits = route_at(routes, number)->bits};
    uint32_t i = in_place(routes, &place, chain_of(routes, number));
    while (i != NO_ROUTE) {
        struct route *route = route_at(routes, i);
        uint32_t next = in_place(routes, &place, route->next);
        if ((route->bits & (GONE | WAITING)) == GONE && !route->standing)
            route_remove(routes, i);
        i = next;
    }
}

bool routes_next(struct routes *routes, size_t most, struct command *out)
{
    out->n = 0;
    out->size = 0;
    while (routes->outbox_first != NO_ROUTE) {
        uint32_t number = routes->outbox_first;
        struct emission emission;
        if (!next_emission(routes, number, &emission)) {
            outbox_drop_first(routes);
            sweep(routes, number);
            continue;
        }
        if (!fits(routes, out, &emission, most))
            return true;
        append(routes, out, &emission);
        apply(routes, &emission);
    }
    return out->n > 0;
}

uint64_t routes_waiting(const struct routes *routes) { return routes->outbox_n; }
