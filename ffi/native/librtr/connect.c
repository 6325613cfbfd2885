#include "librtr/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static int bind_to(int fd, int family, const char *address)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *local;
    if (getaddrinfo(address, NULL, &hints, &local) != 0)
        return EAFNOSUPPORT; /* a local address of the other family: this remote address is not for it */
    int error = bind(fd, local->ai_addr, local->ai_addrlen) == 0 ? 0 : errno;
    freeaddrinfo(local);
    return error;
}

/* 0, or the errno. */
static int connect_by(int fd, const struct addrinfo *to, long long deadline)
{
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    for (;;) {
        long long left = deadline - now_ms();
        if (left <= 0)
            return ETIMEDOUT;
        struct pollfd poller = {.fd = fd, .events = POLLOUT};
        int ready = poll(&poller, 1, (int)left);
        if (ready < 0 && errno != EINTR)
            return errno;
        if (ready > 0)
            break;
    }
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : errno;
}

/* Linux waits two hours before it asks whether a silent peer is still there, and 15 minutes for what it sent to be
 * acknowledged. RTR itself sends nothing until the refresh interval is over. */
static int keep_alive(int fd, unsigned seconds)
{
    int third = seconds / 3 > 0 ? (int)(seconds / 3) : 1, ninth = seconds / 9 > 0 ? (int)(seconds / 9) : 1;
    int error = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    error = error ? error : set(fd, IPPROTO_TCP, TCP_KEEPIDLE, third);
    error = error ? error : set(fd, IPPROTO_TCP, TCP_KEEPINTVL, ninth);
    error = error ? error : set(fd, IPPROTO_TCP, TCP_KEEPCNT, ((int)seconds - third + ninth - 1) / ninth);
    return error ? error : set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)seconds * 1000);
}

static int open_one(const struct addrinfo *to, const char *bind, long long deadline, unsigned keepalive, int *error)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
    if (fd < 0) {
        *error = errno;
        return -1;
    }
    *error = bind ? bind_to(fd, to->ai_family, bind) : 0;
    if (*error == 0)
        *error = connect_by(fd, to, deadline);
    /* librtr reads with SO_RCVTIMEO, which needs a blocking socket. */
    if (*error == 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0)
        *error = errno;
    if (*error == 0)
        *error = keep_alive(fd, keepalive);
    if (*error != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int connect_stream(const char *host, const char *port, const char *bind, unsigned timeout, unsigned keepalive,
                   int *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed != 0) {
        *error = failed == EAI_SYSTEM ? errno : failed;
        return -1;
    }
    unsigned addresses = 0;
    for (struct addrinfo *to = found; to; to = to->ai_next)
        addresses++;
    /* Each address gets its share of what is left, so that one that swallows packets does not starve the next. */
    long long end = now_ms() + timeout * 1000LL;
    int fd = -1;
    bool tried = false;
    for (struct addrinfo *to = found; to && fd < 0; to = to->ai_next, addresses--) {
        long long left = end - now_ms();
        int one;
        fd = open_one(to, bind, now_ms() + (left > 0 ? left / addresses : 0), keepalive, &one);
        /* "Wrong family for the bind address" is the cause only when no address got further. */
        if (one != EAFNOSUPPORT || !tried)
            *error = one;
        tried = tried || one != EAFNOSUPPORT;
    }
    freeaddrinfo(found);
    return fd;
}
