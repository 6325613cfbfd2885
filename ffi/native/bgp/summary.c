#include "bgp/receive.h"

#include "base/siphash.h"
#include "bgp/as_path.h"
#include "bgp/attributes.h"

#define SET_FITS 3800 /* octets: with tags, next hop and a prefix it fits an UPDATE of 4096 (RFC 4271 section 4.1) */
#define RFC8097_HIGH UINT64_C(0x4300)
#define NON_TRANSITIVE 0x40 /* of an extended community's type (RFC 4360 section 2) */

/* ---- an attribute set --------------------------------------------------------------------------------------- */

/* The next attribute of a set, which we wrote. False: that was all. */
static bool next_attribute(struct octets *rest, uint8_t *flags, uint8_t *code, struct octets *value)
{
    struct octets head;
    bool wide = rest->n && rest->at[0] & EXTENDED_LENGTH;
    if (!take(rest, wide ? 4 : 3, &head))
        return false;
    *flags = head.at[0];
    *code = head.at[1];
    return take(rest, wide ? get16(head.at + 2) : head.at[2], value);
}

/* ---- communities that could pass for ours ------------------------------------------------------------------- */

static const struct {
    uint8_t code, kind, size, number; /* octets of a community, and of each of its numbers */
} LISTS[] = {{COMMUNITIES, TAG_STANDARD, 4, 2},
             {EXTENDED_COMMUNITIES, TAG_EXTENDED, 8, 8},
             {LARGE_COMMUNITIES, TAG_LARGE, 12, 4}};

#define LISTS_N (sizeof LISTS / sizeof *LISTS)

static size_t list_of(uint8_t code)
{
    size_t list = 0;
    while (list < LISTS_N && LISTS[list].code != code)
        list++;
    return list;
}

static void read_numbers(size_t list, const uint8_t *at, uint64_t numbers[3])
{
    memset(numbers, 0, 3 * sizeof *numbers);
    for (size_t i = 0; i < LISTS[list].size; i++)
        numbers[i / LISTS[list].number] = numbers[i / LISTS[list].number] << 8 | at[i];
}

static bool is_ours(const struct summary_terms *terms, size_t list, const uint8_t *at)
{
    uint64_t numbers[3];
    read_numbers(list, at, numbers);
    if (LISTS[list].kind == TAG_EXTENDED && numbers[0] >> 48 == RFC8097_HIGH)
        return true;
    for (size_t i = 0; i < terms->our_tags_n; i++)
        if (terms->our_tags[i].kind == LISTS[list].kind &&
            memcmp(terms->our_tags[i].numbers, numbers, sizeof numbers) == 0)
            return true;
    return false;
}

/* The conditions of the policy that a community meets. */
static uint32_t conditions_met(const struct summary_terms *terms, size_t list, const uint64_t *numbers)
{
    uint32_t met = 0;
    for (size_t i = 0; i < terms->conditions_n; i++) {
        const struct our_tag *community = &terms->conditions[i].community;
        if (community->kind == LISTS[list].kind && memcmp(community->numbers, numbers, sizeof community->numbers) == 0)
            met |= terms->conditions[i].bit;
    }
    return met;
}

static size_t keep_communities(struct octets value, const struct summary_terms *terms, size_t list, uint8_t *out)
{
    size_t n = 0;
    for (struct octets one; take(&value, LISTS[list].size, &one);) {
        if (!is_ours(terms, list, one.at)) {
            memcpy(out + n, one.at, one.n);
            n += one.n;
        }
    }
    return n;
}

size_t bgp_set_without_ours(struct octets key, const struct summary_terms *terms, uint8_t *out)
{
    struct octets rest = key, head, value;
    uint8_t flags, code;
    if (!take(&rest, BGP_HEAD, &head) || !take(&rest, head.at[6], &value))
        return 0;
    size_t n = BGP_HEAD + value.n;
    memcpy(out, key.at, n);
    for (const uint8_t *at = rest.at; next_attribute(&rest, &flags, &code, &value); at = rest.at) {
        size_t list = list_of(code);
        if (list == LISTS_N) {
            memcpy(out + n, at, (size_t)(rest.at - at));
            n += (size_t)(rest.at - at);
            continue;
        }
        size_t head_n = (size_t)(value.at - at), kept = keep_communities(value, terms, list, out + n + head_n);
        memcpy(out + n, at, head_n);
        if (flags & EXTENDED_LENGTH) {
            out[n + 2] = (uint8_t)(kept >> 8);
            out[n + 3] = (uint8_t)kept;
        } else {
            out[n + 2] = (uint8_t)kept;
        }
        n += kept ? head_n + kept : 0;
    }
    return n;
}

/* ---- the summary -------------------------------------------------------------------------------------------- */

/* As Python's AttributeSet.identity: of the next hop and the path. */
static uint64_t mix(uint64_t identity, uint64_t word)
{
    identity = (identity ^ word) * UINT64_C(0xd6e8feb86659fd93);
    return identity ^ identity >> 32;
}

static void summarize_path(struct octets path, uint32_t own_as, struct attrs_summary *summary)
{
    struct octets head, asns;
    bool outside = false; /* some AS of it is of no confederation */
    size_t segments = 0;
    while (take(&path, 2, &head) && take(&path, (size_t)head.at[1] * 4, &asns)) {
        summary->identity = mix(summary->identity, head.at[0] | (uint64_t)head.at[1] << 8);
        if (segments++ || head.at[0] != AS_SEQUENCE)
            summary->traits |= TRAIT_WIDE_AS;
        if (head.at[0] == AS_SET || head.at[0] == AS_CONFED_SET)
            summary->traits |= TRAIT_AS_SET;
        for (size_t i = 0; i < asns.n; i += 4) {
            uint32_t asn = get32(asns.at + i);
            summary->identity = mix(summary->identity, asn);
            if (asn == own_as)
                summary->traits |= TRAIT_LOOP;
        }
        if (head.at[0] != AS_SET && head.at[0] != AS_SEQUENCE) {
            summary->traits |= TRAIT_BY_KIND;
            continue;
        }
        outside = true;
        /* RFC 6811 section 2; RFC 4271 section 9.1.2.2 */
        summary->origin = head.at[0] == AS_SET ? -1 : (int64_t)get32(asns.at + asns.n - 4);
        summary->path_length = (uint16_t)(summary->path_length + (head.at[0] == AS_SET ? 1 : head.at[1]));
    }
    if (!outside)
        summary->traits |= TRAIT_BY_KIND;
}

static void summarize_communities(struct octets value, size_t list, const struct summary_terms *terms,
                                  struct attrs_summary *summary)
{
    for (struct octets one; take(&value, LISTS[list].size, &one);) {
        uint64_t numbers[3];
        read_numbers(list, one.at, numbers);
        summary->conditions |= conditions_met(terms, list, numbers);
        if (LISTS[list].kind == TAG_EXTENDED && (one.at[0] & NON_TRANSITIVE))
            summary->traits |= TRAIT_BY_KIND;
        if (LISTS[list].kind != TAG_STANDARD || numbers[0] != 0xffff)
            continue;
        summary->traits |= numbers[1] == 0xff01   ? TRAIT_NO_EXPORT
                           : numbers[1] == 0xff02 ? TRAIT_NO_ADVERTISE
                           : numbers[1] == 0xff03 ? TRAIT_NO_EXPORT_SUBCONFED
                                                  : 0;
    }
}

/* Whether an external receiver gets something else of an attribute than the others do. */
static bool is_by_kind(uint8_t code, struct octets value)
{
    if (code == MULTI_EXIT_DISC || code == ORIGINATOR_ID || code == CLUSTER_LIST || code == AIGP)
        return true;
    for (size_t i = 0; code == IPV6_EXTENDED_COMMUNITIES && i < value.n; i += 20)
        if (value.at[i] & NON_TRANSITIVE)
            return true;
    return false;
}

static uint8_t fitness_of(uint8_t family, struct octets hop, size_t n)
{
    if (hop.n == 0 || (hop.n == 16 && bgp_is_link_local(hop.at)) || n > SET_FITS || (family == 6 && hop.n == 4))
        return UNFIT;
    return family == 4 && hop.n == 16 ? FIT_EXTENDED_NEXT_HOP : FIT; /* RFC 8950 section 4 */
}

bool bgp_summarize(struct octets key, const struct summary_terms *terms, uint8_t *scratch, struct attrs_summary *out)
{
    struct octets rest = key, head, hop, value;
    uint8_t flags, code, address[16] = {0};
    if (!take(&rest, BGP_HEAD, &head) || !take(&rest, head.at[6], &hop) || hop.n > sizeof address)
        return false;
    *out = (struct attrs_summary){.origin = get32(head.at + 2), .local_preference = 100, .origin_code = 2};
    out->traits = (head.at[1] & BGP_OTHER_FIRST_AS ? TRAIT_OTHER_FIRST_AS : 0) |
                  (head.at[1] & BGP_REFLECTED ? TRAIT_LOOP : 0) | (head.at[1] & BGP_OTHER_OTC ? TRAIT_OTHER_OTC : 0);
    uint64_t halves[2];
    if (hop.n)
        memcpy(address, hop.at, hop.n);
    memcpy(halves, address, sizeof halves);
    out->identity = mix(0, 16 | (uint64_t)(hop.n == 4 ? 4 : 6) << 8 | (uint64_t)head.at[0] << 16);
    out->identity = mix(mix(out->identity, halves[0]), halves[1]);
    for (const uint8_t *at = rest.at; next_attribute(&rest, &flags, &code, &value); at = rest.at) {
        if (code == ORIGIN) {
            out->origin_code = value.at[0];
        } else if (code == AS_PATH) {
            out->path_at = (uint16_t)(at - key.at);
            summarize_path(value, get32(head.at + 2), out);
        } else if (code == ONLY_TO_CUSTOMER)
            out->traits |= TRAIT_OTC;
        else if (code == LOCAL_PREF)
            out->local_preference = get32(value.at);
        else if (list_of(code) < LISTS_N)
            summarize_communities(value, list_of(code), terms, out);
        else if (is_by_kind(code, value))
            out->traits |= TRAIT_BY_KIND;
        else if (code == AGGREGATOR && (flags & PARTIAL))
            out->traits |= TRAIT_WIDE_AS;
    }
    size_t n = bgp_set_without_ours(key, terms, scratch);
    out->fitness = fitness_of(head.at[0], hop, n);
    out->announced_hash = siphash(terms->hash_key, scratch, n);
    return true;
}
