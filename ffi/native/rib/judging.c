/* ASPAs changed: all paths that were judged are judged again, and then the routes whose paths have another outcome are
 * looked at; both in slices. */

#include "rib/rib_private.h"

#define ASES_OF_ROUTE 8    /* so many are judged in the time of a route's validation, */
#define RECORDS_OF_ROUTE 8 /* and so many records are passed over */

void rib_aspas_changed(struct rib *rib, const struct aspa_set *set, const uint32_t *changes, size_t n)
{
    struct judging *judging = &rib->judging;
    bool unfinished = !judging->over;
    judging->set = *set;
    if (n == 0)
        return;
    /* Some paths may have got another outcome already, and their routes are not looked at yet. */
    *judging = (struct judging){.set = *set, .cause = rib->changes.given, .differ = unfinished && judging->differ};
    rib->state.work = true;
    if (unfinished) { /* what the last change touched is to be judged, too */
        judging->customers_n = ASPAS_NAMED_MOST + 1;
        return;
    }
    for (size_t at = 0; at + 1 < n; at += 2 + (size_t)changes[at + 1]) {
        if (judging->customers_n < ASPAS_NAMED_MOST)
            judging->customers[judging->customers_n] = changes[at];
        judging->customers_n++;
    }
}

static void spend(size_t *budget, size_t cost) { *budget -= cost < *budget ? cost : *budget; }

bool judging_paths(struct rib *rib, size_t *budget)
{
    struct judging *judging = &rib->judging;
    const uint32_t *customers = judging->customers_n <= ASPAS_NAMED_MOST ? judging->customers : NULL;
    size_t ases = 0; /* that are not paid for yet */
    for (; !judging->over && judging->attrs < rib->attrs.n && *budget; judging->attrs++) {
        size_t cost;
        judging->differ |=
            attrs_judge_again(&rib->attrs, judging->attrs, &judging->set, customers, judging->customers_n, &cost);
        ases += 1 + cost;
        spend(budget, ases / ASES_OF_ROUTE);
        ases %= ASES_OF_ROUTE;
    }
    return !judging->over && judging->attrs < rib->attrs.n;
}

/* Looks at a route again, if there is one in the record. False: nothing changed. */
static bool look_again(struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    if (route->len == NO_LENGTH || route_gone(rib, route) || neighbor_of(rib, route)->role == ROLE_NONE ||
        route_path(rib, route) == route->path)
        return false;
    route_set_validity(rib, number, (enum validity)(route->bits & VALIDITY_BITS));
    outbox_consider(rib, number);
    return true;
}

bool judging_routes(struct rib *rib, size_t *budget)
{
    struct judging *judging = &rib->judging;
    size_t passed = 0;
    rib->changes.cause = judging->cause;
    for (uint32_t family = 0; family < 2 && judging->differ && !judging->over; family++) {
        for (uint32_t *at = &judging->routes[family]; *at < rib->arenas[family].used; ++*at) {
            if (!*budget)
                return true;
            bool changed = look_again(rib, *at | (family ? IPV6_BIT : 0));
            passed += changed ? RECORDS_OF_ROUTE : 1;
            spend(budget, passed / RECORDS_OF_ROUTE);
            passed %= RECORDS_OF_ROUTE;
        }
    }
    judging->over = true;
    return false;
}
