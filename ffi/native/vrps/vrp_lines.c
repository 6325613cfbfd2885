/* VRPs from lines of a file. */

#include <string.h>

#include "base/prefix.h"
#include "vrps/vrp_lines.h"

#define LONGEST 256 /* octets of a plain line's first three fields */

/* A decimal number up to `most`; what follows it, or NULL: there is none. */
static const char *read_number(const char *at, const char *end, uint64_t most, uint64_t *out)
{
    const char *begin = at;
    uint64_t value = 0;
    for (; at < end && *at >= '0' && *at <= '9' && value <= most; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    *out = value;
    return at == begin || value > most ? NULL : at;
}

static bool read_line(const char *at, const char *end, struct vrp *out)
{
    uint64_t asn, max;
    struct prefix prefix;
    if (end - at > 2 && (at[0] == 'A' || at[0] == 'a') && (at[1] == 'S' || at[1] == 's'))
        at += 2;
    if (!(at = read_number(at, end, UINT32_MAX, &asn)) || at == end || *at++ != ',')
        return false;
    size_t left = (size_t)(end - at);
    const char *comma = memchr(at, ',', left < LONGEST ? left : LONGEST);
    if (!comma || !prefix_parse(at, (size_t)(comma - at), &prefix))
        return false;
    at = read_number(comma + 1, end, family_bits(prefix.family), &max);
    if (!at || max < prefix.len || (at < end && *at != ','))
        return false;
    *out = (struct vrp){.asn = (uint32_t)asn, .len = prefix.len, .max = (uint8_t)max, .family = prefix.family};
    memcpy(out->addr, prefix.addr, sizeof out->addr);
    out->announce = 1;
    return true;
}

size_t vrp_lines_read(const char *text, size_t n, struct vrp *out, size_t room, size_t *used)
{
    size_t count = 0;
    const char *at = text, *end = text + n, *stop;
    while (count < room && (stop = memchr(at, '\n', (size_t)(end - at)))) {
        const char *last = stop > at && stop[-1] == '\r' ? stop - 1 : stop;
        if (memchr(at, '"', (size_t)(last - at)) || !read_line(at, last, &out[count]))
            break;
        count++;
        at = stop + 1;
    }
    *used = (size_t)(at - text);
    return count;
}
