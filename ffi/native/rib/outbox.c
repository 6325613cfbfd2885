/* Routes whose decision may differ from what was written in, the next command out. */

#include <string.h>

#include "base/siphash.h"
#include "rib/rib_private.h"

#define IN_VAIN_MOST 512 /* routes that one call takes out of the outbox and writes nothing for: half a millisecond */

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
            wanted = (route->bits & STALE_BOTH) || route->advertised != route_receivers(routes, route);
            break;
        case ACTION_WITHDRAW:
            wanted = (route->bits & TOLD_BOTH) != TOLD_BOTH || route->advertised;
            break;
        case ACTION_OBSERVE:
            wanted = route->advertised != 0;
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
    routes->state.waiting++;
}

static void outbox_drop_first(struct routes *routes)
{
    struct route *route = route_at(routes, routes->outbox_first);
    routes->outbox_first = route->waiting;
    if (routes->outbox_first == NO_ROUTE)
        routes->outbox_last = NO_ROUTE;
    route->waiting = NOT_WAITING;
    routes->state.waiting--;
}

/* The first route was written in this round: it waits for the next one, still of the outbox. */
static void park_first(struct routes *routes)
{
    uint32_t number = routes->outbox_first;
    outbox_drop_first(routes);
    routes->state.waiting++;
    route_at(routes, number)->waiting = NO_ROUTE;
    if (routes->parked_first == NO_ROUTE)
        routes->parked_first = number;
    else
        route_at(routes, routes->parked_last)->waiting = number;
    routes->parked_last = number;
    routes->state.parked++;
}

void routes_round(struct routes *routes)
{
    routes->rounds = true;
    round_clear(&routes->round);
    routes->state.written_set_full = false;
    if (routes->parked_first == NO_ROUTE)
        return;
    route_at(routes, routes->parked_last)->waiting = routes->outbox_first;
    if (routes->outbox_first == NO_ROUTE)
        routes->outbox_last = routes->parked_last;
    routes->outbox_first = routes->parked_first;
    routes->parked_first = routes->parked_last = NO_ROUTE;
    routes->state.parked = 0;
}

/* ---- commands ------------------------------------------------------------------------------------------------ */

static bool fits(const struct routes *routes, const struct command *command, const struct emission *emission,
                 size_t most)
{
    const struct route *route = route_at(routes, emission->number);
    if (command->n == 0)
        return true;
    return command->n < most && command->size + 1 + PREFIX_TEXT_MAX <= COMMAND_TEXT &&
           command->announce == emission->announce && command->receivers == emission->receivers &&
           command->family == route_family(emission->number) &&
           /* ExaBGP 4.2 takes a path id for one prefix only. */
           !command->has_path_id && (emission->plain || !(route->bits & HAS_PATH_ID)) &&
           (!emission->announce ||
            (command->attrs == route->attrs && command->variant == route_variant(routes, route) &&
             command->previous_run == emission->previous_run));
}

static void append(struct routes *routes, struct command *command, const struct emission *emission)
{
    const struct route *route = route_at(routes, emission->number);
    if (command->n == 0) {
        command->receivers = emission->receivers;
        command->announce = emission->announce;
        command->family = route_family(emission->number);
        command->has_path_id = !emission->plain && (route->bits & HAS_PATH_ID);
        command->path_id = route->path_id;
        command->attrs = route->attrs;
        command->previous_run = emission->previous_run;
        if (emission->previous_run !=
            ATTRS_NONE) { /* the caller asks for it, and its last route may go with this command */
            attrs_hold(&routes->attrs, emission->previous_run);
            routes->asked_previous_run = emission->previous_run;
        }
        command->variant = route_variant(routes, route);
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
    uint32_t i = prefix_chain(routes, number);
    while (i != NO_ROUTE) {
        struct route *route = route_at(routes, i);
        uint32_t next = route->next;
        if ((route->bits & GONE) && route->waiting == NOT_WAITING && !route->advertised)
            route_remove(routes, i);
        i = next;
    }
}

/* Of what ExaBGP keeps one announcement for, whatever the receiver. */
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
    unsigned in_vain = 0;
    out->n = 0;
    out->size = 0;
    routes->state.searching = false;
    if (routes->asked_previous_run != ATTRS_NONE)
        attrs_release(&routes->attrs, routes->asked_previous_run);
    routes->asked_previous_run = ATTRS_NONE;
    while (routes->outbox_first != NO_ROUTE) {
        if (in_vain == IN_VAIN_MOST) {
            routes->state.searching = out->n == 0;
            break;
        }
        uint32_t number = routes->outbox_first;
        struct emission emission;
        if (!emission_next(routes, number, &emission)) {
            outbox_drop_first(routes);
            sweep(routes, number);
            in_vain++;
            continue;
        }
        uint64_t place = routes->rounds ? place_hash(routes, &emission) : 0;
        if (routes->rounds && round_has(&routes->round, place, emission.receivers)) {
            park_first(routes);
            in_vain++;
            continue;
        }
        if (!fits(routes, out, &emission, most) ||
            (routes->rounds && !round_add(&routes->round, place, emission.receivers)))
            return out->n > 0;
        routes->state.written_set_full = routes->round.n >= ROUND_MOST;
        append(routes, out, &emission);
        emission_apply(routes, &emission);
    }
    return out->n > 0;
}
