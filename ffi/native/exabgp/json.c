#include "exabgp/json.h"

#define DEPTH 16

bool json_string(struct json *json, struct text *out)
{
    *out = (struct text){"", 0};
    if (json_next(json) != '"')
        return json_fail(json);
    const char *at = json->at + 1;
    while (at < json->end && *at >= ' ' && *at <= '~' && *at != '"' && *at != '\\')
        at++;
    if (at == json->end || *at != '"')
        return json_fail(json);
    *out = (struct text){json->at + 1, (size_t)(at - json->at) - 1};
    json->at = at + 1;
    json_space(json);
    return true;
}

static bool digits(struct json *json)
{
    const char *start = json->at;
    while (json->at < json->end && *json->at >= '0' && *json->at <= '9')
        json->at++;
    return json->at > start;
}

bool json_number(struct json *json, uint64_t most, uint64_t *out)
{
    const char *start = json->at;
    *out = 0;
    if (!digits(json) || json->at - start > 19 || (*start == '0' && json->at - start > 1))
        return json_fail(json);
    char behind = json_next(json);
    if (behind == '.' || behind == 'e' || behind == 'E')
        return json_fail(json);
    for (const char *at = start; at < json->at; at++)
        *out = *out * 10 + (uint64_t)(*at - '0');
    json_space(json);
    return *out <= most || json_fail(json);
}

static bool any_number(struct json *json)
{
    if (json_next(json) == '-')
        json->at++;
    bool zero = json_next(json) == '0';
    const char *start = json->at;
    if (!digits(json) || (zero && json->at - start > 1))
        return false;
    if (json_next(json) == '.') {
        json->at++;
        if (!digits(json))
            return false;
    }
    if (json_next(json) == 'e' || json_next(json) == 'E') {
        json->at++;
        if (json_next(json) == '+' || json_next(json) == '-')
            json->at++;
        if (!digits(json))
            return false;
    }
    return true;
}

static bool word(struct json *json, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(json->end - json->at) < n || memcmp(json->at, text, n) != 0)
        return false;
    json->at += n;
    return true;
}

/* A string, number or word, and nothing behind it. */
static bool scalar(struct json *json)
{
    struct text ignored;
    switch (json_next(json)) {
    case '"':
        return json_string(json, &ignored);
    case 't':
        return word(json, "true");
    case 'f':
        return word(json, "false");
    case 'n':
        return word(json, "null");
    default:
        return any_number(json);
    }
}

/* After an opening bracket or a comma of an object: a name and its colon. */
static bool name(struct json *json)
{
    struct text ignored;
    return json_string(json, &ignored) && json_token(json, ':');
}

bool json_value(struct json *json, struct text *out)
{
    const char *start = json->at, *end;
    *out = (struct text){"", 0};
    char closing[DEPTH];
    int depth = 0;
    for (;;) {
        char next = json_next(json);
        if (next == '{' || next == '[') {
            if (depth == DEPTH)
                return json_fail(json);
            closing[depth] = next == '{' ? '}' : ']';
            json_token(json, next);
            if (json_next(json) != closing[depth]) {
                depth++;
                if (next == '{' && !name(json))
                    return json_fail(json);
                continue; /* with the first value inside */
            }
            json->at++; /* an empty one is a value like any other */
        } else if (!scalar(json)) {
            return json_fail(json);
        }
        end = json->at;
        json_space(json);
        while (depth && json_next(json) == closing[depth - 1]) {
            end = ++json->at;
            json_space(json);
            depth--;
        }
        if (!depth)
            break;
        if (!json_token(json, ',') || (closing[depth - 1] == '}' && !name(json)))
            return json_fail(json);
    }
    /* json_string skips the space behind it: a slice ends with its value. */
    while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n'))
        end--;
    *out = (struct text){start, (size_t)(end - start)};
    return true;
}

/* Whether something follows in an object or array that `closing` ends. */
static bool follows(struct json *json, char closing)
{
    bool first = json->first;
    json->first = false;
    if (json_next(json) == closing) {
        json_token(json, closing);
        return false;
    }
    return first ? !json->bad : json_token(json, ',');
}

bool json_element(struct json *json) { return follows(json, ']'); }

bool json_member(struct json *json, struct text *out)
{
    return follows(json, '}') && json_string(json, out) && json_token(json, ':');
}
