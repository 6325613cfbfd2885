/* Changes of routes, each with what caused it: the newest are kept until somebody takes them. */

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

#define AHEAD ((size_t)8) /* changes */

int rib_keep_changes(struct rib *rib, uint32_t room)
{
    struct change_ring *ring = &rib->changes;
    if (room == ring->room)
        return 0;
    struct route_change *at = NULL;
    if (room && !(at = malloc(room * sizeof *at)))
        return -1;
    uint32_t kept = ring->n < room ? ring->n : room;
    ring->lost.changes += ring->n - kept;
    for (uint32_t i = 0; i < kept; i++)
        at[i] = ring->at[(ring->first + ring->n - kept + i) % ring->room];
    free(ring->at);
    ring->at = at;
    ring->room = room;
    ring->first = 0;
    ring->n = rib->state.changes = kept;
    return 0;
}

void rib_set_cause(struct rib *rib, uint32_t cause) { rib->changes.given = cause; }

static void allow(uint32_t *left, uint32_t more, uint32_t most) { *left = *left + more < most ? *left + more : most; }

void rib_allow_others(struct rib *rib, uint32_t more, uint32_t most)
{
    allow(&rib->changes.coming, more, most);
    allow(&rib->changes.going, more, most);
}

/* Judging waits for memory: what it reads for a change is fetched while earlier ones are judged. `left`: in the ring.
 */
static void fetch_ahead(const struct rib *rib, size_t left)
{
    const struct change_ring *ring = &rib->changes;
    if (left > AHEAD)
        vrpset_fetch_entries(rib->set, &ring->at[(ring->first + AHEAD) % ring->room].prefix);
    if (left > 2 * AHEAD)
        vrpset_fetch_lengths(rib->set, &ring->at[(ring->first + 2 * AHEAD) % ring->room].prefix);
}

size_t rib_take_changes(struct rib *rib, struct route_change *out, size_t room, struct changes_lost *lost)
{
    struct change_ring *ring = &rib->changes;
    size_t n = ring->n < room ? ring->n : room;
    for (size_t i = 0; i < n; i++) {
        struct route_change *change = &out[i];
        fetch_ahead(rib, ring->n - i);
        *change = ring->at[ring->first];
        bool judged = change->now == VALIDITY_VALID || change->now == VALIDITY_INVALID;
        if (judged &&
            !vrpset_judge(rib->set, &change->prefix, change->origin, (enum validity)change->now, &change->judge))
            change->judge.family = 0;
        ring->first = (ring->first + 1) % ring->room;
    }
    ring->n -= (uint32_t)n;
    rib->state.changes = ring->n;
    *lost = ring->lost;
    ring->lost = (struct changes_lost){0};
    return n;
}

void rib_change_counts(const struct rib *rib, uint64_t counts[16])
{
    memcpy(counts, rib->change_counts, sizeof rib->change_counts);
}

/* The room for one more change; NULL: it is not kept. `first`: it comes before others, which get half of the room. */
static struct route_change *next_change(struct change_ring *ring, bool first)
{
    if (ring->room == 0)
        return NULL;
    if (!first && ring->n >= ring->room - ring->room / 2) {
        ring->lost.changes++;
        return NULL;
    }
    if (ring->n == ring->room) { /* the oldest goes: what is asked for is what happened last */
        ring->first = (ring->first + 1) % ring->room;
        ring->n--;
        ring->lost.changes++;
    }
    return &ring->at[(ring->first + ring->n++) % ring->room];
}

uint8_t change_path(const struct route *route) { return (uint8_t)(route->path | (route->leak ? CHANGE_LEAK : 0)); }

static bool is_bad(uint8_t path) { return (path & 3) == PATH_INVALID || (path & CHANGE_LEAK); }

static void note(struct rib *rib, uint32_t number, uint8_t was, uint8_t now, uint8_t did, uint8_t action,
                 uint8_t path_was)
{
    struct change_ring *ring = &rib->changes;
    const struct route *route = route_at(rib, number);
    bool first = was == VALIDITY_INVALID || now == VALIDITY_INVALID || did != action || is_bad(change_path(route)) ||
                 is_bad(path_was);
    struct route_change *change = next_change(ring, first);
    rib->state.changes = ring->n;
    if (!change)
        return;
    memset(change, 0, sizeof *change); /* its padding, too: it is written to files */
    change->prefix = route_prefix(rib, number);
    change->origin = summary_of(rib, route)->origin;
    change->cause = ring->cause;
    change->path_id = route->path_id;
    change->neighbor = route->neighbor;
    change->has_path_id = (route->bits & HAS_PATH_ID) != 0;
    change->was = was;
    change->now = now;
    change->did = did;
    change->action = action;
    change->paths = (uint8_t)(path_was << 4 | (now == VALIDITY_NONE ? 0 : change_path(route)));
    if (ring->vrp)
        change->vrp = *ring->vrp;
}

/* Takes note of the action of now; gives the one before. */
static uint8_t act(struct rib *rib, uint32_t number)
{
    struct route *route = route_at(rib, number);
    uint8_t did = route->did;
    route->did = route_action(rib, number) & 3;
    return did;
}

void change_note(struct rib *rib, uint32_t number, uint8_t was, uint8_t path_was)
{
    uint8_t now = route_at(rib, number)->bits & VALIDITY_BITS, did = act(rib, number);
    if (was != now) {
        rib->change_counts[was][now]++;
        rib->state.validity_changes++;
    }
    note(rib, number, was, now, did, route_at(rib, number)->did, path_was);
}

/* Whether a route that comes or goes is a change; `left`: how many may be that are not invalid. */
static bool is_change(struct change_ring *ring, const struct route *route, uint32_t *left)
{
    if ((route->bits & VALIDITY_BITS) == VALIDITY_INVALID || is_bad(change_path(route)) || ring->room == 0)
        return true;
    if (*left == 0) {
        ring->lost.others++;
        return false;
    }
    --*left;
    return true;
}

void change_came(struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    uint8_t validity = route->bits & VALIDITY_BITS;
    if (neighbor_of(rib, route)->previous_run)
        return;
    act(rib, number);
    if (is_change(&rib->changes, route, &rib->changes.coming))
        note(rib, number, VALIDITY_NONE, validity, ACTION_NONE, route->did, 0);
}

void change_goes(struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    uint8_t validity = route->bits & VALIDITY_BITS;
    if (!neighbor_of(rib, route)->previous_run && is_change(&rib->changes, route, &rib->changes.going))
        note(rib, number, validity, VALIDITY_NONE, route->did, route->advertised ? ACTION_WITHDRAW : ACTION_NONE,
             change_path(route));
}
