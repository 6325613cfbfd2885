/* The RIB's life, its attribute sets, and lists of its routes. */

#include <stdlib.h>
#include <string.h>

#include "rib/rib_private.h"

/* ---- life ---------------------------------------------------------------------------------------------------- */

struct rib *rib_new(struct vrpset *set)
{
    struct rib *rib = calloc(1, sizeof *rib);
    if (!rib)
        return NULL;
    rib->set = set;
    for (int i = 0; i < 2; i++) {
        size_t address = i == 0 ? 4 : 16;
        index_init(&rib->prefixes[i], address + 1);
        size_t size = (offsetof(struct route, addr) + address + 7) & ~(size_t)7; /* the next one is aligned, too */
        rib->arenas[i] = (struct arena){.free = NO_ROUTE, .size = (uint32_t)size};
    }
    rib->outbox.first = rib->parked.first = NO_ROUTE;
    rib->up = rib->attrs_most = UINT64_MAX;
    rib->held_previous_run = ATTRS_NONE;
    rib->judging.over = true;
    rib->covers.era = 1;
    rib->throngs = (struct throngs){.from = THRONG_FROM, .epoch = 1};
    if (attrs_init(&rib->attrs) != 0) {
        rib_free(rib);
        return NULL;
    }
    rib->terms.hash_key[0] = rib->attrs.secret[0];
    rib->terms.hash_key[1] = rib->attrs.secret[1];
    return rib;
}

void rib_free(struct rib *rib)
{
    if (!rib)
        return;
    for (int i = 0; i < 2; i++) {
        for (uint32_t chunk = 0; chunk < rib->arenas[i].n; chunk++)
            free(rib->arenas[i].chunks[chunk]);
        free(rib->arenas[i].chunks);
        index_free(&rib->prefixes[i]);
    }
    throngs_free(rib);
    attrs_free(&rib->attrs);
    map_free(&rib->written);
    for (uint32_t i = 0; i < rib->neighbors_n; i++)
        policies_free(rib->neighbors[i].policies);
    free(rib->neighbors);
    revalidate_forget(&rib->revalidate);
    covers_free(&rib->covers);
    free(rib->changes.at);
    free(rib->our_tags);
    free(rib->conditions);
    free(rib);
}

const struct rib_state *rib_state(const struct rib *rib) { return &rib->state; }

void rib_set_throng_from(struct rib *rib, uint32_t routes) { rib->throngs.from = routes; }

void rib_set_time(struct rib *rib, uint32_t now) { rib->now = now; }

uint64_t rib_memory(const struct rib *rib)
{
    uint64_t bytes =
        rib->neighbors_room * sizeof *rib->neighbors + revalidate_memory(&rib->revalidate) + throngs_memory(rib);
    for (int i = 0; i < 2; i++)
        bytes += (uint64_t)rib->arenas[i].n * CHUNK * (rib->arenas[i].size + sizeof(uint32_t)) +
                 index_memory(&rib->prefixes[i]);
    return bytes;
}

/* ---- attribute sets ------------------------------------------------------------------------------------------ */

uint32_t rib_attrs_find(const struct rib *rib, const void *key, size_t n)
{
    return attrs_find(&rib->attrs, attrs_hash(&rib->attrs, key, n), key, n);
}

uint32_t rib_attrs_add(struct rib *rib, const void *key, size_t n, const struct attrs_summary *summary)
{
    uint32_t hash = attrs_hash(&rib->attrs, key, n), number = attrs_find(&rib->attrs, hash, key, n);
    return number != ATTRS_NONE ? number : attrs_add(&rib->attrs, ATTRS_NONE, hash, key, n, summary);
}

uint32_t rib_attrs_hash(const struct rib *rib, const void *key, size_t n) { return attrs_hash(&rib->attrs, key, n); }

void rib_attrs_fetch(const struct rib *rib, uint32_t hash) { attrs_fetch(&rib->attrs, hash); }

uint32_t rib_attrs_find_by(const struct rib *rib, uint32_t hash, const void *key, size_t n)
{
    return attrs_find(&rib->attrs, hash, key, n);
}

uint32_t rib_attrs_add_for(struct rib *rib, uint32_t neighbor, uint32_t hash, const void *key, size_t n,
                           const struct attrs_summary *summary)
{
    return attrs_add(&rib->attrs, rib->neighbors[neighbor].owner, hash, key, n, summary);
}

void rib_set_attrs_most(struct rib *rib, uint64_t octets) { rib->attrs_most = octets; }

bool rib_attrs_fit(const struct rib *rib, uint32_t neighbor, size_t n)
{
    uint64_t octets = rib->attrs.owners[rib->neighbors[neighbor].owner].octets;
    return octets < rib->attrs_most && n <= rib->attrs_most - octets;
}

void rib_attrs_hold(struct rib *rib, uint32_t attrs) { attrs_hold(&rib->attrs, attrs); }

void rib_attrs_release(struct rib *rib, uint32_t attrs) { attrs_release(&rib->attrs, attrs); }

const uint8_t *rib_attrs_key(const struct rib *rib, uint32_t attrs, size_t *n)
{
    const struct attrs *set = attrs_at(&rib->attrs, attrs);
    *n = set ? set->key_size : 0;
    return set ? set->key : NULL;
}

uint32_t rib_attrs_end(const struct rib *rib) { return rib->attrs.n; }

uint64_t rib_attrs_memory(const struct rib *rib) { return attrs_memory(&rib->attrs); }

int rib_attrs_retag(struct rib *rib, uint32_t number, const struct attrs_summary *summary)
{
    if (!attrs_at(&rib->attrs, number))
        return -1;
    struct attrs *set = &rib->attrs.sets[number];
    rib->throngs.epoch++;
    if (set->summary.announced_hash != summary->announced_hash) {
        set->retagged = 1;
        rib->revalidate.attrs = true;
        if (!walk_is_over(&rib->revalidate.all)) /* it may have passed routes with this set */
            rib_revalidate(rib);
    }
    set->summary = *summary;
    return 0;
}

const struct summary_terms *rib_summary_terms(const struct rib *rib) { return &rib->terms; }

int rib_set_our_tags(struct rib *rib, const struct our_tag *tags, size_t n)
{
    free(rib->our_tags);
    rib->our_tags = n < SIZE_MAX / sizeof *tags - 1 ? malloc((n + 1) * sizeof *tags) : NULL;
    for (size_t i = 0; i < n && rib->our_tags; i++) {
        rib->our_tags[i] = tags[i];
        if (tags[i].kind > TAG_EXTENDED) {
            free(rib->our_tags);
            rib->our_tags = NULL;
        }
    }
    rib->terms.our_tags = rib->our_tags;
    rib->terms.our_tags_n = n;
    return rib->our_tags ? 0 : -1;
}

int rib_set_conditions(struct rib *rib, const struct condition *conditions, size_t n)
{
    struct condition *copy = n < SIZE_MAX / sizeof *copy - 1 ? malloc((n + 1) * sizeof *copy) : NULL;
    if (!copy)
        return -1;
    if (n)
        memcpy(copy, conditions, n * sizeof *copy);
    free(rib->conditions);
    rib->conditions = copy;
    rib->terms.conditions = copy;
    rib->terms.conditions_n = n;
    return 0;
}

/* ---- lists --------------------------------------------------------------------------------------------------- */

static enum invalid_reason reason_of(const struct rib *rib, uint32_t number)
{
    struct prefix prefix = route_prefix(rib, number);
    if ((route_at(rib, number)->bits & VALIDITY_BITS) != VALIDITY_INVALID)
        return REASON_NONE;
    return vrpset_allows_length(rib->set, &prefix) ? REASON_AS : REASON_LENGTH;
}

static struct route_row row_of(const struct rib *rib, uint32_t number)
{
    const struct route *route = route_at(rib, number);
    return (struct route_row){.prefix = route_prefix(rib, number),
                              .advertised = route->advertised,
                              .kept_back = route_kept_back(rib, number),
                              .origin = summary_of(rib, route)->origin,
                              .attrs = route->attrs,
                              .path_id = route->path_id,
                              .neighbor = route->neighbor,
                              .has_path_id = (route->bits & HAS_PATH_ID) != 0,
                              .validity = route->bits & VALIDITY_BITS,
                              .action = (uint8_t)route_action(rib, number),
                              .waiting = route->waiting != NOT_WAITING,
                              .reason = (uint8_t)reason_of(rib, number),
                              .path = route->path,
                              .leak = route->leak,
                              .since = *since_at(rib, number),
                              .announced_path_id = route_path_id(rib, number)};
}

static size_t rows_of(const struct rib *rib, uint32_t chain, struct route_row *out, size_t room)
{
    size_t n = 0;
    for (; chain != NO_ROUTE; chain = route_at(rib, chain)->next) {
        const struct route *route = route_at(rib, chain);
        if (route_gone(rib, route) || neighbor_of(rib, route)->previous_run)
            continue;
        if (n < room)
            out[n] = row_of(rib, chain);
        n++;
    }
    return n;
}

size_t rib_list_prefix(const struct rib *rib, const struct prefix *prefix, struct route_row *out, size_t room)
{
    return rows_of(rib, chain_of(rib, prefix), out, room);
}

size_t rib_list(const struct rib *rib, struct walk *walk, struct route_row *out, size_t room)
{
    size_t n = 0;
    for (uint32_t chain; walk_at(rib, walk, &chain); walk_step(walk)) {
        size_t more = rows_of(rib, chain, out + n, room - n);
        if (more > room - n && n > 0)
            break;
        n += more;
        if (n > room) { /* this prefix alone is more than room: it is cut */
            walk_step(walk);
            return room;
        }
    }
    return n;
}
