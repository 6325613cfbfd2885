#include "base/prefix.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/vrp.h"

bool prefix_no_host_bits(const uint8_t addr[16], unsigned len)
{
    unsigned byte = len / 8;
    if (byte >= 16)
        return true;
    if (addr[byte] & (0xff >> (len % 8)))
        return false;
    for (byte++; byte < 16; byte++)
        if (addr[byte])
            return false;
    return true;
}

bool prefix_covers(const uint8_t a[16], unsigned len, const uint8_t b[16])
{
    unsigned whole = len / 8, rest = len % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* A decimal number of at most three digits up to `most`, without a leading zero; the bytes read, 0 when it is none. */
static size_t small_number(const char *text, size_t n, unsigned most, unsigned *out)
{
    unsigned value = 0;
    size_t i = 0;
    while (i < n && i < 3 && text[i] >= '0' && text[i] <= '9')
        value = value * 10 + (unsigned)(text[i++] - '0');
    if (i == 0 || value > most || (i > 1 && text[0] == '0'))
        return 0;
    *out = value;
    return i;
}

uint8_t address_parse(const char *text, size_t n, uint8_t out[16])
{
    memset(out, 0, 16);
    size_t at = 0;
    unsigned part;
    for (int byte = 0; byte < 4; byte++) {
        size_t used = small_number(text + at, n - at, 255, &part);
        if (used == 0)
            break;
        out[byte] = (uint8_t)part;
        at += used;
        if (byte == 3) {
            if (at == n)
                return 4;
        } else if (at < n && text[at] == '.') {
            at++;
        } else {
            break;
        }
    }
    char copy[INET6_ADDRSTRLEN];
    memset(out, 0, 16);
    if (n >= sizeof copy || memchr(text, 0, n) || !memchr(text, ':', n))
        return 0;
    memcpy(copy, text, n);
    copy[n] = 0;
    return inet_pton(AF_INET6, copy, out) == 1 ? 6 : 0;
}

bool prefix_parse(const char *text, size_t n, struct prefix *out)
{
    const char *slash = memchr(text, '/', n);
    if (!slash)
        return false;
    size_t address = (size_t)(slash - text);
    out->family = address_parse(text, address, out->addr);
    if (out->family == 0)
        return false;
    size_t rest = n - address - 1;
    unsigned len;
    if (rest == 0 || small_number(slash + 1, rest, family_bits(out->family), &len) != rest)
        return false;
    out->len = (uint8_t)len;
    return prefix_no_host_bits(out->addr, len);
}

static char *print_number(char *at, unsigned value)
{
    if (value >= 100)
        *at++ = (char)('0' + value / 100);
    if (value >= 10)
        *at++ = (char)('0' + value / 10 % 10);
    *at++ = (char)('0' + value % 10);
    return at;
}

static size_t address_print(uint8_t family, const uint8_t addr[16], char *out)
{
    if (family != 4) {
        char text[INET6_ADDRSTRLEN];
        inet_ntop(AF_INET6, addr, text, sizeof text);
        size_t n = strlen(text); /* at most 39: the dotted forms are shorter */
        memcpy(out, text, n);
        return n;
    }
    char *at = out;
    for (int byte = 0; byte < 4; byte++) {
        if (byte)
            *at++ = '.';
        at = print_number(at, addr[byte]);
    }
    return (size_t)(at - out);
}

size_t prefix_print(const struct prefix *prefix, char *out)
{
    char *at = out + address_print(prefix->family, prefix->addr, out);
    *at++ = '/';
    at = print_number(at, prefix->len);
    return (size_t)(at - out);
}

size_t addresses_print(const void *records, size_t n, char *out)
{
    char *at = out;
    for (size_t i = 0; i < n; i++) {
        struct vrp vrp;
        memcpy(&vrp, (const uint8_t *)records + i * sizeof vrp, sizeof vrp);
        at += address_print(vrp.family, vrp.addr, at);
        *at++ = '\n';
    }
    return (size_t)(at - out);
}
