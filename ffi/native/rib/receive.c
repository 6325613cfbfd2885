/* What a neighbor announces and withdraws: routes get their validity here, and their turn in the outbox. */

#include <string.h>

#include "rib/rib_private.h"
#include "rib/throngs.h"

/* ---- text ---------------------------------------------------------------------------------------------------- */

/* False: no prefix, or no path id. `path_id` NULL: none. */
static bool nlri_parse(struct nlri *out, const char *prefix, size_t n, const char *path_id, size_t id_n)
{
    uint8_t id[16];
    *out = (struct nlri){.has_path_id = path_id != NULL};
    if (!prefix_parse(prefix, n, &out->prefix) || (path_id && address_parse(path_id, id_n, id) != 4))
        return false;
    if (path_id)
        out->path_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    return true;
}

int nlri_take(const char **text, size_t *size, struct nlri *out)
{
    const char *line = *text, *end = memchr(line, '\n', *size);
    if (!end)
        return -1;
    size_t n = (size_t)(end - line);
    const char *blank = memchr(line, ' ', n);
    size_t prefix = blank ? (size_t)(blank - line) : n;
    *text = end + 1;
    *size -= n + 1;
    return nlri_parse(out, line, prefix, blank ? blank + 1 : NULL, blank ? n - prefix - 1 : 0);
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

/* ---- announcements ------------------------------------------------------------------------------------------- */

/* Counts a route among its neighbor's, or no longer. */
static void count(const struct rib *rib, const struct route *route, bool more)
{
    struct neighbor *neighbor = neighbor_of(rib, route);
    uint64_t by = more ? 1 : UINT64_MAX;
    neighbor->counts[route->bits & VALIDITY_BITS] += by;
    neighbor->paths[route->path] += by;
    if (route->leak)
        neighbor->leaks += by;
    if (route->kept_back)
        neighbor->kept_back += by;
}

/* Gives a route another validity, and what its path is. */
static void become(struct rib *rib, uint32_t number, enum validity validity, enum path_outcome path, bool leak)
{
    struct route *route = route_at(rib, number);
    unsigned was = route->bits & VALIDITY_BITS;
    bool same = was == (unsigned)validity;
    count(rib, route, false);
    uint16_t variant = route_variant(rib, number);
    /* What is invalid from now on is withdrawn, also if nothing was announced; a path that stays withdrawn is not. */
    bool withdrawn = same && route_action(rib, number) == ACTION_WITHDRAW;
    route->bits = (uint8_t)((route->bits & ~(VALIDITY_BITS | (withdrawn ? 0 : WITHDRAWN_BOTH))) | (unsigned)validity);
    route->path = path;
    route->leak = leak;
    if (variant != route_variant(rib, number))
        route->bits |= OUTDATED_BOTH;
    if (!same)
        *since_at(rib, number) = rib->now;
    count(rib, route, true);
}

void route_set_validity(struct rib *rib, uint32_t number, enum validity validity)
{
    const struct route *route = route_at(rib, number);
    unsigned was = route->bits & VALIDITY_BITS;
    uint8_t path_was = change_path(route);
    enum path_outcome path = route_path(rib, route);
    bool leak = route_leak(rib, route);
    bool differs = was != (unsigned)validity || route->path != (unsigned)path || route->leak != leak;
    if (differs) {
        become(rib, number, validity, path, leak);
        covers_changed(rib, number, was, validity);
    }
    if (differs || (!covers_decide(rib, number) && route->did != (unsigned)route_action(rib, number)))
        change_note(rib, number, (uint8_t)was, path_was);
}

/* What the routes of an UPDATE have in common. */
struct alike {
    uint32_t neighbor, attrs;
    enum path_outcome path;
    bool leak;
};

/* There is one more route: others of its prefix, or that it covers, may have to know, and whoever listens. */
static void came(struct rib *rib, uint32_t number, enum validity validity)
{
    rib->state.routes++;
    if (rib->covers.wanted) {
        covers_changed(rib, number, VALIDITY_UNVERIFIED, validity);
        covers_route_came(rib, number);
    }
    change_came(rib, number);
}

/* A route that the neighbor did not have. NO_ROUTE: there is no room for it, which is counted. */
static uint32_t announce_new(struct rib *rib, uint32_t *first, const struct alike *alike, const struct nlri *nlri,
                             enum validity validity, struct route_faults *faults)
{
    uint32_t number = add_route(rib, first, alike->neighbor, alike->attrs, nlri);
    if (number == NO_ROUTE) {
        faults->memory++;
        return NO_ROUTE;
    }
    struct route *route = route_at(rib, number);
    route->bits |= (uint8_t)validity;
    route->path = alike->path;
    route->leak = alike->leak;
    count(rib, route, true);
    came(rib, number, validity);
    return number;
}

/* One that it has, or has withdrawn, and that is not written yet. */
static void announce_again(struct rib *rib, uint32_t number, const struct alike *alike, enum validity validity)
{
    uint32_t attrs = alike->attrs;
    struct route *route = route_at(rib, number);
    bool gone = route->bits & GONE;
    if (gone) {
        route->bits &= (uint8_t) ~(GONE | WITHDRAWN_BOTH);
        count(rib, route, true);
        *since_at(rib, number) = rib->now;
    }
    if (route_retagged(rib, number)) /* by the set or validity that it may lose here */
        route->bits |= OUTDATED_BOTH;
    if (route->attrs != attrs) {
        if (summary_of(rib, route)->announced_hash != rib->attrs.sets[attrs].summary.announced_hash)
            route->bits |= OUTDATED_BOTH;
        attrs_hold(&rib->attrs, attrs);
        attrs_release(&rib->attrs, route->attrs);
        route->attrs = attrs;
    }
    if (!gone) {
        route_set_validity(rib, number, validity);
        return;
    }
    if ((route->bits & VALIDITY_BITS) != (unsigned)validity || route->path != (unsigned)alike->path ||
        route->leak != alike->leak)
        become(rib, number, validity, alike->path, alike->leak);
    came(rib, number, validity);
}

/* False: there was no room for the route, which is counted. */
static bool announce(struct rib *rib, const struct alike *alike, const struct nlri *nlri, size_t near,
                     enum validity validity, struct route_faults *faults)
{
    uint32_t *first = make_chain(rib, &nlri->prefix, near);
    if (!first) {
        faults->memory++;
        return false;
    }
    struct beside beside;
    uint32_t number = find_route(rib, *first, alike->neighbor, nlri, &beside);
    if (number != NO_ROUTE) {
        announce_again(rib, number, alike, validity);
    } else if (nlri->has_path_id &&
               beside.others >= (beside.all < RIB_ROUTES_CROWDED ? RIB_ROUTES_OF_PREFIX : RIB_ROUTES_SHARE)) {
        /* Each is memory, and path ids are the neighbor's to choose. */
        faults->crowded++;
        return false;
    } else if ((number = announce_new(rib, first, alike, nlri, validity, faults)) == NO_ROUTE) {
        return false;
    } else if (beside.all + 1 >= rib->throngs.from) {
        throng_begin(rib, &nlri->prefix, *first);
    }
    outbox_consider(rib, number);
    return true;
}

/* Routes of a prefix that are looked at for those of a session that has ended, before another one comes. */
enum { ENDED_MOST = 16 };

/* Has the routes of sessions that have ended go now, where the purge would later: so it is told before what comes, and
 * what is told last of a route is what it is. Where a prefix has many, some may be told late. */
static void purge_first(struct rib *rib, const struct prefix *prefix)
{
    uint32_t chain = chain_of(rib, prefix), cause = rib->changes.cause;
    rib->changes.cause = CAUSE_SESSION;
    for (int i = 0; i < ENDED_MOST && chain != NO_ROUTE; i++) {
        const struct route *route = route_at(rib, chain);
        const struct neighbor *neighbor = neighbor_of(rib, route);
        uint32_t next = route->next;
        if (neighbor->retired && !neighbor->previous_run && !(route->bits & GONE))
            route_withdraw(rib, chain);
        chain = next;
    }
    rib->changes.cause = cause;
}

void rib_fetch(const struct rib *rib, const struct nlri *nlri) { vrpset_fetch_lengths(rib->set, &nlri->prefix); }

size_t rib_announce(struct rib *rib, uint32_t neighbor, uint32_t attrs, const struct nlri *nlri, size_t n,
                    struct route_faults *faults)
{
    size_t taken = 0, near = INDEX_LAST, nears[VRPSET_TOGETHER];
    uint8_t validities[VRPSET_TOGETHER];
    for (size_t i = 0; i < n && !walk_is_over(&rib->purge); i++)
        purge_first(rib, &nlri[i].prefix);
    for (size_t i = 0; i < n; i++)
        nears[i] = near = fetch_chain(rib, &nlri[i].prefix, near); /* it comes while the routes are validated */
    vrpset_validate_nlri(rib->set, nlri, n, rib->attrs.sets[attrs].summary.origin, validities);
    const struct alike alike = {neighbor, attrs, path_of(rib, neighbor, attrs), leak_of(rib, neighbor, attrs)};
    for (size_t i = 0; i < n; i++)
        taken += announce(rib, &alike, &nlri[i], nears[i], (enum validity)validities[i], faults);
    return taken;
}

int64_t rib_announce_text(struct rib *rib, uint32_t neighbor, uint32_t attrs, const char *text, size_t size, size_t n,
                          struct route_faults *faults)
{
    if (!neighbor_at(rib, neighbor) || !attrs_at(&rib->attrs, attrs))
        return -2;
    if (count_lines(text, size) != n)
        return -1;
    size_t taken = 0;
    attrs_hold(&rib->attrs, attrs);
    for (int found = 0; found >= 0;) {
        struct nlri nlri[VRPSET_TOGETHER];
        size_t some = 0;
        while (some < VRPSET_TOGETHER && (found = nlri_take(&text, &size, &nlri[some])) >= 0) {
            some += (size_t)found;
            faults->prefixes += !found;
        }
        taken += rib_announce(rib, neighbor, attrs, nlri, some, faults);
    }
    attrs_release(&rib->attrs, attrs);
    return (int64_t)taken;
}

/* ---- withdraws ----------------------------------------------------------------------------------------------- */

void route_withdraw(struct rib *rib, uint32_t number)
{
    struct route *route = route_at(rib, number);
    unsigned was = route->bits & VALIDITY_BITS;
    change_goes(rib, number);
    if (!route_gone(rib, route)) {
        count(rib, route, false);
        rib->state.routes--;
    }
    route->bits |= GONE;
    covers_changed(rib, number, was, VALIDITY_UNVERIFIED);
    bool alone = chain_of_route(rib, number) == number && route->next == NO_ROUTE;
    if (alone && !route->advertised && route->waiting == NOT_WAITING)
        route_remove(rib, number);
    else
        outbox_consider(rib, number);
}

bool rib_withdraw(struct rib *rib, uint32_t neighbor, const struct nlri *nlri)
{
    struct beside beside;
    uint32_t number = find_route(rib, chain_of(rib, &nlri->prefix), neighbor, nlri, &beside);
    if (number == NO_ROUTE || (route_at(rib, number)->bits & GONE))
        return false;
    route_withdraw(rib, number);
    return true;
}

int64_t rib_withdraw_text(struct rib *rib, uint32_t neighbor, const char *text, size_t size, size_t n,
                          struct route_faults *faults)
{
    if (!neighbor_at(rib, neighbor))
        return -2;
    if (count_lines(text, size) != n)
        return -1;
    int64_t taken = 0;
    struct nlri nlri;
    for (int found; (found = nlri_take(&text, &size, &nlri)) >= 0;) {
        taken += found && rib_withdraw(rib, neighbor, &nlri);
        faults->prefixes += !found;
    }
    return taken;
}
