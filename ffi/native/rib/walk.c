#include "rib/walk.h"

#include <string.h>

#include "rib/rib_private.h"

#define AHEAD 12 /* prefixes: so far ahead their first routes are fetched */

void walk_begin(struct walk *walk, const struct prefix *within)
{
    *walk = (struct walk){.whole = within == NULL};
    walk->within = within ? *within : (struct prefix){.family = 4};
    prefix_key(&walk->within, walk->key);
}

static void seek(const struct index *index, struct walk *walk)
{
    const uint8_t *key;
    uint32_t *first;
    walk->position = index_seek(index, walk->key);
    walk->version = index->version;
    if (walk->passed && index_at(index, &walk->position, &key, &first) && memcmp(key, walk->key, index->key_size) == 0)
        index_next(&walk->position);
}

bool walk_at(const struct rib *rib, struct walk *walk, uint32_t *chain)
{
    while (!walk_is_over(walk)) {
        const struct index *index = &rib->prefixes[family_at(walk->within.family)];
        const uint8_t *key;
        uint32_t *first;
        if (walk->version != index->version)
            seek(index, walk);
        if (index_at(index, &walk->position, &key, &first)) {
            uint8_t addr[16] = {0};
            memcpy(addr, key, address_size(walk->within.family));
            if (prefix_covers(walk->within.addr, walk->within.len, addr)) {
                memcpy(walk->key, key, index->key_size);
                walk->passed = false;
                *chain = *first;
                if ((first = index_ahead(index, walk->position, AHEAD)))
                    __builtin_prefetch(route_at(rib, *first));
                return true;
            }
        }
        bool more = walk->whole && walk->within.family == 4;
        *walk = (struct walk){.within = {.family = more ? 6 : 0}};
    }
    return false;
}

bool walk_comes_to(const struct walk *walk, const struct prefix *prefix)
{
    if (walk_is_over(walk))
        return false;
    if (prefix->family != walk->within.family)
        return walk->whole && prefix->family == 6;
    uint8_t key[INDEX_KEY_MOST];
    prefix_key(prefix, key);
    int order = memcmp(key, walk->key, address_size(prefix->family) + 1);
    return order > 0 || (order == 0 && !walk->passed);
}

void walk_step(struct walk *walk)
{
    walk->passed = true;
    index_next(&walk->position);
}

void walk_over_covered(struct walk *walk, const struct prefix *prefix)
{
    struct prefix last = *prefix; /* what comes after this in the order of keys: it is none of a prefix */
    size_t size = address_size(prefix->family);
    for (size_t bit = prefix->len; bit < 8 * size; bit++)
        last.addr[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
    last.len = UINT8_MAX;
    prefix_key(&last, walk->key);
    walk->passed = true;
    walk->version = 0; /* of no index: it is searched for */
}
