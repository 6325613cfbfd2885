/* The outbox: routes whose action may demand something else than what was last written; and those of them that are
 * parked until the next send barrier. */

#include "rib/throngs.h"

void append_to(struct rib *rib, struct queue *queue, uint32_t number)
{
    route_at(rib, number)->waiting = NO_ROUTE;
    if (queue->first == NO_ROUTE)
        queue->first = number;
    else
        route_at(rib, queue->last)->waiting = number;
    queue->last = number;
}

void drop_first(struct rib *rib, struct queue *queue)
{
    struct route *route = route_at(rib, queue->first);
    queue->first = route->waiting;
    route->waiting = NOT_WAITING;
}

static bool is_alone(const struct rib *rib, uint32_t number)
{
    return route_at(rib, number)->next == NO_ROUTE && chain_of_route(rib, number) == number;
}

bool route_may_differ(const struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    if (route_gone(rib, route))
        return true;
    switch (route_action(rib, number)) {
    case ACTION_ANNOUNCE:
        return (route->bits & OUTDATED_BOTH) || route->advertised != route_receivers(rib, number);
    case ACTION_WITHDRAW:
        return (route->bits & WITHDRAWN_BOTH) != WITHDRAWN_BOTH || route->advertised;
    case ACTION_OBSERVE:
        return route->advertised != 0;
    default: /* another route may be announced where this one is held */
        return route_turned(rib, route) || (route->advertised && !is_alone(rib, number));
    }
}

/* Counts a route among those that are kept back, or no longer. */
static void count_kept_back(const struct rib *rib, uint32_t number)
{
    struct route *route = route_at(rib, number);
    if ((!rib->otc.kept_back && !rib->otc.unknown && !route->kept_back) || route_gone(rib, route))
        return;
    uint32_t now = route_kept_back(rib, number) != 0;
    neighbor_of(rib, route)->kept_back += now - (uint64_t)route->kept_back;
    route->kept_back = now;
}

void route_rank(struct rib *rib, uint32_t number)
{
    struct throng *throng = throng_of_route(rib, number);
    if (throng)
        throng_rank(rib, throng, number);
}

void outbox_consider(struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    count_kept_back(rib, number);
    route_rank(rib, number);
    if (route->waiting != NOT_WAITING || !route_may_differ(rib, number))
        return;
    append_to(rib, &rib->outbox, number);
    rib->state.waiting++;
}

void rib_send_barrier(struct rib *rib)
{
    rib->has_barriers = true;
    map_free(&rib->written);
    rib->state.written_set_full = false;
    rib->state.parked = 0;
    if (rib->parked.first == NO_ROUTE)
        return;
    /* What was parked goes to the front. */
    route_at(rib, rib->parked.last)->waiting = rib->outbox.first;
    if (rib->outbox.first == NO_ROUTE)
        rib->outbox.last = rib->parked.last;
    rib->outbox.first = rib->parked.first;
    rib->parked.first = NO_ROUTE;
}

bool rib_parked_at(const struct rib *rib, uint64_t receivers)
{
    uint32_t number = rib->parked.first;
    while (number != NO_ROUTE && !(route_at(rib, number)->advertised & receivers))
        number = route_at(rib, number)->waiting;
    return number != NO_ROUTE;
}
