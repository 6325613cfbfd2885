#include "bgp/update.h"

#include "bgp/attributes.h"

#define FAULT(number) (UINT64_C(1) << (number))
#define AFI_IPV4 1
#define AFI_IPV6 2
#define SAFI_UNICAST 1
#define PATH_ID 4 /* octets */

/* ---- routes ------------------------------------------------------------------------------------------------- */

/* The parts of the next route, which is taken off `nlri`. */
static inline bool take_route(struct octets *nlri, const struct bgp_run *run, struct octets *id, unsigned *len,
                              struct octets *bits)
{
    struct octets rest = *nlri, length;
    if ((run->path_ids && !take(&rest, PATH_ID, id)) || !take(&rest, 1, &length))
        return false;
    *len = length.at[0];
    if (*len > family_bits(run->family) || !take(&rest, (*len + 7) / 8, bits))
        return false;
    *nlri = rest; /* a whole route was there */
    return true;
}

bool bgp_next_route(struct octets *nlri, const struct bgp_run *run, struct nlri *out)
{
    struct octets id = {0}, bits;
    unsigned len;
    if (!take_route(nlri, run, &id, &len, &bits))
        return false;
    *out = (struct nlri){.has_path_id = run->path_ids, .prefix = {.len = (uint8_t)len, .family = run->family}};
    if (run->path_ids)
        out->path_id = get32(id.at);
    if (bits.n)
        memcpy(out->prefix.addr, bits.at, bits.n);
    if (len % 8)
        out->prefix.addr[bits.n - 1] &= (uint8_t)(0xff << (8 - len % 8));
    return true;
}

/* Takes a run of routes, once all of them are known to be such. */
static void add_run(struct bgp_run *runs, size_t *n, const struct bgp_run *run, uint64_t *faults)
{
    struct octets rest = run->nlri, id = {0}, bits;
    unsigned len;
    while (take_route(&rest, run, &id, &len, &bits))
        ;
    if (rest.n)
        *faults |= FAULT(BGP_NLRI);
    else if (run->nlri.n)
        runs[(*n)++] = *run;
}

/* ---- multiprotocol ------------------------------------------------------------------------------------------ */

/* Takes AFI and SAFI (RFC 4760). The family of unicast routes; 0: another one; -1: it is cut off. */
static int take_family(struct octets *rest, const struct bgp_session *session, struct bgp_run *run)
{
    struct octets head;
    if (!take(rest, 3, &head))
        return -1;
    unsigned afi = get16(head.at);
    if (head.at[2] != SAFI_UNICAST || (afi != AFI_IPV4 && afi != AFI_IPV6))
        return 0;
    run->family = afi == AFI_IPV4 ? 4 : 6;
    run->path_ids = afi == AFI_IPV4 ? session->path_ids_ipv4 : session->path_ids_ipv6;
    return run->family;
}

/* The next hop of MP_REACH_NLRI: of two, the global one (RFC 2545 section 3). False: of no length that it can have. */
static bool read_next_hop(struct bgp_run *run, struct octets hop, const struct bgp_session *session)
{
    bool is_ipv6 = hop.n == 16 || hop.n == 32;
    if (run->family == 4 ? hop.n != 4 && !(is_ipv6 && session->extended_next_hop) : !is_ipv6)
        return false;
    const uint8_t *at = hop.n == 32 && bgp_is_link_local(hop.at) ? hop.at + 16 : hop.at;
    run->next_hop_n = is_ipv6 ? 16 : 4;
    memcpy(run->next_hop, at, run->next_hop_n);
    return true;
}

static void read_reach(struct bgp_update *out, struct octets value, const struct bgp_session *session)
{
    struct bgp_run run = {0};
    struct octets length, hop, reserved;
    int family = take_family(&value, session, &run);
    if (family < 0 || !take(&value, 1, &length) || !take(&value, length.at[0], &hop) || !take(&value, 1, &reserved)) {
        out->faults |= FAULT(BGP_MP_LENGTHS);
        return;
    }
    out->others += family == 0;
    if (family == 0)
        return;
    if (!read_next_hop(&run, hop, session))
        out->faults |= FAULT(BGP_NEXT_HOP);
    run.nlri = value;
    add_run(out->announced, &out->announced_n, &run, &out->faults);
}

/* Gives the family that ends here, if no route is withdrawn: RFC 4724 section 2. */
static uint8_t read_unreach(struct bgp_update *out, struct octets value, const struct bgp_session *session)
{
    struct bgp_run run = {0};
    int family = take_family(&value, session, &run);
    if (family < 0)
        out->faults |= FAULT(BGP_MP_LENGTHS);
    out->others += family == 0;
    if (family <= 0)
        return 0;
    run.nlri = value;
    add_run(out->withdrawn, &out->withdrawn_n, &run, &out->faults);
    return value.n ? 0 : run.family;
}

/* ---- the message -------------------------------------------------------------------------------------------- */

static void check_announced(struct bgp_update *out, const struct attributes *attributes, bool in_nlri,
                            const struct bgp_session *session)
{
    if (!has(attributes, ORIGIN) || !has(attributes, AS_PATH) || (in_nlri && !has(attributes, NEXT_HOP)))
        out->faults |= FAULT(BGP_MISSING);
    else if (session->local_as != session->peer_as && attributes->at[AS_PATH].value.n == 0)
        out->faults |= FAULT(BGP_EMPTY_AS_PATH);
}

static void read_ipv4(struct bgp_update *out, struct octets withdrawn, struct octets announced,
                      const struct attributes *attributes, const struct bgp_session *session)
{
    struct bgp_run run = {.nlri = withdrawn, .family = 4, .path_ids = session->path_ids_ipv4};
    add_run(out->withdrawn, &out->withdrawn_n, &run, &out->faults);
    run.nlri = announced;
    if (has(attributes, NEXT_HOP) && attributes->at[NEXT_HOP].value.n == 4) {
        run.next_hop_n = 4;
        memcpy(run.next_hop, attributes->at[NEXT_HOP].value.at, 4);
    }
    add_run(out->announced, &out->announced_n, &run, &out->faults);
}

bool bgp_update_read(struct bgp_update *out, const struct bgp_session *session, const uint8_t *body, size_t n)
{
    struct octets rest = {body, n}, withdrawn, octets;
    struct attributes attributes;
    int64_t first_as;
    memset(out, 0, offsetof(struct bgp_update, set));
    if (n > BGP_BODY_MOST || !take_sized(&rest, &withdrawn) || !take_sized(&rest, &octets)) {
        out->faults = FAULT(BGP_LENGTHS);
        return false;
    }
    attributes_find(&attributes, octets, session, &out->faults);
    read_ipv4(out, withdrawn, rest, &attributes, session);
    if (n == 4)
        out->end_of_rib = 4;
    if (has(&attributes, MP_UNREACH_NLRI)) {
        uint8_t family = read_unreach(out, attributes.at[MP_UNREACH_NLRI].value, session);
        if (octets.n <= (size_t)(attributes.at[MP_UNREACH_NLRI].flags & EXTENDED_LENGTH ? 7 : 6) && n == 4 + octets.n)
            out->end_of_rib = family;
    }
    if (has(&attributes, MP_REACH_NLRI))
        read_reach(out, attributes.at[MP_REACH_NLRI].value, session);
    if (out->announced_n)
        check_announced(out, &attributes, rest.n != 0, session);
    if (bgp_unreadable(out->faults)) {
        out->announced_n = out->withdrawn_n = 0;
        out->end_of_rib = 0;
        return false;
    }
    if (out->announced_n == 0 || bgp_treat_as_withdraw(out->faults))
        return true;
    out->set_n = attributes_write(&attributes, session, out->set + BGP_HEAD_MOST, &first_as);
    if (session->local_as != session->peer_as)
        out->set_flags = BGP_EXTERNAL | (first_as >= 0 && first_as != session->peer_as ? BGP_OTHER_FIRST_AS : 0);
    if (out->set_flags && has(&attributes, ONLY_TO_CUSTOMER) &&
        get32(attributes.at[ONLY_TO_CUSTOMER].value.at) != session->peer_as)
        out->set_flags |= BGP_OTHER_OTC;
    if (attributes_reflected(&attributes, session))
        out->set_flags |= BGP_REFLECTED;
    return true;
}

struct octets bgp_set_key(struct bgp_update *update, const struct bgp_session *session, const struct bgp_run *run)
{
    size_t head = BGP_HEAD + run->next_hop_n;
    uint8_t *at = update->set + BGP_HEAD_MOST - head;
    at[0] = run->family;
    at[1] = update->set_flags;
    put32(at + 2, session->local_as);
    at[6] = run->next_hop_n;
    memcpy(at + BGP_HEAD, run->next_hop, run->next_hop_n);
    return (struct octets){at, head + update->set_n};
}
