/* Packed ASPAs into ASPA PDUs of RTR version 2 (draft-ietf-sidrops-8210bis section 5.12).
 *
 * aspas/aspas.h says what is in packed ASPAs: of each customer its AS number, how many providers follow, and those; in
 * changes none for one that is withdrawn. What is no whole record ends a run.
 */
#ifndef RTRD_ASPA_PDUS_H
#define RTRD_ASPA_PDUS_H

#include <stddef.h>
#include <stdint.h>

/* ---- Python sees this ---- */

/* Where the last whole record ends that begins at word `at` or later and lies within the next `room` words; a longer
 * first one is there whole. In words; `at`: there is none. */
size_t aspa_records_end(const uint32_t *records, size_t n, size_t at, size_t room);

/* Encodes the records that announce, or those that withdraw. The octets that were written: at most six for each word.
 */
size_t aspa_pdus_encode(const uint32_t *records, size_t n, int announce, uint8_t *out);

#endif
