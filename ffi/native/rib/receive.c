/* Announcements and withdrawals of a neighbor in, routes with their validity out. */

#include <string.h>

#include "rib/rib_private.h"

/* Gives a live route its validity; its decision may follow. */
void route_set_validity(struct routes *routes, uint32_t number, enum validity validity)
{
    struct route *route = route_at(routes, number);
    struct neighbor *neighbor = &routes->neighbors[route->neighbor];
    unsigned was = route->bits & VALIDITY_BITS;
    if (was == (unsigned)validity)
        return;
    neighbor->counts[was]--;
    neighbor->counts[validity]++;
    uint16_t variant = route_variant(routes, route);
    route->bits = (uint8_t)((route->bits & ~(VALIDITY_BITS | TOLD_BOTH)) | (unsigned)validity);
    if (variant != route_variant(routes, route))
        route->bits |= STALE_BOTH;
    routes->changes[was][validity]++;
    routes->state.validity_changes++;
    event_note(routes, number, (uint8_t)was, (uint8_t)validity);
}

void route_line_read(struct route_line *line, const char *prefix, size_t n, const char *path_id, size_t id_n)
{
    *line = (struct route_line){.has_path_id = path_id != NULL};
    line->good = prefix_parse(prefix, n, &line->prefix);
    if (path_id) {
        uint8_t id[16];
        line->good = line->good && address_parse(path_id, id_n, id) == 4;
        line->path_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    }
}

bool take_line(const char **text, size_t *size, struct route_line *line)
{
    const char *end = memchr(*text, '\n', *size);
    if (!end)
        return false;
    size_t n = (size_t)(end - *text);
    const char *blank = memchr(*text, ' ', n);
    size_t prefix = blank ? (size_t)(blank - *text) : n;
    route_line_read(line, *text, prefix, blank ? blank + 1 : NULL, blank ? n - prefix - 1 : 0);
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

/* Whether the neighbor has as many routes of a prefix as it may, gone ones too: all of a prefix are gone over for each,
 * and path ids are the neighbor's to choose. */
static bool crowded(const struct routes *routes, uint32_t chain, uint32_t neighbor)
{
    uint32_t n = 0;
    for (; chain != NO_ROUTE; chain = route_at(routes, chain)->next)
        n += route_at(routes, chain)->neighbor == neighbor;
    return n >= ROUTES_OF_PREFIX;
}

/* A route that the neighbor did not have. NO_ROUTE: there is no room for it, which is counted. */
static uint32_t announce_new(struct routes *routes, uint32_t *first, uint32_t neighbor, uint32_t attrs,
                             const struct route_line *line, enum validity validity, struct route_faults *faults)
{
    if (line->has_path_id && crowded(routes, *first, neighbor)) {
        faults->crowded++;
        return NO_ROUTE;
    }
    uint32_t number = add_route_at(routes, first, neighbor, attrs, line);
    if (number == NO_ROUTE) {
        faults->memory++;
        return NO_ROUTE;
    }
    route_at(routes, number)->bits |= (uint8_t)validity;
    routes->neighbors[neighbor].counts[validity]++;
    routes->state.routes++;
    if (validity == VALIDITY_INVALID)
        event_note(routes, number, VALIDITY_NONE, VALIDITY_INVALID);
    return number;
}

/* One that it has, or had until it took it back and that is not written yet. */
static void announce_again(struct routes *routes, uint32_t number, uint32_t attrs, enum validity validity)
{
    struct route *route = route_at(routes, number);
    if (route->bits & GONE) {
        route->bits &= (uint8_t) ~(GONE | TOLD_BOTH);
        routes->neighbors[route->neighbor].counts[route->bits & VALIDITY_BITS]++;
        routes->state.routes++;
    }
    if (route_retagged(routes, route)) /* by its set or validity of before, which it may lose here */
        route->bits |= STALE_BOTH;
    if (route->attrs != attrs) {
        if (routes->attrs.sets[route->attrs].summary.announced_hash != routes->attrs.sets[attrs].summary.announced_hash)
            route->bits |= STALE_BOTH;
        attrs_hold(&routes->attrs, attrs);
        attrs_release(&routes->attrs, route->attrs);
        route->attrs = attrs;
    }
    route_set_validity(routes, number, validity);
}

/* The route with this set and validity is the neighbor's. False: there was no room for it, which is counted. */
static bool announce(struct routes *routes, uint32_t neighbor, uint32_t attrs, const struct route_line *line,
                     enum validity validity, struct route_faults *faults)
{
    uint32_t *first = make_chain(routes, line);
    if (!first) {
        faults->memory++;
        return false;
    }
    uint32_t number = find_route(routes, *first, neighbor, line);
    if (number != NO_ROUTE)
        announce_again(routes, number, attrs, validity);
    else if ((number = announce_new(routes, first, neighbor, attrs, line, validity, faults)) == NO_ROUTE)
        return false;
    outbox_consider(routes, number);
    return true;
}

size_t routes_announce_batch(struct routes *routes, uint32_t neighbor, uint32_t attrs, const struct route_line *lines,
                             size_t n, struct route_faults *faults)
{
    size_t taken = 0;
    const struct prefix *prefixes[VRPSET_TOGETHER] = {NULL};
    uint8_t validities[VRPSET_TOGETHER];
    for (size_t i = 0; i < n; i++)
        prefixes[i] = &lines[i].prefix;
    vrpset_validate_some(routes->set, prefixes, n, routes->attrs.sets[attrs].summary.origin, validities);
    for (size_t i = 0; i < n; i++)
        taken += announce(routes, neighbor, attrs, &lines[i], (enum validity)validities[i], faults);
    return taken;
}

int64_t routes_announce(struct routes *routes, uint32_t neighbor, uint32_t attrs, const char *text, size_t size,
                        size_t n, struct route_faults *faults)
{
    if (!neighbor_at(routes, neighbor) || !attrs_at(&routes->attrs, attrs))
        return -2;
    if (count_lines(text, size) != n)
        return -1;
    size_t taken = 0;
    struct route_line lines[VRPSET_TOGETHER];
    attrs_hold(&routes->attrs, attrs);
    while (size) { /* each turn takes a line: the text ends with one */
        size_t some = 0;
        while (some < VRPSET_TOGETHER && take_line(&text, &size, &lines[some])) {
            if (lines[some].good)
                some++;
            else
                faults->prefixes++;
        }
        taken += routes_announce_batch(routes, neighbor, attrs, lines, some, faults);
    }
    attrs_release(&routes->attrs, attrs);
    return (int64_t)taken;
}

/* The route is the neighbor's no longer. Its record stays until what was written for it is taken back. */
void route_withdraw(struct routes *routes, uint32_t number)
{
    struct route *route = route_at(routes, number);
    struct neighbor *neighbor = &routes->neighbors[route->neighbor];
    if (!route_gone(routes, route)) {
        neighbor->counts[route->bits & VALIDITY_BITS]--;
        routes->state.routes--;
    }
    route->bits |= GONE;
    uint8_t key[INDEX_KEY_MOST];
    route_key(routes, number, key);
    uint32_t *first = index_get(&routes->prefixes[number & IPV6_BIT ? 1 : 0], key);
    bool alone = first && *first == number && route->next == NO_ROUTE;
    if (alone && !route->advertised && route->waiting == NOT_WAITING)
        route_remove(routes, number);
    else
        outbox_consider(routes, number);
}

bool route_take_back(struct routes *routes, uint32_t neighbor, const struct route_line *line)
{
    uint32_t number = find_route(routes, chain_of(routes, line), neighbor, line);
    if (number == NO_ROUTE || (route_at(routes, number)->bits & GONE))
        return false;
    route_withdraw(routes, number);
    return true;
}

int64_t routes_withdraw(struct routes *routes, uint32_t neighbor, const char *text, size_t size, size_t n,
                        struct route_faults *faults)
{
    if (!neighbor_at(routes, neighbor))
        return -2;
    if (count_lines(text, size) != n)
        return -1;
    int64_t taken = 0;
    struct route_line line;
    while (take_line(&text, &size, &line)) {
        if (!line.good) {
            faults->prefixes++;
            continue;
        }
        taken += route_take_back(routes, neighbor, &line);
    }
    return taken;
}
