#include "vrps/filters.h"

#include <stdlib.h>
#include <string.h>

#include "base/prefix.h"

/* Sorted by family, address, length: then the filters that cover a prefix are the last one at or before it, or some of
 * those that cover that one. Filters of an AS alone have family 0 and stand first, by AS. */

#define NONE SIZE_MAX

struct node {
    struct vrp_filter filter;
    size_t parent; /* the nearest filter before it that covers it, or NONE */
};

struct filters {
    size_t n;
    struct node nodes[];
};

static bool well_formed(const struct vrp_filter *filter)
{
    if (filter->family == 0)
        return !filter->any_as;
    return family_has_length(filter->family, filter->len) && prefix_no_host_bits(filter->addr, filter->len);
}

static int compare(const void *a, const void *b)
{
    const struct vrp_filter *one = a, *two = b;
    if (one->family != two->family)
        return one->family < two->family ? -1 : 1;
    int order = memcmp(one->addr, two->addr, sizeof one->addr);
    if (order == 0)
        order = (int)one->len - (int)two->len;
    if (order == 0)
        order = (one->asn > two->asn) - (one->asn < two->asn);
    return order;
}

static bool covers(const struct vrp_filter *filter, uint8_t family, const uint8_t addr[16], unsigned len)
{
    return filter->family == family && filter->len <= len && prefix_covers(filter->addr, filter->len, addr);
}

struct filters *filters_new(const void *records, size_t n)
{
    if (n > (SIZE_MAX - sizeof(struct filters)) / sizeof(struct node))
        return NULL;
    struct filters *filters = malloc(sizeof *filters + n * sizeof(struct node));
    if (!filters)
        return NULL;
    filters->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct node *node = &filters->nodes[filters->n];
        memcpy(&node->filter, (const uint8_t *)records + i * sizeof node->filter, sizeof node->filter);
        filters->n += well_formed(&node->filter);
    }
    qsort(filters->nodes, filters->n, sizeof(struct node), compare); /* the filter is a node's first member */
    for (size_t i = 0; i < filters->n; i++) {
        struct node *node = &filters->nodes[i];
        node->parent = i ? i - 1 : NONE;
        while (node->parent != NONE &&
               !covers(&filters->nodes[node->parent].filter, node->filter.family, node->filter.addr, node->filter.len))
            node->parent = filters->nodes[node->parent].parent;
    }
    return filters;
}

void filters_free(struct filters *filters) { free(filters); }

/* The last node that is not behind `key`, or NONE. */
static size_t last_before(const struct filters *filters, const struct vrp_filter *key)
{
    size_t low = 0, high = filters->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&filters->nodes[middle].filter, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : NONE;
}

bool filters_match(const struct filters *filters, const struct vrp *vrp)
{
    struct vrp_filter key = {.asn = vrp->asn};
    size_t at = last_before(filters, &key);
    if (at != NONE && filters->nodes[at].filter.family == 0 && filters->nodes[at].filter.asn == vrp->asn)
        return true;
    key = (struct vrp_filter){.family = vrp->family, .len = vrp->len, .asn = UINT32_MAX};
    memcpy(key.addr, vrp->addr, sizeof key.addr);
    for (at = last_before(filters, &key); at != NONE; at = filters->nodes[at].parent) {
        const struct vrp_filter *filter = &filters->nodes[at].filter;
        if (covers(filter, vrp->family, vrp->addr, vrp->len) && (filter->any_as || filter->asn == vrp->asn))
            return true;
    }
    return false;
}
