/* The routes of a throng that share one announcement, in the order of the decision: so the best one that a receiver can
 * hear is found at once, however many there are.
 *
 * The order is a treap (Aragon and Seidel, 1989): a tree by degree whose shape nobody outside can choose. Each rank
 * has the receivers of all below it, so a search passes over those that can be announced to none of the receivers that
 * are left. A rank keeps the degree that it was given by: a route that changes leaves by the old one and comes by the
 * new.
 */

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "rib/throngs.h"

#define RANK_COST 8 /* routes that are looked at in the time that one takes to get its rank */

/* ---- the tree ------------------------------------------------------------------------------------------------ */

static uint64_t weight(const struct rib *rib, uint32_t slot) { return mix_bits(slot ^ rib->attrs.secret[1]); }

static uint64_t below(const struct ranking *ranking, uint32_t slot)
{
    return slot == NO_ROUTE ? 0 : ranking->at[slot].below;
}

static void pull(const struct ranking *ranking, uint32_t slot)
{
    struct ranked *ranked = &ranking->at[slot];
    ranked->below = ranked->receivers | below(ranking, ranked->left) | below(ranking, ranked->right);
}

/* Whether one is better than the other. */
static bool is_before(const struct rib *rib, const struct throng *throng, const struct ranking *ranking, uint32_t one,
                      uint32_t other)
{
    uint64_t a = ranking->at[one].degree, b = ranking->at[other].degree;
    return a != b ? a < b : route_break_tie(rib, throng->routes[one].number, throng->routes[other].number) < 0;
}

/* Divides a tree by a route that is in none. */
static void split(const struct rib *rib, const struct throng *throng, const struct ranking *ranking, uint32_t tree,
                  uint32_t by, uint32_t *left, uint32_t *right)
{
    if (tree == NO_ROUTE) {
        *left = *right = NO_ROUTE;
        return;
    }
    struct ranked *top = &ranking->at[tree];
    if (is_before(rib, throng, ranking, tree, by)) {
        split(rib, throng, ranking, top->right, by, &top->right, right);
        *left = tree;
    } else {
        split(rib, throng, ranking, top->left, by, left, &top->left);
        *right = tree;
    }
    pull(ranking, tree);
}

/* All of `left` is before all of `right`. */
static uint32_t join(const struct rib *rib, const struct ranking *ranking, uint32_t left, uint32_t right)
{
    if (left == NO_ROUTE || right == NO_ROUTE)
        return left == NO_ROUTE ? right : left;
    bool left_above = weight(rib, left) > weight(rib, right);
    uint32_t top = left_above ? left : right;
    if (left_above)
        ranking->at[top].right = join(rib, ranking, ranking->at[top].right, right);
    else
        ranking->at[top].left = join(rib, ranking, left, ranking->at[top].left);
    pull(ranking, top);
    return top;
}

static uint32_t insert(const struct rib *rib, const struct throng *throng, const struct ranking *ranking, uint32_t tree,
                       uint32_t slot)
{
    struct ranked *ranked = &ranking->at[slot];
    uint32_t top = tree;
    if (tree == NO_ROUTE || weight(rib, slot) > weight(rib, tree)) {
        split(rib, throng, ranking, tree, slot, &ranked->left, &ranked->right);
        top = slot;
    } else if (is_before(rib, throng, ranking, slot, tree)) {
        ranking->at[tree].left = insert(rib, throng, ranking, ranking->at[tree].left, slot);
    } else {
        ranking->at[tree].right = insert(rib, throng, ranking, ranking->at[tree].right, slot);
    }
    pull(ranking, top);
    return top;
}

static uint32_t take_out(const struct rib *rib, const struct throng *throng, const struct ranking *ranking,
                         uint32_t tree, uint32_t slot)
{
    struct ranked *top = &ranking->at[tree];
    if (tree == slot)
        return join(rib, ranking, top->left, top->right);
    uint32_t *side = is_before(rib, throng, ranking, slot, tree) ? &top->left : &top->right;
    *side = take_out(rib, throng, ranking, *side, slot);
    pull(ranking, tree);
    return tree;
}

uint32_t ranking_best(const struct throng *throng, const struct ranking *ranking, uint64_t receivers)
{
    uint32_t slot = ranking->root;
    while (below(ranking, slot) & receivers) {
        const struct ranked *ranked = &ranking->at[slot];
        if (!(below(ranking, ranked->left) & receivers) && (ranked->receivers & receivers))
            return throng->routes[slot].number;
        slot = below(ranking, ranked->left) & receivers ? ranked->left : ranked->right;
    }
    return NO_ROUTE;
}

/* ---- ranks --------------------------------------------------------------------------------------------------- */

static void push(struct ranking *ranking, bool demanding, uint32_t slot)
{
    uint32_t *next = demanding ? &ranking->at[slot].demanding : &ranking->at[slot].heard;
    uint32_t *first = demanding ? &ranking->demanding : &ranking->heard;
    if (*next != NOT_LISTED)
        return;
    *next = *first;
    *first = slot;
}

void ranking_hears(struct ranking *ranking, uint32_t slot) { push(ranking, false, slot); }

static void leave(const struct rib *rib, const struct throng *throng, struct ranking *ranking, uint32_t slot)
{
    if (ranking->at[slot].receivers)
        ranking->root = take_out(rib, throng, ranking, ranking->root, slot);
    ranking->at[slot].receivers = 0;
}

static void rank(const struct rib *rib, const struct throng *throng, struct ranking *ranking, bool plain, uint32_t slot)
{
    uint32_t number = throng->routes[slot].number;
    const struct route *route = route_at(rib, number);
    if (!plain && (route->bits & HAS_PATH_ID))
        return;
    struct ranked *ranked = &ranking->at[slot];
    uint64_t ours = receivers_of(rib, throng->prefix.family, plain), receivers = 0, degree = ranked->degree;
    enum action action = route_gone(rib, route) ? ACTION_OBSERVE : route_action(rib, number);
    if (action == ACTION_ANNOUNCE && (receivers = route_receivers(rib, number) & ours))
        degree = route_degree(rib, number);
    if (receivers != ranked->receivers || degree != ranked->degree) {
        leave(rib, throng, ranking, slot);
        ranked->receivers = receivers;
        ranked->degree = degree;
        if (receivers)
            ranking->root = insert(rib, throng, ranking, ranking->root, slot);
    }
    if (route->advertised & ours)
        push(ranking, false, slot);
    if (action == ACTION_WITHDRAW && !(route->bits & (plain ? WITHDRAWN_PLAIN : WITHDRAWN)))
        push(ranking, true, slot);
    ranking->disowned_of = 0;
}

static bool is_current(const struct rib *rib, const struct ranking *ranking)
{
    return ranking->at && ranking->epoch == rib->throngs.epoch;
}

void rankings_rank(const struct rib *rib, struct throng *throng, uint32_t slot)
{
    for (int plain = 0; plain < 2; plain++)
        if (is_current(rib, &throng->rankings[plain]))
            rank(rib, throng, &throng->rankings[plain], plain != 0, slot);
}

void rankings_leave(const struct rib *rib, struct throng *throng, uint32_t slot)
{
    for (int plain = 0; plain < 2; plain++)
        if (is_current(rib, &throng->rankings[plain]))
            leave(rib, throng, &throng->rankings[plain], slot);
}

void rankings_forget(struct throng *throng)
{
    for (int plain = 0; plain < 2; plain++) {
        free(throng->rankings[plain].at);
        throng->rankings[plain].at = NULL;
    }
}

static bool build(struct rib *rib, const struct throng *throng, struct ranking *ranking, bool plain)
{
    struct ranked *at = ranking->at ? ranking->at : malloc(throng->room * sizeof *at);
    if (!at)
        return false;
    *ranking = (struct ranking){
        .epoch = rib->throngs.epoch, .at = at, .root = NO_ROUTE, .heard = LIST_END, .demanding = LIST_END};
    for (uint32_t slot = 0; slot < throng->room; slot++) {
        at[slot] = (struct ranked){.left = NO_ROUTE, .right = NO_ROUTE, .heard = NOT_LISTED, .demanding = NOT_LISTED};
        if (throng->routes[slot].number != NO_ROUTE && throng->routes[slot].number != SLOT_REMOVED)
            rank(rib, throng, ranking, plain, slot);
    }
    rib->looked += (uint64_t)RANK_COST * throng->n;
    return true;
}

void ranking_tidy(struct rib *rib, struct throng *throng, bool plain)
{
    struct ranking *ranking = &throng->rankings[plain];
    uint64_t ours = receivers_of(rib, throng->prefix.family, plain);
    for (uint32_t *link = &ranking->heard; *link != LIST_END; rib->looked++) {
        uint32_t slot = *link, number = throng->routes[slot].number;
        if (number != SLOT_REMOVED && (route_at(rib, number)->advertised & ours)) {
            link = &ranking->at[slot].heard;
            continue;
        }
        *link = ranking->at[slot].heard;
        ranking->at[slot].heard = NOT_LISTED;
    }
    for (uint32_t slot; (slot = ranking->demanding) != LIST_END; rib->looked++) {
        uint32_t number = throng->routes[slot].number;
        const struct route *route = number == SLOT_REMOVED ? NULL : route_at(rib, number);
        if (route && !route_gone(rib, route) && route_action(rib, number) == ACTION_WITHDRAW &&
            !(route->bits & (plain ? WITHDRAWN_PLAIN : WITHDRAWN)))
            break;
        ranking->demanding = ranking->at[slot].demanding;
        ranking->at[slot].demanding = NOT_LISTED;
    }
}

struct ranking *ranking_of(struct rib *rib, struct throng *throng, bool plain)
{
    struct ranking *ranking = &throng->rankings[plain];
    if (!is_current(rib, ranking) && !build(rib, throng, ranking, plain))
        return NULL;
    ranking_tidy(rib, throng, plain);
    return ranking;
}
