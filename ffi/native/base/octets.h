/* Slices of somebody else's octets, and numbers in them (network byte order). */
#ifndef RTRD_OCTETS_H
#define RTRD_OCTETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- Python sees this ---- */

struct octets {
    const uint8_t *at;
    size_t n;
};

/* ---- only C sees this ---- */

static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static inline uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void put32(uint8_t *at, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* Takes the first n octets off `rest`. False: there are fewer; then nothing is taken. */
static inline bool take(struct octets *rest, size_t n, struct octets *out)
{
    if (rest->n < n)
        return false;
    *out = (struct octets){rest->at, n};
    rest->at += n;
    rest->n -= n;
    return true;
}

/* Takes a slice that its length of two octets precedes. */
static inline bool take_sized(struct octets *rest, struct octets *out)
{
    struct octets length;
    return take(rest, 2, &length) && take(rest, get16(length.at), out);
}

#endif
