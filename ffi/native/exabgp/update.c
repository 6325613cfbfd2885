#include "exabgp/update.h"

#include <stdio.h>
#include <string.h>

#include "exabgp/attributes.h"
#include "exabgp/json.h"

#define RUNS 2  /* families of which one line announces routes, or withdraws them */
#define KEPT 32 /* routes of a run that are read once */

struct entry {
    struct text prefix, path_id; /* path_id.at NULL: none */
};

struct run { /* routes of one family */
    uint8_t family;
    struct text next_hop; /* of announced ones */
    struct entry kept[KEPT];
    size_t kept_n;
    struct json rest; /* behind the kept ones */
    bool more;        /* there is something */
    uint32_t attrs;
};

struct update {
    struct text peer, attributes;
    uint64_t own_as;
    struct run announced[RUNS], withdrawn[RUNS];
    size_t announced_n, withdrawn_n;
    bool has_peer, is_update, has_path_ids;
};

/* ---- the line's shape --------------------------------------------------------------------------------------- */

/* One route: `{"nlri": PREFIX}`, with "path-information" under ADD-PATH, or PREFIX alone (exabgp.api.compact). */
static bool read_entry(struct json *json, struct entry *entry)
{
    entry->path_id = (struct text){NULL, 0};
    if (json_next(json) == '"')
        return json_string(json, &entry->prefix);
    bool first = true, good, has_prefix = false;
    struct text name;
    if (!json_token(json, '{'))
        return false;
    while (json_member(json, &first, &name, &good)) {
        if (text_is(name, "nlri") && !has_prefix)
            has_prefix = good = json_string(json, &entry->prefix);
        else
            good = text_is(name, "path-information") && !entry->path_id.at && json_string(json, &entry->path_id);
        if (!good)
            return false;
    }
    return good && has_prefix;
}

/* The routes of a family: checked, to be taken when the whole line is. Beyond the kept ones they are read again then.
 */
static bool read_run(struct json *json, struct update *update, struct run *run)
{
    if (!json_token(json, '['))
        return false;
    bool first = true, good;
    struct entry entry;
    while (json_element(json, &first, &good)) {
        if (!read_entry(json, &entry))
            return false;
        update->has_path_ids |= entry.path_id.at != NULL;
        if (run->kept_n == KEPT) {
            run->more = true;
        } else {
            run->kept[run->kept_n++] = entry;
            run->rest = *json;
        }
    }
    return good;
}

/* A family that is not yet among the `n` of `runs`. NULL: another one than unicast, or one that comes twice. */
static struct run *new_run(struct run *runs, size_t *n, struct text name)
{
    uint8_t family = text_is(name, "ipv4 unicast") ? 4 : text_is(name, "ipv6 unicast") ? 6 : 0;
    if (family == 0 || *n == RUNS || (*n && runs[0].family == family))
        return NULL;
    struct run *run = &runs[(*n)++];
    run->family = family;
    return run;
}

/* `{FAMILY: {NEXT HOP: [ROUTES]}}`, one next hop: of several, which one counts is a longer story. */
static bool read_announced(struct json *json, struct update *update)
{
    bool first = true, good;
    struct text name;
    if (!json_token(json, '{'))
        return false;
    while (json_member(json, &first, &name, &good)) {
        struct run *run = new_run(update->announced, &update->announced_n, name);
        if (!run || !json_token(json, '{') || !json_string(json, &run->next_hop) || !json_token(json, ':') ||
            !read_run(json, update, run) || !json_token(json, '}'))
            return false;
    }
    return good;
}

/* `{FAMILY: [ROUTES]}` */
static bool read_withdrawn(struct json *json, struct update *update)
{
    bool first = true, good;
    struct text name;
    if (!json_token(json, '{'))
        return false;
    while (json_member(json, &first, &name, &good)) {
        struct run *run = new_run(update->withdrawn, &update->withdrawn_n, name);
        if (!run || !read_run(json, update, run))
            return false;
    }
    return good;
}

/* `{"update": {"attribute": .., "announce": .., "withdraw": ..}}` */
static bool read_message(struct json *json, struct update *update)
{
    bool first = true, good, announced = false, withdrawn = false;
    struct text name;
    if (!json_token(json, '{') || !json_string(json, &name) || !text_is(name, "update") || !json_token(json, ':') ||
        !json_token(json, '{'))
        return false;
    while (json_member(json, &first, &name, &good)) {
        if (text_is(name, "attribute") && !update->attributes.at)
            good = json_next(json) == '{' && json_value(json, &update->attributes);
        else if (text_is(name, "announce") && !announced)
            good = announced = read_announced(json, update);
        else if (text_is(name, "withdraw") && !withdrawn)
            good = withdrawn = read_withdrawn(json, update);
        else
            good = false;
        if (!good)
            return false;
    }
    return good && json_token(json, '}');
}

/* `{.., NAME: VALUE, ..}`, of which the value of one member is wanted. */
static bool read_one_of(struct json *json, const char *wanted, struct text *string, uint64_t *number)
{
    bool first = true, good, found = false;
    struct text name, ignored;
    if (!json_token(json, '{'))
        return false;
    while (json_member(json, &first, &name, &good)) {
        if (!text_is(name, wanted))
            good = (string ? json_string(json, &ignored) : json_value(json, &ignored));
        else if (!found)
            good = found = string ? json_string(json, string) : json_number(json, UINT32_MAX, number);
        else
            good = false;
        if (!good)
            return false;
    }
    return good && found;
}

static bool read_neighbor(struct json *json, struct update *update)
{
    bool first = true, good, has_as = false, has_message = false, has_direction = false;
    struct text name, ignored;
    if (!json_token(json, '{'))
        return false;
    while (json_member(json, &first, &name, &good)) {
        if (text_is(name, "address") && !update->has_peer)
            good = update->has_peer = read_one_of(json, "peer", &update->peer, NULL);
        else if (text_is(name, "asn") && !has_as)
            good = has_as = read_one_of(json, "local", NULL, &update->own_as);
        else if (text_is(name, "direction") && !has_direction)
            good = has_direction = json_string(json, &ignored) && text_is(ignored, "receive");
        else if (text_is(name, "message") && !has_message)
            good = has_message = read_message(json, update);
        else
            good = (text_is(name, "router-id") || text_is(name, "negotiated")) && json_value(json, &ignored);
        if (!good)
            return false;
    }
    return good && update->has_peer && has_as && has_message;
}

static bool read_line(struct json *json, struct update *update)
{
    bool first = true, good, has_neighbor = false;
    struct text name, ignored;
    json_space(json);
    if (!json_token(json, '{'))
        return false;
    while (json_member(json, &first, &name, &good)) {
        if (text_is(name, "type") && !update->is_update)
            good = update->is_update = json_string(json, &ignored) && text_is(ignored, "update");
        else if (text_is(name, "neighbor") && !has_neighbor)
            good = has_neighbor = read_neighbor(json, update);
        else if (text_is(name, "type") || text_is(name, "neighbor"))
            good = false;
        else
            good = (text_is(name, "exabgp") ? json_string : json_value)(json, &ignored);
        if (!good)
            return false;
    }
    return good && update->is_update && has_neighbor && json->at == json->end;
}

/* ---- its routes --------------------------------------------------------------------------------------------- */

/* As decode.attribute_key: attributes, next hop, the speaker's own AS and the family, with a NUL between two. */
static bool put_key(const struct update *update, const struct run *run, struct line_key *key)
{
    struct text attributes = update->attributes.at ? update->attributes : (struct text){"{}", 2};
    size_t most = attributes.n + run->next_hop.n + sizeof "_4294967295_4_";
    if (most > sizeof key->bytes)
        return false;
    char *at = key->bytes;
    memcpy(at, attributes.at, attributes.n);
    at += attributes.n;
    *at++ = 0;
    memcpy(at, run->next_hop.at, run->next_hop.n);
    at += run->next_hop.n;
    *at++ = 0;
    at += snprintf(at, sizeof "4294967295", "%u", (unsigned)update->own_as);
    *at++ = 0;
    *at++ = (char)('0' + run->family);
    key->size = (size_t)(at - key->bytes);
    return true;
}

/* The number of the run's attribute set, which is made if it is new and of a usual kind. ATTRS_NONE: it is neither. */
static uint32_t find_attributes(struct rib *rib, const struct update *update, const struct run *run,
                                const struct line_key *key)
{
    uint32_t number = rib_attrs_find(rib, key->bytes, key->size);
    if (number != ATTRS_NONE)
        return number;
    struct attrs_summary summary;
    struct text attributes = update->attributes.at ? update->attributes : (struct text){"{}", 2};
    if (!summary_read(attributes, run->next_hop, (uint32_t)update->own_as, run->family, rib_summary_terms(rib),
                      &summary))
        return ATTRS_NONE;
    return rib_attrs_add(rib, key->bytes, key->size, &summary);
}

/* The next route of the run; those that are none are counted. False: that was all. */
static bool next_route(struct run *run, size_t *at, struct nlri *nlri, struct route_faults *faults)
{
    bool first = false, good;
    struct entry entry;
    for (;; faults->prefixes++) {
        if (*at < run->kept_n)
            entry = run->kept[(*at)++];
        else if (!run->more || !json_element(&run->rest, &first, &good) || !read_entry(&run->rest, &entry))
            return false;
        if (nlri_parse(nlri, entry.prefix.at, entry.prefix.n, entry.path_id.at, entry.path_id.n))
            return true;
    }
}

static void announce_run(struct rib *rib, uint32_t neighbor, struct run *run, struct route_faults *faults)
{
    struct nlri nlri[VRPSET_TOGETHER];
    size_t at = 0, some = 0;
    while (next_route(run, &at, &nlri[some], faults)) {
        if (++some < VRPSET_TOGETHER)
            continue;
        rib_announce(rib, neighbor, run->attrs, nlri, some, faults);
        some = 0;
    }
    rib_announce(rib, neighbor, run->attrs, nlri, some, faults);
    rib_attrs_release(rib, run->attrs);
}

static void withdraw_run(struct rib *rib, uint32_t neighbor, struct run *run, struct route_faults *faults)
{
    struct nlri nlri;
    for (size_t at = 0; next_route(run, &at, &nlri, faults);)
        rib_withdraw(rib, neighbor, &nlri);
}

int exabgp_take_line(struct rib *rib, const char *line, size_t size, struct line_key *key, struct route_faults *faults)
{
    struct update update = {0};
    struct json json = {line, line + size};
    int64_t neighbor;
    if (!read_line(&json, &update) || (neighbor = rib_neighbor_named(rib, update.peer.at, update.peer.n)) < 0)
        return LINE_OTHER;
    struct run *end = update.announced + update.announced_n;
    for (struct run *run = update.announced; run < end; run++) {
        if (!run->kept_n)
            continue;
        if (!put_key(&update, run, key))
            return LINE_OTHER;
        run->attrs = find_attributes(rib, &update, run, key);
        if (run->attrs == ATTRS_NONE)
            return LINE_NEW_ATTRIBUTES;
    }
    /* What is withdrawn goes first, and with its last route a set would go that the announced ones have, too. */
    for (struct run *run = update.announced; run < end; run++)
        if (run->kept_n)
            rib_attrs_hold(rib, run->attrs);
    for (size_t i = 0; i < update.withdrawn_n; i++)
        withdraw_run(rib, (uint32_t)neighbor, &update.withdrawn[i], faults);
    for (struct run *run = update.announced; run < end; run++)
        if (run->kept_n)
            announce_run(rib, (uint32_t)neighbor, run, faults);
    return update.has_path_ids ? LINE_TAKEN_PATH_IDS : LINE_TAKEN;
}

void exabgp_take_lines(struct rib *rib, const char *text, size_t size, struct line_key *key,
                       struct route_faults *faults, struct lines_taken *out)
{
    *out = (struct lines_taken){0};
    for (const char *end; (end = memchr(text + out->size, '\n', size - out->size)); out->lines++) {
        const char *line = text + out->size;
        int taken = exabgp_take_line(rib, line, (size_t)(end - line), key, faults);
        if ((taken != LINE_TAKEN && taken != LINE_TAKEN_PATH_IDS) || faults->memory)
            return;
        out->path_ids |= taken == LINE_TAKEN_PATH_IDS;
        out->size = (size_t)(end - text) + 1;
    }
}
