/* The table itself: records, attribute sets, and what is asked of them. */

#include "rib/rib.h"

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

/* ---- life -------------------------------------------------------------------------------------------------- */

struct routes *routes_new(struct vrpset *set)
{
    struct routes *routes = calloc(1, sizeof *routes);
    if (!routes)
        return NULL;
    routes->set = set;
    for (int i = 0; i < 2; i++) {
        size_t address = i == 0 ? 4 : 16;
        index_init(&routes->prefixes[i], address + 1);
        size_t size = (offsetof(struct route, addr) + address + 7) & ~(size_t)7; /* the next one is aligned, too */
        routes->arenas[i] = (struct arena){.free = NO_ROUTE, .size = (uint32_t)size};
    }
    routes->outbox_first = routes->outbox_last = routes->parked_first = routes->parked_last = NO_ROUTE;
    routes->up = UINT64_MAX;
    routes->asked_previous_run = ATTRS_NONE;
    if (attrs_init(&routes->attrs) != 0) {
        routes_free(routes);
        return NULL;
    }
    return routes;
}

void routes_free(struct routes *routes)
{
    if (!routes)
        return;
    for (int i = 0; i < 2; i++) {
        for (uint32_t chunk = 0; chunk < routes->arenas[i].n; chunk++)
            free(routes->arenas[i].chunks[chunk]);
        free(routes->arenas[i].chunks);
        index_free(&routes->prefixes[i]);
    }
    attrs_free(&routes->attrs);
    round_free(&routes->round);
    free(routes->neighbors);
    revalidate_forget(&routes->revalidate);
    free(routes->events.ring);
    free(routes->our_tags);
    free(routes);
}

/* ---- attribute sets ---------------------------------------------------------------------------------------- */

uint32_t routes_attrs_find(const struct routes *routes, const void *key, size_t n)
{
    return attrs_find(&routes->attrs, key, n);
}

uint32_t routes_attrs_add(struct routes *routes, const void *key, size_t n, const struct attrs_summary *summary)
{
    uint32_t number = attrs_find(&routes->attrs, key, n);
    return number != ATTRS_NONE ? number : attrs_add(&routes->attrs, key, n, summary);
}

const uint8_t *routes_attrs_key(const struct routes *routes, uint32_t attrs, size_t *n)
{
    const struct attrs *set = attrs_at(&routes->attrs, attrs);
    *n = set ? set->key_size : 0;
    return set ? set->key : NULL;
}

uint32_t routes_attrs_end(const struct routes *routes) { return routes->attrs.n; }

int routes_attrs_retag(struct routes *routes, uint32_t number, const struct attrs_summary *summary)
{
    if (!attrs_at(&routes->attrs, number))
        return -1;
    struct attrs *set = &routes->attrs.sets[number];
    if (set->summary.announced_hash != summary->announced_hash) {
        set->retagged = 1;
        routes->revalidate.attrs = true;
        if (routes->revalidate.all) /* it may have passed routes with this set */
            routes_reconsider(routes, false);
    }
    set->summary = *summary;
    return 0;
}

int routes_our_tags(struct routes *routes, const struct our_tag *tags, size_t n)
{
    free(routes->our_tags);
    routes->our_tags = n < SIZE_MAX / sizeof *tags - 1 ? malloc((n + 1) * sizeof *tags) : NULL;
    routes->our_tags_n = 0;
    if (!routes->our_tags)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (tags[i].kind > TAG_EXTENDED) {
            free(routes->our_tags);
            routes->our_tags = NULL;
            routes->our_tags_n = 0;
            return -1;
        }
        routes->our_tags[routes->our_tags_n++] = tags[i];
    }
    return 0;
}

/* ---- questions --------------------------------------------------------------------------------------------- */

static struct route_row row_of(const struct routes *routes, uint32_t number)
{
    const struct route *route = route_at(routes, number);
    return (struct route_row){.prefix = route_prefix(routes, number),
                              .advertised = route->advertised,
                              .origin = routes->attrs.sets[route->attrs].summary.origin,
                              .attrs = route->attrs,
                              .path_id = route->path_id,
                              .neighbor = route->neighbor,
                              .has_path_id = (route->bits & HAS_PATH_ID) != 0,
                              .validity = route->bits & VALIDITY_BITS,
                              .action = (uint8_t)route_action(routes, route),
                              .waiting = route->waiting != NOT_WAITING};
}

static size_t rows_of(const struct routes *routes, uint32_t chain, struct route_row *out, size_t room)
{
    size_t n = 0;
    for (; chain != NO_ROUTE; chain = route_at(routes, chain)->next) {
        const struct route *route = route_at(routes, chain);
        if (route_gone(routes, route) || routes->neighbors[route->neighbor].previous_run)
            continue;
        if (n < room)
            out[n] = row_of(routes, chain);
        n++;
    }
    return n;
}

size_t routes_at(const struct routes *routes, const struct prefix *prefix, struct route_row *out, size_t room)
{
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(prefix, key);
    const uint32_t *first = index_get(&routes->prefixes[family_at(prefix->family)], key);
    return first ? rows_of(routes, *first, out, room) : 0;
}

void routes_seek(struct route_cursor *cursor, const struct prefix *prefix)
{
    *cursor = (struct route_cursor){.family = prefix->family};
    prefix_key(prefix, cursor->key);
}

size_t routes_list(const struct routes *routes, struct route_cursor *cursor, struct route_row *out, size_t room)
{
    size_t n = 0;
    if (cursor->family != 6)
        cursor->family = 4;
    while (!cursor->done) {
        const struct index *index = &routes->prefixes[family_at(cursor->family)];
        struct index_position place = index_seek(index, cursor->key);
        const uint8_t *at;
        uint32_t *chain;
        for (; index_at(index, &place, &at, &chain); index_next(&place)) {
            size_t more = rows_of(routes, *chain, out + n, room - n);
            if (more > room - n) {
                memcpy(cursor->key, at, index->key_size);
                if (n > 0)
                    return n;
                index_next(&place); /* this prefix alone is more than room: it is cut */
                if (index_at(index, &place, &at, &chain)) {
                    memcpy(cursor->key, at, index->key_size);
                    return room;
                }
                n = room;
                break;
            }
            n += more;
        }
        memset(cursor->key, 0, sizeof cursor->key);
        cursor->done = cursor->family == 6;
        cursor->family = 6;
        if (n == room)
            return n;
    }
    return n;
}

const struct rib_state *routes_state(const struct routes *routes) { return &routes->state; }

void routes_changes(const struct routes *routes, uint64_t changes[16])
{
    memcpy(changes, routes->changes, sizeof routes->changes);
}

uint64_t routes_attrs_memory(const struct routes *routes) { return attrs_memory(&routes->attrs); }

uint64_t routes_memory(const struct routes *routes)
{
    uint64_t bytes = routes->neighbors_room * sizeof *routes->neighbors + revalidate_memory(&routes->revalidate);
    for (int i = 0; i < 2; i++)
        bytes += (uint64_t)routes->arenas[i].n * CHUNK * routes->arenas[i].size + index_memory(&routes->prefixes[i]);
    return bytes;
}
