/* Why a cache is of no use any more: the kind of the fault, and a sentence for the cache's operator and for ours.
 *
 * librtr tells states only. What it refused is in the Error Report that it sends.
 */
#ifndef RTRLIB_FAULTS_H
#define RTRLIB_FAULTS_H

#include <stddef.h>
#include <stdint.h>

enum { PDU_HEADER = 8 }; /* RFC 8210 section 5 */

/* Numbers that rtrlib.faults knows; the first octet of FRAME_FAULT. */
enum fault {
    FAULT_UNREACHABLE = 1, /* no connection came about */
    FAULT_CLOSED = 2,      /* the other side ended it */
    FAULT_SILENT = 3,      /* it is there no more, or says nothing */
    FAULT_PROTOCOL = 4,    /* what came is against the protocol */
    FAULT_REFUSED = 5,     /* the cache sent an Error Report */
    FAULT_ENDLESS = 6,     /* more came than there is memory for */
};

/* Room for every sentence here. */
#define FAULT_SIZE 256u

/* `head`: the header of the PDU that librtr had when it sent the Error Report `report` of `size` octets. */
enum fault fault_refused_by_us(const uint8_t *head, const uint8_t *report, size_t size, char *text);

/* `report`: an Error Report of the cache's, of `size` octets. */
void fault_reported(const uint8_t *report, size_t size, char *text);

/* A connection that ended: `error` is its errno, or 0 for an orderly end. `where`: "", or in the middle of what. */
enum fault fault_ended(int error, const char *where, char *text);

/* Makes librtr's Error Report an honest one: it contains up to 3 kB of its stack behind the PDU that it is about.
 * `out` has room for `REPORT_SIZE` octets. Returns how many it became; 0: it is no Error Report. */
#define REPORT_SIZE 1024u
size_t fault_report(const uint8_t *report, size_t size, const char *text, uint8_t *out);

#endif
