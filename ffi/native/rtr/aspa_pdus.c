#include "rtr/aspa_pdus.h"

#include "base/octets.h"

enum { HEAD = 2, VERSION = 2, ASPA = 11 }; /* HEAD: words of a record before its providers */

/* The words of the record that begins here; 0: it is not whole. */
static size_t record_size(const uint32_t *record, size_t left)
{
    return left >= HEAD && record[1] <= left - HEAD ? HEAD + (size_t)record[1] : 0;
}

size_t aspa_records_end(const uint32_t *records, size_t n, size_t at, size_t room)
{
    size_t end = at, size;
    while ((size = record_size(records + end, n - end)) != 0 && (end == at || end + size - at <= room))
        end += size;
    return end;
}

size_t aspa_pdus_encode(const uint32_t *records, size_t n, int announce, uint8_t *out)
{
    uint8_t *pdu = out;
    size_t size;
    for (size_t at = 0; (size = record_size(records + at, n - at)) != 0; at += size) {
        const uint32_t *record = records + at;
        if ((record[1] != 0) != (announce != 0))
            continue;
        *pdu++ = VERSION;
        *pdu++ = ASPA;
        *pdu++ = announce != 0;
        *pdu++ = 0;
        put32(pdu, (uint32_t)(4 * (size + 1)));
        put32(pdu + 4, record[0]);
        pdu += 8;
        for (size_t i = HEAD; i < size; i++, pdu += 4)
            put32(pdu, record[i]);
    }
    return (size_t)(pdu - out);
}
