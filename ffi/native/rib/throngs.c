#include "rib/throngs.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"

#define BUCKETS_START 64

/* ---- which prefixes ------------------------------------------------------------------------------------------ */

static struct throng **bucket_of(const struct throngs *throngs, const uint64_t secret[2], const struct prefix *prefix)
{
    uint8_t key[18] = {prefix->family, prefix->len};
    size_t n = address_size(prefix->family);
    memcpy(key + 2, prefix->addr, n);
    return &throngs->buckets[siphash(secret, key, 2 + n) & (throngs->room - 1)];
}

struct throng *throng_among(const struct rib *rib, const struct prefix *prefix)
{
    struct throng *throng = *bucket_of(&rib->throngs, rib->attrs.secret, prefix);
    while (throng && (throng->prefix.family != prefix->family || throng->prefix.len != prefix->len ||
                      memcmp(throng->prefix.addr, prefix->addr, address_size(prefix->family)) != 0))
        throng = throng->next;
    return throng;
}

/* False: there is no memory for one more. */
static bool reserve(struct rib *rib)
{
    struct throngs *throngs = &rib->throngs, bigger = *throngs;
    if (throngs->n < throngs->room)
        return true;
    bigger.room = throngs->room ? throngs->room * 2 : BUCKETS_START;
    bigger.buckets = calloc(bigger.room, sizeof(struct throng *));
    if (!bigger.buckets)
        return false;
    for (uint32_t i = 0; i < throngs->room; i++)
        for (struct throng *throng = throngs->buckets[i], *next; throng; throng = next) {
            struct throng **bucket = bucket_of(&bigger, rib->attrs.secret, &throng->prefix);
            next = throng->next;
            throng->next = *bucket;
            *bucket = throng;
        }
    free(throngs->buckets);
    *throngs = bigger;
    return true;
}

static void throng_free(struct throng *throng)
{
    rankings_forget(throng);
    free(throng->routes);
    free(throng->paths);
    map_free(&throng->counts);
    free(throng);
}

static void throng_end(struct rib *rib, struct throng *throng)
{
    struct throng **at = bucket_of(&rib->throngs, rib->attrs.secret, &throng->prefix);
    while (*at != throng)
        at = &(*at)->next;
    *at = throng->next;
    rib->throngs.n--;
    throng_free(throng);
}

void throngs_free(struct rib *rib)
{
    for (uint32_t i = 0; i < rib->throngs.room; i++)
        for (struct throng *throng = rib->throngs.buckets[i], *next; throng; throng = next) {
            next = throng->next;
            throng_free(throng);
        }
    free(rib->throngs.buckets);
    rib->throngs.buckets = NULL;
}

uint64_t throngs_memory(const struct rib *rib)
{
    uint64_t bytes = rib->throngs.room * sizeof(struct throng *);
    for (uint32_t i = 0; i < rib->throngs.room; i++)
        for (const struct throng *throng = rib->throngs.buckets[i]; throng; throng = throng->next)
            bytes += sizeof *throng + throng->room * sizeof(struct throng_slot) * (throng->paths ? 2 : 1) +
                     throng->counts.room * sizeof(struct map_slot) +
                     throng->room * sizeof(struct ranked) * (!!throng->rankings[0].at + !!throng->rankings[1].at);
    return bytes;
}

/* ---- the routes of one --------------------------------------------------------------------------------------- */

static uint32_t slot_of_path(const struct rib *rib, const struct throng *throng, uint32_t path_id)
{
    return (uint32_t)mix_bits(path_id ^ rib->attrs.secret[0]) & (throng->room - 1);
}

static uint32_t slot_of_id(const struct rib *rib, const struct throng *throng, uint32_t neighbor, uint32_t path_id,
                           bool has_path_id)
{
    uint64_t id = (uint64_t)neighbor << 33 | (uint64_t)has_path_id << 32 | path_id;
    return (uint32_t)mix_bits(id ^ rib->attrs.secret[1]) & (throng->room - 1);
}

/* The slot of a route, in a table in which its search begins at `at`; or the free one that it can have. */
static struct throng_slot *slot_from(const struct throng *throng, struct throng_slot *slots, uint32_t at,
                                     uint32_t number)
{
    while (slots[at].number != number && slots[at].number != NO_ROUTE)
        at = (at + 1) & (throng->room - 1);
    return &slots[at];
}

static struct throng_slot *route_slot(const struct rib *rib, const struct throng *throng, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    uint32_t at = slot_of_id(rib, throng, route->neighbor, route->path_id, route->bits & HAS_PATH_ID);
    return slot_from(throng, throng->routes, at, number);
}

static uint32_t slot_number(const struct rib *rib, const struct throng *throng, uint32_t number)
{
    return (uint32_t)(route_slot(rib, throng, number) - throng->routes);
}

void throng_rank(const struct rib *rib, struct throng *throng, uint32_t number)
{
    rankings_rank(rib, throng, slot_number(rib, throng, number));
}

void throng_heard(const struct rib *rib, const struct throng *throng, struct ranking *ranking, uint32_t number)
{
    ranking_hears(ranking, slot_number(rib, throng, number));
}

static struct throng_slot *new_slots(uint32_t room)
{
    struct throng_slot *slots = malloc(room * sizeof *slots);
    if (slots)
        memset(slots, 0xFF, room * sizeof *slots); /* NO_ROUTE */
    return slots;
}

/* Puts a route into the tables, which have room; `before` is the one before it in the list. False: no memory. */
static bool put(const struct rib *rib, struct throng *throng, uint32_t number, uint32_t before)
{
    const struct route *route = route_at(rib, number);
    if (route->bits & HAS_PATH_ID) {
        uint64_t *count = map_put(&throng->counts, route->neighbor + UINT64_C(1));
        if (!count || (!throng->paths && !(throng->paths = new_slots(throng->room))))
            return false;
        ++*count;
        uint32_t path_id = route_path_id(rib, number);
        struct throng_slot *slot = slot_from(throng, throng->paths, slot_of_path(rib, throng, path_id), number);
        *slot = (struct throng_slot){number, path_id};
    }
    *route_slot(rib, throng, number) = (struct throng_slot){number, before};
    throng->used++;
    throng->n++;
    return true;
}

/* Makes the tables anew, of all routes from `first` on. False: no memory. */
static bool build(const struct rib *rib, struct throng *throng, uint32_t first)
{
    uint32_t n = 0;
    for (uint32_t i = first; i != NO_ROUTE; i = route_at(rib, i)->next)
        n++;
    rankings_forget(throng); /* they go by slots */
    free(throng->routes);
    free(throng->paths);
    map_free(&throng->counts);
    throng->paths = NULL;
    throng->n = throng->used = 0;
    for (throng->room = 16; throng->room * UINT64_C(5) < n * UINT64_C(8);)
        throng->room *= 2;
    if (!(throng->routes = new_slots(throng->room)))
        return false;
    uint32_t before = NO_ROUTE;
    for (uint32_t i = first; i != NO_ROUTE; i = route_at(rib, i)->next) {
        if (!put(rib, throng, i, before))
            return false;
        before = i;
    }
    return true;
}

void throng_begin(struct rib *rib, const struct prefix *prefix, uint32_t first)
{
    struct throng *throng = throng_of(rib, prefix) || !reserve(rib) ? NULL : calloc(1, sizeof *throng);
    if (!throng)
        return;
    throng->prefix = *prefix;
    throng->counts.seed = rib->attrs.secret[0];
    if (!build(rib, throng, first)) {
        throng_free(throng);
        return;
    }
    struct throng **bucket = bucket_of(&rib->throngs, rib->attrs.secret, prefix);
    throng->next = *bucket;
    *bucket = throng;
    rib->throngs.n++;
}

void throng_add(struct rib *rib, struct throng *throng, uint32_t number)
{
    uint32_t next = route_at(rib, number)->next;
    bool full = throng->used + UINT64_C(1) > throng->room - throng->room / 4;
    if (full ? build(rib, throng, number) : put(rib, throng, number, NO_ROUTE)) {
        if (next != NO_ROUTE)
            route_slot(rib, throng, next)->other = number;
        return;
    }
    throng_end(rib, throng);
}

void throng_remove(struct rib *rib, struct throng *throng, uint32_t number, uint32_t *first)
{
    rankings_leave(rib, throng, slot_number(rib, throng, number));
    const struct route *route = route_at(rib, number);
    struct throng_slot *slot = route_slot(rib, throng, number);
    *(slot->other == NO_ROUTE ? first : &route_at(rib, slot->other)->next) = route->next;
    if (route->next != NO_ROUTE)
        route_slot(rib, throng, route->next)->other = slot->other;
    slot->number = SLOT_REMOVED;
    if (route->bits & HAS_PATH_ID) {
        uint32_t at = slot_of_path(rib, throng, route_path_id(rib, number));
        slot_from(throng, throng->paths, at, number)->number = SLOT_REMOVED;
        --*map_put(&throng->counts, route->neighbor + UINT64_C(1)); /* it is there, so this takes no memory */
    }
    if (--throng->n < rib->throngs.from / 2)
        throng_end(rib, throng);
}

uint32_t throng_find(const struct rib *rib, const struct throng *throng, uint32_t neighbor, const struct nlri *nlri,
                     uint32_t *others)
{
    uint32_t at = slot_of_id(rib, throng, neighbor, nlri->path_id, nlri->has_path_id), number;
    for (; (number = throng->routes[at].number) != NO_ROUTE; at = (at + 1) & (throng->room - 1)) {
        const struct route *route = number == SLOT_REMOVED ? NULL : route_at(rib, number);
        if (route && route->neighbor == neighbor && route->path_id == nlri->path_id &&
            !(route->bits & HAS_PATH_ID) == !nlri->has_path_id)
            return number;
    }
    *others = (uint32_t)map_get(&throng->counts, neighbor + UINT64_C(1));
    return NO_ROUTE;
}

uint32_t throng_path(const struct rib *rib, const struct throng *throng, uint32_t path_id, uint32_t *at)
{
    uint32_t mask = throng->room - 1, number;
    uint32_t i = *at == NO_ROUTE ? slot_of_path(rib, throng, path_id) : (*at + 1) & mask;
    for (; throng->paths && (number = throng->paths[i].number) != NO_ROUTE; i = (i + 1) & mask) {
        if (number != SLOT_REMOVED && throng->paths[i].other == path_id) {
            *at = i;
            return number;
        }
    }
    return NO_ROUTE;
}
