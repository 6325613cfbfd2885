/* A transport of librtr's, wrapped around another one: it lets pass what librtr can bear, in large pieces.
 *
 * librtr 0.8.0 asks the kernel four times for each PDU, and checks no prefix length: nested IPv6 prefixes beyond 128
 * bits end the process. Such PDUs are taken out of the stream here, and whoever counts them is told. And librtr says no
 * word of why a session ends, and goes on listening after some errors: the reason is told from here, and what was
 * refused once is refused for good. It also takes VRPs of another session than the one it asked for (rtrlib#334): the
 * answer is refused here (RFC 8210 section 5.1).
 */
#ifndef RTRLIB_TRANSPORT_H
#define RTRLIB_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rtrlib/rtrlib.h>

#include "base/vrp.h"
#include "librtr/queue.h"

#define TRANSPORT_SIZE 65536u
#define REPORT_SIZE 3248u /* octets of an Error Report that are told: RTR_MAX_PDU_LEN, librtr takes no longer one */
enum { PDU_HEADER = 8 };  /* RFC 8210 section 5 */

typedef void (*transport_reject_fp)(void *data, const struct vrp *vrp);

/* Why the connection is of no use any more: once for each connection, the first reason. An Error Report has at most
 * REPORT_SIZE octets. */
typedef void (*transport_fault_fp)(void *data, const struct frame_fault *fault, const uint8_t *report, size_t size);

typedef void (*transport_first_fp)(void *data); /* the first octets of a connection came */

struct transport_wrapper {
    struct tr_socket inner; /* the transport that really receives */
    transport_reject_fp reject;
    transport_fault_fp fault;
    transport_first_fp first; /* NULL: nobody wants to know; set after transport_wrap */
    void *data;
    size_t begin, end; /* what was received and not handed on */
    size_t pass;       /* octets of the current PDU that may be handed on; SIZE_MAX: it is no PDU, let librtr say so */
    size_t streak;     /* octets that came without a pause; not counted any further when they are many */
    bool drained;      /* the last time all that was there was received */
    int32_t session;   /* that the answer must be of; -1: of any */
    uint8_t head[PDU_HEADER]; /* of the PDU that librtr reads, or has read */
    bool heard;               /* something came on this connection */
    bool told;                /* `fault` knows why it ends */
    bool refused;             /* an Error Report was sent: the session is over (RFC 8210 section 5.11) */
    uint8_t bytes[TRANSPORT_SIZE];
};

/* `transport` is initialized; afterwards it receives through `wrapper`, which must live as long. */
void transport_wrap(struct transport_wrapper *wrapper, struct tr_socket *transport, transport_reject_fp reject,
                    transport_fault_fp fault, void *data);

#endif
