#include "librtr/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rtrlib/rtrlib.h>

#include "librtr/connect.h"
#include "librtr/queue.h"
#include "librtr/transport.h"

struct session {
    struct rtr_socket socket; /* first: librtr's callbacks give its address, which is ours too */
    struct tr_socket transport;
    struct rtr_socket *sockets[1];
    struct rtr_mgr_config *manager;
    struct queue *queue;
    char *host, *port, *bind;
    unsigned connect_timeout, keepalive;
    bool ssh;
    unsigned retry, wait; /* seconds: the interval, and what the last failure waited for; 0: there was none */
    bool soon, waiting;   /* a failure waits for less than the interval; it does */
    long long since;      /* when the session was established, in seconds of CLOCK_MONOTONIC; 0: it is not */
    int last;             /* the descriptor that librtr got last, and which socket that was */
    struct stat which;
    struct transport_wrapper wrapper;
};

static atomic_int sessions;

static long long seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1; /* 0 is none */
}

static struct session *session_of(const struct rtr_socket *socket) { return (struct session *)(uintptr_t)socket; }

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
    queue_vrp(session_of(record.socket)->queue, &vrp);
}

/* It never gets to librtr's table, so it goes the same way by itself; whoever checks VRPs leaves it out and counts it.
 */
static void on_reject(void *data, const struct vrp *vrp)
{
    struct session *session = data;
    queue_vrp(session->queue, vrp);
}

static void on_fault(void *data, const struct frame_fault *fault, const uint8_t *report, size_t size)
{
    struct session *session = data;
    uint8_t payload[sizeof *fault + REPORT_SIZE];
    memcpy(payload, fault, sizeof *fault);
    if (size)
        memcpy(payload + sizeof *fault, report, size);
    queue_put(session->queue, FRAME_FAULT, payload, sizeof *fault + size);
}

static void on_first(void *data)
{
    struct session *session = data;
    queue_put(session->queue, FRAME_HEARD, NULL, 0);
}

static void on_router_key(struct spki_table *table, const struct spki_record record, const bool added)
{
    (void)table;
    struct frame_router_key key = {.asn = record.asn, .announce = added};
    memcpy(key.ski, record.ski, sizeof key.ski);
    memcpy(key.spki, record.spki, sizeof key.spki);
    queue_put(session_of(record.socket)->queue, FRAME_ROUTER_KEY, &key, sizeof key);
}

/* librtr sleeps for its retry interval as soon as it has told of a failure, so that is where the wait is set: 1, 2, 4
 * seconds and so on up to the interval, for a cache that has been reached; from the beginning once a session lasted as
 * long as the interval. */
static void set_wait(struct session *session, enum rtr_socket_state state)
{
    if (state == RTR_SHUTDOWN) /* told by the thread that stops librtr's, while that may still be here */
        return;
    struct rtr_socket *socket = &session->socket;
    bool failed = state == RTR_ERROR_FATAL || state == RTR_ERROR_TRANSPORT || state == RTR_ERROR_NO_DATA_AVAIL;
    if (state == RTR_SYNC) {
        socket->retry_interval = session->retry;
    } else if (state == RTR_ESTABLISHED) {
        session->retry = socket->retry_interval; /* End of Data may have changed it */
        session->soon = true;
        if (!session->since)
            session->since = seconds();
    } else if (failed && session->soon && !session->waiting) {
        bool lasted = session->since && seconds() - session->since >= session->retry;
        unsigned twice = lasted ? 0 : 2 * session->wait;
        session->wait = twice == 0 ? 1 : twice < session->retry ? twice : session->retry;
        session->since = 0;
        socket->retry_interval = session->wait;
    }
    session->waiting = failed;
}

static void on_state(const struct rtr_socket *socket, const enum rtr_socket_state state, void *manager, void *group)
{
    (void)manager;
    (void)group;
    set_wait(session_of(socket), state);
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
    queue_put(session_of(socket)->queue, FRAME_STATE, &frame, sizeof frame);
}

/* libssh leaves a descriptor that it was given open when it lets go of it. It may have been closed all the same and its
 * number be another file's by now, so only the very socket is closed. */
static void close_last(struct session *session)
{
    struct stat now;
    if (session->last >= 0 && fstat(session->last, &now) == 0 && now.st_dev == session->which.st_dev &&
        now.st_ino == session->which.st_ino)
        close(session->last);
    session->last = -1;
}

static int on_connect(void *data)
{
    struct session *session = data;
    struct frame_fault fault = {.fault = FAULT_UNREACHABLE};
    if (session->ssh)
        close_last(session);
    int fd = connect_stream(session->host, session->port, session->bind, session->connect_timeout, session->keepalive,
                            &fault.error);
    if (fd < 0)
        on_fault(session, &fault, NULL, 0);
    else if (fstat(fd, &session->which) == 0)
        session->last = fd;
    return fd;
}

static char *copy(const char *text) { return strdup(text ? text : ""); }

/* librtr copies what these structs point to. */
static int open_transport(struct session *session, const struct session_options *options)
{
    if (!options->username) {
        struct tr_tcp_config tcp = {
            .host = session->host,
            .port = session->port,
            .bindaddr = session->bind,
            .data = session,
            .new_socket = on_connect,
            .connect_timeout = options->connect_timeout,
        };
        return tr_tcp_init(&tcp, &session->transport);
    }
    char *name[] = {copy(options->username), copy(options->private_key), copy(options->host_key),
                    copy(options->password)};
    struct tr_ssh_config ssh = {
        .host = session->host,
        .port = (unsigned)strtoul(session->port, NULL, 10),
        .bindaddr = session->bind,
        .username = name[0],
        .client_privkey_path = options->private_key ? name[1] : NULL,
        .server_hostkey_path = options->host_key ? name[2] : NULL,
        .password = options->password ? name[3] : NULL,
        .data = session,
        .new_socket = on_connect,
        .connect_timeout = options->connect_timeout,
    };
    int result = name[0] && name[1] && name[2] && name[3] ? tr_ssh_init(&ssh, &session->transport) : TR_ERROR;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        free(name[i]);
    return result;
}

static void session_free(struct session *session)
{
    if (session->ssh)
        close_last(session);
    queue_free(session->queue);
    free(session->host);
    free(session->port);
    free(session->bind);
    free(session);
    atomic_fetch_sub(&sessions, 1);
}

static struct session *refuse(struct session *session, uint32_t *fault, enum fault why)
{
    *fault = why;
    if (session)
        session_free(session);
    return NULL;
}

struct session *session_open(const struct session_options *options, uint32_t *fault)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return refuse(NULL, fault, FAULT_MEMORY);
    atomic_fetch_add(&sessions, 1);
    session->last = -1;
    session->queue = queue_new(options->queue_limit);
    session->host = copy(options->host);
    session->port = copy(options->port);
    session->bind = options->bind ? copy(options->bind) : NULL;
    session->connect_timeout = options->connect_timeout;
    session->keepalive = options->keepalive;
    session->ssh = options->username != NULL;
    session->retry = options->retry;
    session->soon = options->soon != 0;
    if (!session->queue || !session->host || !session->port || (options->bind && !session->bind))
        return refuse(session, fault, FAULT_MEMORY);
    if (open_transport(session, options) != TR_SUCCESS)
        return refuse(session, fault, options->username ? FAULT_SSH : FAULT_TCP);
    transport_wrap(&session->wrapper, &session->transport, on_reject, on_fault, session);
    session->wrapper.first = on_first;
    session->socket.tr_socket = &session->transport;
    session->sockets[0] = &session->socket;
    struct rtr_mgr_group group = {.sockets = session->sockets, .sockets_len = 1, .preference = 1};
    int result = rtr_mgr_init(&session->manager, &group, 1, options->refresh, options->expire, options->retry,
                              on_prefix, on_router_key, NULL, NULL);
    if (result != RTR_SUCCESS) {
        session->transport.free_fp(&session->transport);
        return refuse(session, fault, result == RTR_INVALID_PARAM ? FAULT_INTERVALS : FAULT_MANAGER);
    }
    session->socket.connection_state_fp = on_state;
    rtr_set_interval_mode(&session->socket,
                          options->follow_cache ? RTR_INTERVAL_MODE_DEFAULT_MIN_MAX : RTR_INTERVAL_MODE_IGNORE_ANY);
    sigset_t all, before;
    sigfillset(&all); /* its thread inherits the mask: a signal would cut its recv short */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int started = rtr_mgr_start(session->manager);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started != RTR_SUCCESS) {
        queue_shut(session->queue);
        rtr_mgr_free(session->manager);
        return refuse(session, fault, FAULT_THREAD);
    }
    return session;
}

int session_fd(const struct session *session) { return queue_fd(session->queue); }

size_t session_take(struct session *session, void *out, size_t size) { return queue_take(session->queue, out, size); }

static void *bury(void *data)
{
    struct session *session = data;
    rtr_mgr_stop(session->manager);
    rtr_mgr_free(session->manager);
    session_free(session);
    return NULL;
}

void session_close(struct session *session)
{
    queue_shut(session->queue);
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    bool started = false;
    sigfillset(&all); /* signals are for the threads of the program */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_attr_init(&attributes) == 0) {
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        started = pthread_create(&thread, &attributes, bury, session) == 0;
        pthread_attr_destroy(&attributes);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!started)
        bury(session); /* slow is better than lost */
}

void session_forked(struct session *session)
{
    close_last(session);
    close(queue_fd(session->queue));
    atomic_fetch_sub(&sessions, 1);
}

int session_count(void) { return atomic_load(&sessions); }

int session_confine(int parent, uint64_t memory, const char *name)
{
    struct rlimit space = {.rlim_cur = memory, .rlim_max = memory}, core = {0};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_NAME, name) != 0 || setrlimit(RLIMIT_AS, &space) != 0 || setrlimit(RLIMIT_CORE, &core) != 0)
        return errno;
    return getppid() == parent ? 0 : ESRCH; /* the parent died before the first line took effect */
}
