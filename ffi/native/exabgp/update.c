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

struct key { /* of an attribute set */
    size_t size;
    char bytes[LINE_KEY_MOST];
};

struct update {
    struct text peer, attributes;
    uint64_t own_as;
    struct run announced[RUNS], withdrawn[RUNS];
    size_t announced_n, withdrawn_n;
    bool has_path_ids;
};

/* ---- the line's shape --------------------------------------------------------------------------------------- */

/* One route: `{"nlri": PREFIX}`, with "path-information" under ADD-PATH, or PREFIX alone (exabgp.api.compact). */
static bool read_entry(struct json *json, struct entry *entry)
{
    struct text name;
    *entry = (struct entry){.prefix = {NULL, 0}};
    if (json_next(json) == '"')
        return json_string(json, &entry->prefix);
    for (json_open(json, '{'); json_member(json, &name);) {
        if (text_is(name, "nlri") && !entry->prefix.at)
            json_string(json, &entry->prefix);
        else if (text_is(name, "path-information") && !entry->path_id.at)
            json_string(json, &entry->path_id);
        else
            json_fail(json);
    }
    return (entry->prefix.at && !json->bad) || json_fail(json);
}

/* The routes of a family: checked, to be taken when the whole line is. Beyond the kept ones they are read again then.
 */
static void read_run(struct json *json, struct update *update, struct run *run)
{
    struct entry entry;
    for (json_open(json, '['); json_element(json) && read_entry(json, &entry);) {
        update->has_path_ids |= entry.path_id.at != NULL;
        if (run->kept_n == KEPT) {
            run->more = true;
        } else {
            run->kept[run->kept_n++] = entry;
            run->rest = *json;
        }
    }
}

/* Withdrawn routes: `{FAMILY: [ROUTES]}`. Announced ones: `{FAMILY: {NEXT HOP: [ROUTES]}}`, one next hop: of several,
 * which one counts is a longer story. Each family comes once. */
static void read_runs(struct json *json, struct update *update, struct run *runs, size_t *n, bool announced)
{
    struct text name;
    for (json_open(json, '{'); json_member(json, &name);) {
        uint8_t family = text_is(name, "ipv4 unicast") ? 4 : text_is(name, "ipv6 unicast") ? 6 : 0;
        if (family == 0 || *n == RUNS || (*n && runs[0].family == family)) {
            json_fail(json);
            return;
        }
        struct run *run = &runs[(*n)++];
        run->family = family;
        if (announced) {
            json_open(json, '{');
            json_member(json, &run->next_hop);
        }
        read_run(json, update, run);
        if (announced)
            json_token(json, '}');
    }
}

/* `{"update": {"attribute": .., "announce": .., "withdraw": ..}}` */
static void read_message(struct json *json, struct update *update)
{
    bool announced = false, withdrawn = false;
    struct text name;
    json_open(json, '{');
    if (!json_member(json, &name) || !text_is(name, "update"))
        json_fail(json);
    for (json_open(json, '{'); json_member(json, &name);) {
        if (text_is(name, "attribute") && !update->attributes.at && json_next(json) == '{') {
            json_value(json, &update->attributes);
        } else if (text_is(name, "announce") && !announced) {
            announced = true;
            read_runs(json, update, update->announced, &update->announced_n, true);
        } else if (text_is(name, "withdraw") && !withdrawn) {
            withdrawn = true;
            read_runs(json, update, update->withdrawn, &update->withdrawn_n, false);
        } else {
            json_fail(json);
        }
    }
    json_token(json, '}');
}

/* `{.., NAME: VALUE, ..}`, of which the value of one member is wanted: a string, or (`string` NULL) a number. */
static bool read_one_of(struct json *json, const char *wanted, struct text *string, uint64_t *number)
{
    bool found = false;
    struct text name, ignored;
    for (json_open(json, '{'); json_member(json, &name);) {
        if (!text_is(name, wanted))
            (string ? json_string : json_value)(json, &ignored);
        else if (found)
            json_fail(json);
        else
            found = string ? json_string(json, string) : json_number(json, UINT32_MAX, number);
    }
    return found || json_fail(json);
}

static void read_neighbor(struct json *json, struct update *update)
{
    bool has_peer = false, has_as = false, has_message = false, has_direction = false;
    struct text name, value;
    for (json_open(json, '{'); json_member(json, &name);) {
        if (text_is(name, "address") && !has_peer) {
            has_peer = read_one_of(json, "peer", &update->peer, NULL);
        } else if (text_is(name, "asn") && !has_as) {
            has_as = read_one_of(json, "local", NULL, &update->own_as);
        } else if (text_is(name, "direction") && !has_direction) {
            has_direction = (json_string(json, &value) && text_is(value, "receive")) || json_fail(json);
        } else if (text_is(name, "message") && !has_message) {
            has_message = true;
            read_message(json, update);
        } else if (text_is(name, "router-id") || text_is(name, "negotiated")) {
            json_value(json, &value);
        } else {
            json_fail(json);
        }
    }
    if (!has_peer || !has_as || !has_message)
        json_fail(json);
}

static bool read_line(struct json *json, struct update *update)
{
    bool is_update = false, has_neighbor = false;
    struct text name, value;
    json_space(json);
    for (json_open(json, '{'); json_member(json, &name);) {
        if (text_is(name, "type")) {
            is_update = (!is_update && json_string(json, &value) && text_is(value, "update")) || json_fail(json);
        } else if (text_is(name, "neighbor")) {
            has_neighbor = !has_neighbor || json_fail(json);
            read_neighbor(json, update);
        } else {
            (text_is(name, "exabgp") ? json_string : json_value)(json, &value);
        }
    }
    return is_update && has_neighbor && !json->bad && json->at == json->end;
}

/* ---- its routes --------------------------------------------------------------------------------------------- */

/* As decode.attribute_key: attributes, next hop, the speaker's own AS and the family, with a NUL between two. */
static bool put_key(const struct update *update, const struct run *run, struct key *key)
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
static uint32_t find_attributes(struct rib *rib, const struct update *update, const struct run *run)
{
    struct key key;
    if (!put_key(update, run, &key))
        return ATTRS_NONE;
    uint32_t number = rib_attrs_find(rib, key.bytes, key.size);
    if (number != ATTRS_NONE)
        return number;
    struct attrs_summary summary;
    struct text attributes = update->attributes.at ? update->attributes : (struct text){"{}", 2};
    if (!summary_read(attributes, run->next_hop, (uint32_t)update->own_as, run->family, rib_summary_terms(rib),
                      &summary))
        return ATTRS_NONE;
    return rib_attrs_add(rib, key.bytes, key.size, &summary);
}

/* The next route of the run; those that are none are counted. False: that was all. */
static bool next_route(struct run *run, size_t *at, struct nlri *nlri, struct route_faults *faults)
{
    struct entry entry;
    for (;; faults->prefixes++) {
        if (*at < run->kept_n)
            entry = run->kept[(*at)++];
        else if (!run->more || !json_element(&run->rest) || !read_entry(&run->rest, &entry))
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

/* A line without its LF. False: nothing was done, it is for the complete decoder. */
static bool take_line(struct rib *rib, const char *line, size_t size, struct route_faults *faults, bool *path_ids)
{
    struct update update = {0};
    struct json json = {.at = line, .end = line + size};
    int64_t neighbor;
    if (!read_line(&json, &update) || (neighbor = rib_neighbor_named(rib, update.peer.at, update.peer.n)) < 0)
        return false;
    struct run *end = update.announced + update.announced_n;
    for (struct run *run = update.announced; run < end; run++) {
        if (run->kept_n && (run->attrs = find_attributes(rib, &update, run)) == ATTRS_NONE)
            return false;
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
    *path_ids |= update.has_path_ids;
    return true;
}

void exabgp_take_lines(struct rib *rib, const char *text, size_t size, struct route_faults *faults,
                       struct lines_taken *out)
{
    *out = (struct lines_taken){0};
    for (const char *end; (end = memchr(text + out->size, '\n', size - out->size)); out->lines++) {
        const char *line = text + out->size;
        if (!take_line(rib, line, (size_t)(end - line), faults, &out->path_ids) || faults->memory)
            return;
        out->size = (size_t)(end - text) + 1;
    }
}
