#include "vrps/rtr_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/octets.h"
#include "base/vrp.h"

#define SIZE sizeof(struct vrp)

/* Complements, since an RTR server announces the highest first. */
static void lay_out(const struct vrp *vrp, uint8_t out[SIZE])
{
    out[0] = vrp->family;
    for (int i = 0; i < 16; i++)
        out[1 + i] = (uint8_t)~vrp->addr[i];
    out[17] = (uint8_t)~vrp->max;
    out[18] = (uint8_t)~vrp->len;
    put32(out + 19, ~vrp->asn);
    out[23] = 1;
}

static int compare(const void *a, const void *b) { return memcmp(a, b, SIZE); }

long vrps_order(const void *packed, size_t n, void *ordered)
{
    uint8_t *out = ordered;
    for (size_t i = 0; i < n; i++) {
        struct vrp vrp;
        memcpy(&vrp, (const uint8_t *)packed + i * SIZE, SIZE);
        if (vrp.family != 4 && vrp.family != 6)
            return -1;
        lay_out(&vrp, out + i * SIZE);
    }
    qsort(out, n, SIZE, compare);
    size_t distinct = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || compare(out + i * SIZE, out + (distinct - 1) * SIZE) != 0)
            memmove(out + distinct++ * SIZE, out + i * SIZE, SIZE);
    return (long)distinct;
}
