#include "rtr/aspas.h"

#include <stdbool.h>

#include "base/octets.h"

enum { ASPA = 11, LEAST_SIZE = 12, LONGEST = 65535, WORD = 4, HEAD = 2, ANNOUNCE = 1 };

/* The octets of the ASPA PDU that begins here; 0: it is none, or not whole, or has a wrong length. */
static size_t size_of(const uint8_t *pdu, size_t left, unsigned version)
{
    if (left < LEAST_SIZE || pdu[0] != version || pdu[1] != ASPA)
        return 0;
    size_t size = get32(pdu + 4);
    return size >= LEAST_SIZE && size <= LONGEST && size % WORD == 0 && size <= left ? size : 0;
}

/* Whether it is a list that may be announced. */
static bool is_list(const uint8_t *providers, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (get32(providers + WORD * i) <= get32(providers + WORD * (i - 1)))
            return false;
    return count == 1 || (count != 0 && get32(providers) != 0);
}

/* Writes the record of a PDU of so many providers. Its words. */
static size_t record_of(const uint8_t *pdu, size_t count, uint32_t *out, struct aspas_left_out *left_out)
{
    uint32_t customer = get32(pdu + 8);
    size_t used = HEAD;
    if (customer == 0) {
        left_out->as_0_customer++;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t provider = get32(pdu + LEAST_SIZE + WORD * i);
        if (provider != customer || count == 1)
            out[used++] = provider;
        else
            left_out->own_customer++;
    }
    out[0] = customer;
    out[1] = (uint32_t)(used - HEAD);
    return used;
}

size_t rtr_aspas(const void *octets, size_t size, unsigned version, uint32_t *out, size_t room, size_t *words,
                 struct aspas_left_out *left_out)
{
    const uint8_t *begin = octets, *pdu = begin, *end = begin + size;
    size_t n = 0, length;
    while ((length = size_of(pdu, (size_t)(end - pdu), version)) != 0) {
        size_t count = (length - LEAST_SIZE) / WORD;
        bool right = pdu[2] & ANNOUNCE ? is_list(pdu + LEAST_SIZE, count) : count == 0;
        if (!right || HEAD + count > room - n)
            break;
        n += record_of(pdu, count, out + n, left_out);
        pdu += length;
    }
    *words = n;
    return (size_t)(pdu - begin);
}
