#include "rtr/prefixes.h"

#include <stdbool.h>
#include <string.h>

#include "base/octets.h"

enum { IPV4_PREFIX = 4, IPV6_PREFIX = 6, IPV4_SIZE = 20, IPV6_SIZE = 32, ANNOUNCE = 1, STRICT = 2 };

/* The octets of the prefix PDU that begins here; 0: it is none, or not whole. */
static size_t size_of(const uint8_t *pdu, size_t left, unsigned version)
{
    if (left < IPV4_SIZE || pdu[0] != version)
        return 0;
    size_t size = pdu[1] == IPV4_PREFIX ? IPV4_SIZE : pdu[1] == IPV6_PREFIX ? IPV6_SIZE : 0;
    return size <= left && get32(pdu + 4) == size ? size : 0;
}

/* Whether an address of so many octets has bits beyond its prefix length. */
static bool has_host_bits(const uint8_t *address, size_t octets, unsigned length)
{
    size_t at = length / 8;
    if (at >= octets)
        return false;
    bool found = (uint8_t)(address[at] << length % 8) != 0;
    while (++at < octets)
        found = found || address[at] != 0;
    return found;
}

size_t rtr_prefixes(const void *octets, size_t size, unsigned version, struct vrp *out, size_t room, size_t *count)
{
    const uint8_t *begin = octets, *pdu = begin, *end = begin + size;
    size_t n = 0, length;
    while (n < room && (length = size_of(pdu, (size_t)(end - pdu), version)) != 0) {
        size_t address = length - 16;
        if (version >= STRICT && has_host_bits(pdu + 12, address, pdu[9]))
            break;
        struct vrp vrp = {
            .asn = get32(pdu + 12 + address),
            .len = pdu[9],
            .max = pdu[10],
            .family = length == IPV4_SIZE ? 4 : 6,
            .announce = pdu[8] & ANNOUNCE,
        };
        memcpy(vrp.addr, pdu + 12, address);
        out[n++] = vrp;
        pdu += length;
    }
    *count = n;
    return (size_t)(pdu - begin);
}
