/* What is left to do after VRPs changed, a policy changed or a session ended, in slices. */

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

void revalidate_forget(struct revalidate *revalidate)
{
    vrp_list_free(&revalidate->list);
    free(revalidate->causes);
    revalidate->causes = NULL;
}

uint64_t revalidate_memory(const struct revalidate *revalidate)
{
    return revalidate->list.room * (sizeof *revalidate->list.records + sizeof *revalidate->causes);
}

/* Makes room for `more` VRPs behind those that wait; what is done gives its room to them. False: no memory. */
static bool reserve(struct revalidate *revalidate, size_t more)
{
    struct vrp_list *list = &revalidate->list;
    size_t waiting = list->n - revalidate->at;
    if (revalidate->at >= waiting && revalidate->at) { /* so each is moved once, on the average */
        memmove(list->records, list->records + revalidate->at, waiting * sizeof *list->records);
        memmove(revalidate->causes, revalidate->causes + revalidate->at, waiting * sizeof *revalidate->causes);
        revalidate->at = 0;
        list->n = waiting;
    }
    if (more <= list->room - list->n)
        return true;
    size_t room = list->n + more;
    struct vrp *records = realloc(list->records, room * sizeof *records);
    if (!records)
        return false;
    list->records = records;
    uint32_t *causes = realloc(revalidate->causes, room * sizeof *causes);
    if (!causes)
        return false;
    revalidate->causes = causes;
    list->room = room;
    return true;
}

void routes_vrps_changed(struct routes *routes, const struct vrp_list *changes)
{
    struct revalidate *revalidate = &routes->revalidate;
    if (changes->n == 0)
        return;
    /* Past this the walk over all routes is the shorter way, and what waits stays bounded. */
    size_t waiting = revalidate->list.n - revalidate->at;
    if (waiting + changes->n > routes->state.routes / 4 + 1024 || !reserve(revalidate, changes->n)) {
        routes_reconsider(routes, false);
        return;
    }
    for (size_t i = 0; i < changes->n; i++) {
        if (!family_has_length(changes->records[i].family, changes->records[i].len))
            continue; /* covers nothing */
        revalidate->list.records[revalidate->list.n] = changes->records[i];
        revalidate->causes[revalidate->list.n++] = routes->events.given;
        routes->state.work = true;
    }
}

void routes_reconsider(struct routes *routes, bool rewrite)
{
    struct revalidate *revalidate = &routes->revalidate;
    bool still = revalidate->all && revalidate->rewrite; /* an unfinished rewrite starts anew and stays one */
    bool attrs = revalidate->attrs;
    revalidate_forget(revalidate);
    *revalidate = (struct revalidate){
        .all = true, .rewrite = rewrite || still, .attrs = attrs, .cause = routes->events.given, .family = 4};
    routes->state.work = true;
}

/* Every route has been marked that had to be. */
static void forget_retagged(struct routes *routes)
{
    for (uint32_t i = 0; i < routes->neighbors_n; i++)
        routes->neighbors[i].rewrite = 0;
    for (uint32_t i = 0; routes->revalidate.attrs && i < routes->attrs.n; i++)
        routes->attrs.sets[i].retagged = 0;
    routes->revalidate.attrs = false;
}

static void revalidate_chain(struct routes *routes, uint32_t chain, size_t *budget)
{
    for (uint32_t i = chain; i != NO_ROUTE; i = route_at(routes, i)->next) {
        *budget -= *budget > 0;
        const struct route *route = route_at(routes, i);
        if (route_gone(routes, route) || routes->neighbors[route->neighbor].previous_run)
            continue;
        if (route_retagged(routes, route_at(routes, i)))
            route_at(routes, i)->bits |= STALE_BOTH;
        route_set_validity(routes, i, route_validate(routes, i));
        outbox_consider(routes, i);
    }
}

/* Walks the prefixes from `key` on that `within` covers (len 0: all of the family). True: done; false: `key` is where
 * to go on. */
static bool revalidate_range(struct routes *routes, const struct prefix *within, uint8_t key[INDEX_KEY_MOST],
                             size_t *budget)
{
    const struct index *index = &routes->prefixes[family_at(within->family)];
    struct index_position place = index_seek(index, key);
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
        revalidate_chain(routes, *chain, budget);
        index_next(&place);
    }
    return true;
}

static void revalidate_all(struct routes *routes, size_t *budget)
{
    struct revalidate *revalidate = &routes->revalidate;
    while (revalidate->all && *budget) {
        struct prefix whole = {.family = revalidate->family};
        if (!revalidate_range(routes, &whole, revalidate->key, budget))
            return;
        memset(revalidate->key, 0, sizeof revalidate->key);
        if (revalidate->family == 6) {
            revalidate->all = revalidate->rewrite = false;
            forget_retagged(routes);
        }
        revalidate->family = 6;
    }
}

static void revalidate_list(struct routes *routes, size_t *budget)
{
    struct revalidate *revalidate = &routes->revalidate;
    while (revalidate->at < revalidate->list.n && *budget) {
        const struct vrp *vrp = &revalidate->list.records[revalidate->at];
        struct prefix within = {.len = vrp->len, .family = vrp->family};
        memcpy(within.addr, vrp->addr, sizeof within.addr);
        if (!revalidate->in_range)
            prefix_key(&within, revalidate->range_key);
        routes->events.cause = revalidate->causes[revalidate->at];
        routes->events.vrp = vrp;
        revalidate->in_range = !revalidate_range(routes, &within, revalidate->range_key, budget);
        routes->events.vrp = NULL;
        if (!revalidate->in_range)
            revalidate->at++;
        *budget -= *budget > 0;
    }
    if (revalidate->at && revalidate->at == revalidate->list.n) {
        revalidate_forget(revalidate);
        revalidate->at = 0;
    }
}

/* The routes of one prefix whose session is over. Their removal changes the chain and perhaps the index. */
static void purge_chain(struct routes *routes, uint32_t chain, size_t *budget)
{
    while (chain != NO_ROUTE) {
        const struct route *route = route_at(routes, chain);
        uint32_t next = route->next;
        if (routes->neighbors[route->neighbor].retired && !(route->bits & GONE))
            route_withdraw(routes, chain);
        *budget -= *budget > 0;
        chain = next;
    }
}

static void purge(struct routes *routes, size_t *budget)
{
    while (routes->purge.running && *budget) {
        const struct index *index = &routes->prefixes[family_at(routes->purge.family)];
        struct index_position place = index_seek(index, routes->purge.key);
        const uint8_t *at;
        uint32_t *chain;
        bool more = index_at(index, &place, &at, &chain);
        if (more) {
            memcpy(routes->purge.key, at, index->key_size);
            purge_chain(routes, *chain, budget);
            place = index_seek(index, routes->purge.key);
            if (index_at(index, &place, &at, &chain) && memcmp(at, routes->purge.key, index->key_size) == 0)
                index_next(&place);
            more = index_at(index, &place, &at, &chain);
        }
        if (more) {
            memcpy(routes->purge.key, at, index->key_size);
            continue;
        }
        memset(routes->purge.key, 0, sizeof routes->purge.key);
        if (routes->purge.family == 6)
            routes->purge.running = false;
        routes->purge.family = 6;
    }
}

bool routes_work(struct routes *routes, size_t budget)
{
    purge(routes, &budget);
    revalidate_list(routes, &budget);
    routes->events.cause = routes->revalidate.cause;
    revalidate_all(routes, &budget);
    routes->events.cause = CAUSE_UPDATE;
    routes->state.work =
        routes->purge.running || routes->revalidate.all || routes->revalidate.at < routes->revalidate.list.n;
    return routes->state.work;
}
