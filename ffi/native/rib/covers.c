/* How the prefix of a route would still be reached without it: by other routes of the same or of a less specific
 * prefix, for rules that ask for that (`covered_by` of struct neighbor_policy).
 *
 * Each route of a neighbor with such a rule has in its record what it was when it was looked at last. A route that
 * comes, goes or changes its validity may make it another one for all that its prefix covers. If so, they are looked at
 * again in rib_work, in slices: the prefix waits in a list, whose length is bounded, as past that one walk over all
 * routes is the shorter way. The walk is in order of prefix, so what covers a prefix was met before it, and lies on a
 * stack.
 */

#include <stdlib.h>
#include <string.h>

#include "rib/throngs.h"

#define LOOK_BACK 8        /* prefixes at the end of the list, among which a new one may be */
#define LOOKUPS_OF_ROUTE 8 /* that many cost about as much as a route */
#define AT_ONCE 256    /* lookups and routes that a new route's own cover may cost; else its turn comes in rib_work */
#define STACK_MOST 129 /* prefixes that cover one another: of each length one */

static enum cover cover_by(unsigned validity)
{
    return validity == VALIDITY_VALID ? COVER_VALID : validity == VALIDITY_NOT_FOUND ? COVER_NOT_FOUND : COVER_NONE;
}

/* What two make together: a valid route tells more than one not found. */
static enum cover better(enum cover a, enum cover b)
{
    if (a == COVER_VALID || b == COVER_VALID)
        return COVER_VALID;
    return a == COVER_NOT_FOUND || b == COVER_NOT_FOUND ? COVER_NOT_FOUND : COVER_NONE;
}

static bool covers_others(const struct rib *rib, const struct route *route)
{
    return !route_gone(rib, route) && !neighbor_of(rib, route)->previous_run;
}

static void tally_add(struct tally *tally, unsigned validity, uint32_t by)
{
    tally->valid += validity == VALIDITY_VALID ? by : 0;
    tally->not_found += validity == VALIDITY_NOT_FOUND ? by : 0;
}

static struct tally walk_over(const struct rib *rib, uint32_t chain)
{
    struct tally tally = {0};
    for (; chain != NO_ROUTE; chain = route_at(rib, chain)->next, tally.n++) {
        const struct route *route = route_at(rib, chain);
        if (covers_others(rib, route))
            tally_add(&tally, route->bits & VALIDITY_BITS, 1);
    }
    return tally;
}

/* `cost` grows by the routes that were looked at. */
static struct tally tally_of(const struct rib *rib, const struct prefix *prefix, uint32_t chain, size_t *cost)
{
    struct throng *throng = chain == NO_ROUTE ? NULL : throng_of(rib, prefix);
    if (throng && throng->tally_era == rib->covers.era) {
        throng->tally.n = throng->n;
        *cost += 1;
        return throng->tally;
    }
    struct tally tally = walk_over(rib, chain);
    *cost += tally.n;
    if (throng) {
        throng->tally = tally;
        throng->tally_era = rib->covers.era;
    }
    return tally;
}

/* What is kept of a prefix with many routes follows a change of one of them. */
static void tally_follow(const struct rib *rib, const struct prefix *prefix, const struct route *route, unsigned was,
                         unsigned now)
{
    struct throng *throng = throng_of(rib, prefix);
    if (!throng || throng->tally_era != rib->covers.era || neighbor_of(rib, route)->retired)
        return;
    tally_add(&throng->tally, was, UINT32_MAX);
    tally_add(&throng->tally, now, 1);
}

static enum cover cover_of_tally(const struct tally *tally)
{
    return tally->valid ? COVER_VALID : tally->not_found ? COVER_NOT_FOUND : COVER_NONE;
}

/* The prefix that covers this one and is so long. */
static struct prefix shortened(struct prefix prefix, unsigned len)
{
    size_t octets = (len + 7) / 8;
    memset(prefix.addr + octets, 0, sizeof prefix.addr - octets);
    if (len % 8)
        prefix.addr[octets - 1] &= (uint8_t)(0xff00u >> len % 8);
    prefix.len = (uint8_t)len;
    return prefix;
}

/* What covers a prefix: those of less specific ones, from the longest on until a valid one is found, or it cost more
 * than `most`. */
static enum cover cover_above(const struct rib *rib, const struct prefix *prefix, size_t most, size_t *cost)
{
    const uint32_t *lengths = rib->covers.lengths[family_at(prefix->family)];
    enum cover found = COVER_NONE;
    for (unsigned len = prefix->len; len-- && found != COVER_VALID && *cost <= most;) {
        if (!lengths[len])
            continue;
        struct prefix wider = shortened(*prefix, len);
        struct tally tally = tally_of(rib, &wider, chain_of(rib, &wider), cost);
        ++*cost;
        found = better(found, cover_of_tally(&tally));
    }
    return found;
}

/* ---- one route ----------------------------------------------------------------------------------------------- */

static enum cover without(struct tally tally, const struct rib *rib, const struct route *route, enum cover above)
{
    if (covers_others(rib, route))
        tally_add(&tally, route->bits & VALIDITY_BITS, UINT32_MAX);
    return better(above, cover_of_tally(&tally));
}

static void change_cover(struct rib *rib, uint32_t number, enum cover cover)
{
    struct route *route = route_at(rib, number);
    const struct neighbor_policy *policy = route_policy(rib, number);
    if (route_retagged(rib, number))
        route->bits |= OUTDATED_BOTH;
    uint16_t variant = route_variant(rib, number);
    route->cover = cover & 3;
    if (variant != route_variant(rib, number))
        route->bits |= OUTDATED_BOTH;
    if (policy->receivers != route_policy(rib, number)->receivers || route_action(rib, number) != ACTION_WITHDRAW)
        route->bits &= (uint8_t)~WITHDRAWN_BOTH;
}

/* Gives a route that is not gone the cover that it has now; its action may be another one then. */
static void set_cover(struct rib *rib, uint32_t number, enum cover cover)
{
    const struct route *route = route_at(rib, number);
    if (route->cover != cover)
        change_cover(rib, number, cover);
    if (route->did != (unsigned)route_action(rib, number))
        change_note(rib, number, route->bits & VALIDITY_BITS, change_path(route));
}

static bool has_more_specific(const struct rib *rib, const struct prefix *prefix)
{
    const struct index *index = &rib->prefixes[family_at(prefix->family)];
    uint8_t after[INDEX_KEY_MOST], addr[16] = {0};
    const uint8_t *key;
    uint32_t *first;
    prefix_key(prefix, after);
    after[index->key_size - 1]++;
    struct index_position position = index_seek(index, after);
    if (!index_at(index, &position, &key, &first))
        return false;
    memcpy(addr, key, index->key_size - 1);
    return prefix_covers(prefix->addr, prefix->len, addr);
}

/* ---- what waits ---------------------------------------------------------------------------------------------- */

void covers_all_again(struct rib *rib)
{
    struct covers *covers = &rib->covers;
    if (!covers->wanted)
        return;
    covers_free(covers);
    covers->walk = (struct walk){0};
    covers->again = true; /* a walk that is under way goes on to its end: so one comes there, whatever changes */
    covers->cause = rib->changes.given;
    rib->state.work = true;
}

void covers_free(struct covers *covers)
{
    free(covers->list);
    covers->list = NULL;
    covers->n = covers->room = covers->at = 0;
}

static bool waits(const struct covers *covers, const struct changed_cover *one)
{
    size_t first = covers->at + !walk_is_over(&covers->walk); /* the one that is under way may have passed it */
    for (size_t i = covers->n; i > first && i + LOOK_BACK > covers->n; i--) {
        const struct changed_cover *other = &covers->list[i - 1];
        if (other->below >= one->below && memcmp(&other->prefix, &one->prefix, sizeof one->prefix) == 0)
            return true;
    }
    return false;
}

static void have_wait(struct rib *rib, const struct changed_cover *one)
{
    struct covers *covers = &rib->covers;
    rib->state.work = true;
    if (covers->again || waits(covers, one))
        return;
    if (covers->n == covers->room) {
        size_t room = covers->room ? covers->room * 2 : 64;
        struct changed_cover *list = room <= COVERS_WAIT_MOST ? realloc(covers->list, room * sizeof *list) : NULL;
        if (!list) {
            covers_all_again(rib);
            return;
        }
        covers->list = list;
        covers->room = room;
    }
    covers->list[covers->n++] = *one;
}

void covers_changed(struct rib *rib, uint32_t number, unsigned was, unsigned now)
{
    enum cover before = cover_by(was), after = cover_by(now);
    const struct route *route = route_at(rib, number);
    if (!rib->covers.wanted || before == after || neighbor_of(rib, route)->previous_run)
        return;
    struct changed_cover one = {.prefix = route_prefix(rib, number), .cause = rib->changes.cause};
    size_t cost = 0;
    tally_follow(rib, &one.prefix, route, was, now);
    struct tally tally = tally_of(rib, &one.prefix, chain_of(rib, &one.prefix), &cost);
    if (covers_others(rib, route))
        tally_add(&tally, route->bits & VALIDITY_BITS, UINT32_MAX);
    enum cover rest = cover_of_tally(&tally);
    one.below = better(rest, before) != better(rest, after) && has_more_specific(rib, &one.prefix);
    if (one.below || tally.n > 1)
        have_wait(rib, &one);
}

void covers_route_came(struct rib *rib, uint32_t number)
{
    struct route *route = route_at(rib, number);
    if (!neighbor_of(rib, route)->wants_cover || neighbor_of(rib, route)->previous_run)
        return;
    struct changed_cover one = {.prefix = route_prefix(rib, number), .cause = rib->changes.cause};
    size_t cost = 0;
    struct tally tally = tally_of(rib, &one.prefix, chain_of(rib, &one.prefix), &cost);
    enum cover above = cover_above(rib, &one.prefix, AT_ONCE, &cost);
    uint16_t variant = route_variant(rib, number);
    route->cover = without(tally, rib, route, above) & 3;
    if (variant != route_variant(rib, number)) /* one that has come back may be advertised still */
        route->bits |= OUTDATED_BOTH;
    if (cost > AT_ONCE)
        have_wait(rib, &one);
}

/* ---- in slices ----------------------------------------------------------------------------------------------- */

struct stack { /* the prefixes that cover the one that the walk has come to, each with what it and those above it make
                */
    size_t n;
    struct {
        struct prefix prefix;
        enum cover cover;
    } at[STACK_MOST];
};

static void push(struct stack *stack, const struct prefix *prefix, enum cover cover)
{
    if (stack->n)
        cover = better(cover, stack->at[stack->n - 1].cover);
    if (stack->n == STACK_MOST)
        return;
    stack->at[stack->n].prefix = *prefix;
    stack->at[stack->n++].cover = cover;
}

/* Begins a stack with all that covers a prefix. */
static void fill(const struct rib *rib, struct stack *stack, const struct prefix *prefix, size_t *cost)
{
    const uint32_t *lengths = rib->covers.lengths[family_at(prefix->family)];
    for (unsigned len = 0; len < prefix->len; len++) {
        if (!lengths[len])
            continue;
        struct prefix wider = shortened(*prefix, len);
        uint32_t chain = chain_of(rib, &wider);
        struct tally tally = tally_of(rib, &wider, chain, cost);
        ++*cost;
        if (chain != NO_ROUTE)
            push(stack, &wider, cover_of_tally(&tally));
    }
}

static enum cover above(struct stack *stack, const struct prefix *prefix)
{
    for (; stack->n; stack->n--) {
        const struct prefix *last = &stack->at[stack->n - 1].prefix;
        if (last->family == prefix->family && last->len < prefix->len &&
            prefix_covers(last->addr, last->len, prefix->addr))
            return stack->at[stack->n - 1].cover;
    }
    return COVER_NONE;
}

/* Looks at the routes of a prefix again. */
static void look_at(struct rib *rib, uint32_t chain, const struct tally *tally, enum cover above)
{
    for (; chain != NO_ROUTE; chain = route_at(rib, chain)->next) {
        const struct route *route = route_at(rib, chain);
        const struct neighbor *neighbor = neighbor_of(rib, route);
        if (!neighbor->wants_cover || neighbor->previous_run || route_gone(rib, route))
            continue;
        set_cover(rib, chain, without(*tally, rib, route, above));
        outbox_consider(rib, chain);
    }
}

static void spend(size_t *budget, size_t cost) { *budget -= cost < *budget ? cost : *budget; }

/* Looks at what the walk comes to. `prune`: not at what a valid route covers, for which nothing above it counts. True:
 * it is over. */
static bool look_walk(struct rib *rib, struct walk *walk, bool prune, size_t *budget)
{
    struct stack stack = {.n = 0};
    bool filled = false, more;
    size_t cost = 0;
    uint32_t chain;
    while ((more = walk_at(rib, walk, &chain)) && *budget) {
        struct prefix prefix = route_prefix(rib, chain);
        if (!filled) {
            fill(rib, &stack, &prefix, &cost);
            filled = true;
        }
        enum cover those_above = above(&stack, &prefix);
        struct tally tally = tally_of(rib, &prefix, chain, &cost);
        look_at(rib, chain, &tally, those_above);
        enum cover own = cover_of_tally(&tally);
        push(&stack, &prefix, own);
        if (prune && own == COVER_VALID && prefix.len > walk->within.len)
            walk_over_covered(walk, &prefix);
        else
            walk_step(walk);
        cost += (size_t)LOOKUPS_OF_ROUTE * tally.n;
        spend(budget, cost / LOOKUPS_OF_ROUTE);
        cost %= LOOKUPS_OF_ROUTE;
    }
    return !more;
}

/* Looks at the routes of exactly one prefix. */
static void look_beside(struct rib *rib, const struct prefix *prefix, size_t *budget)
{
    size_t cost = 0;
    uint32_t chain = chain_of(rib, prefix);
    struct tally tally = tally_of(rib, prefix, chain, &cost);
    look_at(rib, chain, &tally, cover_above(rib, prefix, SIZE_MAX, &cost));
    spend(budget, 1 + tally.n + cost / LOOKUPS_OF_ROUTE);
}

bool covers_work(struct rib *rib, size_t *budget)
{
    struct covers *covers = &rib->covers;
    if (walk_is_over(&covers->all) && covers->again && *budget) {
        walk_begin(&covers->all, NULL);
        covers->again = false;
    }
    if (!walk_is_over(&covers->all) && *budget) {
        rib->changes.cause = covers->cause;
        look_walk(rib, &covers->all, false, budget);
    }
    while (walk_is_over(&covers->all) && !covers->again && covers->at < covers->n && *budget) {
        const struct changed_cover one = covers->list[covers->at];
        rib->changes.cause = one.cause;
        if (!one.below) {
            look_beside(rib, &one.prefix, budget);
            covers->at++;
            continue;
        }
        if (walk_is_over(&covers->walk))
            walk_begin(&covers->walk, &one.prefix);
        if (look_walk(rib, &covers->walk, true, budget))
            covers->at++;
        spend(budget, 1);
    }
    if (covers->at && covers->at == covers->n)
        covers->at = covers->n = 0;
    return covers_wait(rib);
}

bool covers_wait(const struct rib *rib)
{
    return rib->covers.again || !walk_is_over(&rib->covers.all) || rib->covers.at < rib->covers.n;
}

bool covers_decide(const struct rib *rib, uint32_t number)
{
    if (!neighbor_of(rib, route_at(rib, number))->wants_cover)
        return false;
    struct prefix prefix = route_prefix(rib, number);
    return rib->covers.again || walk_comes_to(&rib->covers.all, &prefix);
}
