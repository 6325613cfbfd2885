/* librtr used from C and nothing else: what ours is measured against. `make bench` compiles it in two ways: as a module
 * (the loops) and, with -DPROGRAM, as an RTR client that only counts: librtr HOST PORT. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rtrlib/rtrlib.h>

struct packed {
    uint8_t addr[16];
    uint32_t asn;
    uint8_t len, max, family, announce;
};

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#ifndef PROGRAM

static struct lrtr_ip_addr address(const struct packed *one)
{
    struct lrtr_ip_addr ip = {.ver = one->family == 6 ? LRTR_IPV6 : LRTR_IPV4};
    uint32_t word;
    if (one->family == 4) {
        memcpy(&word, one->addr, sizeof word);
        ip.u.addr4.addr = ntohl(word);
        return ip;
    }
    for (size_t i = 0; i < 4; i++) {
        memcpy(&word, one->addr + 4 * i, sizeof word);
        ip.u.addr6.addr[i] = ntohl(word);
    }
    return ip;
}

struct pfx_table *bench_fill(const struct packed *vrps, size_t n)
{
    struct pfx_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    pfx_table_init(table, NULL);
    for (size_t i = 0; i < n; i++) {
        struct pfx_record record;
        memset(&record, 0, sizeof record);
        record.asn = vrps[i].asn;
        record.prefix = address(vrps + i);
        record.min_len = vrps[i].len;
        record.max_len = vrps[i].max;
        if (pfx_table_add(table, &record) != PFX_SUCCESS)
            return NULL;
    }
    return table;
}

void bench_addresses(const struct packed *routes, size_t n, struct lrtr_ip_addr *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = address(routes + i);
}

/* Seconds. The addresses are converted before, as a router's own would be. */
double bench_validate(struct pfx_table *table, const struct packed *routes, const struct lrtr_ip_addr *addresses,
                      size_t n, uint8_t *out)
{
    double begin = bench_now();
    for (size_t i = 0; i < n; i++) {
        enum pfxv_state state = BGP_PFXV_STATE_NOT_FOUND;
        pfx_table_validate(table, routes[i].asn, addresses + i, routes[i].len, &state);
        out[i] = (uint8_t)state;
    }
    return bench_now() - begin;
}

#else

static atomic_ulong added;

static void on_prefix(struct pfx_table *table, const struct pfx_record record, const bool is_added)
{
    (void)table, (void)record;
    atomic_fetch_add(&added, is_added);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct tr_tcp_config tcp = {.host = argv[1], .port = argv[2]};
    struct tr_socket transport;
    if (tr_tcp_init(&tcp, &transport) != TR_SUCCESS)
        return 1;
    struct rtr_socket socket = {.tr_socket = &transport}, *sockets[] = {&socket};
    struct rtr_mgr_group group = {.sockets = sockets, .sockets_len = 1, .preference = 1};
    struct rtr_mgr_config *manager;
    if (rtr_mgr_init(&manager, &group, 1, 3600, 7200, 600, on_prefix, NULL, NULL, NULL) != RTR_SUCCESS)
        return 1;
    double begin = bench_now();
    if (rtr_mgr_start(manager) != RTR_SUCCESS)
        return 1;
    /* Not by the status of the group: where the sync is over before rtr_mgr_start has said that it connects, librtr
     * 0.8.0 never says that it is. */
    while (!rtr_mgr_conf_in_sync(manager))
        usleep(1000);
    printf("%.6f %lu\n", bench_now() - begin, atomic_load(&added));
    fflush(stdout);
    _exit(0); /* taking the table down is not what is measured */
}

#endif
