#include "bgp/attributes.h"

#include "bgp/as_path.h"

#define AS_TRANS 23456u
#define FAULT(number) (UINT64_C(1) << (number))

/* What is known of an attribute: its flags, and what its length must be. */
struct rule {
    uint8_t flags; /* Optional and Transitive */
    uint8_t exact; /* octets; 0: see `each` */
    uint8_t each;  /* a multiple of it, but not 0 octets; 0: of any length */
    uint8_t fault; /* of a wrong length */
    bool known;
};

static const struct rule rules[256] = {
    [ORIGIN] = {TRANSITIVE, 1, 0, BGP_ORIGIN, true},
    [AS_PATH] = {TRANSITIVE, 0, 0, BGP_AS_PATH, true},
    [NEXT_HOP] = {TRANSITIVE, 4, 0, BGP_NEXT_HOP, true},
    [MULTI_EXIT_DISC] = {OPTIONAL, 4, 0, BGP_MED, true},
    [LOCAL_PREF] = {TRANSITIVE, 4, 0, BGP_LOCAL_PREF, true},
    [ATOMIC_AGGREGATE] = {TRANSITIVE, 0, 0, BGP_ATOMIC_AGGREGATE, true},
    [AGGREGATOR] = {OPTIONAL | TRANSITIVE, 0, 0, BGP_AGGREGATOR, true},
    [COMMUNITIES] = {OPTIONAL | TRANSITIVE, 0, 4, BGP_COMMUNITIES, true},
    [ORIGINATOR_ID] = {OPTIONAL, 4, 0, BGP_ORIGINATOR_ID, true},
    [CLUSTER_LIST] = {OPTIONAL, 0, 4, BGP_CLUSTER_LIST, true},
    [MP_REACH_NLRI] = {OPTIONAL, 0, 0, BGP_MP_LENGTHS, true},
    [MP_UNREACH_NLRI] = {OPTIONAL, 0, 0, BGP_MP_LENGTHS, true},
    [EXTENDED_COMMUNITIES] = {OPTIONAL | TRANSITIVE, 0, 8, BGP_EXTENDED_COMMUNITIES, true},
    [AS4_PATH] = {OPTIONAL | TRANSITIVE, 0, 0, BGP_AS4_PATH, true},
    [AS4_AGGREGATOR] = {OPTIONAL | TRANSITIVE, 0, 0, BGP_AS4_AGGREGATOR, true},
    [PMSI_TUNNEL] = {OPTIONAL | TRANSITIVE, 0, 0, 0, true},
    [TUNNEL_ENCAPSULATION] = {OPTIONAL | TRANSITIVE, 0, 0, 0, true},
    [IPV6_EXTENDED_COMMUNITIES] = {OPTIONAL | TRANSITIVE, 0, 20, BGP_EXTENDED_COMMUNITIES, true},
    [LARGE_COMMUNITIES] = {OPTIONAL | TRANSITIVE, 0, 12, BGP_LARGE_COMMUNITIES, true},
    [ONLY_TO_CUSTOMER] = {OPTIONAL | TRANSITIVE, 4, 0, BGP_OTC, true},
    [PREFIX_SID] = {OPTIONAL | TRANSITIVE, 0, 0, 0, true},
    [ATTR_SET] = {OPTIONAL | TRANSITIVE, 0, 0, 0, true},
};

/* Inside of our AS, or of our confederation. */
static bool is_inside(const struct bgp_session *session)
{
    return session->local_as == session->peer_as || session->confederation;
}

/* ---- finding them ------------------------------------------------------------------------------------------- */

/* What means nothing on this session, whatever is in it. */
static bool is_ignored(unsigned code, const struct bgp_session *session)
{
    if (code == LOCAL_PREF || code == AIGP) /* RFC 7606 section 7.5; RFC 7311 section 3.3: not enabled there */
        return !is_inside(session);
    if (code == ORIGINATOR_ID || code == CLUSTER_LIST) /* RFC 7606 sections 7.9, 7.10 */
        return session->local_as != session->peer_as;
    return session->four_octet_as && (code == AS4_PATH || code == AS4_AGGREGATOR); /* RFC 6793 section 4.1 */
}

static void keep(struct attributes *out, unsigned code, uint8_t flags, struct octets value, uint64_t *faults)
{
    if (has(out, code)) {
        *faults |= FAULT(code == MP_REACH_NLRI || code == MP_UNREACH_NLRI ? BGP_MP_TWICE : BGP_DUPLICATE);
        return;
    }
    out->present[code / 64] |= UINT64_C(1) << code % 64;
    out->at[code] = (struct attribute){value, flags};
}

static void find_all(struct attributes *out, struct octets rest, const struct bgp_session *session, uint64_t *faults)
{
    struct octets head, value;
    while (rest.n) {
        bool wide = rest.at[0] & EXTENDED_LENGTH;
        if (!take(&rest, wide ? 4 : 3, &head) || !take(&rest, wide ? get16(head.at + 2) : head.at[2], &value)) {
            *faults |= FAULT(BGP_OVERRUN);
            return;
        }
        uint8_t flags = head.at[0];
        unsigned code = head.at[1];
        bool unknown = !rules[code].known && code != AIGP;
        if (unknown && !(flags & OPTIONAL))
            *faults |= FAULT(BGP_UNKNOWN_WELL_KNOWN);
        else if (!is_ignored(code, session) && (!unknown || flags & TRANSITIVE)) /* RFC 4271 section 5 */
            keep(out, code, flags, value, faults);
    }
}

/* ---- checking them ------------------------------------------------------------------------------------------ */

static bool has_length(const struct rule *rule, size_t n)
{
    if (rule->exact)
        return n == rule->exact;
    return !rule->each || (n && n % rule->each == 0);
}

static void check_flags_and_lengths(const struct attributes *attributes, uint64_t *faults)
{
    for (unsigned word = 0; word < 4; word++) {
        for (uint64_t bits = attributes->present[word]; bits; bits &= bits - 1) {
            unsigned code = 64 * word + (unsigned)__builtin_ctzll(bits);
            const struct rule *rule = &rules[code];
            if (!rule->known)
                continue;
            if ((attributes->at[code].flags & (OPTIONAL | TRANSITIVE)) != rule->flags)
                *faults |= FAULT(BGP_FLAGS);
            if (!has_length(rule, attributes->at[code].value.n))
                *faults |= FAULT(rule->fault);
        }
    }
}

static void check_path(const struct attributes *attributes, const struct bgp_session *session, uint64_t *faults)
{
    if (!has(attributes, AS_PATH))
        return;
    struct octets path = attributes->at[AS_PATH].value;
    enum path_fault fault = path_check(path, session->four_octet_as ? 4 : 2);
    if (fault != PATH_GOOD)
        *faults |= FAULT(fault == PATH_MALFORMED ? BGP_AS_PATH : BGP_AS_ZERO);
    else if (!is_inside(session) && path_confederated(path, session->four_octet_as ? 4 : 2))
        *faults |= FAULT(BGP_AS_PATH);
}

/* Leaves out the attributes whose faults end there. */
static void discard_malformed(struct attributes *attributes, const struct bgp_session *session, uint64_t *faults)
{
    size_t width = session->four_octet_as ? 4 : 2;
    const struct octets *value = &attributes->at[AGGREGATOR].value;
    bool good[256];
    good[ATOMIC_AGGREGATE] = has(attributes, ATOMIC_AGGREGATE) && attributes->at[ATOMIC_AGGREGATE].value.n == 0;
    good[AGGREGATOR] =
        has(attributes, AGGREGATOR) && value->n == width + 4 && (width == 4 ? get32(value->at) : get16(value->at)) != 0;
    value = &attributes->at[AS4_AGGREGATOR].value;
    good[AS4_AGGREGATOR] = has(attributes, AS4_AGGREGATOR) && value->n == 8 && get32(value->at) != 0;
    value = &attributes->at[AS4_PATH].value;
    good[AS4_PATH] = has(attributes, AS4_PATH) && value->n && path_check(*value, 4) == PATH_GOOD;
    static const enum code codes[] = {ATOMIC_AGGREGATE, AGGREGATOR, AS4_AGGREGATOR, AS4_PATH};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (has(attributes, codes[i]) && !good[codes[i]]) {
            *faults |= FAULT(rules[codes[i]].fault);
            discard(attributes, codes[i]);
        }
    }
}

/* RFC 7311 section 3: TLVs, each with its own length. */
static bool is_aigp(const struct attribute *attribute)
{
    struct octets rest = attribute->value, head, value;
    bool found = false;
    while (take(&rest, 3, &head)) {
        size_t n = get16(head.at + 1);
        if (n < 3 || !take(&rest, n - 3, &value) || (head.at[0] == 1 && !found && n != 11))
            return false;
        found |= head.at[0] == 1;
    }
    return rest.n == 0 && found && (attribute->flags & (OPTIONAL | TRANSITIVE)) == OPTIONAL;
}

void attributes_find(struct attributes *out, struct octets octets, const struct bgp_session *session, uint64_t *faults)
{
    memset(out->present, 0, sizeof out->present);
    find_all(out, octets, session, faults);
    check_flags_and_lengths(out, faults);
    discard_malformed(out, session, faults);
    check_path(out, session, faults);
    if (has(out, ORIGIN) && out->at[ORIGIN].value.n && out->at[ORIGIN].value.at[0] > 2)
        *faults |= FAULT(BGP_ORIGIN);
    if (has(out, AIGP) && !is_aigp(&out->at[AIGP])) {
        *faults |= FAULT(BGP_AIGP);
        discard(out, AIGP);
    }
}

bool attributes_reflected(const struct attributes *attributes, const struct bgp_session *session)
{
    if (!session->router_id)
        return false;
    if (has(attributes, ORIGINATOR_ID) && get32(attributes->at[ORIGINATOR_ID].value.at) == session->router_id)
        return true;
    struct octets clusters = has(attributes, CLUSTER_LIST) ? attributes->at[CLUSTER_LIST].value : (struct octets){0};
    for (struct octets one; take(&clusters, 4, &one);)
        if (get32(one.at) == session->router_id)
            return true;
    return false;
}

/* ---- writing them ------------------------------------------------------------------------------------------- */

/* Writes flags, code and length of n octets. */
static size_t write_head(unsigned code, uint8_t flags, size_t n, uint8_t *out)
{
    bool wide = n > UINT8_MAX;
    uint8_t kept = flags & (OPTIONAL | TRANSITIVE | (flags & OPTIONAL ? PARTIAL : 0));
    out[0] = (uint8_t)(kept | (wide ? EXTENDED_LENGTH : 0));
    out[1] = (uint8_t)code;
    if (wide)
        out[2] = (uint8_t)(n >> 8);
    out[wide ? 3 : 2] = (uint8_t)n;
    return wide ? 4 : 3;
}

/* Whether AS4_PATH and AS4_AGGREGATOR count: RFC 6793 section 4.2.3. */
static bool is_aggregated_later(const struct attributes *attributes)
{
    return has(attributes, AGGREGATOR) && get16(attributes->at[AGGREGATOR].value.at) != AS_TRANS;
}

static size_t write_path(const struct attributes *attributes, const struct bgp_session *session, uint8_t *out)
{
    struct octets path = attributes->at[AS_PATH].value;
    if (!session->four_octet_as && has(attributes, AS4_PATH) && !is_aggregated_later(attributes))
        return path_merge(path, attributes->at[AS4_PATH].value, out);
    return path_widen(path, session->four_octet_as ? 4 : 2, out);
}

static size_t write_aggregator(const struct attributes *attributes, const struct bgp_session *session, uint8_t *out)
{
    const uint8_t *value = attributes->at[AGGREGATOR].value.at;
    if (session->four_octet_as) {
        memcpy(out, value, 8);
    } else if (has(attributes, AS4_AGGREGATOR) && !is_aggregated_later(attributes)) {
        memcpy(out, attributes->at[AS4_AGGREGATOR].value.at, 8);
    } else {
        put32(out, get16(value));
        memcpy(out + 4, value + 2, 4);
    }
    return 8;
}

/* The ORIGINATOR_ID and CLUSTER_LIST with which a route of a peer inside our AS is advertised to others inside (RFC
 * 4456 section 8). For receivers outside they are left out as any. */
static size_t write_reflection(const struct attributes *attributes, const struct bgp_session *session, unsigned code,
                               uint8_t *out)
{
    struct octets known = has(attributes, code) ? attributes->at[code].value : (struct octets){0};
    bool by_us = code == CLUSTER_LIST, first = code == ORIGINATOR_ID && known.n == 0;
    size_t more = by_us || first ? 4 : 0, head = write_head(code, OPTIONAL, known.n + more, out);
    if (more)
        put32(out + head, by_us ? session->router_id : session->peer_router_id);
    if (known.n)
        memcpy(out + head + more, known.at, known.n);
    return head + more + known.n;
}

size_t attributes_write(const struct attributes *attributes, const struct bgp_session *session, uint8_t *out,
                        int64_t *first_as)
{
    static const uint64_t REFLECTION = UINT64_C(1) << ORIGINATOR_ID | UINT64_C(1) << CLUSTER_LIST;
    bool inside = session->local_as == session->peer_as && session->router_id && session->peer_router_id;
    size_t n = 0;
    *first_as = -1;
    for (unsigned word = 0; word < 4; word++) {
        uint64_t all = attributes->present[word] | (inside && word == 0 ? REFLECTION : 0);
        for (uint64_t bits = all; bits; bits &= bits - 1) {
            unsigned code = 64 * word + (unsigned)__builtin_ctzll(bits);
            const struct attribute *attribute = &attributes->at[code];
            size_t size = attribute->value.n;
            uint8_t value[8];
            if (code == NEXT_HOP || code == MP_REACH_NLRI || code == MP_UNREACH_NLRI || code == AS4_PATH ||
                code == AS4_AGGREGATOR)
                continue;
            if (code == AS_PATH) {
                /* Its head may take an octet more than is known before it is written. */
                uint8_t *path = out + n + 4;
                size = write_path(attributes, session, path);
                if (size)
                    *first_as = get32(path + 2);
                size_t head = write_head(code, attribute->flags, size, out + n);
                memmove(out + n + head, path, size);
                n += head + size;
                continue;
            }
            if (inside && (code == ORIGINATOR_ID || code == CLUSTER_LIST)) {
                n += write_reflection(attributes, session, code, out + n);
                continue;
            }
            const uint8_t *from = attribute->value.at;
            if (code == AGGREGATOR) {
                size = write_aggregator(attributes, session, value);
                from = value;
            }
            n += write_head(code, attribute->flags, size, out + n);
            if (size)
                memcpy(out + n, from, size);
            n += size;
        }
    }
    return n;
}
