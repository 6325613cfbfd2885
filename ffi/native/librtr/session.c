#include "librtr/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rtrlib/rtrlib.h>

#include "librtr/connect.h"
#include "librtr/queue.h"
#include "librtr/transport.h"

struct feed {
    struct rtr_socket socket; /* first: librtr's callbacks give its address, which is ours too */
    struct tr_socket transport;
    struct rtr_socket *sockets[1];
    struct rtr_mgr_config *manager;
    struct queue *queue;
    char *host, *port, *bind;
    unsigned connect_timeout, keepalive;
    bool ssh;
    int last; /* the descriptor that librtr got last, and which socket that was */
    struct stat which;
    struct intake intake;
};

static atomic_int feeds;

static struct feed *feed_of(const struct rtr_socket *socket) { return (struct feed *)(uintptr_t)socket; }

static void on_prefix(struct pfx_table *table, const struct pfx_record record, const bool added)
{
    (void)table;
    struct vrp vrp = {.asn = record.asn, .len = record.min_len, .max = record.max_len, .announce = added};
    if (record.prefix.ver == LRTR_IPV4) {
        uint32_t addr = htonl(record.prefix.u.addr4.addr);
        vrp.family = 4;
        memcpy(vrp.addr, &addr, sizeof addr);
    } else {
        vrp.family = 6;
        for (size_t i = 0; i < 4; i++) {
            uint32_t word = htonl(record.prefix.u.addr6.addr[i]);
            memcpy(vrp.addr + 4 * i, &word, sizeof word);
        }
    }
    queue_vrp(feed_of(record.socket)->queue, &vrp);
}

/* It never gets to librtr's table, so it goes the same way by itself; whoever checks VRPs leaves it out and counts it.
 */
static void on_reject(void *data, const struct vrp *vrp)
{
    struct feed *feed = data;
    queue_vrp(feed->queue, vrp);
}

static void on_fault(void *data, enum fault kind, const char *text)
{
    struct feed *feed = data;
    char payload[1 + FAULT_SIZE] = {(char)kind};
    size_t length = strnlen(text, FAULT_SIZE);
    memcpy(payload + 1, text, length);
    queue_put(feed->queue, FRAME_FAULT, payload, 1 + length);
}

static void on_router_key(struct spki_table *table, const struct spki_record record, const bool added)
{
    (void)table;
    struct frame_router_key key = {.asn = record.asn, .announce = added};
    memcpy(key.ski, record.ski, sizeof key.ski);
    memcpy(key.spki, record.spki, sizeof key.spki);
    queue_put(feed_of(record.socket)->queue, FRAME_ROUTER_KEY, &key, sizeof key);
}

static void on_state(const struct rtr_socket *socket, const enum rtr_socket_state state, void *manager, void *group)
{
    (void)manager;
    (void)group;
    struct frame_state frame = {
        .state = state,
        .version = socket->version,
        .session_id = socket->session_id,
        .serial = socket->serial_number,
        .refresh = socket->refresh_interval,
        .retry = socket->retry_interval,
        .expire = socket->expire_interval,
        .has_data = socket->last_update != 0,
    };
    queue_put(feed_of(socket)->queue, FRAME_STATE, &frame, sizeof frame);
}

/* libssh leaves a descriptor that it was given open when it lets go of it. It may have been closed all the same and its
 * number be another file's by now, so only the very socket is closed. */
static void close_last(struct feed *feed)
{
    struct stat now;
    if (feed->last >= 0 && fstat(feed->last, &now) == 0 && now.st_dev == feed->which.st_dev &&
        now.st_ino == feed->which.st_ino)
        close(feed->last);
    feed->last = -1;
}

static int on_connect(void *data)
{
    struct feed *feed = data;
    char fault[FAULT_SIZE];
    close_last(feed);
    int fd =
        connect_stream(feed->host, feed->port, feed->bind, feed->connect_timeout, feed->keepalive, fault, sizeof fault);
    if (fd < 0)
        on_fault(feed, FAULT_UNREACHABLE, fault);
    else if (feed->ssh && fstat(fd, &feed->which) == 0)
        feed->last = fd;
    return fd;
}

static char *copy(const char *text) { return strdup(text ? text : ""); }

/* librtr copies what these structs point to. */
static int open_transport(struct feed *feed, const struct feed_options *options)
{
    if (!options->username) {
        struct tr_tcp_config tcp = {
            .host = feed->host,
            .port = feed->port,
            .bindaddr = feed->bind,
            .data = feed,
            .new_socket = on_connect,
            .connect_timeout = options->connect_timeout,
        };
        return tr_tcp_init(&tcp, &feed->transport);
    }
    char *name[] = {copy(options->username), copy(options->private_key), copy(options->host_key),
                    copy(options->password)};
    struct tr_ssh_config ssh = {
        .host = feed->host,
        .port = (unsigned)strtoul(feed->port, NULL, 10),
        .bindaddr = feed->bind,
        .username = name[0],
        .client_privkey_path = options->private_key ? name[1] : NULL,
        .server_hostkey_path = options->host_key ? name[2] : NULL,
        .password = options->password ? name[3] : NULL,
        .data = feed,
        .new_socket = on_connect,
        .connect_timeout = options->connect_timeout,
    };
    int result = name[0] && name[1] && name[2] && name[3] ? tr_ssh_init(&ssh, &feed->transport) : TR_ERROR;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        free(name[i]);
    return result;
}

static void feed_free(struct feed *feed)
{
    close_last(feed);
    queue_free(feed->queue);
    free(feed->host);
    free(feed->port);
    free(feed->bind);
    free(feed);
    atomic_fetch_sub(&feeds, 1);
}

static struct feed *refuse(struct feed *feed, char *fault, size_t size, const char *why)
{
    snprintf(fault, size, "%s", why);
    if (feed)
        feed_free(feed);
    return NULL;
}

struct feed *feed_open(const struct feed_options *options, char *fault, size_t size)
{
    struct feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return refuse(NULL, fault, size, "no memory for another cache");
    atomic_fetch_add(&feeds, 1);
    feed->last = -1;
    feed->queue = queue_new(options->queue_limit);
    feed->host = copy(options->host);
    feed->port = copy(options->port);
    feed->bind = options->bind ? copy(options->bind) : NULL;
    feed->connect_timeout = options->connect_timeout;
    feed->keepalive = options->keepalive;
    feed->ssh = options->username != NULL;
    if (!feed->queue || !feed->host || !feed->port || (options->bind && !feed->bind))
        return refuse(feed, fault, size, "no memory or no file descriptor for another cache");
    if (open_transport(feed, options) != TR_SUCCESS)
        return refuse(feed, fault, size,
                      options->username ? "librtr refuses the SSH options: give a private key or a password, not both"
                                        : "librtr refuses the TCP options");
    intake_wrap(&feed->intake, &feed->transport, on_reject, on_fault, feed);
    feed->socket.tr_socket = &feed->transport;
    feed->sockets[0] = &feed->socket;
    struct rtr_mgr_group group = {.sockets = feed->sockets, .sockets_len = 1, .preference = 1};
    int result = rtr_mgr_init(&feed->manager, &group, 1, options->refresh, options->expire, options->retry, on_prefix,
                              on_router_key, NULL, NULL);
    if (result != RTR_SUCCESS) {
        feed->transport.free_fp(&feed->transport);
        return refuse(feed, fault, size,
                      result == RTR_INVALID_PARAM ? "an interval is out of librtr's range" : "rtr_mgr_init failed");
    }
    feed->socket.connection_state_fp = on_state;
    rtr_set_interval_mode(&feed->socket,
                          options->follow_cache ? RTR_INTERVAL_MODE_DEFAULT_MIN_MAX : RTR_INTERVAL_MODE_IGNORE_ANY);
    sigset_t all, before;
    sigfillset(&all); /* its thread inherits the mask: a signal would cut its recv short */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int started = rtr_mgr_start(feed->manager);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started != RTR_SUCCESS) {
        queue_shut(feed->queue);
        rtr_mgr_free(feed->manager);
        return refuse(feed, fault, size, "librtr cannot start a thread");
    }
    return feed;
}

int feed_fd(const struct feed *feed) { return queue_fd(feed->queue); }

size_t feed_take(struct feed *feed, void *out, size_t size) { return queue_take(feed->queue, out, size); }

static void *bury(void *data)
{
    struct feed *feed = data;
    rtr_mgr_stop(feed->manager);
    rtr_mgr_free(feed->manager);
    feed_free(feed);
    return NULL;
}

void feed_close(struct feed *feed)
{
    queue_shut(feed->queue);
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    bool started = false;
    sigfillset(&all); /* signals are for the threads of the program */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_attr_init(&attributes) == 0) {
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        started = pthread_create(&thread, &attributes, bury, feed) == 0;
        pthread_attr_destroy(&attributes);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!started)
        bury(feed); /* slow is better than lost */
}

int feed_count(void) { return atomic_load(&feeds); }

int feed_confine(int parent, uint64_t memory, const char *name)
{
    struct rlimit space = {.rlim_cur = memory, .rlim_max = memory}, core = {0};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_NAME, name) != 0 || setrlimit(RLIMIT_AS, &space) != 0 || setrlimit(RLIMIT_CORE, &core) != 0)
        return errno;
    return getppid() == parent ? 0 : ESRCH; /* the parent died before the first line took effect */
}
