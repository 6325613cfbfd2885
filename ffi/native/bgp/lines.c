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

/* The frame of a line, from behind its second number on; frames_n: none. Neighbors speak in turn, so the one behind the
 * last is next to be tried. */
static uint32_t find_frame(const struct bgp_lines *lines, struct octets rest)
{
    for (uint32_t i = 0; i < lines->frames_n; i++) {
        uint32_t number = (lines->last + i) % lines->frames_n;
        const struct bgp_frame *frame = &lines->frames[number];
        struct octets behind = rest;
        if (skip_text(&behind, frame->head) && ends_with(behind, frame->tail))
            return number;
    }
    return lines->frames_n;
}

/* The octets of the UPDATE, into lines->body. False: these are no digits of octets, or too many. */
static bool read_octets(struct bgp_lines *lines, struct octets digits, struct octets *body)
{
    if (digits.n % 2 || digits.n / 2 > BGP_BODY_MOST)
        return false;
    unsigned wrong = 0;
    for (size_t i = 0; i < digits.n / 2; i++) {
        unsigned high = digit(digits.at[2 * i]), low = digit(digits.at[2 * i + 1]);
        wrong |= high | low;
        lines->body[i] = (uint8_t)(high << 4 | low);
    }
    *body = (struct octets){lines->body, digits.n / 2};
    return wrong < 16;
}

/* Reads a line, without its line feed, into lines->last and `body`. False: it is like none. */
static bool read_line(struct bgp_lines *lines, struct octets rest, struct octets *body)
{
    if (!skip_text(&rest, lines->start) || !skip_number(&rest) || !skip_text(&rest, lines->middle) ||
        !skip_number(&rest))
        return false;
    uint32_t number = find_frame(lines, rest);
    if (number == lines->frames_n)
        return false;
    const struct bgp_frame *frame = &lines->frames[number];
    struct octets digits;
    if (!skip_text(&rest, frame->head) || !skip_digits(&rest) || !skip_text(&rest, lines->octets) ||
        rest.n < frame->tail.n || !take(&rest, rest.n - frame->tail.n, &digits) || !read_octets(lines, digits, body))
        return false;
    lines->last = number;
    return true;
}

void bgp_receive_lines(struct rib *rib, struct bgp_lines *lines, const uint8_t *text, size_t n,
                       struct bgp_update *update, struct route_faults *faults, struct bgp_lines_received *out)
{
    *out = (struct bgp_lines_received){0};
    struct octets rest = {text, n}, line, body;
    for (const uint8_t *end; !out->told && rest.n && (end = memchr(rest.at, '\n', rest.n));) {
        line = (struct octets){rest.at, (size_t)(end - rest.at)};
        if (!read_line(lines, line, &body))
            return;
        const struct bgp_frame *frame = &lines->frames[lines->last];
        out->memory = !bgp_receive(rib, frame->neighbor, frame->session, body.at, body.n, update, faults, &out->last);
        out->told = out->memory || out->last.faults || out->last.left_out;
        out->others += out->last.others;
        out->path_ids |= out->last.path_ids;
        out->came[lines->last] = 1;
        out->lines++;
        out->size += line.n + 1;
        rest = (struct octets){end + 1, rest.n - line.n - 1};
    }
}
