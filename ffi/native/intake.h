/* The octets of a cache in; those that librtr can bear, in large pieces, out.
 *
 * A transport of librtr's, wrapped around another one. librtr 0.8.0 asks the
 * kernel four times for each PDU, and checks no prefix length: nested IPv6
 * prefixes beyond 128 bits end the process. Such PDUs are taken out of the
 * stream here and told to whoever counts them.
 */
#ifndef RTRLIB_INTAKE_H
#define RTRLIB_INTAKE_H

#include <stddef.h>
#include <stdint.h>

#include <rtrlib/rtrlib.h>

#include "vrp.h"

#define INTAKE_SIZE 65536u

typedef void (*intake_reject_fp)(void *data, const struct vrp *vrp);

struct intake {
    struct tr_socket inner; /* the transport that really receives */
    intake_reject_fp reject;
    void *data;
    size_t begin, end; /* what was received and not handed on */
    size_t pass;       /* octets of the current PDU that may be handed on; SIZE_MAX: it is no PDU, let librtr say so */
    int64_t filled;    /* microseconds: when something was received last */
    unsigned streak;   /* how often in a row there was something at once */
    uint8_t bytes[INTAKE_SIZE];
};

/* `transport` is initialised; afterwards it receives through `intake`, which must live as long. */
void intake_wrap(struct intake *intake, struct tr_socket *transport, intake_reject_fp reject, void *data);

#endif
