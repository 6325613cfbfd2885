#include "librtr/transport.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/octets.h"

/* RFC 8210 section 5. */
enum { LAST_VERSION = 1, HEADER = PDU_HEADER, SERIAL_QUERY = 1, RESET_QUERY = 2, CACHE_RESPONSE = 3 };
enum { IPV4_PREFIX = 4, IPV6_PREFIX = 6, END_OF_DATA = 7, ERROR_REPORT = 10 };
enum { NO_DATA_AVAILABLE = 2, UNSUPPORTED_VERSION = 4 };
enum { REPORT_LEAST = 16, MOST_REPORTED = 512, MOST_TEXT = 128 };

enum { STREAK = 256 << 10, PAUSE_US = 5000, NAP_US = 20000, REFUSING_SECONDS = 1 };

static struct transport_wrapper *wrapper_of(const void *socket)
{
    return (struct transport_wrapper *)(uintptr_t)socket;
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A cache that writes PDU by PDU, as StayRTR does, sends each in a packet of its own to a reader who keeps up, and many
 * in one to a reader who is behind: 800k VRPs on one host take the cache 7 to 9 s of CPU or 4 s. So once many octets
 * came without a pause, and all that were there are read, they may gather. Changes of a few thousand VRPs never get
 * that far. */
static void gather(const struct transport_wrapper *wrapper)
{
    struct timespec nap = {.tv_nsec = NAP_US * 1000L};
    if (wrapper->streak >= STREAK && wrapper->drained)
        nanosleep(&nap, NULL);
}

static void tell(struct transport_wrapper *wrapper, struct frame_fault fault, const uint8_t *report, size_t size)
{
    if (!wrapper->told)
        wrapper->fault(wrapper->data, &fault, report, size);
    wrapper->told = true;
}

static void tell_end(struct transport_wrapper *wrapper, int error)
{
    enum moment moment = wrapper->heard ? BETWEEN_PDUS : UNHEARD;
    if (wrapper->begin < wrapper->end || (wrapper->pass > 0 && wrapper->pass != SIZE_MAX))
        moment = IN_A_PDU;
    tell(wrapper, (struct frame_fault){.fault = FAULT_ENDED, .error = error, .moment = moment}, NULL, 0);
}

/* Receives once. Returns what the transport does: octets, or an error. */
static int fill(struct transport_wrapper *wrapper, time_t timeout)
{
    if (wrapper->begin > 0) {
        memmove(wrapper->bytes, wrapper->bytes + wrapper->begin, wrapper->end - wrapper->begin);
        wrapper->end -= wrapper->begin;
        wrapper->begin = 0;
    }
    gather(wrapper);
    size_t room = TRANSPORT_SIZE - wrapper->end;
    int64_t since = now_us();
    errno = 0;
    int got = wrapper->inner.recv_fp(wrapper->inner.socket, wrapper->bytes + wrapper->end, room, timeout);
    int error = errno;
    bool paused = got <= 0 || now_us() - since >= PAUSE_US;
    if (got > 0) {
        wrapper->end += (size_t)got;
        if (!wrapper->heard && wrapper->first)
            wrapper->first(wrapper->data);
        wrapper->heard = true;
        wrapper->drained = (size_t)got < room;
    } else if (got == TR_CLOSED || got == 0) {
        tell_end(wrapper, 0);
    } else if (got == TR_ERROR) {
        tell_end(wrapper, error ? error : ECONNABORTED);
    }
    if (paused)
        wrapper->streak = 0;
    else if (wrapper->streak < STREAK)
        wrapper->streak += (size_t)got;
    return got;
}

/* "No data" and "unsupported version" are answers with which librtr goes on. */
static void look_at_report(struct transport_wrapper *wrapper, const uint8_t *pdu, size_t size)
{
    unsigned code = (unsigned)pdu[2] << 8 | pdu[3];
    if (code == NO_DATA_AVAILABLE || code == UNSUPPORTED_VERSION)
        return;
    tell(wrapper, (struct frame_fault){.fault = FAULT_RECEIVED}, pdu, size);
}

static bool is_prefix(const uint8_t *pdu, size_t size)
{
    return (pdu[1] == IPV4_PREFIX && size == 20) || (pdu[1] == IPV6_PREFIX && size == 32);
}

/* RFC 8210 sections 5.6, 5.7: flags, length, max length, zero, the address, the AS. */
static struct vrp vrp_of(const uint8_t *pdu)
{
    bool v6 = pdu[1] == IPV6_PREFIX;
    size_t octets = v6 ? 16 : 4;
    uint32_t asn = get32(pdu + HEADER + 4 + octets);
    struct vrp vrp = {.asn = asn, .len = pdu[9], .max = pdu[10], .family = v6 ? 6 : 4, .announce = pdu[8] & 1};
    memcpy(vrp.addr, pdu + HEADER + 4, octets);
    return vrp;
}

static void send_whole(struct transport_wrapper *wrapper, const uint8_t *octets, size_t n, time_t timeout)
{
    for (size_t sent = 0; sent < n;) {
        int more = wrapper->inner.send_fp(wrapper->inner.socket, octets + sent, n - sent, timeout);
        if (more <= 0)
            return;
        sent += (size_t)more;
    }
}

/* Whether a PDU is of the session that was asked for. Of the first answer the session is learned. What is of another
 * version is librtr's to refuse. */
static bool is_of_session(struct transport_wrapper *wrapper, const uint8_t *pdu)
{
    if (pdu[0] > LAST_VERSION || (pdu[1] != CACHE_RESPONSE && pdu[1] != END_OF_DATA))
        return true;
    int32_t session = get16(pdu + 2);
    if (wrapper->session < 0 && pdu[1] == CACHE_RESPONSE)
        wrapper->session = session;
    return wrapper->session < 0 || wrapper->session == session;
}

/* Ends the session by an Error Report of Corrupt Data (0) for the PDU with this head. */
static void refuse(struct transport_wrapper *wrapper, const uint8_t *head)
{
    uint8_t report[REPORT_LEAST + HEADER] = {head[0], ERROR_REPORT};
    struct frame_fault fault = {.fault = FAULT_SENT};
    put32(report + 4, sizeof report);
    put32(report + HEADER, HEADER);
    memcpy(report + HEADER + 4, head, HEADER);
    memcpy(fault.head, head, HEADER);
    tell(wrapper, fault, report, sizeof report);
    wrapper->refused = true;
    send_whole(wrapper, report, sizeof report, REFUSING_SECONDS);
}

/* Looks at the PDU that begins here. Returns false when more of it is needed for that. */
static bool admit(struct transport_wrapper *wrapper)
{
    const uint8_t *pdu = wrapper->bytes + wrapper->begin;
    size_t have = wrapper->end - wrapper->begin;
    if (have < HEADER)
        return false;
    uint32_t size = get32(pdu + 4);
    memcpy(wrapper->head, pdu, HEADER);
    if (!is_of_session(wrapper, pdu)) {
        refuse(wrapper, pdu);
        return false;
    }
    if (pdu[1] == ERROR_REPORT && size >= HEADER) {
        size_t shown = size < REPORT_SIZE ? size : REPORT_SIZE; /* its text may be of any length */
        if (have < shown)
            return false;
        look_at_report(wrapper, pdu, shown);
    }
    if (!is_prefix(pdu, size)) {
        wrapper->pass = size >= HEADER ? size : SIZE_MAX;
        return true;
    }
    if (have < size)
        return false;
    if (pdu[9] <= (pdu[1] == IPV6_PREFIX ? 128 : 32)) {
        wrapper->pass = size;
        return true;
    }
    struct vrp vrp = vrp_of(pdu);
    wrapper->reject(wrapper->data, &vrp);
    wrapper->begin += size;
    return true;
}

static int on_recv(const void *socket, void *out, const size_t len, const time_t timeout)
{
    struct transport_wrapper *wrapper = wrapper_of(socket);
    if (wrapper->refused)
        return TR_CLOSED; /* librtr would wait for another 60 seconds, or forever */
    int64_t end = now_us() + (int64_t)timeout * 1000000;
    bool waited = false;
    /* A cache that sends nothing but what is refused, or an octet now and then, must not keep librtr in here. */
    while (wrapper->pass == 0 || wrapper->begin == wrapper->end) {
        if (wrapper->pass == 0 && admit(wrapper))
            continue;
        if (wrapper->refused)
            return TR_CLOSED;
        int64_t left = end - now_us();
        if (waited && left <= 0)
            return TR_WOULDBLOCK;
        int got = fill(wrapper, waited ? (time_t)(left / 1000000 + 1) : timeout);
        if (got <= 0)
            return got;
        waited = true;
    }
    size_t have = wrapper->end - wrapper->begin;
    size_t size = len < have ? len : have;
    if (size > wrapper->pass)
        size = wrapper->pass;
    memcpy(out, wrapper->bytes + wrapper->begin, size);
    wrapper->begin += size;
    if (wrapper->pass != SIZE_MAX)
        wrapper->pass -= size;
    return (int)size;
}

static int on_open(void *socket)
{
    struct transport_wrapper *wrapper = wrapper_of(socket);
    wrapper->begin = wrapper->end = wrapper->pass = wrapper->streak = 0;
    wrapper->heard = wrapper->told = wrapper->refused = false;
    wrapper->session = -1;
    memset(wrapper->head, 0, sizeof wrapper->head);
    return wrapper->inner.open_fp(wrapper->inner.socket);
}

static void on_close(void *socket)
{
    struct transport_wrapper *wrapper = wrapper_of(socket);
    wrapper->inner.close_fp(wrapper->inner.socket);
}

static void on_free(struct tr_socket *transport)
{
    struct transport_wrapper *wrapper = wrapper_of(transport->socket);
    wrapper->inner.free_fp(&wrapper->inner);
    transport->socket = NULL;
}

/* Makes librtr's Error Report an honest one: it contains up to 3 kB of its stack behind the PDU that it is about, whose
 * header it has turned into numbers at times; `head` is the last one that came. `out` has room for REPORT_SIZE octets.
 * Returns how many it became; 0: it is no Error Report. */
static size_t honest_report(const uint8_t *head, const uint8_t *report, size_t size, uint8_t *out)
{
    uint32_t said = size < REPORT_LEAST ? UINT32_MAX : get32(report + HEADER);
    if (said > size - REPORT_LEAST)
        return 0;
    const uint8_t *pdu = report + HEADER + 4, *text = pdu + said + 4;
    bool last = said >= HEADER && pdu[1] == head[1];
    uint32_t inner = said >= HEADER ? get32((last ? head : pdu) + 4) : said;
    if (inner < HEADER || inner > said)
        inner = said < HEADER ? said : HEADER;
    inner = inner < MOST_REPORTED ? inner : MOST_REPORTED;
    size_t length = get32(text - 4), most = size - REPORT_LEAST - said;
    most = most < MOST_TEXT ? most : MOST_TEXT;
    length = strnlen((const char *)text, length < most ? length : most); /* librtr counts its NUL */
    size_t whole = REPORT_LEAST + inner + length;
    memcpy(out, report, 4);
    put32(out + 4, (uint32_t)whole);
    put32(out + HEADER, inner);
    memcpy(out + HEADER + 4, pdu, inner);
    if (last)
        memcpy(out + HEADER + 4, head, HEADER);
    put32(out + HEADER + 4 + inner, (uint32_t)length);
    memcpy(out + REPORT_LEAST + inner, text, length);
    return whole;
}

/* librtr gives up what it listens to here: tells why, and sends the Error Report. */
static void on_report(struct transport_wrapper *wrapper, const uint8_t *pdu, size_t size, time_t timeout)
{
    uint8_t report[REPORT_SIZE] = {0};
    if (wrapper->refused || wrapper->told)
        return; /* it is over already: librtr takes the end of a connection for corrupt data */
    struct frame_fault fault = {.fault = FAULT_SENT};
    memcpy(fault.head, wrapper->head, HEADER);
    size_t whole = honest_report(wrapper->head, pdu, size, report);
    tell(wrapper, fault, report, whole);
    wrapper->refused = true;
    send_whole(wrapper, report, whole, timeout);
}

static int on_send(const void *socket, const void *pdu, const size_t len, const time_t timeout)
{
    struct transport_wrapper *wrapper = wrapper_of(socket);
    const uint8_t *octets = pdu;
    if (len >= HEADER && octets[1] == ERROR_REPORT) {
        on_report(wrapper, octets, len, timeout);
        return (int)len;
    }
    if (len >= HEADER && (octets[1] == SERIAL_QUERY || octets[1] == RESET_QUERY))
        wrapper->session = octets[1] == SERIAL_QUERY ? get16(octets + 2) : -1;
    errno = 0;
    int sent = wrapper->inner.send_fp(wrapper->inner.socket, pdu, len, timeout);
    int error = errno;
    if (sent == TR_ERROR || sent == TR_CLOSED)
        tell_end(wrapper, error ? error : ECONNABORTED);
    return sent;
}

static const char *on_ident(void *socket)
{
    struct transport_wrapper *wrapper = wrapper_of(socket);
    return wrapper->inner.ident_fp(wrapper->inner.socket);
}

void transport_wrap(struct transport_wrapper *wrapper, struct tr_socket *transport, transport_reject_fp reject,
                    transport_fault_fp fault, void *data)
{
    memset(wrapper, 0, offsetof(struct transport_wrapper, bytes));
    wrapper->inner = *transport;
    wrapper->reject = reject;
    wrapper->fault = fault;
    wrapper->data = data;
    *transport = (struct tr_socket){
        .socket = wrapper,
        .open_fp = on_open,
        .close_fp = on_close,
        .free_fp = on_free,
        .send_fp = on_send,
        .recv_fp = on_recv,
        .ident_fp = on_ident,
    };
}
