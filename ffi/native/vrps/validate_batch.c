/* Many routes in, the validity of each (RFC 6811) out.
 *
 * A route's answer waits for memory two or three times, one after the other. So the routes of a batch take each step
 * together: the lengths worth looking for, the places of the tables, the VRPs; what the next step of one route
 * reads is on its way while the others are looked at.
 */

#include "vrps/vrpset_table.h"

enum { TOGETHER = VRPSET_TOGETHER, PROBES = 12 };

struct probe {
    const struct table *table;
    uint32_t at;
    uint8_t len;
};

struct asked {
    struct key key;
    int64_t asn; /* -1: none */
    uint8_t len, family, n;
    bool good, many; /* many: more probes than there is room for */
    struct probe probes[PROBES];
};

static void read_route(const struct vrpset *set, const uint8_t addr[16], uint8_t len, uint8_t family, int64_t asn,
                       struct asked *asked)
{
    asked->key = key_of(addr);
    asked->asn = asn;
    asked->len = len;
    asked->family = family;
    asked->good = family_has_length(family, len);
    struct key prefix = masked(asked->key, len);
    asked->good &= prefix.hi == asked->key.hi && prefix.lo == asked->key.lo;
    if (asked->good)
        lengths_prefetch(&family_const(set, family)->lengths, asked->key.hi);
}

static void plan(const struct vrpset *set, struct asked *asked)
{
    const struct family_set *fam = family_const(set, asked->family);
    struct lengths_walk walk = lengths_begin(&fam->lengths, asked->key.hi, asked->len);
    asked->n = 0;
    asked->many = false;
    for (int len; (len = lengths_next(&walk)) >= 0;) {
        if (asked->n == PROBES) {
            asked->many = true;
            return;
        }
        uint64_t hash = hash_prefix(set, masked(asked->key, (unsigned)len), (unsigned)len);
        const struct table *table = &fam->tables[table_number(hash)];
        if (table->room == 0)
            continue;
        uint32_t at = (uint32_t)hash & (table->room - 1);
        __builtin_prefetch(&table->entries[at]);
        asked->probes[asked->n++] = (struct probe){table, at, (uint8_t)len};
    }
}

static enum validity answer(const struct vrpset *set, const struct asked *asked)
{
    enum validity validity = VALIDITY_NOT_FOUND;
    for (unsigned n = 0; n < asked->n; n++) {
        const struct probe *probe = &asked->probes[n];
        const struct entry *entries = probe->table->entries;
        struct key prefix = masked(asked->key, probe->len);
        for (uint32_t i = probe->at; entries[i].used; i = (i + 1) & (probe->table->room - 1)) {
            const struct entry *entry = &entries[i];
            if (entry->hi != prefix.hi || entry->lo != prefix.lo || entry->len != probe->len || !in_force(set, entry))
                continue;
            if (entry_matches(entry, asked->asn, asked->len))
                return VALIDITY_VALID;
            validity = VALIDITY_INVALID;
        }
    }
    return validity;
}

/* All that is asked of the set; `out`: 255 for what is no prefix. */
static void answer_all(const struct vrpset *set, struct asked *asked, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        if (asked[i].good)
            plan(set, &asked[i]);
    for (size_t i = 0; i < n; i++) {
        const struct asked *one = &asked[i];
        if (!one->good) {
            out[i] = 255;
        } else if (!set->usable) {
            out[i] = VALIDITY_UNVERIFIED;
        } else if (one->many) {
            uint64_t addr[2] = {htobe64(one->key.hi), htobe64(one->key.lo)};
            out[i] = (uint8_t)vrpset_validate(set, one->family, (const uint8_t *)addr, one->len, one->asn);
        } else {
            out[i] = (uint8_t)answer(set, one);
        }
    }
}

void vrpset_validate_many(const struct vrpset *set, const void *routes, size_t n, uint8_t *out)
{
    struct asked asked[TOGETHER];
    for (size_t done = 0; done < n; done += TOGETHER) {
        size_t some = n - done < TOGETHER ? n - done : TOGETHER;
        for (size_t i = 0; i < some; i++) {
            struct vrp route;
            memcpy(&route, (const uint8_t *)routes + (done + i) * sizeof route, sizeof route);
            read_route(set, route.addr, route.len, route.family, route.asn, &asked[i]);
        }
        answer_all(set, asked, some, out + done);
    }
}

void vrpset_validate_some(const struct vrpset *set, const struct prefix *const prefixes[], size_t n, int64_t asn,
                          uint8_t *out)
{
    struct asked asked[TOGETHER];
    n = n < TOGETHER ? n : TOGETHER;
    for (size_t i = 0; i < n; i++)
        read_route(set, prefixes[i]->addr, prefixes[i]->len, prefixes[i]->family, asn, &asked[i]);
    answer_all(set, asked, n, out);
}
