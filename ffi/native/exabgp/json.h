/* A strict reader of JSON text (RFC 8259) without memory of its own: it goes on behind what it has read.
 *
 * It takes less than the RFC allows: strings of printable ASCII without escapes, 16 levels. Whoever meets something
 * else asks a complete reader. What it takes, every reader takes and understands alike.
 *
 * Once something is not what was asked for, the reader is `bad`, and so is all that follows: it is enough to look at
 * the end.
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
    bool bad;
    bool first; /* an object or array was opened, and nothing of it read */
};

static inline bool text_is(struct text text, const char *word)
{
    return text.n == strlen(word) && memcmp(text.at, word, text.n) == 0;
}

/* The next character, not read; 0: there is none. */
static inline char json_next(const struct json *json) { return json->at < json->end ? *json->at : 0; }

/* Skips white space: to be called once at the start. */
static inline void json_space(struct json *json)
{
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' || *json->at == '\r' || *json->at == '\n'))
        json->at++;
}

static inline bool json_fail(struct json *json)
{
    json->at = json->end;
    json->bad = true;
    return false;
}

/* Each reads one thing and the white space behind it. False: it was another one, or the reader is bad. The first is one
 * of { } [ ] : , */
static inline bool json_token(struct json *json, char token)
{
    if (json_next(json) != token)
        return json_fail(json);
    json->at++;
    json_space(json);
    return true;
}

bool json_string(struct json *json, struct text *out);             /* without its quotes */
bool json_number(struct json *json, uint64_t most, uint64_t *out); /* digits alone, at most 19 of them, up to `most` */
bool json_value(struct json *json, struct text *out);              /* any value, checked and skipped; its slice */

/* To walk an object or array:
 *     for (json_open(json, '{'); json_member(json, &name);) or: for (json_open(json, '['); json_element(json);)
 * False: it has ended, or the reader is bad. */
static inline void json_open(struct json *json, char bracket) { json->first = json_token(json, bracket); }
bool json_member(struct json *json, struct text *name); /* reads a name and its colon */
bool json_element(struct json *json);

#endif
