/* An ordered index: fixed-size byte strings in (a prefix: address, then length), a number for each out, in order.
 *
 * In this order the routes that a prefix covers stand next to each other, so a changed VRP finds them by one search
 * and a walk, whatever the size of the table. Two levels: a sorted array of blocks, each a sorted array of keys.
 */
#ifndef RTRD_INDEX_H
#define RTRD_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_KEY_MOST 17

struct index_block;

struct index {
    struct index_block **blocks;
    uint8_t *firsts; /* the first key of each block, side by side: what a search reads */
    size_t n, room;
    size_t key_size;
};

/* A place in the index; valid until the next change of it. */
struct index_position {
    size_t block, slot;
};

void index_init(struct index *index, size_t key_size);
void index_free(struct index *index);

/* The first place whose key is at or behind `key`. */
struct index_position index_seek(const struct index *index, const uint8_t *key);

/* The key and the number at a place, and the next place; false: the end. */
bool index_at(const struct index *index, struct index_position *place, const uint8_t **key, uint32_t **value);
void index_next(struct index_position *place);

/* The number of `key`, to read or write; made (as `fresh`) when missing. NULL: no memory. */
uint32_t *index_put(struct index *index, const uint8_t *key, uint32_t fresh);
uint32_t *index_get(const struct index *index, const uint8_t *key);
void index_remove(struct index *index, const uint8_t *key);

uint64_t index_memory(const struct index *index);

#endif
