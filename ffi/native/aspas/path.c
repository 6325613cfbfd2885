#include "aspas/path.h"

#define SEGMENT_HEAD 2
#define AS_SEQUENCE 2 /* RFC 4271 section 4.3 */

/* ---- one hop ------------------------------------------------------------------------------------------------- */

/* A customer's record in the set; NULL: it names nobody. */
static const uint32_t *record_of(const struct aspa_set *set, uint32_t customer)
{
    long at = aspas_find(set->words, set->begins, set->count, customer);
    return at < 0 ? NULL : set->words + at;
}

static enum attestation attests(const uint32_t *record, uint32_t provider)
{
    if (!record)
        return ATTESTS_NONE;
    size_t low = 0, high = record[1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (record[2 + middle] < provider)
            low = middle + 1;
        else
            high = middle;
    }
    /* AS 0 says that there is no provider, so it is nobody's. */
    bool named = provider != 0 && low < record[1] && record[2 + low] == provider;
    return named ? ATTESTS_PROVIDER : ATTESTS_NOT_PROVIDER;
}

enum attestation aspas_attest(const struct aspa_set *set, uint32_t customer, uint32_t provider)
{
    return attests(record_of(set, customer), provider);
}

/* ---- a path -------------------------------------------------------------------------------------------------- */

/* From the neighbor toward the origin: the pair k is of the ASes k and k + 1. */
struct ramps {
    const struct aspa_set *set;
    const uint32_t *record; /* of the last AS */
    uint32_t last;
    enum path_procedure procedure;
    size_t n;                      /* ASes so far */
    size_t max_down, min_down;     /* the pairs before the first one that ends the ramp */
    size_t up_denied, up_unproven; /* the pairs up to the last one that ends the ramp */
};

static struct ramps begin(const struct aspa_set *set, enum path_procedure procedure)
{
    return (struct ramps){.set = set, .procedure = procedure, .max_down = SIZE_MAX, .min_down = SIZE_MAX};
}

/* One AS more. False: the rest can't change the outcome, which is invalid. */
static bool step(struct ramps *ramps, uint32_t asn)
{
    if (ramps->n && asn == ramps->last)
        return true;
    const uint32_t *record = record_of(ramps->set, asn);
    size_t pair = ramps->n; /* the number of pairs with this one */
    if (pair) {
        enum attestation up = attests(record, ramps->last);
        if (up != ATTESTS_PROVIDER)
            ramps->up_unproven = pair;
        if (up == ATTESTS_NOT_PROVIDER)
            ramps->up_denied = pair;
        if (ramps->procedure == PATH_DOWNSTREAM && ramps->max_down == SIZE_MAX) {
            enum attestation down = attests(ramps->record, asn);
            if (down != ATTESTS_PROVIDER && ramps->min_down == SIZE_MAX)
                ramps->min_down = pair;
            if (down == ATTESTS_NOT_PROVIDER)
                ramps->max_down = pair;
        }
    }
    ramps->record = record;
    ramps->last = asn;
    ramps->n++;
    return ramps->procedure == PATH_DOWNSTREAM || !ramps->up_denied;
}

static enum path_outcome outcome(const struct ramps *ramps)
{
    size_t n = ramps->n;
    if (n == 0)
        return PATH_INVALID;
    /* Section 6.1: a ramp is counted in ASes. The one up ends at the last pair that denies it, as seen from here. */
    size_t max_up = n - ramps->up_denied, min_up = n - ramps->up_unproven;
    size_t max_down = 0, min_down = 0;
    if (ramps->procedure == PATH_DOWNSTREAM) {
        max_down = ramps->max_down < n ? ramps->max_down : n;
        min_down = ramps->min_down < n ? ramps->min_down : n;
    }
    if (max_up + max_down < n)
        return PATH_INVALID;
    return min_up + min_down < n ? PATH_UNKNOWN : PATH_VALID;
}

enum path_outcome path_verify(const struct aspa_set *set, const uint32_t *path, size_t n, enum path_procedure procedure)
{
    struct ramps ramps = begin(set, procedure);
    for (size_t i = 0; i < n; i++)
        if (!step(&ramps, path[i]))
            return PATH_INVALID;
    return outcome(&ramps);
}

enum path_outcome path_verify_octets(const struct aspa_set *set, struct octets path, enum path_procedure procedure)
{
    struct ramps ramps = begin(set, procedure);
    struct octets head, asns, one;
    while (take(&path, SEGMENT_HEAD, &head) && take(&path, (size_t)head.at[1] * 4, &asns)) {
        if (head.at[0] != AS_SEQUENCE)
            return PATH_INVALID;
        while (take(&asns, 4, &one))
            if (!step(&ramps, get32(one.at)))
                return PATH_INVALID;
    }
    return outcome(&ramps);
}

bool path_has_any(struct octets path, const uint32_t *asns, size_t n)
{
    struct octets head, some, one;
    while (take(&path, SEGMENT_HEAD, &head) && take(&path, (size_t)head.at[1] * 4, &some)) {
        while (take(&some, 4, &one)) {
            uint32_t asn = get32(one.at);
            size_t low = 0, high = n;
            while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (asns[middle] < asn)
                    low = middle + 1;
                else
                    high = middle;
            }
            if (low < n && asns[low] == asn)
                return true;
        }
    }
    return false;
}
