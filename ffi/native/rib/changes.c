/* Changes of a route's validity in, the newest of them out, with what caused each. */

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

int routes_listen(struct routes *routes, uint32_t room)
{
    struct events *events = &routes->events;
    if (room == events->room)
        return 0;
    struct route_event *ring = NULL;
    if (room && !(ring = malloc(room * sizeof *ring)))
        return -1;
    uint32_t kept = events->n < room ? events->n : room;
    events->lost += events->n - kept;
    for (uint32_t i = 0; i < kept; i++)
        ring[i] = events->ring[(events->first + events->n - kept + i) % events->room];
    free(events->ring);
    events->ring = ring;
    events->room = room;
    events->first = 0;
    events->n = kept;
    return 0;
}

void routes_set_cause(struct routes *routes, uint32_t cause) { routes->events.given = cause; }

size_t routes_events(struct routes *routes, struct route_event *out, size_t room, uint64_t *lost)
{
    struct events *events = &routes->events;
    size_t n = events->n < room ? events->n : room;
    for (size_t i = 0; i < n; i++) {
        out[i] = events->ring[events->first];
        events->first = (events->first + 1) % events->room;
    }
    events->n -= (uint32_t)n;
    *lost = events->lost;
    events->lost = 0;
    return n;
}

void event_note(struct routes *routes, uint32_t number, uint8_t was, uint8_t now)
{
    struct events *events = &routes->events;
    if (events->room == 0)
        return;
    if (events->n == events->room) { /* the oldest goes: what is asked for is what happened last */
        events->first = (events->first + 1) % events->room;
        events->n--;
        events->lost++;
    }
    const struct route *route = route_at(routes, number);
    struct route_event *event = &events->ring[(events->first + events->n) % events->room];
    *event = (struct route_event){.prefix = route_prefix(routes, number),
                                  .origin = routes->attrs.sets[route->attrs].summary.origin,
                                  .cause = events->cause,
                                  .path_id = route->path_id,
                                  .neighbor = route->neighbor,
                                  .has_path_id = (route->bits & HAS_PATH_ID) != 0,
                                  .was = was,
                                  .now = now,
                                  .action = (uint8_t)route_action(routes, route)};
    if (events->vrp) {
        event->has_vrp = 1;
        event->vrp = *events->vrp;
    }
    events->n++;
}
