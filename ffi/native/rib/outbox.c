/* The outbox: routes whose action may demand something else than what was last written. What is to be written of each
 * is found when its turn in a command comes, so it is what counts then. */

#include <string.h>

#include "base/siphash.h"
#include "rib/rib_private.h"

/* What one call takes out of the outbox and writes nothing for, half a millisecond: so many routes that are alone, or
 * less by one for each LOOK of a prefix that were looked at. */
#define IN_VAIN_MOST 512
#define LOOK 64

static void append_to(struct rib *rib, struct queue *queue, uint32_t number)
{
    route_at(rib, number)->waiting = NO_ROUTE;
    if (queue->first == NO_ROUTE)
        queue->first = number;
    else
        route_at(rib, queue->last)->waiting = number;
    queue->last = number;
}

static void drop_first(struct rib *rib, struct queue *queue)
{
    struct route *route = route_at(rib, queue->first);
    queue->first = route->waiting;
    route->waiting = NOT_WAITING;
}

static bool may_differ(const struct rib *rib, uint32_t number)
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
    default:
        return false;
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

void outbox_consider(struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    count_kept_back(rib, number);
    if (route->waiting != NOT_WAITING || !may_differ(rib, number))
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

/* ---- commands ------------------------------------------------------------------------------------------------ */

static bool fits(const struct rib *rib, const struct command *command, const struct emission *emission, size_t most)
{
    const struct route *route = route_at(rib, emission->number);
    if (command->n == 0)
        return true;
    return command->n < most && command->size + 1 + PREFIX_TEXT_MAX <= COMMAND_TEXT &&
           command->announce == emission->announce && command->receivers == emission->receivers &&
           command->family == route_family(emission->number) &&
           /* Some routers take a path id for one prefix only. */
           !command->has_path_id && (emission->plain || !(route->bits & HAS_PATH_ID)) &&
           (!emission->announce ||
            (command->attrs == route->attrs && command->variant == route_variant(rib, emission->number) &&
             command->previous_run == emission->previous_run));
}

static void append(struct rib *rib, struct command *command, const struct emission *emission)
{
    const struct route *route = route_at(rib, emission->number);
    if (command->n == 0) {
        command->receivers = emission->receivers;
        command->announce = emission->announce;
        command->family = route_family(emission->number);
        command->has_path_id = !emission->plain && (route->bits & HAS_PATH_ID);
        command->path_id = route_path_id(rib, emission->number);
        command->attrs = route->attrs;
        command->previous_run = emission->previous_run;
        if (emission->previous_run != ATTRS_NONE) {
            /* The caller asks for it, and its last route may go with this command. */
            attrs_hold(&rib->attrs, emission->previous_run);
            rib->held_previous_run = emission->previous_run;
        }
        command->variant = route_variant(rib, emission->number);
        command->differs = emission->announce ? route_differs(rib, emission->number) : 0;
    } else {
        command->text[command->size++] = ' ';
    }
    struct prefix prefix = route_prefix(rib, emission->number);
    command->size += (uint32_t)prefix_print(&prefix, command->text + command->size);
    command->n++;
}

/* Removes records of the prefix that were only kept until their withdraw was written. How many it has looked at. */
static uint32_t sweep(struct rib *rib, uint32_t number)
{
    uint32_t i = chain_of_route(rib, number), n = 0;
    for (; i != NO_ROUTE; n++) {
        const struct route *route = route_at(rib, i);
        uint32_t next = route->next;
        if ((route->bits & GONE) && route->waiting == NOT_WAITING && !route->advertised)
            route_remove(rib, i);
        i = next;
    }
    return n;
}

/* Of what the router keeps one announcement for, whatever the receiver; not 0. */
static uint64_t nlri_hash(const struct rib *rib, const struct emission *emission)
{
    const struct route *route = route_at(rib, emission->number);
    struct prefix prefix = route_prefix(rib, emission->number);
    uint64_t words[3] = {(uint64_t)prefix.family << 8 | prefix.len};
    memcpy(words + 1, prefix.addr, sizeof prefix.addr);
    if (!emission->plain && (route->bits & HAS_PATH_ID))
        words[0] |= (uint64_t)route_path_id(rib, emission->number) << 16 | UINT64_C(1) << 48;
    return siphash(rib->attrs.secret, words, sizeof words) | 1;
}

/* The first route of the outbox has nothing to be written, or not before the next send barrier. What that cost, see
 * IN_VAIN_MOST. */
static unsigned drop_or_park(struct rib *rib, bool park)
{
    uint32_t number = rib->outbox.first;
    drop_first(rib, &rib->outbox);
    if (park) {
        append_to(rib, &rib->parked, number);
        rib->state.parked++;
        return 1;
    }
    rib->state.waiting--;
    return 1 + sweep(rib, number) / LOOK;
}

bool rib_next_command(struct rib *rib, size_t most, struct command *out)
{
    out->n = 0;
    out->size = 0;
    rib->state.searching = false;
    if (rib->held_previous_run != ATTRS_NONE)
        attrs_release(&rib->attrs, rib->held_previous_run);
    rib->held_previous_run = ATTRS_NONE;
    for (unsigned in_vain = 0; rib->outbox.first != NO_ROUTE;) {
        struct emission emission;
        if (in_vain >= IN_VAIN_MOST) {
            rib->state.searching = out->n == 0;
            break;
        }
        bool any = emission_next(rib, rib->outbox.first, &emission);
        uint64_t hash = any && rib->has_barriers ? nlri_hash(rib, &emission) : 0;
        bool park = any && rib->has_barriers && written_set_has(&rib->written, hash, emission.receivers);
        if (!any || park) {
            in_vain += drop_or_park(rib, park);
            continue;
        }
        if (!fits(rib, out, &emission, most) ||
            (rib->has_barriers && !written_set_add(&rib->written, hash, emission.receivers)))
            break;
        rib->state.written_set_full = rib->written.used >= WRITTEN_SET_MOST;
        append(rib, out, &emission);
        emission_apply(rib, &emission);
    }
    return out->n > 0;
}
