/* Changes of a route's validity, each with what caused it: the newest are kept until somebody takes them. */

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

int rib_keep_changes(struct rib *rib, uint32_t room)
{
    struct change_ring *ring = &rib->changes;
    if (room == ring->room)
        return 0;
    struct route_change *at = NULL;
    if (room && !(at = malloc(room * sizeof *at)))
        return -1;
    uint32_t kept = ring->n < room ? ring->n : room;
    ring->lost += ring->n - kept;
    for (uint32_t i = 0; i < kept; i++)
        at[i] = ring->at[(ring->first + ring->n - kept + i) % ring->room];
    free(ring->at);
    ring->at = at;
    ring->room = room;
    ring->first = 0;
    ring->n = kept;
    return 0;
}

void rib_set_cause(struct rib *rib, uint32_t cause) { rib->changes.given = cause; }

size_t rib_take_changes(struct rib *rib, struct route_change *out, size_t room, uint64_t *lost)
{
    struct change_ring *ring = &rib->changes;
    size_t n = ring->n < room ? ring->n : room;
    for (size_t i = 0; i < n; i++) {
        out[i] = ring->at[ring->first];
        ring->first = (ring->first + 1) % ring->room;
    }
    ring->n -= (uint32_t)n;
    *lost = ring->lost;
    ring->lost = 0;
    return n;
}

void rib_change_counts(const struct rib *rib, uint64_t counts[16])
{
    memcpy(counts, rib->change_counts, sizeof rib->change_counts);
}

void change_note(struct rib *rib, uint32_t number, uint8_t was, uint8_t now)
{
    struct change_ring *ring = &rib->changes;
    if (was != VALIDITY_NONE) {
        rib->change_counts[was][now]++;
        rib->state.validity_changes++;
    }
    if (ring->room == 0)
        return;
    if (ring->n == ring->room) { /* the oldest goes: what is asked for is what happened last */
        ring->first = (ring->first + 1) % ring->room;
        ring->n--;
        ring->lost++;
    }
    const struct route *route = route_at(rib, number);
    struct route_change *change = &ring->at[(ring->first + ring->n) % ring->room];
    *change = (struct route_change){.prefix = route_prefix(rib, number),
                                    .origin = summary_of(rib, route)->origin,
                                    .cause = ring->cause,
                                    .path_id = route->path_id,
                                    .neighbor = route->neighbor,
                                    .has_path_id = (route->bits & HAS_PATH_ID) != 0,
                                    .was = was,
                                    .now = now,
                                    .action = (uint8_t)route_action(rib, route)};
    if (ring->vrp) {
        change->has_vrp = 1;
        change->vrp = *ring->vrp;
    }
    ring->n++;
}
