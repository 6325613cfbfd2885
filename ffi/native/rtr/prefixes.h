/* Prefix PDUs of RTR (RFC 8210 sections 5.6 and 5.7) into packed VRPs.
 *
 * A cache sends one PDU for each VRP, 0.7 million of them, and a handful of others. So runs of prefix PDUs are decoded
 * here, in slices, and everything else but ASPAs (aspas.h) is left to whoever calls. The folder uses base/ only.
 *
 * Memory: nothing is kept. What a function is given is read, or written, before it returns.
 */
#ifndef RTRD_RTR_PREFIXES_H
#define RTRD_RTR_PREFIXES_H

#include <stddef.h>
#include <stdint.h>

#include "base/vrp.h"

/* ---- Python sees this ---- */

/* Decodes prefix PDUs of this protocol version, up to the first PDU that is another one, has a wrong length, or is not
 * whole, and at most `room` of them. From version 2 on one with bits beyond its prefix length ends it, too. Returns the
 * octets that they took; `count` is how many VRPs were written. Lengths of prefixes are NOT checked. Reserved flags and
 * octets are ignored (section 5.1). */
size_t rtr_prefixes(const void *octets, size_t size, unsigned version, struct vrp *out, size_t room, size_t *count);

#endif
