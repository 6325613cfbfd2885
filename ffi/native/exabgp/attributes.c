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
    bool full; /* there were more */
};

static void put(struct words *words, uint64_t word)
{
    if (words->n < WORDS)
        words->at[words->n++] = word;
    else
        words->full = true;
}

/* Ends a list that began with a word for its kind: so many numbers came. An empty one is as if it were not there. */
static void end_list(struct words *words, size_t begin, size_t n)
{
    if (n == 0)
        words->n = begin;
    else if (!words->full)
        words->at[begin] |= (uint64_t)n << 8;
}

enum { ORIGIN, MED, PREFERENCE, PATH, SET, CONFED_PATH, CONFED_SET, STANDARD, LARGE, EXTENDED, ATTRIBUTES };

static const char *const NAMES[ATTRIBUTES] = {"origin",
                                              "med",
                                              "local-preference",
                                              "as-path",
                                              "as-set",
                                              "confederation-path",
                                              "confederation-set",
                                              "community",
                                              "large-community",
                                              "extended-community"};

/* Finds the attributes that count, each to be read when its turn comes; `at` of one that is not there is NULL. */
static bool find_all(struct text attributes, struct json found[ATTRIBUTES])
{
    struct json json = {.at = attributes.at, .end = attributes.at + attributes.n};
    struct text name, ignored;
    for (json_open(&json, '{'); json_member(&json, &name); json_value(&json, &ignored)) {
        for (int i = 0; i < ATTRIBUTES; i++) {
            if (!text_is(name, NAMES[i]))
                continue;
            if (found[i].at)
                return false; /* twice */
            found[i] = json;
        }
    }
    return !json.bad;
}

/* ---- the AS path -------------------------------------------------------------------------------------------- */

struct path {
    uint64_t last; /* of the last segment that counts */
    uint32_t length;
    bool real, last_is_set;
};

/* An array of AS numbers: one segment, unless it is empty. */
static void read_segment(struct json *json, enum segment kind, struct words *words, struct path *path)
{
    size_t begin = words->n, n = 0;
    uint64_t asn = 0;
    put(words, kind);
    for (json_open(json, '['); json_element(json); n++) {
        json_number(json, UINT32_MAX, &asn);
        put(words, asn);
    }
    end_list(words, begin, n);
    if (n && (kind == SEGMENT_SEQUENCE || kind == SEGMENT_SET)) {
        path->real = true;
        path->last = asn;
        path->last_is_set = kind == SEGMENT_SET;
        path->length += kind == SEGMENT_SET ? 1 : (uint32_t)n; /* RFC 4271 section 9.1.2.2 */
    }
}

/* `{"0": {"element": "as-sequence", "value": [..]}, "1": ..}`, in this order, of the two kinds that 5.0 tells apart. */
static void read_segments(struct json *json, struct words *words, struct path *path)
{
    struct text number, name, element;
    char expected = '0';
    for (json_open(json, '{'); json_member(json, &number); expected++) {
        json_open(json, '{');
        bool shaped = expected <= '9' && number.n == 1 && *number.at == expected && json_member(json, &name) &&
                      text_is(name, "element") && json_string(json, &element) && json_member(json, &name) &&
                      text_is(name, "value");
        bool sequence = shaped && text_is(element, "as-sequence");
        if (!sequence && !(shaped && text_is(element, "as-set")))
            json_fail(json);
        read_segment(json, sequence ? SEGMENT_SEQUENCE : SEGMENT_SET, words, path);
        json_token(json, '}');
    }
}

static void read_path(struct json found[ATTRIBUTES], struct words *words, struct path *path)
{
    if (json_next(&found[PATH]) == '{') {
        if (found[SET].at || found[CONFED_PATH].at || found[CONFED_SET].at)
            json_fail(&found[PATH]);
        read_segments(&found[PATH], words, path);
        return;
    }
    /* 4.2: one list for all of a kind. The order is that of attributes.py. */
    static const struct {
        int list;
        enum segment kind;
    } order[] = {{CONFED_PATH, SEGMENT_CONFED_SEQUENCE},
                 {CONFED_SET, SEGMENT_CONFED_SET},
                 {PATH, SEGMENT_SEQUENCE},
                 {SET, SEGMENT_SET}};
    for (size_t i = 0; i < 4; i++)
        if (found[order[i].list].at)
            read_segment(&found[order[i].list], order[i].kind, words, path);
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
static void read_community(struct json *json, uint8_t kind, uint64_t *numbers, size_t n)
{
    struct text name, ignored;
    if (kind == TAG_EXTENDED) {
        json_open(json, '{');
        if (!json_member(json, &name) || !text_is(name, "value"))
            json_fail(json);
        json_number(json, UINT64_MAX, numbers);
        while (json_member(json, &name) && (text_is(name, "string") || json_fail(json)))
            json_string(json, &ignored);
        return;
    }
    json_open(json, '[');
    for (size_t i = 0; i < n && (json_element(json) || json_fail(json)); i++)
        json_number(json, kind == TAG_STANDARD ? UINT16_MAX : UINT32_MAX, &numbers[i]);
    json_token(json, ']');
}

static void read_communities(struct json *json, uint8_t kind, const struct summary_terms *terms, struct words *words)
{
    size_t each = kind == TAG_STANDARD ? 2 : kind == TAG_LARGE ? 3 : 1;
    size_t begin = words->n, n = 0;
    if (!json->at)
        return;
    put(words, MARK_STANDARD + kind);
    for (json_open(json, '['); json_element(json); n++) {
        uint64_t numbers[3] = {0};
        read_community(json, kind, numbers, each);
        if (is_ours(terms, kind, numbers, each))
            json_fail(json);
        for (size_t i = 0; i < each; i++)
            put(words, numbers[i]);
    }
    end_list(words, begin, n);
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
    /* RFC 8950 section 4: an IPv6 next hop of IPv4 routes; the other way around nobody can. */
    *fitness = kind == family ? FIT : family == 4 ? FIT_EXTENDED_NEXT_HOP : UNFIT;
    put(words, MARK_NEXT_HOP | (uint64_t)kind << 8 | (uint64_t)family << 16);
    put(words, halves[0]);
    put(words, halves[1]);
    return true;
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

static void put_number(struct json *json, enum mark mark, uint64_t *number, struct words *words)
{
    struct text word;
    if (!json->at)
        return;
    if (mark != MARK_ORIGIN)
        json_number(json, UINT32_MAX, number);
    else if (json_string(json, &word))
        *number = text_is(word, "igp")          ? 0
                  : text_is(word, "egp")        ? 1
                  : text_is(word, "incomplete") ? 2
                                                : json_fail(json);
    put(words, mark);
    put(words, *number);
}

bool summary_read(struct text attributes, struct text next_hop, uint32_t own_as, uint8_t family,
                  const struct summary_terms *terms, struct attrs_summary *summary)
{
    struct json found[ATTRIBUTES] = {{.at = NULL}};
    struct words words;
    words.n = 0;
    words.full = false;
    struct path path = {0};
    uint32_t fitness;
    uint64_t code = 2, med = 0, preference = 100;
    if (!terms->our_tags || !find_all(attributes, found) || !read_next_hop(next_hop, family, &words, &fitness))
        return false;
    read_path(found, &words, &path);
    uint64_t identity = identity_of(&words);
    read_communities(&found[STANDARD], TAG_STANDARD, terms, &words);
    read_communities(&found[LARGE], TAG_LARGE, terms, &words);
    read_communities(&found[EXTENDED], TAG_EXTENDED, terms, &words);
    put_number(&found[ORIGIN], MARK_ORIGIN, &code, &words);
    put_number(&found[MED], MARK_MED, &med, &words);
    put_number(&found[PREFERENCE], MARK_PREFERENCE, &preference, &words);
    bool bad = words.full;
    for (int i = 0; i < ATTRIBUTES; i++)
        bad |= found[i].bad;
    int64_t origin = path.last_is_set ? -1 : path.real ? (int64_t)path.last : (int64_t)own_as; /* RFC 6811 section 2 */
    *summary = (struct attrs_summary){.announced_hash = siphash(terms->hash_key, words.at, words.n * sizeof *words.at),
                                      .origin = origin,
                                      .local_preference = (uint32_t)preference,
                                      .path_length = path.length,
                                      .origin_code = (uint32_t)code,
                                      .fitness = fitness,
                                      .identity = identity};
    return !bad;
}
