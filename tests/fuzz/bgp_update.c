/* libFuzzer's door to the decoder of UPDATEs, up to the RIB: `make fuzz-bgp`. The first octet says what the session has
 * negotiated, the rest is the UPDATE behind its header. */
#include <stdlib.h>

#include "bgp/lines.h"

#define FRESH 20000 /* UPDATEs that one RIB takes: path ids are the fuzzer's to choose */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

#define TEXT(text) ((struct octets){(const uint8_t *)(text), sizeof(text) - 1})

/* The UPDATE once more, in a line, and behind that the input as a line of its own: as octets it said the same. */
static void in_lines(struct rib *rib, uint32_t neighbor, const struct bgp_session *session, const uint8_t *body,
                     size_t n, const struct bgp_received *said)
{
    static struct bgp_update updates[BGP_LINES_AHEAD];
    static struct bgp_lines lines;
    static struct bgp_lines_received received;
    static uint8_t text[2 * (2 * BGP_BODY_MOST + 100)];
    static const char digits[] = "0123456789abcdef";
    struct route_faults faults = {0};
    lines.start = TEXT("at ");
    lines.middle = TEXT(" number ");
    lines.octets = TEXT("-");
    lines.frames[0] = (struct bgp_frame){TEXT(" of a "), TEXT(" end"), session, neighbor};
    lines.frames[1] = (struct bgp_frame){TEXT(" of b "), TEXT(" end"), session, neighbor};
    lines.frames_n = 2;
    memcpy(text, "at 1.5 number 10 of b Ff-", 25);
    size_t at = 25;
    for (size_t i = 0; i < n; i++) {
        text[at++] = (uint8_t)digits[body[i] >> 4];
        text[at++] = (uint8_t)digits[body[i] & 15];
    }
    memcpy(text + at, " end\n", 5);
    size_t whole = at + 5;
    memcpy(text + whole, text, whole);
    bgp_receive_lines(rib, &lines, text, 2 * whole, updates, &faults, &received);
    uint32_t taken = said->faults || said->left_out ? 1 : 2; /* what has more to tell ends the call */
    check(received.lines == taken && received.size == taken * whole && received.last.faults == said->faults);
    check(received.last.left_out == said->left_out && received.others == taken * said->others && lines.last == 1);
    bgp_receive_lines(rib, &lines, body, n, updates, &faults, &received);
    check(received.size <= n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bgp_update update;
    static struct vrpset *set;
    static struct rib *rib;
    static int32_t neighbor;
    static unsigned inputs;
    static const struct prefix_range ranges[] = {{{{10}, 8, 4}, 9, 24}, {{{0}, 0, 6}, 0, 64}};
    static const uint32_t origins[] = {1, 65002};
    static struct neighbor_policy policies[] = {
        {.receivers = 1, .action = {3, 3, 3, 3}, .as_set = 3, .longest = {32, 128}},
        {.receivers = 3, .action = {3, 3, 3, 3}, .as_set = 3, .conditions = 1, .longest = {24, 48}},
        {.receivers = 7, .action = {3, 3, 2, 1}, .as_set = 2, .enforce_first_as = 1, .longest = {32, 128}}};
    static const struct condition conditions[] = {{{{65535, 666}, TAG_STANDARD}, 1}, {{{1, 2, 3}, TAG_LARGE}, 2}};
    static const struct our_tag tags[] = {{{65000, 1}, TAG_STANDARD}, {{65000, 1, 0}, TAG_LARGE}, {{1}, TAG_EXTENDED}};
    static const uint8_t rank[17];
    if (size == 0)
        return 0;
    if (inputs++ % FRESH == 0) {
        if (rib) {
            rib_free(rib);
            vrpset_free(set);
        }
        check((set = vrpset_new()) && (rib = rib_new(set)));
        check((policies[0].demands = demands_new(ranges, 2, origins, 2, AS_SET_ABSENT)) != NULL);
        check(rib_set_our_tags(rib, tags, 3) == 0 && (neighbor = rib_neighbor_add(rib, policies, 3, rank)) >= 0);
        demands_release(policies[0].demands); /* the RIB holds them */
        check(rib_set_conditions(rib, conditions, 2) == 0);
        rib_set_kinds(rib, 1, 2, 0);
    }
    struct bgp_session session = {
        .local_as = 65001,
        .peer_as = data[0] & 1 ? 65001 : 65002,
        .router_id = 0x0a000001,
        .peer_router_id = 0x0a000002,
        .addresses = {{127, 0, 0, 2}, {127, 0, 0, 1}},
        .addresses_n = {4, 4},
        .four_octet_as = data[0] >> 1 & 1,
        .path_ids_ipv4 = data[0] >> 2 & 1,
        .path_ids_ipv6 = data[0] >> 3 & 1,
        .extended_next_hop = data[0] >> 4 & 1,
        .confederation = data[0] >> 5 & 1,
    };
    struct route_faults faults = {0};
    struct bgp_received received;
    check(bgp_receive(rib, (uint32_t)neighbor, &session, data + 1, size - 1, &update, &faults, &received));
    check(faults.prefixes == 0 && faults.memory == 0);
    in_lines(rib, (uint32_t)neighbor, &session, data + 1, size - 1, &received);
    static struct command command;
    while (rib_work(rib, 1000))
        ;
    while (rib_next_command(rib, 10, &command))
        check(command.n >= 1 && command.n <= 10);
    return 0;
}
