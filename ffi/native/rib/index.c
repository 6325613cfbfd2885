#include "rib/index.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_KEYS 128
#define IPV4_KEY 5
#define CACHE_LINE 64
#define KEYS_SPARE 3 /* octets behind the last key that may be read with it */

struct index_block {
    uint32_t n;
    uint32_t values[BLOCK_KEYS];
    uint8_t keys[]; /* BLOCK_KEYS * key_size, and KEYS_SPARE */
};

void index_init(struct index *index, size_t key_size) { *index = (struct index){.key_size = key_size, .version = 1}; }

void index_free(struct index *index)
{
    for (size_t i = 0; i < index->n; i++)
        free(index->blocks[i]);
    free(index->blocks);
    free(index->firsts);
    index_init(index, index->key_size);
}

static uint8_t *key_at(const struct index *index, const struct index_block *block, size_t slot)
{
    return (uint8_t *)block->keys + slot * index->key_size;
}

/* As memcmp of two keys; most differ in their first octets, which one number holds. */
static inline int order_of(const uint8_t *one, const uint8_t *other, size_t key_size)
{
    uint32_t a, b;
    if (key_size < sizeof a)
        return memcmp(one, other, key_size);
    memcpy(&a, one, sizeof a);
    memcpy(&b, other, sizeof b);
    if (a != b)
        return be32toh(a) < be32toh(b) ? -1 : 1;
    if (key_size == IPV4_KEY)
        return one[sizeof a] - other[sizeof a];
    return memcmp(one + sizeof a, other + sizeof a, key_size - sizeof a);
}

static inline uint64_t ipv4_number(const uint8_t *key)
{
    uint32_t address;
    memcpy(&address, key, sizeof address);
    return (uint64_t)be32toh(address) << 8 | key[sizeof address];
}

/* The same of a key of an array, in one read: what lies behind it (KEYS_SPARE) is shifted away. */
static inline uint64_t ipv4_number_in(const uint8_t *keys, size_t slot)
{
    uint64_t read;
    memcpy(&read, keys + slot * IPV4_KEY, sizeof read);
    return be64toh(read) >> (64 - 8 * IPV4_KEY);
}

static inline void copy_key(uint8_t *to, const uint8_t *key, size_t key_size)
{
    if (key_size == IPV4_KEY) /* a size that is known needs no call */
        memcpy(to, key, IPV4_KEY);
    else
        memcpy(to, key, key_size);
}

static inline bool same_key(const uint8_t *one, const uint8_t *other, size_t key_size)
{
    return key_size == IPV4_KEY ? memcmp(one, other, IPV4_KEY) == 0 : memcmp(one, other, key_size) == 0;
}

/* How many of the n sorted keys are before `end`. Which half it is in can't be predicted, so no step has a branch. */
static inline size_t ipv4_before(const uint8_t *keys, size_t n, uint64_t end)
{
    size_t low = 0;
    for (size_t half; n > 1; n -= half) {
        half = n / 2;
        low += half & -(size_t)(ipv4_number_in(keys, low + half - 1) < end);
    }
    return low + (n && ipv4_number_in(keys, low) < end);
}

/* How many of the n sorted keys are before `key` (with `equal_too`: or equal to it). */
static inline size_t count_before(const uint8_t *keys, size_t n, size_t key_size, const uint8_t *key, bool equal_too)
{
    if (key_size == IPV4_KEY)
        return ipv4_before(keys, n, ipv4_number(key) + equal_too);
    size_t low = 0;
    for (size_t high = n; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = order_of(keys + middle * key_size, key, key_size);
        if (order < 0 || (equal_too && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Whether this block is the one where a key is, or is to be. */
static bool is_block_of(const struct index *index, size_t block, const uint8_t *key)
{
    const uint8_t *first = index->firsts + block * index->key_size;
    return block < index->n && order_of(first, key, index->key_size) <= 0 &&
           (block + 1 == index->n || order_of(first + index->key_size, key, index->key_size) > 0);
}

/* The block where a key is, or is to be. What is before all keys is to be in the first one. */
static inline size_t block_of(const struct index *index, size_t near, const uint8_t *key)
{
    if (is_block_of(index, near, key))
        return near;
    if (is_block_of(index, near + 1, key))
        return near + 1;
    size_t behind = count_before(index->firsts, index->n, index->key_size, key, true);
    return behind ? behind - 1 : 0;
}

size_t index_fetch(const struct index *index, size_t near, const uint8_t *key)
{
    if (index->n == 0)
        return near;
    near = near == INDEX_LAST ? index->near.block : near;
    size_t number = block_of(index, near, key);
    if (number == near)
        return near;
    const struct index_block *block = index->blocks[number];
    for (size_t at = 0; at < sizeof *block + BLOCK_KEYS * index->key_size; at += CACHE_LINE)
        __builtin_prefetch((const uint8_t *)block + at, 1);
    return number;
}

/* Whether a key is, or is to be, at this slot of its block. */
static bool is_slot_of(const struct index *index, const struct index_block *block, size_t slot, const uint8_t *key)
{
    return slot <= block->n && (slot == 0 || order_of(key_at(index, block, slot - 1), key, index->key_size) < 0) &&
           (slot == block->n || order_of(key_at(index, block, slot), key, index->key_size) >= 0);
}

/* `near`: where to look first. */
static struct index_position locate(const struct index *index, struct index_position near, const uint8_t *key)
{
    if (index->n == 0)
        return (struct index_position){0, 0};
    near.block = block_of(index, near.block, key);
    const struct index_block *in = index->blocks[near.block];
    if (!is_slot_of(index, in, near.slot, key))
        near.slot = count_before(in->keys, in->n, index->key_size, key, false);
    return near;
}

/* Where a key was put last, without its slot: what is looked for is seldom the next one. */
static struct index_position last_block(const struct index *index)
{
    return (struct index_position){index->near.block, SIZE_MAX};
}

struct index_position index_seek(const struct index *index, const uint8_t *key)
{
    return locate(index, last_block(index), key);
}

bool index_at(const struct index *index, struct index_position *position, const uint8_t **key, uint32_t **value)
{
    while (position->block < index->n && position->slot >= index->blocks[position->block]->n)
        *position = (struct index_position){position->block + 1, 0};
    if (position->block >= index->n)
        return false;
    struct index_block *block = index->blocks[position->block];
    *key = key_at(index, block, position->slot);
    *value = &block->values[position->slot];
    return true;
}

void index_next(struct index_position *position) { position->slot++; }

uint32_t *index_ahead(const struct index *index, struct index_position position, size_t n)
{
    struct index_block *block = index->blocks[position.block];
    return position.slot + n < block->n ? &block->values[position.slot + n] : NULL;
}

static inline bool holds(const struct index *index, struct index_position position, const uint8_t *key)
{
    if (position.block >= index->n || position.slot >= index->blocks[position.block]->n)
        return false;
    return same_key(key_at(index, index->blocks[position.block], position.slot), key, index->key_size);
}

uint32_t *index_get_near(const struct index *index, struct index_position *near, const uint8_t *key)
{
    if (index->n == 0)
        return NULL;
    struct index_position position = holds(index, *near, key) ? *near : locate(index, *near, key);
    *near = (struct index_position){position.block, position.slot + 1};
    return holds(index, position, key) ? &index->blocks[position.block]->values[position.slot] : NULL;
}

uint32_t *index_get(const struct index *index, const uint8_t *key)
{
    struct index_position near = last_block(index);
    return index_get_near(index, &near, key);
}

/* A new empty block at position `at`; its first key is the caller's to set. */
static struct index_block *make_block(struct index *index, size_t at)
{
    if (index->n == index->room) {
        size_t room = index->room ? index->room * 2 : 16;
        struct index_block **blocks = realloc(index->blocks, room * sizeof(struct index_block *));
        if (!blocks)
            return NULL;
        index->blocks = blocks;
        uint8_t *firsts = realloc(index->firsts, room * index->key_size + KEYS_SPARE);
        if (!firsts)
            return NULL;
        index->firsts = firsts;
        index->room = room;
    }
    struct index_block *block = malloc(sizeof *block + BLOCK_KEYS * index->key_size + KEYS_SPARE);
    if (!block)
        return NULL;
    block->n = 0;
    memmove(index->blocks + at + 1, index->blocks + at, (index->n - at) * sizeof(struct index_block *));
    memmove(index->firsts + (at + 1) * index->key_size, index->firsts + at * index->key_size,
            (index->n - at) * index->key_size);
    index->blocks[at] = block;
    index->n++;
    return block;
}

static void set_first(struct index *index, size_t block)
{
    memcpy(index->firsts + block * index->key_size, index->blocks[block]->keys, index->key_size);
}

/* Makes room at `position` in its full block. Keys that come in order (a table transfer) leave full blocks behind. */
static bool split(struct index *index, struct index_position *position)
{
    struct index_block *new = make_block(index, position->block + 1);
    if (!new)
        return false;
    struct index_block *old = index->blocks[position->block];
    uint32_t keep = position->slot == BLOCK_KEYS ? BLOCK_KEYS - 1 : BLOCK_KEYS / 2;
    new->n = old->n - keep;
    memcpy(new->keys, key_at(index, old, keep), new->n * index->key_size);
    memcpy(new->values, old->values + keep, new->n * sizeof *new->values);
    old->n = keep;
    set_first(index, position->block + 1);
    if (position->slot > keep)
        *position = (struct index_position){position->block + 1, position->slot - keep};
    return true;
}

uint32_t *index_put(struct index *index, size_t near, const uint8_t *key, uint32_t fresh)
{
    if (index->n == 0) {
        struct index_block *block = make_block(index, 0);
        if (!block)
            return NULL;
        memcpy(index->firsts, key, index->key_size);
    }
    index->near.block = near == INDEX_LAST ? index->near.block : near;
    struct index_position position = locate(index, index->near, key);
    index->near = (struct index_position){position.block, position.slot + 1};
    struct index_block *block = index->blocks[position.block];
    if (position.slot < block->n && same_key(key_at(index, block, position.slot), key, index->key_size))
        return &block->values[position.slot];
    if (block->n == BLOCK_KEYS) {
        if (!split(index, &position))
            return NULL;
        block = index->blocks[position.block];
    }
    uint8_t *at = key_at(index, block, position.slot);
    size_t behind = block->n - position.slot;
    if (behind) {
        memmove(at + index->key_size, at, behind * index->key_size);
        memmove(block->values + position.slot + 1, block->values + position.slot, behind * sizeof *block->values);
    }
    copy_key(at, key, index->key_size);
    block->values[position.slot] = fresh;
    block->n++;
    index->version++;
    if (position.slot == 0)
        set_first(index, position.block);
    return &block->values[position.slot];
}

static void drop_block(struct index *index, size_t at)
{
    free(index->blocks[at]);
    index->n--;
    memmove(index->blocks + at, index->blocks + at + 1, (index->n - at) * sizeof(struct index_block *));
    memmove(index->firsts + at * index->key_size, index->firsts + (at + 1) * index->key_size,
            (index->n - at) * index->key_size);
}

/* Two neighbors that fit in half a block become one, so that a table that shrank gives its memory back. */
static void merge(struct index *index, size_t left)
{
    if (left + 1 >= index->n)
        return;
    struct index_block *into = index->blocks[left], *from = index->blocks[left + 1];
    if (into->n + from->n > BLOCK_KEYS / 2)
        return;
    memcpy(key_at(index, into, into->n), from->keys, from->n * index->key_size);
    memcpy(into->values + into->n, from->values, from->n * sizeof *from->values);
    into->n += from->n;
    drop_block(index, left + 1);
}

void index_remove(struct index *index, const uint8_t *key)
{
    if (!index_get(index, key))
        return;
    struct index_position position = locate(index, last_block(index), key);
    struct index_block *block = index->blocks[position.block];
    block->n--;
    index->version++;
    uint8_t *at = key_at(index, block, position.slot);
    memmove(at, at + index->key_size, (block->n - position.slot) * index->key_size);
    memmove(block->values + position.slot, block->values + position.slot + 1,
            (block->n - position.slot) * sizeof *block->values);
    if (block->n == 0) {
        drop_block(index, position.block);
        return;
    }
    if (position.slot == 0)
        set_first(index, position.block);
    merge(index, position.block);
    if (position.block > 0)
        merge(index, position.block - 1);
}

uint64_t index_memory(const struct index *index)
{
    return index->room * (sizeof(struct index_block *) + index->key_size) +
           index->n * (sizeof(struct index_block) + BLOCK_KEYS * index->key_size);
}
