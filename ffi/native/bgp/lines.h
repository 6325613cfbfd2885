/* UPDATEs in lines of text, in hexadecimal digits.
 *
 * A program that hands on UPDATEs in lines (of JSON, for one) writes nearly the same line each time: those of a session
 * differ in two numbers, in the header and in the octets of the UPDATE. Whoever has understood one such line has
 * understood all that are like it, whatever the language is. Those are taken here, many in one call, up to the first
 * one that is like none before; a line that has more to tell than its routes ends the call, too.
 */
#ifndef RTRD_BGP_LINES_H
#define RTRD_BGP_LINES_H

#include "bgp/receive.h"

/* ---- Python sees this ---- */

#define BGP_FRAMES_MOST 256

struct bgp_frame {      /* what is alike in the lines of one session, */
    struct octets head; /* between the second number and the digits of the header, */
    struct octets tail; /* and behind the octets, without the line feed */
    const struct bgp_session *session;
    uint32_t neighbor;
};

#define BGP_LINES_AHEAD 2 /* lines that are in work at once: one is read while the RIB waits for memory */

struct bgp_lines {
    struct octets start, middle, octets; /* before the first number, before the second, behind the header: of all */
    uint32_t frames_n;
    uint32_t last; /* the frame of the last line */
    struct bgp_frame frames[BGP_FRAMES_MOST];
    uint8_t bodies[BGP_LINES_AHEAD][BGP_BODY_MOST];
};

struct bgp_lines_received {
    size_t size; /* octets of the lines that were taken */
    uint32_t lines;
    uint32_t others; /* as of struct bgp_received, of all lines, with the next one */
    uint8_t path_ids;
    uint8_t came[BGP_FRAMES_MOST]; /* 1: lines of this frame */
    uint8_t told;                  /* the last line, of frame `lines->last`, has more to tell: `last`, `memory` */
    uint8_t memory;                /* some of its routes found none */
    struct bgp_received last;
};

/* Takes whole lines of `text`. `updates`: BGP_LINES_AHEAD of them. The rest is as of bgp_receive. */
void bgp_receive_lines(struct rib *rib, struct bgp_lines *lines, const uint8_t *text, size_t n,
                       struct bgp_update *updates, struct route_faults *faults, struct bgp_lines_received *out);

#endif
