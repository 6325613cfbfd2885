#include "bgp/receive.h"

/* ---- what is left out --------------------------------------------------------------------------------------- */

/* What all addresses are that have these first `len` bits; BGP_UNICAST, too, of a prefix that covers others: a default
 * route, for one. */
static enum bgp_no_unicast kind_of_ipv4(const uint8_t *address, unsigned len)
{
    if (address[0] >= 224 && len >= 3)
        return address[0] >= 240 ? BGP_CLASS_E : BGP_MULTICAST;
    if (address[0] == 0 && len >= 8)
        return BGP_UNSPECIFIED;
    if (address[0] == 127 && len >= 8)
        return BGP_LOOPBACK;
    return address[0] == 169 && address[1] == 254 && len >= 16 ? BGP_LINK_LOCAL : BGP_UNICAST;
}

static enum bgp_no_unicast kind_of_ipv6(const uint8_t *address, unsigned len)
{
    static const uint8_t zero[15];
    if (len >= 127 && memcmp(address, zero, sizeof zero) == 0 && address[15] <= 1)
        return address[15] ? BGP_LOOPBACK : BGP_UNSPECIFIED;
    if (address[0] == 0xff && len >= 8)
        return BGP_MULTICAST;
    return bgp_is_link_local(address) && len >= 10 ? BGP_LINK_LOCAL : BGP_UNICAST;
}

static enum bgp_no_unicast kind_of_prefix(const struct prefix *prefix)
{
    return prefix->family == 4 ? kind_of_ipv4(prefix->addr, prefix->len) : kind_of_ipv6(prefix->addr, prefix->len);
}

/* An address of the session itself is one that works: its peer is there. So is any loopback address where routers share
 * a host. */
static enum bgp_no_unicast kind_of_next_hop(const struct bgp_run *run, const struct bgp_session *session)
{
    for (int i = 0; i < 2; i++)
        if (run->next_hop_n && run->next_hop_n == session->addresses_n[i] &&
            memcmp(run->next_hop, session->addresses[i], run->next_hop_n) == 0)
            return BGP_UNICAST;
    if (run->next_hop_n == 0)
        return BGP_UNSPECIFIED;
    enum bgp_no_unicast kind =
        run->next_hop_n == 4 ? kind_of_ipv4(run->next_hop, 32) : kind_of_ipv6(run->next_hop, 128);
    return kind == BGP_LOOPBACK ? BGP_UNICAST : kind;
}

/* ---- routes ------------------------------------------------------------------------------------------------- */

static void withdraw(struct rib *rib, uint32_t neighbor, const struct bgp_run *run)
{
    struct octets rest = run->nlri;
    for (struct nlri nlri; bgp_next_route(&rest, run, &nlri);)
        rib_withdraw(rib, neighbor, &nlri);
}

/* Leaves out what is no unicast, which is counted. Gives how many routes there are then. */
static size_t keep_unicast(struct nlri *nlri, size_t n, struct bgp_received *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        enum bgp_no_unicast kind = kind_of_prefix(&nlri[i].prefix);
        if (kind != BGP_UNICAST) {
            out->by_prefix[kind]++;
            out->left_out++;
        } else if (kept++ != i) {
            nlri[kept - 1] = nlri[i];
        }
    }
    return kept;
}

/* At most VRPSET_TOGETHER routes of a run, taken off `rest`. */
static size_t next_routes(struct octets *rest, const struct bgp_run *run, struct nlri nlri[VRPSET_TOGETHER])
{
    size_t n = 0;
    while (n < VRPSET_TOGETHER && bgp_next_route(rest, run, &nlri[n]))
        n++;
    return n;
}

/* `coming` has the first routes of the run. */
static void announce(struct rib *rib, uint32_t neighbor, uint32_t attrs, const struct bgp_run *run,
                     struct bgp_coming *coming, struct route_faults *faults, struct bgp_received *out)
{
    for (; coming->n; coming->n = next_routes(&coming->rest, run, coming->nlri))
        rib_announce(rib, neighbor, attrs, coming->nlri, keep_unicast(coming->nlri, coming->n, out), faults);
}

static uint32_t count(const struct bgp_run *run)
{
    struct octets rest = run->nlri;
    struct nlri nlri;
    uint32_t n = 0;
    while (bgp_next_route(&rest, run, &nlri))
        n++;
    return n;
}

/* The number of the run's attribute set, held; ATTRS_NONE: no memory, or `full`: it is one too many. */
static uint32_t hold_set(struct rib *rib, uint32_t neighbor, struct bgp_update *update,
                         const struct bgp_session *session, const struct bgp_run *run, uint32_t hash, bool *full)
{
    struct octets key = bgp_set_key(update, session, run);
    uint32_t number = rib_attrs_find_by(rib, hash, key.at, key.n);
    struct attrs_summary summary;
    *full = number == ATTRS_NONE && !rib_attrs_fit(rib, neighbor, key.n);
    if (number == ATTRS_NONE && !*full && bgp_summarize(key, rib_summary_terms(rib), update->scratch, &summary))
        number = rib_attrs_add_for(rib, neighbor, hash, key.at, key.n, &summary);
    if (number != ATTRS_NONE)
        rib_attrs_hold(rib, number);
    return number;
}

void bgp_receive_begin(const struct rib *rib, const struct bgp_session *session, const uint8_t *body, size_t n,
                       struct bgp_update *update, struct bgp_coming *out)
{
    out->readable = bgp_update_read(update, session, body, n);
    out->runs = out->n = 0;
    if (!out->readable || bgp_treat_as_withdraw(update->faults) || !update->announced_n)
        return;
    out->runs = update->announced_n < 2 ? update->announced_n : 2;
    for (size_t i = 0; i < out->runs; i++) {
        struct octets key = bgp_set_key(update, session, &update->announced[i]);
        out->hashes[i] = rib_attrs_hash(rib, key.at, key.n);
    }
    out->rest = update->announced[0].nlri;
    out->n = next_routes(&out->rest, &update->announced[0], out->nlri);
    for (size_t i = 0; i < out->n; i++)
        rib_fetch(rib, &out->nlri[i]);
}

void bgp_receive_fetch(const struct rib *rib, const struct bgp_coming *coming)
{
    for (size_t i = 0; i < coming->runs; i++)
        rib_attrs_fetch(rib, coming->hashes[i]);
}

bool bgp_receive_end(struct rib *rib, uint32_t neighbor, const struct bgp_session *session, struct bgp_coming *coming,
                     struct bgp_update *update, struct route_faults *faults, struct bgp_received *out)
{
    uint64_t memory = faults->memory;
    *out = (struct bgp_received){.faults = update->faults, .end_of_rib = update->end_of_rib, .others = update->others};
    if (!coming->readable)
        return true;
    /* What is withdrawn goes first, and with its last route a set would go that the announced ones have, too. */
    uint32_t sets[2] = {ATTRS_NONE, ATTRS_NONE};
    bool full[2] = {false, false};
    size_t runs = update->announced_n < 2 ? update->announced_n : 2;
    for (size_t i = 0; i < coming->runs; i++)
        if (kind_of_next_hop(&update->announced[i], session) == BGP_UNICAST)
            sets[i] = hold_set(rib, neighbor, update, session, &update->announced[i], coming->hashes[i], &full[i]);
    for (size_t i = 0; i < update->withdrawn_n; i++) {
        out->path_ids |= update->withdrawn[i].path_ids;
        withdraw(rib, neighbor, &update->withdrawn[i]);
    }
    for (size_t i = 0; i < runs; i++) {
        const struct bgp_run *run = &update->announced[i];
        out->path_ids |= run->path_ids;
        if (sets[i] != ATTRS_NONE) {
            if (i > 0) {
                coming->rest = run->nlri;
                coming->n = next_routes(&coming->rest, run, coming->nlri);
            }
            announce(rib, neighbor, sets[i], run, coming, faults, out);
            rib_attrs_release(rib, sets[i]);
            continue;
        }
        withdraw(rib, neighbor, run);
        enum bgp_no_unicast kind = kind_of_next_hop(run, session);
        uint32_t routes = coming->runs ? count(run) : 0;
        if (kind == BGP_UNICAST && !full[i]) {
            faults->memory += routes;
            continue;
        }
        *(full[i] ? &out->by_attributes : &out->by_next_hop[kind]) += routes;
        out->left_out += routes;
    }
    return faults->memory == memory;
}

bool bgp_receive(struct rib *rib, uint32_t neighbor, const struct bgp_session *session, const uint8_t *body, size_t n,
                 struct bgp_update *update, struct route_faults *faults, struct bgp_received *out)
{
    struct bgp_coming coming;
    bgp_receive_begin(rib, session, body, n, update, &coming);
    return bgp_receive_end(rib, neighbor, session, &coming, update, faults, out);
}

bool rib_bgp_summary(const struct rib *rib, const uint8_t *key, size_t n, uint8_t *scratch, struct attrs_summary *out)
{
    return bgp_summarize((struct octets){key, n}, rib_summary_terms(rib), scratch, out);
}
