/* Commands from the outbox: what is to be written of each route is found when its turn comes, so it is what counts
 * then.
 */

#include <string.h>

#include "base/siphash.h"
#include "rib/rib_private.h"

/* What one call takes out of the outbox and writes nothing for, half a millisecond: so many routes, or less by one for
 * each LOOK routes of a throng that were looked at. */
#define IN_VAIN_MOST 512
#define LOOK 16

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

/* The first route of the outbox has nothing to be written, or not before the next send barrier. */
static void drop_or_park(struct rib *rib, bool park)
{
    uint32_t number = rib->outbox.first;
    const struct route *route = route_at(rib, number);
    drop_first(rib, &rib->outbox);
    if (park) {
        append_to(rib, &rib->parked, number);
        rib->state.parked++;
        return;
    }
    rib->state.waiting--;
    if ((route->bits & GONE) && !route->advertised)
        route_remove(rib, number); /* it was only kept until its withdraw was written */
}

bool rib_next_command(struct rib *rib, size_t most, struct command *out)
{
    out->n = 0;
    out->size = 0;
    rib->state.searching = false;
    if (rib->held_previous_run != ATTRS_NONE)
        attrs_release(&rib->attrs, rib->held_previous_run);
    rib->held_previous_run = ATTRS_NONE;
    rib->looked = 0;
    uint32_t turn = NO_ROUTE, chain = NO_ROUTE; /* whose turn it is, and the first route of its prefix */
    for (unsigned in_vain = 0; rib->outbox.first != NO_ROUTE;) {
        struct emission emission;
        if (turn != rib->outbox.first) {
            turn = rib->outbox.first;
            chain = chain_in_turn(rib, turn);
        }
        if (in_vain + rib->looked / LOOK >= IN_VAIN_MOST) {
            rib->state.searching = out->n == 0;
            break;
        }
        bool any = emission_next(rib, turn, chain, &emission);
        uint64_t hash = any && rib->has_barriers ? nlri_hash(rib, &emission) : 0;
        bool park = any && rib->has_barriers && written_set_has(&rib->written, hash, emission.receivers);
        if (!any || park) {
            drop_or_park(rib, park);
            in_vain++;
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
