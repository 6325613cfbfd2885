/* What is left to do after VRPs changed, a policy changed or a session ended, in slices. */

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

void revalidate_forget(struct revalidate *revalidate)
{
    vrp_list_free(&revalidate->list);
    free(revalidate->causes);
    *revalidate = (struct revalidate){.all = revalidate->all, .cause = revalidate->cause, .attrs = revalidate->attrs};
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

void rib_vrps_changed(struct rib *rib, const struct vrp_list *changes)
{
    struct revalidate *revalidate = &rib->revalidate;
    if (changes->n == 0)
        return;
    /* Past this the walk over all routes is the shorter way, and what waits stays bounded. */
    size_t waiting = revalidate->list.n - revalidate->at;
    if (waiting + changes->n > rib->state.routes / 4 + 1024 || !reserve(revalidate, changes->n)) {
        rib_revalidate(rib);
        return;
    }
    for (size_t i = 0; i < changes->n; i++) {
        if (!family_has_length(changes->records[i].family, changes->records[i].len))
            continue; /* covers nothing */
        revalidate->list.records[revalidate->list.n] = changes->records[i];
        revalidate->causes[revalidate->list.n++] = rib->changes.given;
        rib->state.work = true;
    }
}

void rib_revalidate(struct rib *rib)
{
    struct revalidate *revalidate = &rib->revalidate;
    revalidate_forget(revalidate);
    rib->throngs.epoch++;
    walk_begin(&revalidate->all, NULL);
    revalidate->cause = rib->changes.given;
    rib->state.work = true;
    covers_all_again(rib);
}

/* Every route has been marked that had to be. */
static void forget_retagged(struct rib *rib)
{
    for (uint32_t i = 0; i < rib->neighbors_n; i++) {
        struct neighbor *neighbor = &rib->neighbors[i];
        neighbor->outdated = false;
        if (neighbor->policies)
            policies_free(neighbor->policies->before);
        if (neighbor->policies)
            neighbor->policies->before = NULL;
    }
    rib->rekinded = 0;
    rib->otc.changed = 0;
    rib->throngs.epoch++;
    for (uint32_t i = 0; rib->revalidate.attrs && i < rib->attrs.n; i++)
        rib->attrs.sets[i].retagged = 0;
    rib->revalidate.attrs = false;
}

/* ---- validation ---------------------------------------------------------------------------------------------- */

/* Routes that are validated together: each waits for memory, which is on its way for all of them at once. */
struct batch {
    size_t n;
    uint32_t numbers[VRPSET_TOGETHER];
    struct prefix prefixes[VRPSET_TOGETHER];
};

static void validate(struct rib *rib, struct batch *batch)
{
    const struct prefix *prefixes[VRPSET_TOGETHER] = {NULL};
    int64_t origins[VRPSET_TOGETHER] = {0};
    uint8_t validities[VRPSET_TOGETHER];
    for (size_t i = 0; i < batch->n; i++) {
        prefixes[i] = &batch->prefixes[i];
        origins[i] = summary_of(rib, route_at(rib, batch->numbers[i]))->origin;
    }
    vrpset_validate_some(rib->set, prefixes, origins, batch->n, validities);
    for (size_t i = 0; i < batch->n; i++) {
        struct route *route = route_at(rib, batch->numbers[i]);
        if (route_retagged(rib, batch->numbers[i]))
            route->bits |= OUTDATED_BOTH;
        route_set_validity(rib, batch->numbers[i], (enum validity)validities[i]);
        if (!covers_decide(rib, batch->numbers[i]))
            outbox_consider(rib, batch->numbers[i]);
        else
            route_rank(rib, batch->numbers[i]);
    }
    batch->n = 0;
}

static void spend(size_t *budget) { *budget -= *budget > 0; }

/* Validates the routes that the walk comes to. True: it is over. */
static bool validate_walk(struct rib *rib, struct walk *walk, size_t *budget)
{
    struct batch batch = {.n = 0};
    uint32_t chain;
    bool more;
    for (; (more = walk_at(rib, walk, &chain)) && *budget; walk_step(walk)) {
        for (; chain != NO_ROUTE; chain = route_at(rib, chain)->next) {
            struct route *route = route_at(rib, chain);
            spend(budget);
            if (neighbor_of(rib, route)->previous_run)
                continue;
            if (route_gone(rib, route)) { /* another one must not inherit what is advertised in other words */
                if (route_retagged(rib, chain))
                    route->bits |= OUTDATED_BOTH;
                continue;
            }
            __builtin_prefetch(&rib->attrs.sets[route->attrs]);
            batch.prefixes[batch.n] = route_prefix(rib, chain);
            batch.numbers[batch.n++] = chain;
            if (batch.n == VRPSET_TOGETHER)
                validate(rib, &batch);
        }
    }
    validate(rib, &batch);
    return !more;
}

static void validate_all(struct rib *rib, size_t *budget)
{
    if (walk_is_over(&rib->revalidate.all) || !*budget)
        return;
    rib->changes.cause = rib->revalidate.cause;
    if (validate_walk(rib, &rib->revalidate.all, budget))
        forget_retagged(rib);
}

static void validate_list(struct rib *rib, size_t *budget)
{
    struct revalidate *revalidate = &rib->revalidate;
    while (revalidate->at < revalidate->list.n && *budget) {
        const struct vrp *vrp = &revalidate->list.records[revalidate->at];
        struct prefix within = {.len = vrp->len, .family = vrp->family};
        memcpy(within.addr, vrp->addr, sizeof within.addr);
        if (walk_is_over(&revalidate->range))
            walk_begin(&revalidate->range, &within);
        rib->changes.cause = revalidate->causes[revalidate->at];
        rib->changes.vrp = vrp;
        revalidate->at += validate_walk(rib, &revalidate->range, budget);
        rib->changes.vrp = NULL;
        spend(budget);
    }
    if (revalidate->at && revalidate->at == revalidate->list.n)
        revalidate_forget(revalidate);
}

/* The routes of retired neighbors go, and what is advertised at receivers that are no more. */
static void purge(struct rib *rib, size_t *budget)
{
    uint32_t chain;
    while (walk_at(rib, &rib->purge, &chain) && *budget) {
        walk_step(&rib->purge);
        while (chain != NO_ROUTE) {
            struct route *route = route_at(rib, chain);
            uint32_t next = route->next;
            if (route->advertised & rib->forgotten) {
                route->advertised &= ~rib->forgotten;
                outbox_consider(rib, chain); /* a record may have been kept for that alone */
            }
            if (neighbor_of(rib, route)->retired && !(route->bits & GONE))
                route_withdraw(rib, chain);
            spend(budget);
            chain = next;
        }
    }
    if (walk_is_over(&rib->purge) && rib->forgotten) {
        rib->forgotten = 0;
        rib->throngs.epoch++;
    }
}

bool rib_work(struct rib *rib, size_t budget)
{
    struct revalidate *revalidate = &rib->revalidate;
    rib->changes.cause = CAUSE_SESSION;
    purge(rib, &budget);
    /* First the paths: whoever looks at a route from here on finds all that changed of it. */
    if (!judging_paths(rib, &budget)) {
        validate_list(rib, &budget);
        validate_all(rib, &budget);
        if (!judging_routes(rib, &budget))
            covers_work(rib, &budget);
    }
    rib->changes.cause = CAUSE_UPDATE;
    rib->state.work = !rib->judging.over || !walk_is_over(&rib->purge) || !walk_is_over(&revalidate->all) ||
                      revalidate->at < revalidate->list.n || covers_wait(rib);
    return rib->state.work;
}
