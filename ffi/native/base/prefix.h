/* Prefixes and addresses, read from text and printed.
 *
 * Text comes from users and from BGP by way of ExaBGP, so nothing in it is believed: lengths are bounded, host bits
 * must be zero, nothing may follow.
 *
 * The folder base/ is what the other folders stand on, and uses none of them: vrp.h (the packed VRP), prefix.h,
 * octets.h (slices of a stranger's octets), map.h (a hash table), pages.h (its memory), siphash.h. Only a map owns
 * memory.
 */
#ifndef RTRD_PREFIX_H
#define RTRD_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Python sees this ---- */

#define PREFIX_TEXT_MAX 43  /* eight groups of four digits, "/128"; no NUL */
#define ADDRESS_LINE_MAX 40 /* the same without a length, but with LF */

struct prefix {
    uint8_t addr[16]; /* network byte order; IPv4 in the first four, the rest 0 */
    uint8_t len;
    uint8_t family; /* 4 or 6 */
};

struct nlri { /* RFC 4271 section 4.3, RFC 7911 section 3 */
    struct prefix prefix;
    uint32_t path_id;
    bool has_path_id;
};

/* Reads "192.0.2.0/24" or "2001:db8::/32", all n bytes of it. False: no such prefix. */
bool prefix_parse(const char *text, size_t n, struct prefix *out);

/* Prints into `out` (at least PREFIX_TEXT_MAX bytes), no NUL; the number of bytes. */
size_t prefix_print(const struct prefix *prefix, char *out);

/* Prints the address of each of n packed VRPs, each ended by LF, into `out` (at least n * ADDRESS_LINE_MAX bytes); the
 * number of bytes. */
size_t addresses_print(const void *records, size_t n, char *out);

/* ---- only C sees this ---- */

static inline unsigned family_bits(uint8_t family) { return family == 4 ? 32 : 128; }

/* Whether there is such a family, and its addresses are that long: all else here may count on it. */
static inline bool family_has_length(uint8_t family, unsigned len)
{
    return (family == 4 || family == 6) && len <= family_bits(family);
}

/* True when the bits of `addr` behind `len` are all zero. */
bool prefix_no_host_bits(const uint8_t addr[16], unsigned len);

/* True when a/len covers b (equal or more specific), both of one family; b's length is the caller's to compare. */
bool prefix_covers(const uint8_t a[16], unsigned len, const uint8_t b[16]);

/* Reads one address; `out` is zero behind an IPv4 one. 4, 6, or 0 when it is none. */
uint8_t address_parse(const char *text, size_t n, uint8_t out[16]);

#endif
