#include "bgp/table_dump.h"

#include <string.h>

#include "bgp/as_path.h"
#include "bgp/attributes.h"

enum { TABLE_DUMP_V2 = 13, IPV4 = 2, IPV6 = 4, IPV4_PATH_IDS = 8, IPV6_PATH_IDS = 10 };
enum { VALID_OFFER = 1, NOT_FOUND_OFFER = 2 };

/* What a record says of all its entries. */
struct rib_head {
    struct prefix prefix;
    struct octets entries;
    uint32_t count;
    bool path_ids;
};

struct entry {
    uint32_t peer, path_id;
    struct octets attributes;
};

static bool is_rib(const uint8_t *record)
{
    unsigned kind = get16(record + 6);
    return get16(record + 4) == TABLE_DUMP_V2 &&
           (kind == IPV4 || kind == IPV6 || kind == IPV4_PATH_IDS || kind == IPV6_PATH_IDS);
}

/* Section 4.3.2: a number, the prefix as in an UPDATE, the number of entries. */
static bool read_head(const uint8_t *record, size_t n, struct rib_head *out)
{
    unsigned kind = get16(record + 6);
    struct octets rest = {record + DUMP_HEADER, n - DUMP_HEADER}, number, length, address, count;
    *out = (struct rib_head){.path_ids = kind == IPV4_PATH_IDS || kind == IPV6_PATH_IDS};
    out->prefix.family = kind == IPV4 || kind == IPV4_PATH_IDS ? 4 : 6;
    if (!take(&rest, 4, &number) || !take(&rest, 1, &length) || !family_has_length(out->prefix.family, length.at[0]) ||
        !take(&rest, ((size_t)length.at[0] + 7) / 8, &address) || !take(&rest, 2, &count))
        return false;
    out->prefix.len = length.at[0];
    if (address.n)
        memcpy(out->prefix.addr, address.at, address.n);
    if (out->prefix.len % 8) /* what stands behind the length is of no meaning (RFC 4271 section 4.3) */
        out->prefix.addr[address.n - 1] &= (uint8_t)(0xff << (8 - out->prefix.len % 8));
    out->count = get16(count.at);
    out->entries = rest;
    return true;
}

static bool next_entry(const struct rib_head *head, struct octets *rest, struct entry *out)
{
    struct octets peer, id = {0};
    if (!take(rest, 6, &peer) || (head->path_ids && !take(rest, 4, &id)))
        return false;
    out->peer = get16(peer.at);
    out->path_id = head->path_ids ? get32(id.at) : 0;
    return take_sized(rest, &out->attributes);
}

/* Whether all entries are there, and no more, behind a peer index table. */
static bool whole(const struct dump_walk *walk, const struct rib_head *head)
{
    struct octets rest = head->entries;
    struct entry entry;
    for (uint32_t i = 0; i < head->count; i++)
        if (!next_entry(head, &rest, &entry) || walk->peers_n == 0)
            return false;
    return rest.n == 0;
}

/* The AS_PATH, which a dump has with four octets an AS (section 4.3.4), also where there is none. False: it can't be
 * read. */
static bool find_path(struct octets attributes, struct octets *path)
{
    struct octets head, value;
    *path = (struct octets){attributes.at, 0};
    while (attributes.n) {
        bool wide = attributes.at[0] & EXTENDED_LENGTH;
        if (!take(&attributes, wide ? 4 : 3, &head) ||
            !take(&attributes, wide ? get16(head.at + 2) : head.at[2], &value))
            return false;
        if (head.at[1] == AS_PATH) {
            *path = value;
            return path_check(value, 4) == PATH_GOOD;
        }
    }
    return true;
}

/* Judges what the entries have in common only once: those of one prefix mostly have one origin. */
struct judged {
    int64_t origin;
    uint8_t now, then;
};

static void judge(const struct dump_walk *walk, const struct prefix *prefix, int64_t origin, struct judged *out)
{
    out->origin = origin;
    out->now = vrpset_validate(walk->now, prefix->family, prefix->addr, prefix->len, origin);
    out->then = walk->then == walk->now
                    ? out->now
                    : vrpset_validate(walk->then, prefix->family, prefix->addr, prefix->len, origin);
}

/* The first AS of a path, -1 if it does not begin with an AS_SEQUENCE. */
static int64_t first_as(struct octets path)
{
    return path.n >= 6 && path.at[0] == AS_SEQUENCE && path.at[1] > 0 ? (int64_t)get32(path.at + 2) : -1;
}

static enum path_outcome judge_path(const struct dump_walk *walk, uint32_t peer, struct octets path)
{
    unsigned role = walk->roles == NULL ? 0 : walk->roles[peer];
    if (role == 0)
        return PATH_UNJUDGED;
    if (role != DUMP_RS_CLIENT && first_as(path) != walk->peer_as[peer])
        return PATH_INVALID;
    return path_verify_octets(&walk->aspas, path, role == DUMP_DOWNSTREAM ? PATH_DOWNSTREAM : PATH_UPSTREAM);
}

static bool is_wanted_prefix(const struct prefix *only, const struct prefix *prefix)
{
    return only->family == 0 || (only->family == prefix->family && only->len <= prefix->len &&
                                 prefix_covers(only->addr, only->len, prefix->addr));
}

/* Judges the entries of a record; gives the best validity by `then` that one has. */
static uint8_t read_entries(struct dump_walk *walk, const struct rib_head *head, struct dump_route *rows,
                            size_t *rows_n)
{
    struct octets rest = head->entries, path;
    struct entry entry;
    struct judged judged = {.origin = INT64_MIN};
    uint8_t best = VALIDITY_UNVERIFIED;
    for (uint32_t i = 0; i < head->count && next_entry(head, &rest, &entry); i++) {
        if (entry.peer >= walk->peers_n) {
            walk->peerless++;
            continue;
        }
        if (!find_path(entry.attributes, &path)) {
            walk->malformed++;
            continue;
        }
        int64_t origin = path_origin(path, walk->peer_as[entry.peer]);
        if (origin != judged.origin)
            judge(walk, &head->prefix, origin, &judged);
        unsigned which = 4u * judged.now + judged.then;
        enum path_outcome outcome = judge_path(walk, entry.peer, path);
        walk->routes[which]++;
        walk->paths[outcome]++;
        best = judged.then < best ? judged.then : best;
        if ((walk->wanted >> which & 1) || (walk->wanted_paths && outcome == PATH_INVALID))
            rows[(*rows_n)++] = (struct dump_route){
                .nlri = {head->prefix, entry.path_id, head->path_ids},
                .origin = origin,
                .peer = entry.peer,
                .now = judged.now,
                .then = judged.then,
                .path = (uint8_t)outcome,
            };
    }
    return best;
}

size_t dump_read(struct dump_walk *walk, const uint8_t *octets, size_t n, struct dump_route *rows, size_t room,
                 size_t *rows_n, struct vrp *offers, size_t offers_room, size_t *offers_n, enum dump_stop *stop)
{
    size_t at = 0;
    *rows_n = *offers_n = 0;
    for (*stop = DUMP_MORE; n - at >= DUMP_HEADER;) {
        const uint8_t *record = octets + at;
        size_t size = get32(record + 8);
        if (size > DUMP_RECORD_MOST)
            *stop = DUMP_LONG;
        else if (n - at - DUMP_HEADER < size)
            break;
        else if (!is_rib(record))
            *stop = DUMP_OTHER;
        if (*stop != DUMP_MORE)
            break;
        struct rib_head head;
        if (!read_head(record, DUMP_HEADER + size, &head) || !whole(walk, &head)) {
            *stop = DUMP_BROKEN;
            break;
        }
        if (room - *rows_n < head.count || offers_room == *offers_n) {
            *stop = DUMP_ROOM;
            break;
        }
        at += DUMP_HEADER + size;
        if (!is_wanted_prefix(&walk->only, &head.prefix))
            continue;
        uint8_t best = read_entries(walk, &head, rows, rows_n);
        if (best > VALIDITY_NOT_FOUND)
            continue;
        struct vrp *offer = &offers[(*offers_n)++];
        *offer = (struct vrp){
            .asn = best == VALIDITY_VALID ? VALID_OFFER : NOT_FOUND_OFFER,
            .len = head.prefix.len,
            .max = head.prefix.len,
            .family = head.prefix.family,
            .announce = 1,
        };
        memcpy(offer->addr, head.prefix.addr, sizeof offer->addr);
    }
    return at;
}
