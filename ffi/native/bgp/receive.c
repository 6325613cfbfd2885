#include "bgp/receive.h"

/* ---- what is left out --------------------------------------------------------------------------------------- */

static bool is_link_local_or_multicast(uint8_t family, const uint8_t *address)
{
    if (family == 4)
        return address[0] >= 224 || (address[0] == 169 && address[1] == 254); /* class E, too */
    return address[0] == 0xff || (address[0] == 0xfe && address[1] >> 6 == 2);
}

bool bgp_usable_prefix(const struct prefix *prefix)
{
    /* A shorter prefix covers other addresses, too: a default route, for one. */
    bool within = prefix->family == 4 ? prefix->len >= (prefix->addr[0] >= 224 ? 3 : 16)
                                      : prefix->len >= (prefix->addr[0] == 0xff ? 8 : 10);
    return !within || !is_link_local_or_multicast(prefix->family, prefix->addr);
}

bool bgp_usable_next_hop(const struct bgp_run *run)
{
    static const uint8_t unspecified[16];
    return run->next_hop_n && memcmp(run->next_hop, unspecified, run->next_hop_n) != 0 &&
           !is_link_local_or_multicast(run->next_hop_n == 4 ? 4 : 6, run->next_hop);
}

/* ---- routes ------------------------------------------------------------------------------------------------- */

static void withdraw(struct rib *rib, uint32_t neighbor, const struct bgp_run *run)
{
    struct octets rest = run->nlri;
    for (struct nlri nlri; bgp_next_route(&rest, run, &nlri);)
        rib_withdraw(rib, neighbor, &nlri);
}

static void announce(struct rib *rib, uint32_t neighbor, uint32_t attrs, const struct bgp_run *run,
                     struct route_faults *faults, struct bgp_received *out)
{
    struct nlri nlri[VRPSET_TOGETHER];
    struct octets rest = run->nlri;
    size_t some = 0;
    while (bgp_next_route(&rest, run, &nlri[some])) {
        if (!bgp_usable_prefix(&nlri[some].prefix)) {
            out->unusable++;
            continue;
        }
        if (++some < VRPSET_TOGETHER)
            continue;
        rib_announce(rib, neighbor, attrs, nlri, some, faults);
        some = 0;
    }
    rib_announce(rib, neighbor, attrs, nlri, some, faults);
}

static size_t count(const struct bgp_run *run)
{
    struct octets rest = run->nlri;
    struct nlri nlri;
    size_t n = 0;
    while (bgp_next_route(&rest, run, &nlri))
        n++;
    return n;
}

/* The number of the run's attribute set, held; ATTRS_NONE: no memory. */
static uint32_t hold_set(struct rib *rib, struct bgp_update *update, const struct bgp_session *session,
                         const struct bgp_run *run, uint8_t *scratch)
{
    struct octets key = bgp_set_key(update, session, run);
    uint32_t number = rib_attrs_find(rib, key.at, key.n);
    struct attrs_summary summary;
    if (number == ATTRS_NONE && bgp_summarize(key, rib_summary_terms(rib), scratch, &summary))
        number = rib_attrs_add(rib, key.at, key.n, &summary);
    if (number != ATTRS_NONE)
        rib_attrs_hold(rib, number);
    return number;
}

bool bgp_receive(struct rib *rib, uint32_t neighbor, const struct bgp_session *session, const uint8_t *body, size_t n,
                 struct bgp_update *update, struct route_faults *faults, struct bgp_received *out)
{
    uint64_t memory = faults->memory;
    bool readable = bgp_update_read(update, session, body, n);
    *out = (struct bgp_received){.faults = update->faults, .end_of_rib = update->end_of_rib, .others = update->others};
    if (!readable)
        return true;
    /* What is withdrawn goes first, and with its last route a set would go that the announced ones have, too. */
    uint32_t sets[2] = {ATTRS_NONE, ATTRS_NONE};
    size_t runs = update->announced_n < 2 ? update->announced_n : 2;
    bool take = !bgp_treat_as_withdraw(update->faults);
    for (size_t i = 0; take && i < runs; i++)
        if (bgp_usable_next_hop(&update->announced[i]))
            sets[i] = hold_set(rib, update, session, &update->announced[i], update->scratch);
    for (size_t i = 0; i < update->withdrawn_n; i++) {
        out->path_ids |= update->withdrawn[i].path_ids;
        withdraw(rib, neighbor, &update->withdrawn[i]);
    }
    for (size_t i = 0; i < runs; i++) {
        const struct bgp_run *run = &update->announced[i];
        out->path_ids |= run->path_ids;
        if (sets[i] != ATTRS_NONE) {
            announce(rib, neighbor, sets[i], run, faults, out);
            rib_attrs_release(rib, sets[i]);
            continue;
        }
        withdraw(rib, neighbor, run);
        if (take && bgp_usable_next_hop(run))
            faults->memory += count(run);
        else if (take)
            out->unusable += count(run);
    }
    return faults->memory == memory;
}

bool rib_bgp_summary(const struct rib *rib, const uint8_t *key, size_t n, uint8_t *scratch, struct attrs_summary *out)
{
    return bgp_summarize((struct octets){key, n}, rib_summary_terms(rib), scratch, out);
}
