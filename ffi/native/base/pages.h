/* Memory of a table that is read here and there: large ones are of large pages, so that a look-up needs no walk through
 * the page tables. */
#ifndef RTRD_PAGES_H
#define RTRD_PAGES_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGES_LINE ((size_t)64)       /* octets of a line of the cache */
#define PAGES_LARGE ((size_t)2 << 20) /* octets of a large page */

/* `size` octets, zero, a multiple of PAGES_LINE and beyond PAGES_LARGE of that, too; NULL: no memory. free() ends it.
 */
static inline void *pages_zeroed(size_t size)
{
    void *at = aligned_alloc(size < PAGES_LARGE ? PAGES_LINE : PAGES_LARGE, size);
    if (at && size >= PAGES_LARGE)
        madvise(at, size, MADV_HUGEPAGE);
    return at ? memset(at, 0, size) : NULL;
}

#endif
