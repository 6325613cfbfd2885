/* A strict reader of JSON text (RFC 8259), without memory of its own: a cursor in, its members, elements and slices
 * out.
 *
 * It takes less than the RFC allows: strings of printable ASCII without escapes, 16 levels. Whoever meets something
 * else asks a complete reader. What it takes, every reader takes and understands alike.
 */
#ifndef RTRD_JSON_H
#define RTRD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text { /* a slice of somebody else's bytes */
    const char *at;
    size_t n;
};

struct json { /* what is still to be read */
    const char *at, *end;
};

static inline bool text_is(struct text text, const char *word)
{
    return text.n == strlen(word) && memcmp(text.at, word, text.n) == 0;
}

/* What stands next, not read; 0: nothing. */
static inline char json_next(const struct json *json) { return json->at < json->end ? *json->at : 0; }

/* Skips white space: to be called once at the start. */
static inline void json_space(struct json *json)
{
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' || *json->at == '\r' || *json->at == '\n'))
        json->at++;
}

/* Each reads one thing and the white space behind it; false: that is not what stands here, and the cursor is of no use
 * any more. The first is one of { } [ ] : , */
static inline bool json_token(struct json *json, char token)
{
    if (json_next(json) != token)
        return false;
    json->at++;
    json_space(json);
    return true;
}

bool json_string(struct json *json, struct text *out);             /* without its quotes */
bool json_number(struct json *json, uint64_t most, uint64_t *out); /* digits alone, at most 19 of them, up to `most` */
bool json_value(struct json *json, struct text *out);              /* any value, checked and skipped; its slice */

/* Walks an object or array whose opening bracket was read: true, as long as another member follows (its name and colon
 * read) or another element. `first`: true before the first one. At the end, or on an error, false; *good tells which.
 */
bool json_member(struct json *json, bool *first, struct text *name, bool *good);
bool json_element(struct json *json, bool *first, bool *good);

#endif
