#include "exabgp/attributes.h"

#include "base/prefix.h"
#include "base/siphash.h"

#define WORDS 440 /* numbers in one set: far below what is too long to be announced (attributes.py: MOST_OCTETS) */
#define RFC8097_HIGH UINT64_C(0x4300)

enum segment { SEGMENT_SET = 1, SEGMENT_SEQUENCE = 2, SEGMENT_CONFED_SEQUENCE = 3, SEGMENT_CONFED_SET = 4 };
enum mark { MARK_NEXT_HOP = 16, MARK_ORIGIN, MARK_MED, MARK_PREFERENCE, MARK_STANDARD, MARK_LARGE, MARK_EXTENDED };

/* What is announced, as numbers, in one order: equal sets give equal numbers, whatever order the line had them in, and
 * different sets different ones, since each list begins with its length. */
struct words {
    uint64_t at[WORDS];
    size_t n;
};

static bool put(struct words *words, uint64_t word)
{
    if (words->n == WORDS)
        return false;
    words->at[words->n++] = word;
    return true;
}

struct list { /* an attribute that is an array or object: read when its turn comes */
    const char *name;
    struct json json;
    bool there;
};

enum { PATH, SET, CONFED_PATH, CONFED_SET, STANDARD, LARGE, EXTENDED, LISTS };

struct reading {
    struct list lists[LISTS];
    uint64_t origin, med, preference;
    bool has_origin, has_med, has_preference;
};

static bool read_origin(struct json *json, uint64_t *out)
{
    struct text word;
    if (!json_string(json, &word))
        return false;
    *out = text_is(word, "igp") ? 0 : text_is(word, "egp") ? 1 : 2;
    return *out != 2 || text_is(word, "incomplete");
}

static bool read_member(struct json *json, struct text name, struct reading *reading)
{
    struct text ignored;
    if (text_is(name, "origin") && !reading->has_origin)
        return reading->has_origin = read_origin(json, &reading->origin);
    if (text_is(name, "med") && !reading->has_med)
        return reading->has_med = json_number(json, UINT32_MAX, &reading->med);
    if (text_is(name, "local-preference") && !reading->has_preference)
        return reading->has_preference = json_number(json, UINT32_MAX, &reading->preference);
    for (struct list *list = reading->lists; list < reading->lists + LISTS; list++) {
        if (!text_is(name, list->name))
            continue;
        if (list->there)
            return false;
        list->there = true;
        list->json = *json;
    }
    if (text_is(name, "origin") || text_is(name, "med") || text_is(name, "local-preference"))
        return false; /* twice */
    return json_value(json, &ignored);
}

static bool read_all(struct text attributes, struct reading *reading)
{
    struct json json = {attributes.at, attributes.at + attributes.n};
    bool first = true, good;
    struct text name;
    if (!json_token(&json, '{'))
        return false;
    while (json_member(&json, &first, &name, &good))
        if (!read_member(&json, name, reading))
            return false;
    return good;
}

/* ---- the AS path -------------------------------------------------------------------------------------------- */

struct path {
    uint64_t last; /* of the last segment that counts */
    uint32_t length;
    bool real, last_is_set;
};

/* An array of AS numbers: one segment, unless it is empty. */
static bool read_segment(struct json *json, enum segment kind, struct words *words, struct path *path)
{
    if (!json_token(json, '['))
        return false;
    bool first = true, good;
    size_t begin = words->n, n = 0;
    uint64_t asn = 0;
    if (!put(words, kind))
        return false;
    for (; json_element(json, &first, &good); n++)
        if (!json_number(json, UINT32_MAX, &asn) || !put(words, asn))
            return false;
    if (!good)
        return false;
    if (n == 0) {
        words->n = begin;
        return true;
    }
    words->at[begin] |= (uint64_t)n << 8;
    if (kind == SEGMENT_SEQUENCE || kind == SEGMENT_SET) {
        path->real = true;
        path->last = asn;
        path->last_is_set = kind == SEGMENT_SET;
        path->length += kind == SEGMENT_SET ? 1 : (uint32_t)n; /* RFC 4271 section 9.1.2.2 */
    }
    return true;
}

/* `{"0": {"element": "as-sequence", "value": [..]}, "1": ..}`, in this order, of the two kinds that 5.0 tells apart. */
static bool read_segments(struct json *json, struct words *words, struct path *path)
{
    bool first = true, good;
    struct text name, element;
    if (!json_token(json, '{'))
        return false;
    for (char number = '0'; json_member(json, &first, &name, &good); number++) {
        if (number > '9' || name.n != 1 || *name.at != number)
            return false;
        if (!json_token(json, '{') || !json_string(json, &name) || !text_is(name, "element") ||
            !json_token(json, ':') || !json_string(json, &element) || !json_token(json, ',') ||
            !json_string(json, &name) || !text_is(name, "value") || !json_token(json, ':'))
            return false;
        bool sequence = text_is(element, "as-sequence");
        if (!sequence && !text_is(element, "as-set"))
            return false;
        if (!read_segment(json, sequence ? SEGMENT_SEQUENCE : SEGMENT_SET, words, path) || !json_token(json, '}'))
            return false;
    }
    return good;
}

static bool read_path(struct reading *reading, struct words *words, struct path *path)
{
    struct list *lists = reading->lists;
    if (lists[PATH].there && json_next(&lists[PATH].json) == '{')
        return !lists[SET].there && !lists[CONFED_PATH].there && !lists[CONFED_SET].there &&
               read_segments(&lists[PATH].json, words, path);
    /* 4.2: one list for all of a kind. The order is that of attributes.py. */
    static const struct {
        int list;
        enum segment kind;
    } order[] = {{CONFED_PATH, SEGMENT_CONFED_SEQUENCE},
                 {CONFED_SET, SEGMENT_CONFED_SET},
                 {PATH, SEGMENT_SEQUENCE},
                 {SET, SEGMENT_SET}};
    for (size_t i = 0; i < 4; i++)
        if (lists[order[i].list].there && !read_segment(&lists[order[i].list].json, order[i].kind, words, path))
            return false;
    return true;
}

/* ---- communities -------------------------------------------------------------------------------------------- */

static bool is_ours(const struct summary_terms *terms, uint8_t kind, const uint64_t *numbers, size_t n)
{
    const struct our_tag *ours = terms->our_tags;
    for (size_t i = 0; i < terms->our_tags_n; i++)
        if (ours[i].kind == kind && memcmp(ours[i].numbers, numbers, n * sizeof *numbers) == 0)
            return true;
    return kind == TAG_EXTENDED && numbers[0] >> 48 == RFC8097_HIGH;
}

/* `[1, 2]` or `[1, 2, 3]`; for an extended community `{"value": 1, "string": ""}`. */
static bool read_community(struct json *json, uint8_t kind, uint64_t *numbers, size_t n)
{
    struct text name, ignored;
    bool first = true, good;
    if (kind == TAG_EXTENDED) {
        if (!json_token(json, '{') || !json_string(json, &name) || !text_is(name, "value") || !json_token(json, ':') ||
            !json_number(json, UINT64_MAX, numbers))
            return false;
        first = false;
        while (json_member(json, &first, &name, &good))
            if (!text_is(name, "string") || !json_string(json, &ignored))
                return false;
        return good;
    }
    if (!json_token(json, '['))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!json_element(json, &first, &good) ||
            !json_number(json, kind == TAG_STANDARD ? UINT16_MAX : UINT32_MAX, &numbers[i]))
            return false;
    return json_token(json, ']');
}

static bool read_communities(struct list *list, uint8_t kind, const struct summary_terms *terms, struct words *words)
{
    if (!list->there)
        return true;
    size_t each = kind == TAG_STANDARD ? 2 : kind == TAG_LARGE ? 3 : 1;
    bool first = true, good;
    size_t begin = words->n, n = 0;
    if (!put(words, MARK_STANDARD + kind) || !json_token(&list->json, '['))
        return false;
    for (; json_element(&list->json, &first, &good); n++) {
        uint64_t numbers[3] = {0};
        if (!read_community(&list->json, kind, numbers, each) || is_ours(terms, kind, numbers, each))
            return false;
        for (size_t i = 0; i < each; i++)
            if (!put(words, numbers[i]))
                return false;
    }
    if (n == 0)
        words->n = begin; /* as if there were no list */
    else
        words->at[begin] |= (uint64_t)n << 8;
    return good;
}

/* ---- the rest ----------------------------------------------------------------------------------------------- */

/* An address that can be announced as a next hop, of a plain kind: no multicast, of IPv6 only 2000::/3. */
static bool read_next_hop(struct text text, uint8_t family, struct words *words, uint32_t *fitness)
{
    uint8_t addr[16];
    uint8_t kind = address_parse(text.at, text.n, addr);
    if (kind == 0 || (kind == 4 ? addr[0] == 0 || addr[0] >= 224 : addr[0] >> 5 != 1))
        return false;
    uint64_t halves[2];
    memcpy(halves, addr, sizeof halves);
    /* RFC 8950 section 4: an IPv6 next hop of IPv4 routes; the other way round nobody can. */
    *fitness = kind == family ? FIT : family == 4 ? FIT_EXTENDED_NEXT_HOP : UNFIT;
    return put(words, MARK_NEXT_HOP | (uint64_t)kind << 8 | (uint64_t)family << 16) && put(words, halves[0]) &&
           put(words, halves[1]);
}

/* As Python's AttributeSet.identity: of the next hop and the path. */
static uint64_t identity_of(const struct words *words)
{
    uint64_t identity = 0;
    for (size_t i = 0; i < words->n; i++) {
        identity = (identity ^ words->at[i]) * UINT64_C(0xd6e8feb86659fd93);
        identity ^= identity >> 32;
    }
    return identity;
}

bool summary_read(struct text attributes, struct text next_hop, uint32_t own_as, uint8_t family,
                  const struct summary_terms *terms, struct attrs_summary *summary)
{
    struct reading reading = {.lists = {[PATH] = {.name = "as-path"},
                                        [SET] = {.name = "as-set"},
                                        [CONFED_PATH] = {.name = "confederation-path"},
                                        [CONFED_SET] = {.name = "confederation-set"},
                                        [STANDARD] = {.name = "community"},
                                        [LARGE] = {.name = "large-community"},
                                        [EXTENDED] = {.name = "extended-community"}}};
    struct words words;
    words.n = 0;
    struct path path = {0};
    uint32_t fitness;
    if (!terms->our_tags || !read_all(attributes, &reading) || !read_next_hop(next_hop, family, &words, &fitness) ||
        !read_path(&reading, &words, &path))
        return false;
    uint64_t identity = identity_of(&words);
    if (!read_communities(&reading.lists[STANDARD], TAG_STANDARD, terms, &words) ||
        !read_communities(&reading.lists[LARGE], TAG_LARGE, terms, &words) ||
        !read_communities(&reading.lists[EXTENDED], TAG_EXTENDED, terms, &words) ||
        (reading.has_origin && !(put(&words, MARK_ORIGIN) && put(&words, reading.origin))) ||
        (reading.has_med && !(put(&words, MARK_MED) && put(&words, reading.med))) ||
        (reading.has_preference && !(put(&words, MARK_PREFERENCE) && put(&words, reading.preference))))
        return false;
    int64_t origin = path.last_is_set ? -1 : path.real ? (int64_t)path.last : (int64_t)own_as; /* RFC 6811 section 2 */
    *summary = (struct attrs_summary){.announced_hash = siphash(terms->hash_key, words.at, words.n * sizeof *words.at),
                                      .origin = origin,
                                      .local_preference = reading.has_preference ? (uint32_t)reading.preference : 100,
                                      .path_length = path.length,
                                      .origin_code = reading.has_origin ? (uint32_t)reading.origin : 2,
                                      .fitness = fitness,
                                      .identity = identity};
    return true;
}
