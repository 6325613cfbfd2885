/* VRPs from lines of a file, the plain ones: ASN,PREFIX,MAXLENGTH and whatever follows a further comma.
 *
 * What is not plain (quotes, blanks, an empty max length, anything wrong) is left to a reader that takes its time.
 */
#ifndef RTRD_VRP_LINES_H
#define RTRD_VRP_LINES_H

#include "base/vrp.h"

#include <stddef.h>

/* ---- Python sees this ---- */

/* Reads lines that are plain and whole into `out`, at most `room`; how many, and into `used` the octets that they take.
 */
size_t vrp_lines_read(const char *text, size_t n, struct vrp *out, size_t room, size_t *used);

/* ---- only C sees this ---- */

#endif
