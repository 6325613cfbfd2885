#include "bgp/as_path.h"

#define SEGMENT_HEAD 2 /* type, number of ASes */

enum path_fault path_check(struct octets path, unsigned width)
{
    struct octets head, asns;
    bool zero = false;
    while (path.n) {
        if (!take(&path, SEGMENT_HEAD, &head) || head.at[0] < AS_SET || head.at[0] > AS_CONFED_SET || head.at[1] == 0 ||
            !take(&path, (size_t)head.at[1] * width, &asns))
            return PATH_MALFORMED;
        for (size_t i = 0; i < asns.n; i += width)
            zero |= (width == 4 ? get32(asns.at + i) : get16(asns.at + i)) == 0;
    }
    return zero ? PATH_HAS_ZERO : PATH_GOOD;
}

bool path_confederated(struct octets path, unsigned width)
{
    struct octets head, asns;
    while (take(&path, SEGMENT_HEAD, &head) && take(&path, (size_t)head.at[1] * width, &asns))
        if (head.at[0] == AS_CONFED_SEQUENCE || head.at[0] == AS_CONFED_SET)
            return true;
    return false;
}

/* Writes a segment's first n ASes. */
static size_t write_segment(const uint8_t *head, const uint8_t *asns, size_t n, unsigned width, uint8_t *out)
{
    out[0] = head[0];
    out[1] = (uint8_t)n;
    if (width == 4) {
        memcpy(out + SEGMENT_HEAD, asns, n * 4);
    } else {
        for (size_t i = 0; i < n; i++)
            put32(out + SEGMENT_HEAD + 4 * i, get16(asns + 2 * i));
    }
    return SEGMENT_HEAD + 4 * n;
}

static bool next_segment(struct octets *path, unsigned width, struct octets *head, struct octets *asns)
{
    return take(path, SEGMENT_HEAD, head) && take(path, (size_t)head->at[1] * width, asns);
}

size_t path_widen(struct octets path, unsigned width, uint8_t *out)
{
    struct octets head, asns;
    size_t n = 0;
    while (next_segment(&path, width, &head, &asns))
        n += write_segment(head.at, asns.at, head.at[1], width, out + n);
    return n;
}

/* How many ASes a segment counts for: a set one, segments of confederations none (RFC 4271 section 9.1.2.2, RFC 5065
 * section 5.3). */
static size_t weight(const uint8_t *head) { return head[0] == AS_SEQUENCE ? head[1] : head[0] == AS_SET; }

static size_t length(struct octets path, unsigned width)
{
    struct octets head, asns;
    size_t n = 0;
    while (next_segment(&path, width, &head, &asns))
        n += weight(head.at);
    return n;
}

size_t path_merge(struct octets path, struct octets path4, uint8_t *out)
{
    struct octets head, asns;
    size_t all = length(path, 2), later = length(path4, 4), n = 0;
    if (all < later)
        return path_widen(path, 2, out);
    /* What peers without AS4_PATH prepended, with the confederations' segments before and between. */
    size_t ahead = all - later;
    while (next_segment(&path, 2, &head, &asns)) {
        size_t some = weight(head.at);
        if (some > ahead) {
            if (ahead)
                n += write_segment(head.at, asns.at, ahead, 2, out + n);
            break;
        }
        n += write_segment(head.at, asns.at, head.at[1], 2, out + n);
        ahead -= some;
    }
    while (next_segment(&path4, 4, &head, &asns))
        if (head.at[0] == AS_SET || head.at[0] == AS_SEQUENCE) /* RFC 6793 section 3: no confederation's */
            n += write_segment(head.at, asns.at, head.at[1], 4, out + n);
    return n;
}

int64_t path_origin(struct octets path, uint32_t own_as)
{
    struct octets head, asns;
    int64_t origin = own_as;
    while (next_segment(&path, 4, &head, &asns))
        if (head.at[0] == AS_SET || head.at[0] == AS_SEQUENCE)
            origin = head.at[0] == AS_SET ? -1 : (int64_t)get32(asns.at + asns.n - 4);
    return origin;
}
