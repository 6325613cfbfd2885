#include "rib/demands.h"

#include <endian.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LENGTHS 129 /* of a prefix, IPv6 */

struct address { /* as numbers; IPv4 in the first half of `high` */
    uint64_t high, low;
};

struct range {
    struct address prefix;
    uint8_t family, len, shortest, longest;
    uint32_t nothing; /* no padding: ranges are compared as octets */
};

/* Ranges of one prefix lie together, and a hash table tells where. So a look-up is one for each of the few lengths that
 * a list of prefixes has, however long the list is. The list is the operator's: strangers choose what is looked up, and
 * can't make a chain of slots longer. */
struct demands {
    atomic_size_t holders;
    uint32_t *origins; /* in order */
    uint32_t *slots;   /* where in `ranges` a prefix begins, plus 1; 0: free */
    size_t origins_n, ranges_n, slots_n;
    enum as_set_demand as_set;
    uint8_t lengths[2][LENGTHS]; /* those that there are, in order, by family */
    uint8_t lengths_n[2];
    struct range ranges[];
};

static struct address address_of(uint8_t family, const uint8_t *addr)
{
    uint32_t ipv4;
    uint64_t ipv6[2];
    if (family == 4) {
        memcpy(&ipv4, addr, sizeof ipv4);
        return (struct address){(uint64_t)be32toh(ipv4) << 32, 0};
    }
    memcpy(ipv6, addr, sizeof ipv6);
    return (struct address){be64toh(ipv6[0]), be64toh(ipv6[1])};
}

/* The first `bits` of a number. */
static uint64_t beginning(uint64_t number, unsigned bits)
{
    return bits >= 64 ? number : bits ? number >> (64 - bits) << (64 - bits) : 0;
}

static struct address prefix_of(struct address address, unsigned len)
{
    return (struct address){beginning(address.high, len), len > 64 ? beginning(address.low, len - 64) : 0};
}

static size_t slot_of(const struct demands *demands, struct address prefix, uint8_t family, uint8_t len)
{
    uint64_t hash = (prefix.high ^ (uint64_t)len << 8 ^ family) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 32 ^ prefix.low) * UINT64_C(0xd6e8feb86659fd93);
    return (size_t)(hash >> 32) & (demands->slots_n - 1);
}

static bool is_of(const struct range *range, struct address prefix, uint8_t family, uint8_t len)
{
    return range->prefix.high == prefix.high && range->prefix.low == prefix.low && range->len == len &&
           range->family == family;
}

static int compare_numbers(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

static int compare_ranges(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    int order = memcmp(&x->family, &y->family, 2);
    order = order ? order : compare_numbers(x->prefix.high, y->prefix.high);
    order = order ? order : compare_numbers(x->prefix.low, y->prefix.low);
    return order ? order : memcmp(&x->shortest, &y->shortest, 2);
}

static int compare_origins(const void *a, const void *b)
{
    return compare_numbers(*(const uint32_t *)a, *(const uint32_t *)b);
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

static bool are_sound(const struct prefix_range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct prefix *prefix = &ranges[i].prefix;
        if (!family_has_length(prefix->family, prefix->len) || !prefix_no_host_bits(prefix->addr, prefix->len))
            return false;
    }
    return n < UINT32_MAX / 4;
}

static void take_ranges(struct demands *demands, const struct prefix_range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct prefix *prefix = &ranges[i].prefix;
        demands->ranges[i] = (struct range){.prefix = address_of(prefix->family, prefix->addr),
                                            .family = prefix->family,
                                            .len = prefix->len,
                                            .shortest = ranges[i].shortest,
                                            .longest = ranges[i].longest};
    }
    demands->ranges_n = n;
    if (n)
        qsort(demands->ranges, n, sizeof *demands->ranges, compare_ranges);
}

/* Notes which lengths there are, and where each prefix begins. */
static void find_ranges(struct demands *demands)
{
    for (size_t i = 0; i < demands->ranges_n; i++) {
        const struct range *range = &demands->ranges[i];
        size_t family = range->family == 4 ? 0 : 1;
        uint8_t *lengths = demands->lengths[family], *n = &demands->lengths_n[family];
        if (!*n || lengths[*n - 1] != range->len)
            lengths[(*n)++] = range->len;
        if (i && is_of(range - 1, range->prefix, range->family, range->len))
            continue;
        size_t slot = slot_of(demands, range->prefix, range->family, range->len);
        while (demands->slots[slot])
            slot = (slot + 1) & (demands->slots_n - 1);
        demands->slots[slot] = (uint32_t)i + 1;
    }
}

struct demands *demands_new(const struct prefix_range *ranges, size_t ranges_n, const uint32_t *origins,
                            size_t origins_n, enum as_set_demand as_set)
{
    struct demands *demands =
        are_sound(ranges, ranges_n) ? calloc(1, sizeof *demands + ranges_n * sizeof(struct range)) : NULL;
    if (!demands)
        return NULL;
    atomic_init(&demands->holders, 1);
    demands->slots_n = 2;
    while (demands->slots_n < 2 * ranges_n)
        demands->slots_n *= 2;
    demands->slots = calloc(demands->slots_n, sizeof *demands->slots);
    demands->origins = calloc(origins_n ? origins_n : 1, sizeof *origins);
    if (!demands->slots || !demands->origins) {
        demands_release(demands);
        return NULL;
    }
    demands->as_set = as_set;
    demands->origins_n = origins_n;
    if (origins_n) {
        memcpy(demands->origins, origins, origins_n * sizeof *origins);
        qsort(demands->origins, origins_n, sizeof *origins, compare_origins);
    }
    take_ranges(demands, ranges, ranges_n);
    find_ranges(demands);
    return demands;
}

struct demands *demands_hold(struct demands *demands)
{
    if (demands)
        atomic_fetch_add(&demands->holders, 1);
    return demands;
}

void demands_release(struct demands *demands)
{
    if (!demands || atomic_fetch_sub(&demands->holders, 1) > 1)
        return;
    free(demands->origins);
    free(demands->slots);
    free(demands);
}

bool demands_equal(const struct demands *one, const struct demands *other)
{
    if (one == other)
        return true;
    return one && other && one->as_set == other->as_set && one->origins_n == other->origins_n &&
           one->ranges_n == other->ranges_n &&
           memcmp(one->origins, other->origins, one->origins_n * sizeof *one->origins) == 0 &&
           memcmp(one->ranges, other->ranges, one->ranges_n * sizeof *one->ranges) == 0;
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

/* Whether a range of this prefix is for a length. */
static bool is_listed(const struct demands *demands, struct address prefix, uint8_t family, uint8_t bits, uint8_t len)
{
    size_t slot = slot_of(demands, prefix, family, bits);
    for (; demands->slots[slot]; slot = (slot + 1) & (demands->slots_n - 1)) {
        size_t at = demands->slots[slot] - 1;
        if (!is_of(&demands->ranges[at], prefix, family, bits))
            continue;
        for (; at < demands->ranges_n && is_of(&demands->ranges[at], prefix, family, bits); at++)
            if (len >= demands->ranges[at].shortest && len <= demands->ranges[at].longest)
                return true;
        return false;
    }
    return false;
}

static bool is_within(const struct demands *demands, uint8_t family, const uint8_t *addr, uint8_t len)
{
    struct address address = address_of(family, addr);
    const uint8_t *lengths = demands->lengths[family == 4 ? 0 : 1];
    size_t n = demands->lengths_n[family == 4 ? 0 : 1];
    for (size_t i = 0; i < n && lengths[i] <= len; i++)
        if (is_listed(demands, prefix_of(address, lengths[i]), family, lengths[i], len))
            return true;
    return false;
}

static bool has_origin(const struct demands *demands, int64_t origin)
{
    size_t low = 0, high = demands->origins_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (demands->origins[middle] == origin)
            return true;
        if (demands->origins[middle] < origin)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

bool demands_met(const struct demands *demands, uint8_t family, const uint8_t *addr, uint8_t len,
                 const struct attrs_summary *summary)
{
    bool as_set = (summary->traits & TRAIT_AS_SET) != 0;
    if (demands->as_set != AS_SET_EITHER && as_set != (demands->as_set == AS_SET_THERE))
        return false;
    return (!demands->origins_n || has_origin(demands, summary->origin)) &&
           (!demands->ranges_n || is_within(demands, family, addr, len));
}
