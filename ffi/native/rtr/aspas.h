/* ASPA PDUs of RTR version 2 (draft-ietf-sidrops-8210bis section 5.12) into packed ASPAs.
 *
 * Runs of them are decoded here, in slices, as prefix PDUs are (prefixes.h). A list that is not right is left to
 * whoever calls, who says what is wrong with it.
 *
 * Memory: nothing is kept. What a function is given is read, or written, before it returns.
 */
#ifndef RTRD_RTR_ASPAS_H
#define RTRD_RTR_ASPAS_H

#include <stddef.h>
#include <stdint.h>

/* ---- Python sees this ---- */

/* What was left out of well-formed PDUs. */
struct aspas_left_out {
    uint64_t as_0_customer; /* PDUs whose customer is AS 0 */
    uint64_t own_customer;  /* lists that had the customer itself among others, who stayed */
};

/* Decodes ASPA PDUs of this protocol version into records as aspas/aspas.h has them, in the order in which they come:
 * without providers it is a withdrawal. It ends at the first PDU that is another one, not whole, wrong (its length, a
 * list that is empty, not ascending, or has AS 0 among others, a withdrawal with a list), or for which there is no
 * room. Returns the octets that they took; `words` is how many words were written. Reserved flags and octets are
 * ignored. A customer among its own providers, and one that is AS 0, are left out, and added to `left_out`. */
size_t rtr_aspas(const void *octets, size_t size, unsigned version, uint32_t *out, size_t room, size_t *words,
                 struct aspas_left_out *left_out);

#endif
