#include "routes.h"

#include <stdlib.h>
#include <string.h>

#include "routes_table.h"

#define CHUNK 4096

static size_t address_size(uint8_t family) { return family == 4 ? 4 : 16; }
static size_t family_at(uint8_t family) { return family == 4 ? 0 : 1; }

/* ---- records ----------------------------------------------------------------------------------------------- */

uint8_t route_family(uint32_t number) { return number & IPV6_BIT ? 6 : 4; }

struct route *route_at(const struct routes *routes, uint32_t number)
{
    const struct arena *arena = &routes->arenas[number & IPV6_BIT ? 1 : 0];
    uint32_t i = number & ~IPV6_BIT;
    return (struct route *)((uint8_t *)arena->chunks[i / CHUNK] + (size_t)(i % CHUNK) * arena->size);
}

static uint32_t arena_take(struct routes *routes, uint8_t family)
{
    struct arena *arena = &routes->arenas[family_at(family)];
    uint32_t bit = family == 4 ? 0 : IPV6_BIT;
    if (arena->free != NO_ROUTE) {
        uint32_t number = arena->free;
        arena->free = route_at(routes, number)->next;
        return number;
    }
    if (arena->used == arena->n * CHUNK) {
        if (arena->used > IPV6_BIT - 2 * CHUNK)
            return NO_ROUTE;
        if (arena->n == arena->room) {
            uint32_t room = arena->room ? arena->room * 2 : 16;
            void **chunks = realloc(arena->chunks, room * sizeof *chunks);
            if (!chunks)
                return NO_ROUTE;
            arena->chunks = chunks;
            arena->room = room;
        }
        arena->chunks[arena->n] = malloc((size_t)CHUNK * arena->size);
        if (!arena->chunks[arena->n])
            return NO_ROUTE;
        arena->n++;
    }
    return arena->used++ | bit;
}

static void arena_give(struct routes *routes, uint32_t number)
{
    struct arena *arena = &routes->arenas[number & IPV6_BIT ? 1 : 0];
    route_at(routes, number)->next = arena->free;
    arena->free = number;
}

static void key_of(const struct prefix *prefix, uint8_t key[INDEX_KEY_MOST])
{
    size_t n = address_size(prefix->family);
    memcpy(key, prefix->addr, n);
    key[n] = prefix->len;
}

struct prefix route_prefix(const struct routes *routes, uint32_t number)
{
    const struct route *route = route_at(routes, number);
    struct prefix prefix = {.len = route->len, .family = route_family(number)};
    memcpy(prefix.addr, route->addr, address_size(prefix.family));
    return prefix;
}

void route_key(const struct routes *routes, uint32_t number, uint8_t key[INDEX_KEY_MOST])
{
    struct prefix prefix = route_prefix(routes, number);
    key_of(&prefix, key);
}

static void forget_neighbor_route(struct routes *routes, struct neighbor *neighbor)
{
    neighbor->routes--;
    if (neighbor->retired && neighbor->routes == 0) {
        neighbor->used = false;
        routes->retired--;
    }
}

void route_remove(struct routes *routes, uint32_t number)
{
    struct route *route = route_at(routes, number);
    struct index *index = &routes->prefixes[number & IPV6_BIT ? 1 : 0];
    uint8_t key[INDEX_KEY_MOST];
    route_key(routes, number, key);
    uint32_t *at = index_get(index, key);
    while (at && *at != number)
        at = &route_at(routes, *at)->next;
    if (at)
        *at = route->next;
    uint32_t *first = index_get(index, key);
    if (first && *first == NO_ROUTE)
        index_remove(index, key);
    attrs_release(&routes->attrs, route->attrs);
    forget_neighbor_route(routes, &routes->neighbors[route->neighbor]);
    arena_give(routes, number);
}

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
        routes->arenas[i] = (struct arena){.free = NO_ROUTE, .size = (uint32_t)(sizeof(struct route) + address)};
        routes->arenas[i].size = (routes->arenas[i].size + 7) & ~UINT32_C(7);
    }
    routes->outbox_first = routes->outbox_last = NO_ROUTE;
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
    free(routes->neighbors);
    vrp_list_free(&routes->recheck.list);
    free(routes);
}

/* ---- attribute sets ---------------------------------------------------------------------------------------- */

uint32_t routes_attrs_find(const struct routes *routes, const void *key, size_t n)
{
    return attrs_find(&routes->attrs, key, n);
}

uint32_t routes_attrs_add(struct routes *routes, const void *key, size_t n, const struct attrs_facts *facts)
{
    uint32_t number = attrs_find(&routes->attrs, key, n);
    return number != ATTRS_NONE ? number : attrs_add(&routes->attrs, key, n, facts);
}

const uint8_t *routes_attrs_key(const struct routes *routes, uint32_t attrs, size_t *n)
{
    const struct attrs *set = attrs_at(&routes->attrs, attrs);
    *n = set ? set->key_size : 0;
    return set ? set->key : NULL;
}

uint64_t routes_attrs_outcome(const struct routes *routes, uint32_t attrs)
{
    const struct attrs *set = attrs_at(&routes->attrs, attrs);
    return set ? set->facts.outcome : 0;
}

/* ---- neighbours -------------------------------------------------------------------------------------------- */

static bool policy_sound(const struct neighbor_policy *policy)
{
    for (int i = 0; i < 4; i++)
        if (policy->action[i] > ACTION_ANNOUNCE)
            return false;
    return true;
}

static struct neighbor *neighbor_at(const struct routes *routes, uint32_t number)
{
    if (number >= routes->neighbors_n || !routes->neighbors[number].used || routes->neighbors[number].retired)
        return NULL;
    return &routes->neighbors[number];
}

int32_t routes_neighbor_add(struct routes *routes, const struct neighbor_policy *policy, const uint8_t rank[17])
{
    uint32_t number = 0;
    while (number < routes->neighbors_n && routes->neighbors[number].used)
        number++;
    if (number >= ROUTES_NEIGHBORS || !policy_sound(policy))
        return -1;
    if (number == routes->neighbors_room) {
        uint32_t room = routes->neighbors_room ? routes->neighbors_room * 2 : 16;
        struct neighbor *neighbors = realloc(routes->neighbors, room * sizeof *neighbors);
        if (!neighbors)
            return -1;
        routes->neighbors = neighbors;
        routes->neighbors_room = room;
    }
    if (number == routes->neighbors_n)
        routes->neighbors_n++;
    routes->neighbors[number] = (struct neighbor){.policy = *policy, .used = true};
    memcpy(routes->neighbors[number].rank, rank, sizeof routes->neighbors[number].rank);
    return (int32_t)number;
}

int routes_neighbor_policy(struct routes *routes, uint32_t number, const struct neighbor_policy *policy)
{
    struct neighbor *neighbor = neighbor_at(routes, number);
    if (!neighbor || !policy_sound(policy))
        return -1;
    neighbor->policy = *policy;
    return 0;
}

int routes_neighbor_retire(struct routes *routes, uint32_t number)
{
    struct neighbor *neighbor = neighbor_at(routes, number);
    if (!neighbor)
        return -1;
    for (int i = 0; i < 4; i++) {
        routes->count -= neighbor->counts[i];
        neighbor->counts[i] = 0;
    }
    if (neighbor->routes == 0) {
        neighbor->used = false;
        return 0;
    }
    neighbor->retired = true;
    routes->retired++;
    routes->purge.running = true;
    routes->purge.family = 4;
    memset(routes->purge.key, 0, sizeof routes->purge.key);
    return 0;
}

void routes_neighbor_counts(const struct routes *routes, uint32_t number, uint64_t counts[4])
{
    const struct neighbor *neighbor = neighbor_at(routes, number);
    for (int i = 0; i < 4; i++)
        counts[i] = neighbor ? neighbor->counts[i] : 0;
}

/* ---- updates ----------------------------------------------------------------------------------------------- */

static enum validity validate(const struct routes *routes, uint32_t number)
{
    const struct route *route = route_at(routes, number);
    uint8_t addr[16] = {0};
    memcpy(addr, route->addr, address_size(route_family(number)));
    return vrpset_validate(routes->set, route_family(number), addr, route->len,
                           routes->attrs.sets[route->attrs].facts.origin);
}

static bool is_gone(const struct routes *routes, const struct route *route)
{
    return (route->bits & GONE) || routes->neighbors[route->neighbor].retired;
}

/* Gives a live route its validity; its decision may follow. */
static void set_validity(struct routes *routes, uint32_t number, enum validity validity)
{
    struct route *route = route_at(routes, number);
    struct neighbor *neighbor = &routes->neighbors[route->neighbor];
    unsigned was = route->bits & VALIDITY_BITS;
    if (was == (unsigned)validity)
        return;
    neighbor->counts[was]--;
    neighbor->counts[validity]++;
    uint16_t manner = route_manner(routes, route);
    route->bits = (uint8_t)((route->bits & ~(VALIDITY_BITS | TOLD)) | (unsigned)validity);
    if (manner != route_manner(routes, route))
        route->bits |= STALE;
    routes->changed++;
}

static uint32_t find(const struct routes *routes, uint32_t chain, uint32_t neighbor, bool has_path_id, uint32_t path_id)
{
    for (; chain != NO_ROUTE; chain = route_at(routes, chain)->next) {
        const struct route *route = route_at(routes, chain);
        if (route->neighbor == neighbor && !(route->bits & HAS_PATH_ID) == !has_path_id && route->path_id == path_id)
            return chain;
    }
    return NO_ROUTE;
}

struct line {
    struct prefix prefix;
    uint32_t path_id;
    bool has_path_id, good;
};

/* One line of `text`, taken off its front; false: no LF, so no line. */
static bool take_line(const char **text, size_t *size, struct line *line)
{
    const char *end = memchr(*text, '\n', *size);
    if (!end)
        return false;
    size_t n = (size_t)(end - *text);
    const char *blank = memchr(*text, ' ', n);
    *line = (struct line){.has_path_id = blank != NULL};
    size_t prefix = blank ? (size_t)(blank - *text) : n;
    line->good = prefix_parse(*text, prefix, &line->prefix);
    if (blank) {
        uint8_t id[16];
        line->good = line->good && address_parse(blank + 1, n - prefix - 1, id) == 4;
        line->path_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    }
    *text = end + 1;
    *size -= n + 1;
    return true;
}

static size_t count_lines(const char *text, size_t size)
{
    size_t n = 0;
    for (const char *end; size && (end = memchr(text, '\n', size)); n++) {
        size -= (size_t)(end - text) + 1;
        text = end + 1;
    }
    return size ? SIZE_MAX : n;
}

static bool announce_one(struct routes *routes, uint32_t neighbor, uint32_t attrs, const struct line *line)
{
    struct index *index = &routes->prefixes[family_at(line->prefix.family)];
    uint8_t key[INDEX_KEY_MOST];
    key_of(&line->prefix, key);
    uint32_t *first = index_put(index, key, NO_ROUTE);
    if (!first)
        return false;
    uint32_t number = find(routes, *first, neighbor, line->has_path_id, line->path_id);
    if (number == NO_ROUTE) {
        number = arena_take(routes, line->prefix.family);
        if (number == NO_ROUTE) {
            if (*first == NO_ROUTE)
                index_remove(index, key);
            return false;
        }
        struct route *route = route_at(routes, number);
        *route = (struct route){.attrs = attrs,
                                .path_id = line->path_id,
                                .next = *first,
                                .waiting = NO_ROUTE,
                                .neighbor = (uint16_t)neighbor,
                                .len = line->prefix.len,
                                .bits = line->has_path_id ? HAS_PATH_ID : 0};
        memcpy(route->addr, line->prefix.addr, address_size(line->prefix.family));
        *first = number;
        attrs_hold(&routes->attrs, attrs);
        routes->neighbors[neighbor].routes++;
        enum validity validity = validate(routes, number);
        route->bits |= (uint8_t)validity;
        routes->neighbors[neighbor].counts[validity]++;
        routes->count++;
    } else {
        struct route *route = route_at(routes, number);
        if (route->bits & GONE) {
            route->bits &= (uint8_t)~(GONE | TOLD);
            routes->neighbors[neighbor].counts[route->bits & VALIDITY_BITS]++;
            routes->count++;
        }
        if (route->attrs != attrs) {
            if (routes->attrs.sets[route->attrs].facts.outcome != routes->attrs.sets[attrs].facts.outcome)
                route->bits |= STALE;
            attrs_hold(&routes->attrs, attrs);
            attrs_release(&routes->attrs, route->attrs);
            route->attrs = attrs;
        }
        set_validity(routes, number, validate(routes, number));
    }
    outbox_consider(routes, number);
    return true;
}

int64_t routes_announce(struct routes *routes, uint32_t neighbor, uint32_t attrs, const char *text, size_t size,
                        size_t n, struct route_faults *faults)
{
    if (!neighbor_at(routes, neighbor) || !attrs_at(&routes->attrs, attrs))
        return -2;
    if (count_lines(text, size) != n)
        return -1;
    int64_t taken = 0;
    struct line line;
    attrs_hold(&routes->attrs, attrs);
    while (take_line(&text, &size, &line)) {
        if (!line.good)
            faults->prefixes++;
        else if (!announce_one(routes, neighbor, attrs, &line))
            faults->memory++;
        else
            taken++;
    }
    attrs_release(&routes->attrs, attrs);
    return taken;
}

/* The route is the neighbour's no longer. Its record stays until what was written for it is taken back. */
static void withdraw_route(struct routes *routes, uint32_t number)
{
    struct route *route = route_at(routes, number);
    struct neighbor *neighbor = &routes->neighbors[route->neighbor];
    if (!is_gone(routes, route)) {
        neighbor->counts[route->bits & VALIDITY_BITS]--;
        routes->count--;
    }
    route->bits |= GONE;
    uint8_t key[INDEX_KEY_MOST];
    route_key(routes, number, key);
    uint32_t *first = index_get(&routes->prefixes[number & IPV6_BIT ? 1 : 0], key);
    bool alone = first && *first == number && route->next == NO_ROUTE;
    if (alone && !route->standing && !(route->bits & WAITING))
        route_remove(routes, number);
    else
        outbox_consider(routes, number);
}

int64_t routes_withdraw(struct routes *routes, uint32_t neighbor, const char *text, size_t size, size_t n,
                        struct route_faults *faults)
{
    if (!neighbor_at(routes, neighbor))
        return -2;
    if (count_lines(text, size) != n)
        return -1;
    int64_t taken = 0;
    struct line line;
    while (take_line(&text, &size, &line)) {
        if (!line.good) {
            faults->prefixes++;
            continue;
        }
        uint8_t key[INDEX_KEY_MOST];
        key_of(&line.prefix, key);
        uint32_t *first = index_get(&routes->prefixes[family_at(line.prefix.family)], key);
        uint32_t number = first ? find(routes, *first, neighbor, line.has_path_id, line.path_id) : NO_ROUTE;
        if (number != NO_ROUTE && !(route_at(routes, number)->bits & GONE)) {
            withdraw_route(routes, number);
            taken++;
        }
    }
    return taken;
}

/* ---- work in slices ---------------------------------------------------------------------------------------- */

int routes_vrps_changed(struct routes *routes, const struct vrp_list *changes)
{
    struct recheck *recheck = &routes->recheck;
    if (changes->n == 0)
        return 0;
    size_t waiting = recheck->list.n - recheck->at;
    /* Past this the walk over all routes is the shorter way, and what waits stays bounded. */
    if (recheck->all || waiting + changes->n > routes->count / 4 + 1024) {
        routes_reconsider(routes, false);
        return 0;
    }
    if (recheck->at == recheck->list.n)
        recheck->at = recheck->list.n = 0;
    size_t room = recheck->list.n + changes->n;
    if (room > recheck->list.room) {
        struct vrp *records = realloc(recheck->list.records, room * sizeof *records);
        if (!records) {
            routes_reconsider(routes, false);
            return 0;
        }
        recheck->list.records = records;
        recheck->list.room = room;
    }
    memcpy(recheck->list.records + recheck->list.n, changes->records, changes->n * sizeof *changes->records);
    recheck->list.n = room;
    return 0;
}

void routes_reconsider(struct routes *routes, bool rewrite)
{
    struct recheck *recheck = &routes->recheck;
    bool still = recheck->all && recheck->rewrite; /* an unfinished rewrite starts anew and stays one */
    vrp_list_free(&recheck->list);
    *recheck = (struct recheck){.all = true, .rewrite = rewrite || still, .family = 4};
}

static void recheck_chain(struct routes *routes, uint32_t chain, size_t *budget)
{
    for (uint32_t i = chain; i != NO_ROUTE; i = route_at(routes, i)->next) {
        *budget -= *budget > 0;
        if (is_gone(routes, route_at(routes, i)))
            continue;
        if (routes->recheck.rewrite)
            route_at(routes, i)->bits |= STALE;
        set_validity(routes, i, validate(routes, i));
        outbox_consider(routes, i);
    }
}

/* Walks the prefixes from `key` on that `within` covers (len 0: all of the family). True: done; false: `key` is where
 * to go on. */
static bool recheck_range(struct routes *routes, const struct prefix *within, uint8_t key[INDEX_KEY_MOST],
                          size_t *budget)
{
    const struct index *index = &routes->prefixes[family_at(within->family)];
    struct index_place place = index_seek(index, key);
    const uint8_t *at;
    uint32_t *chain;
    while (index_at(index, &place, &at, &chain)) {
        uint8_t addr[16] = {0};
        memcpy(addr, at, address_size(within->family));
        if (!prefix_covers(within->addr, within->len, addr))
            return true;
        if (*budget == 0) {
            memcpy(key, at, index->key_size);
            return false;
        }
        recheck_chain(routes, *chain, budget);
        index_next(&place);
    }
    return true;
}

static void recheck_all(struct routes *routes, size_t *budget)
{
    struct recheck *recheck = &routes->recheck;
    while (recheck->all && *budget) {
        struct prefix whole = {.family = recheck->family};
        if (!recheck_range(routes, &whole, recheck->key, budget))
            return;
        memset(recheck->key, 0, sizeof recheck->key);
        if (recheck->family == 6)
            recheck->all = recheck->rewrite = false;
        recheck->family = 6;
    }
}

static void recheck_list(struct routes *routes, size_t *budget)
{
    struct recheck *recheck = &routes->recheck;
    while (recheck->at < recheck->list.n && *budget) {
        const struct vrp *vrp = &recheck->list.records[recheck->at];
        struct prefix within = {.len = vrp->len, .family = vrp->family};
        memcpy(within.addr, vrp->addr, sizeof within.addr);
        if (!recheck->in_range)
            key_of(&within, recheck->key);
        recheck->in_range = !recheck_range(routes, &within, recheck->key, budget);
        if (!recheck->in_range)
            recheck->at++;
        *budget -= *budget > 0;
    }
    if (recheck->at && recheck->at == recheck->list.n) {
        vrp_list_free(&recheck->list);
        recheck->at = 0;
    }
}

/* Routes of retired neighbours. Their removal changes the index, so each step seeks its place anew. */
static void purge(struct routes *routes, size_t *budget)
{
    while (routes->purge.running && *budget) {
        const struct index *index = &routes->prefixes[family_at(routes->purge.family)];
        struct index_place place = index_seek(index, routes->purge.key);
        const uint8_t *at;
        uint32_t *chain;
        bool found = false;
        while (!found && *budget && index_at(index, &place, &at, &chain)) {
            memcpy(routes->purge.key, at, index->key_size);
            for (uint32_t i = *chain; i != NO_ROUTE && !found; i = route_at(routes, i)->next) {
                const struct route *route = route_at(routes, i);
                *budget -= *budget > 0;
                if (routes->neighbors[route->neighbor].retired && !(route->bits & GONE)) {
                    withdraw_route(routes, i);
                    found = true;
                }
            }
            index_next(&place);
        }
        if (found || *budget == 0)
            continue;
        memset(routes->purge.key, 0, sizeof routes->purge.key);
        if (routes->purge.family == 6)
            routes->purge.running = false;
        routes->purge.family = 6;
    }
}

bool routes_work(struct routes *routes, size_t budget)
{
    purge(routes, &budget);
    recheck_list(routes, &budget);
    recheck_all(routes, &budget);
    return routes->purge.running || routes->recheck.all || routes->recheck.at < routes->recheck.list.n;
}

/* ---- questions --------------------------------------------------------------------------------------------- */

static struct route_row row_of(const struct routes *routes, uint32_t number)
{
    const struct route *route = route_at(routes, number);
    return (struct route_row){.prefix = route_prefix(routes, number),
                              .standing = route->standing,
                              .origin = routes->attrs.sets[route->attrs].facts.origin,
                              .attrs = route->attrs,
                              .path_id = route->path_id,
                              .neighbor = route->neighbor,
                              .has_path_id = (route->bits & HAS_PATH_ID) != 0,
                              .validity = route->bits & VALIDITY_BITS,
                              .action = (uint8_t)route_action(routes, route),
                              .waiting = (route->bits & WAITING) != 0};
}

static size_t rows_of(const struct routes *routes, uint32_t chain, struct route_row *out, size_t room)
{
    size_t n = 0;
    for (; chain != NO_ROUTE; chain = route_at(routes, chain)->next) {
        if (is_gone(routes, route_at(routes, chain)))
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
    key_of(prefix, key);
    const uint32_t *first = index_get(&routes->prefixes[family_at(prefix->family)], key);
    return first ? rows_of(routes, *first, out, room) : 0;
}

void routes_seek(struct route_cursor *cursor, const struct prefix *prefix)
{
    *cursor = (struct route_cursor){.family = prefix->family};
    key_of(prefix, cursor->key);
}

size_t routes_list(const struct routes *routes, struct route_cursor *cursor, struct route_row *out, size_t room)
{
    size_t n = 0;
    if (cursor->family != 6)
        cursor->family = 4;
    while (!cursor->done) {
        const struct index *index = &routes->prefixes[family_at(cursor->family)];
        struct index_place place = index_seek(index, cursor->key);
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

uint64_t routes_count(const struct routes *routes) { return routes->count; }
uint64_t routes_changed(const struct routes *routes) { return routes->changed; }
uint64_t routes_attrs_memory(const struct routes *routes) { return attrs_memory(&routes->attrs); }

uint64_t routes_memory(const struct routes *routes)
{
    uint64_t bytes = routes->neighbors_room * sizeof *routes->neighbors;
    for (int i = 0; i < 2; i++)
        bytes += (uint64_t)routes->arenas[i].n * CHUNK * routes->arenas[i].size + index_memory(&routes->prefixes[i]);
    return bytes;
}
