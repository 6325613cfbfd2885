/* Packed ASPAs: who may be whose provider (draft-ietf-sidrops-aspa-profile), as one run of numbers.
 *
 * A record is the customer's AS number, how many providers follow, and those. In a *set* the customers ascend, each is
 * there once, and so it is with the providers of each. AS 0 is there only alone: it says "none". In *changes* a record
 * without providers withdraws the customer's, any other replaces it. 50,000 customers of three providers are 1 MB so.
 *
 * Memory: nothing is kept. What a function is given is read, or written, before it returns; `out` must have room for
 * all the words that went in. All numbers are in host byte order. What is no whole record ends a run: callers never
 * have it. Order to read: this file, path.h.
 */
#ifndef RTRD_ASPAS_H
#define RTRD_ASPAS_H

#include <stddef.h>
#include <stdint.h>

/* ---- Python sees this ---- */

/* Makes changes of records in the order in which they came: ascending customers, the last word on each. The words that
 * were written; -1: no memory. */
long aspas_settle(const uint32_t *records, size_t n, uint32_t *out);

/* Makes a set of records in any order: those of one customer become a union, without AS 0 beside others and without
 * the customer itself (one that had nothing else is gone). The words that were written; -1: no memory. */
long aspas_pack(const uint32_t *records, size_t n, uint32_t *out);

/* Takes out customers with more than `most` providers; their numbers go to `dropped` (room for n / 2). The words that
 * were written. `out` may be `set`. */
long aspas_limit(const uint32_t *set, size_t n, size_t most, uint32_t *out, uint32_t *dropped, size_t *count);

/* The union of two sets, customer by customer. The words that were written. */
long aspas_union(const uint32_t *a, size_t n, const uint32_t *b, size_t m, uint32_t *out);

/* The set after changes that are settled. The words that were written. */
long aspas_apply(const uint32_t *set, size_t n, const uint32_t *changes, size_t m, uint32_t *out);

/* The first customer whose record settled changes withdraw and the set does not have; 0: there is none. */
uint32_t aspas_unknown(const uint32_t *set, size_t n, const uint32_t *changes, size_t m);

/* The changes that make `after` of `before`. The words that were written. */
long aspas_changes(const uint32_t *before, size_t n, const uint32_t *after, size_t m, uint32_t *out);

/* Where each record of a set begins (room for n / 2). How many there are. */
size_t aspas_index(const uint32_t *set, size_t n, uint32_t *begins);

/* Where the customer's record begins in a set of `count` customers; -1: it has none. */
long aspas_find(const uint32_t *set, const uint32_t *begins, size_t count, uint32_t customer);

#endif
