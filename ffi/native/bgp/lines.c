#include "bgp/lines.h"

/* The value of a hexadecimal digit, plus one. */
static const uint8_t digits_and_one[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* The value of a hexadecimal digit; 255: it is none. */
static inline unsigned digit(uint8_t character) { return (uint8_t)(digits_and_one[character] - 1); }

static bool skip_text(struct octets *rest, struct octets text)
{
    struct octets found;
    return take(rest, text.n, &found) && memcmp(found.at, text.at, text.n) == 0;
}

static size_t decimals(struct octets text)
{
    size_t n = 0;
    while (n < text.n && text.at[n] >= '0' && text.at[n] <= '9')
        n++;
    return n;
}

/* As RFC 8259 section 6 has it, without sign and exponent. */
static bool skip_number(struct octets *rest)
{
    struct octets number;
    size_t whole = decimals(*rest);
    if (whole == 0 || (whole > 1 && *rest->at == '0') || !take(rest, whole, &number))
        return false;
    if (!rest->n || *rest->at != '.')
        return true;
    size_t fraction = decimals((struct octets){rest->at + 1, rest->n - 1});
    return fraction && take(rest, 1 + fraction, &number);
}

static bool skip_digits(struct octets *rest)
{
    size_t n = 0;
    while (n < rest->n && digit(rest->at[n]) < 16)
        n++;
    struct octets digits;
    return take(rest, n, &digits) && n;
}

static bool ends_with(struct octets text, struct octets tail)
{
    return text.n >= tail.n && memcmp(text.at + text.n - tail.n, tail.at, tail.n) == 0;
}

/* A line that has been read, and what is to be known of it. */
struct line {
    size_t size; /* octets, with the line feed */
    uint32_t frame;
    struct bgp_coming coming;
};

/* The frame of a line, from behind its second number on; frames_n: none. Neighbors speak in turn, so the one behind the
 * last is next to be tried. */
static uint32_t find_frame(const struct bgp_lines *lines, uint32_t last, struct octets rest)
{
    for (uint32_t i = 0; i < lines->frames_n; i++) {
        uint32_t number = (last + i) % lines->frames_n;
        const struct bgp_frame *frame = &lines->frames[number];
        struct octets behind = rest;
        if (skip_text(&behind, frame->head) && ends_with(behind, frame->tail))
            return number;
    }
    return lines->frames_n;
}

/* The octets of the UPDATE, into `body`. False: these are no digits of octets, or too many. */
static bool read_octets(struct octets digits, uint8_t body[BGP_BODY_MOST])
{
    if (digits.n % 2 || digits.n / 2 > BGP_BODY_MOST)
        return false;
    unsigned wrong = 0;
    for (size_t i = 0; i < digits.n / 2; i++) {
        unsigned high = digit(digits.at[2 * i]), low = digit(digits.at[2 * i + 1]);
        wrong |= high | low;
        body[i] = (uint8_t)(high << 4 | low);
    }
    return wrong < 16;
}

/* Takes the digits of a line's UPDATE, without its line feed. `frame`: that of the line before; becomes its own. False:
 * it is like none. */
static bool find_digits(const struct bgp_lines *lines, struct octets rest, uint32_t *frame, struct octets *digits)
{
    if (!skip_text(&rest, lines->start) || !skip_number(&rest) || !skip_text(&rest, lines->middle) ||
        !skip_number(&rest))
        return false;
    uint32_t number = find_frame(lines, *frame, rest);
    if (number == lines->frames_n)
        return false;
    const struct bgp_frame *found = &lines->frames[number];
    *frame = number;
    return skip_text(&rest, found->head) && skip_digits(&rest) && skip_text(&rest, lines->octets) &&
           rest.n >= found->tail.n && take(&rest, rest.n - found->tail.n, digits);
}

/* Reads the next line of `rest`. False: there is none, or it is like none. */
static bool begin(const struct rib *rib, const struct bgp_lines *lines, struct octets rest, uint32_t last,
                  uint8_t body[BGP_BODY_MOST], struct bgp_update *update, struct line *out)
{
    const uint8_t *end = rest.n ? memchr(rest.at, '\n', rest.n) : NULL;
    struct octets digits;
    if (!end)
        return false;
    out->size = (size_t)(end - rest.at) + 1;
    out->frame = last;
    if (!find_digits(lines, (struct octets){rest.at, out->size - 1}, &out->frame, &digits) ||
        !read_octets(digits, body))
        return false;
    bgp_receive_begin(rib, lines->frames[out->frame].session, body, digits.n / 2, update, &out->coming);
    return true;
}

void bgp_receive_lines(struct rib *rib, struct bgp_lines *lines, const uint8_t *text, size_t n,
                       struct bgp_update *updates, struct route_faults *faults, struct bgp_lines_received *out)
{
    struct line ahead[BGP_LINES_AHEAD];
    struct octets rest = {text, n};
    unsigned at = 0;
    *out = (struct bgp_lines_received){0};
    bool more = begin(rib, lines, rest, lines->last, lines->bodies[at], &updates[at], &ahead[at]);
    while (more && !out->told) {
        struct line *line = &ahead[at];
        const struct bgp_frame *frame = &lines->frames[line->frame];
        struct bgp_update *update = &updates[at];
        bgp_receive_fetch(rib, &line->coming);
        rest = (struct octets){rest.at + line->size, rest.n - line->size};
        at = (at + 1) % BGP_LINES_AHEAD;
        more = begin(rib, lines, rest, line->frame, lines->bodies[at], &updates[at], &ahead[at]);
        out->memory = !bgp_receive_end(rib, frame->neighbor, frame->session, &line->coming, update, faults, &out->last);
        out->told = out->memory || out->last.faults || out->last.left_out;
        out->others += out->last.others;
        out->path_ids |= out->last.path_ids;
        out->came[line->frame] = 1;
        out->lines++;
        out->size += line->size;
        lines->last = line->frame;
    }
}
