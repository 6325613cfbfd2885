/* An ordered index: a number for each key. A key is a prefix: its address, then its length.
 *
 * In this order the prefixes that another one covers are neighbors, so a changed VRP finds its routes by one search and
 * a walk, however many routes there are. Two levels: a sorted array of blocks, each a sorted array of keys.
 */
#ifndef RTRD_INDEX_H
#define RTRD_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_KEY_MOST 17

struct index_block;

/* ---- Python sees this ---- */

struct index_position { /* good for one version of the index */
    size_t block, slot;
};

/* ---- only C sees this ---- */

struct index {
    struct index_block **blocks;
    uint8_t *firsts; /* the first key of each block, side by side: what a search reads */
    size_t n, room;
    size_t key_size;
    struct index_position near; /* behind the key that was put last: what comes together is often near, and in order */
    uint64_t version;           /* another one after each key that comes or goes; never 0 */
};

void index_init(struct index *index, size_t key_size);
void index_free(struct index *index);

/* The first position whose key is `key` or comes after it. */
struct index_position index_seek(const struct index *index, const uint8_t *key);

/* The key and the number at a position; false: the end. */
bool index_at(const struct index *index, struct index_position *position, const uint8_t **key, uint32_t **value);
void index_next(struct index_position *position);
/* The number `n` positions further on, for whoever fetches its record early; NULL: it is not at hand. */
uint32_t *index_ahead(const struct index *index, struct index_position position, size_t n);

#define INDEX_LAST SIZE_MAX /* the block where a key was put last */
/* Begins to fetch what index_put of a key will read, and gives which block that is. `near`: the block to look in first,
 * which is in reach already. */
size_t index_fetch(const struct index *index, size_t near, const uint8_t *key);
/* The number of `key`, to read or write; made (as `fresh`) when missing. `near`: the block to look in first.
 * NULL: no memory. */
uint32_t *index_put(struct index *index, size_t near, const uint8_t *key, uint32_t fresh);
uint32_t *index_get(const struct index *index, const uint8_t *key);
/* The same, where `near` says where to look first; afterwards it is behind the key. Any position will do. */
uint32_t *index_get_near(const struct index *index, struct index_position *near, const uint8_t *key);
void index_remove(struct index *index, const uint8_t *key);

uint64_t index_memory(const struct index *index);

#endif
