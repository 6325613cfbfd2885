#include "librtr/faults.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* RFC 8210 section 5. */
enum {
    SERIAL_NOTIFY = 0,
    CACHE_RESPONSE = 3,
    IPV4_PREFIX = 4,
    IPV6_PREFIX = 6,
    END_OF_DATA = 7,
    CACHE_RESET = 8,
    ROUTER_KEY = 9,
    ERROR_REPORT = 10,
    ASPA = 11
};
/* Section 12. */
enum { CORRUPT_DATA = 0, INTERNAL_ERROR = 1, WITHDRAWAL_OF_UNKNOWN = 6, DUPLICATE_ANNOUNCEMENT = 7 };
enum { MOST_REPORTED = 512, REPORT_LEAST = 16 };
/* A version that the future may bring; what is beyond is the first letter of some other protocol. */
enum { NEWEST_LIKELY = 9 };

static uint32_t word(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return ntohl(value);
}

static unsigned half(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }

static const char *name_of(unsigned type)
{
    static const char *const names[] = {"Serial Notify", "Serial Query", "Reset Query",  "Cache Response",
                                        "IPv4 Prefix",   NULL,           "IPv6 Prefix",  "End of Data",
                                        "Cache Reset",   "Router Key",   "Error Report", "ASPA"};
    return type < sizeof names / sizeof *names ? names[type] : NULL;
}

static const char *code_name(unsigned code)
{
    static const char *const names[] = {"corrupt data",          "internal error",         "no data available",
                                        "invalid request",       "unsupported version",    "unsupported PDU type",
                                        "withdrawal of unknown", "duplicate announcement", "unexpected version"};
    return code < sizeof names / sizeof *names ? names[code] : "an unknown code";
}

/* Octets that a PDU of this type has in this version; 0: it may vary. */
static uint32_t length_of(unsigned version, unsigned type)
{
    switch (type) {
    case SERIAL_NOTIFY:
        return 12;
    case CACHE_RESPONSE:
    case CACHE_RESET:
        return 8;
    case IPV4_PREFIX:
        return 20;
    case IPV6_PREFIX:
        return 32;
    case END_OF_DATA:
        return version == 0 ? 12 : 24;
    case ROUTER_KEY:
        return 123; /* a P-256 key, the only kind that BGPsec has (RFC 8608) and librtr takes */
    default:
        return 0;
    }
}

/* What a prefix PDU says, as 192.0.2.0/24-24 AS64500. */
static bool print_prefix(const uint8_t *pdu, size_t size, char *out, size_t room)
{
    bool v6 = pdu[1] == IPV6_PREFIX;
    char address[INET6_ADDRSTRLEN];
    if ((pdu[1] != IPV4_PREFIX && !v6) || size < (v6 ? 32u : 20u) ||
        !inet_ntop(v6 ? AF_INET6 : AF_INET, pdu + 12, address, sizeof address))
        return false;
    snprintf(out, room, "%s/%u-%u AS%u", address, pdu[9], pdu[10], word(pdu + (v6 ? 28 : 16)));
    return true;
}

/* The PDU inside a report, and how much of it is there and its own. */
static const uint8_t *inner_of(const uint8_t *report, size_t size, size_t *inner)
{
    *inner = 0;
    if (size < REPORT_LEAST || report[1] != ERROR_REPORT)
        return NULL;
    uint32_t said = word(report + PDU_HEADER);
    if (said > size - REPORT_LEAST)
        return NULL;
    const uint8_t *pdu = report + PDU_HEADER + 4;
    uint32_t own = said >= PDU_HEADER ? word(pdu + 4) : said;
    if (own < PDU_HEADER || own > said)
        own = said < PDU_HEADER ? said : PDU_HEADER;
    *inner = own;
    return pdu;
}

enum fault fault_refused_by_us(const uint8_t *head, const uint8_t *report, size_t size, char *text)
{
    size_t inner;
    const uint8_t *pdu = inner_of(report, size, &inner);
    /* At End of Data librtr looks at what came before it, one by one. */
    if (head[1] == END_OF_DATA && pdu && inner >= PDU_HEADER)
        head = pdu;
    unsigned version = head[0], type = head[1], code = size >= PDU_HEADER ? half(report + 2) : 0;
    uint32_t length = word(head + 4), wanted = length_of(version, type);
    const char *name = name_of(type);
    char vrp[INET6_ADDRSTRLEN + 32];
    if (code == INTERNAL_ERROR) { /* librtr's only reason for this one */
        snprintf(text, FAULT_SIZE, "the cache sends more than the memory of its process can hold");
        return FAULT_ENDLESS;
    }
    if ((code == DUPLICATE_ANNOUNCEMENT || code == WITHDRAWAL_OF_UNKNOWN) && pdu && inner >= PDU_HEADER &&
        print_prefix(pdu, inner, vrp, sizeof vrp))
        snprintf(text, FAULT_SIZE, "the cache %s: %s",
                 code == DUPLICATE_ANNOUNCEMENT ? "announced twice" : "withdrew what it had not announced", vrp);
    else if (version > NEWEST_LIKELY)
        snprintf(text, FAULT_SIZE, "what listens there speaks no RTR: its answer begins with octet 0x%02x", version);
    else if (version > 1)
        snprintf(text, FAULT_SIZE, "the cache speaks version %u of RTR, which is not spoken here", version);
    else if (!name || type == ASPA)
        snprintf(text, FAULT_SIZE, "the cache sent a PDU of type %u%s, which version %u of RTR does not have", type,
                 name ? " (ASPA)" : "", version);
    else if (wanted ? length != wanted : length < PDU_HEADER || length > UINT16_MAX)
        snprintf(text, FAULT_SIZE, "the cache sent a PDU of a wrong length: %s of %u octets", name, length);
    else if (code == CORRUPT_DATA && (type == CACHE_RESPONSE || type == END_OF_DATA))
        snprintf(text, FAULT_SIZE, "the cache sent a PDU of another session, or out of place: %s", name);
    else
        snprintf(text, FAULT_SIZE, "the cache sent a PDU that is wrong or out of place: %s (RFC 8210 error %u, %s)",
                 name, code, code_name(code));
    return FAULT_PROTOCOL;
}

void fault_reported(const uint8_t *report, size_t size, char *text)
{
    unsigned code = half(report + 2);
    int used = snprintf(text, FAULT_SIZE, "the cache reports error %u, %s", code, code_name(code));
    if (size < REPORT_LEAST || word(report + PDU_HEADER) > size - REPORT_LEAST)
        return;
    const uint8_t *at = report + PDU_HEADER + 4 + word(report + PDU_HEADER);
    size_t left = size - (size_t)(at - report) - 4, length = word(at);
    if (length == 0 || length > left)
        return;
    used += snprintf(text + used, FAULT_SIZE - (size_t)used, ": ");
    /* It is the cache's text: nothing but what can be printed gets through. */
    for (const uint8_t *octet = at + 4; length > 0 && *octet && (size_t)used + 1 < FAULT_SIZE; octet++, length--)
        text[used++] = (char)(*octet >= ' ' && *octet <= '~' ? *octet : '?');
    text[used] = '\0';
}

enum fault fault_ended(int error, const char *where, char *text)
{
    if (error == ETIMEDOUT) {
        snprintf(text, FAULT_SIZE, "the cache's host does not answer any more%s", where);
        return FAULT_SILENT;
    }
    if (error == 0)
        snprintf(text, FAULT_SIZE, "the cache closed the connection%s", where);
    else
        snprintf(text, FAULT_SIZE, "the connection broke%s: %s", where, strerrordesc_np(error));
    return FAULT_CLOSED;
}

size_t fault_report(const uint8_t *report, size_t size, const char *text, uint8_t *out)
{
    size_t inner;
    const uint8_t *pdu = inner_of(report, size, &inner);
    if (!pdu)
        return 0;
    if (inner > MOST_REPORTED)
        inner = MOST_REPORTED;
    size_t length = strnlen(text, FAULT_SIZE), whole = REPORT_LEAST + inner + length;
    uint32_t numbers[] = {htonl((uint32_t)whole), htonl((uint32_t)inner), htonl((uint32_t)length)};
    memcpy(out, report, 4);
    memcpy(out + 4, &numbers[0], 4);
    memcpy(out + PDU_HEADER, &numbers[1], 4);
    memcpy(out + PDU_HEADER + 4, pdu, inner);
    memcpy(out + PDU_HEADER + 4 + inner, &numbers[2], 4);
    memcpy(out + REPORT_LEAST + inner, text, length);
    return whole;
}
