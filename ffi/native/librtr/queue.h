/* Frames of what happens on librtr's threads, and a wake-up for whoever reads them.
 *
 * librtr calls back with its locks held and cancels its threads at will, so a callback does nothing but append here.
 * The reader takes chunks of whole frames. The same frames go up the socketpair of a cache process, so one decoder
 * (rtrlib.frames) serves both ways of running librtr.
 */
#ifndef RTRLIB_QUEUE_H
#define RTRLIB_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vrp.h"

/* ---- Python sees this ---- */

#define QUEUE_CHUNK 65536u /* bytes that one queue_take fills at most */

enum frame_type {
    FRAME_VRPS = 1,       /* packed VRPs, in the order of librtr's changes */
    FRAME_STATE = 2,      /* struct frame_state */
    FRAME_ROUTER_KEY = 3, /* struct frame_router_key */
    FRAME_ALIVE = 4,      /* empty: the answer of a cache process to a ping */
    FRAME_FAULT = 5,      /* struct frame_fault, and an Error Report: why there is no connection any more */
    FRAME_LOST = 6,       /* empty: the queue was full, everything after this is missing */
    FRAME_STARVED = 7,    /* the same, for want of memory */
    FRAME_HEARD = 8,      /* empty: the cache has sent something on this connection */
};

/* In front of every payload; the machine's byte order, as both ends are this machine. */
struct frame {
    uint32_t type;
    uint32_t size; /* of the payload, at most QUEUE_CHUNK - sizeof(struct frame) */
};

struct frame_state {
    uint32_t state;      /* enum rtr_socket_state */
    uint32_t version;    /* RTR protocol version in use */
    uint32_t session_id; /* RFC 8210 section 5.1; meaningless until has_data */
    uint32_t serial;
    uint32_t refresh, retry, expire; /* seconds, as librtr uses them now */
    uint32_t has_data;               /* 1: librtr holds data of a complete sync; 0: none yet, or it purged them */
};

struct frame_router_key { /* RFC 8210 section 5.10 */
    uint32_t asn;
    uint8_t announce, reserved[3];
    uint8_t ski[20];
    uint8_t spki[91], pad;
};

/* rtrlib.causes makes sentences of these. */
enum fault {
    FAULT_UNREACHABLE = 1, /* error: an errno, or below 0 what getaddrinfo returned */
    FAULT_ENDED = 2,       /* error: an errno, or 0 for an orderly end; moment */
    FAULT_SENT = 3,        /* librtr refused the PDU with this head by the Error Report that follows */
    FAULT_RECEIVED = 4,    /* the cache sent the Error Report that follows */
    FAULT_MEMORY = 5,      /* no memory or no descriptor for a session; librtr was not begun with, as of here */
    FAULT_TCP = 6,         /* librtr refuses the options */
    FAULT_SSH = 7,         /* the same, of SSH */
    FAULT_INTERVALS = 8,   /* the same, of its ranges of intervals */
    FAULT_MANAGER = 9,     /* rtr_mgr_init failed */
    FAULT_THREAD = 10,     /* rtr_mgr_start failed */
    FAULT_CONFINED = 11,   /* error: the errno of session_confine */
};

enum moment { BETWEEN_PDUS = 0, IN_A_PDU = 1, UNHEARD = 2 };

struct frame_fault {
    uint32_t fault; /* enum fault */
    int32_t error;
    uint32_t moment; /* enum moment: when the connection ended */
    uint8_t head[8];
};

_Static_assert(sizeof(struct frame_state) == 32, "rtrlib.frames unpacks 32 bytes");
_Static_assert(sizeof(struct frame_router_key) == 120, "rtrlib.frames unpacks 120 bytes");
_Static_assert(sizeof(struct frame_fault) == 20, "rtrlib.causes unpacks 20 bytes");

/* ---- only C sees this ---- */

struct queue;

/* `limit`: bytes that may wait before the queue gives up (FRAME_LOST). NULL: no memory or no descriptor. */
struct queue *queue_new(size_t limit);
void queue_free(struct queue *queue);

/* Readable when a frame other than VRPs waits or a chunk is full: VRPs alone mean nothing until the state behind them.
 */
int queue_fd(const struct queue *queue);

/* Both may be called from any thread, and never fail: what does not fit is lost, and said so once. */
void queue_vrp(struct queue *queue, const struct vrp *vrp);
void queue_put(struct queue *queue, enum frame_type type, const void *payload, size_t size);

/* From here on everything that is put in is dropped. */
void queue_shut(struct queue *queue);

/* Moves whole frames to `out`; `size` is at least QUEUE_CHUNK. Returns the bytes, 0 when nothing waits. */
size_t queue_take(struct queue *queue, void *out, size_t size);

#endif
