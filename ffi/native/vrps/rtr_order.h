/* Sorts packed VRPs into the order in which an RTR server announces them (8210bis section 11.2), each once.
 *
 * It needs nothing but its arguments, so it may run in a thread beside everything else.
 */
#ifndef RTRD_ORDER_H
#define RTRD_ORDER_H

#include <stddef.h>

/* ---- Python sees this ---- */

/* Takes n packed VRPs (struct vrp; the announce byte is not read) and writes them to `ordered` (room for n of 24 bytes)
 * laid out as family and 1, and between them address, max length, length and AS (network order) with all bits turned
 * over: so that comparing bytes sorts them, the highest first.
 * The number of distinct ones; -1: a family is neither 4 nor 6. */
long vrps_order(const void *packed, size_t n, void *ordered);

#endif
