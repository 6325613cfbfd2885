/* Sorts packed VRPs into the order in which an RTR server sends them, each once.
 *
 * It needs nothing but its arguments, so it may run in a thread beside everything else.
 */
#ifndef RTRD_ORDER_H
#define RTRD_ORDER_H

#include <stddef.h>

/* ---- Python sees this ---- */

/* Takes n packed VRPs (struct vrp; the announce byte is not read) and writes them to `ordered` (room for n of 24 bytes)
 * laid out as family, 255 - length, address, AS in network order, max length, 1: so that comparing bytes sorts them.
 * The number of distinct ones; -1: a family is neither 4 nor 6. */
long vrps_order(const void *packed, size_t n, void *ordered);

#endif
