#include "librtr/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct chunk {
    struct chunk *next;
    size_t used;
    size_t open; /* offset of the last frame when it is VRPs that may still grow, else SIZE_MAX */
    uint8_t data[QUEUE_CHUNK];
};

struct queue {
    pthread_mutex_t mutex;
    struct chunk *head, *tail;
    size_t bytes, limit;
    int event;
    bool shut;    /* drop everything */
    bool lost;    /* something did not fit */
    bool starved; /* because there was no memory for it */
    bool told;    /* and the reader knows */
};

struct queue *queue_new(size_t limit)
{
    struct queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    queue->limit = limit;
    queue->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->event < 0 || pthread_mutex_init(&queue->mutex, NULL) != 0) {
        if (queue->event >= 0)
            close(queue->event);
        free(queue);
        return NULL;
    }
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    for (struct chunk *chunk = queue->head, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    pthread_mutex_destroy(&queue->mutex);
    close(queue->event);
    free(queue);
}

int queue_fd(const struct queue *queue) { return queue->event; }

/* librtr cancels its threads: one that dies here would leave the mutex locked forever. */
static int enter(struct queue *queue)
{
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    pthread_mutex_lock(&queue->mutex);
    return cancel;
}

static void leave(struct queue *queue, int cancel)
{
    int was;
    pthread_mutex_unlock(&queue->mutex);
    pthread_setcancelstate(cancel, &was);
}

static void wake(struct queue *queue)
{
    /* Fails only when the counter is full, and then the reader is awake already. */
    (void)eventfd_write(queue->event, 1);
}

/* Room for `size` bytes at the end, in one chunk; NULL: lost. */
static uint8_t *room(struct queue *queue, size_t size)
{
    if (queue->lost)
        return NULL;
    struct chunk *tail = queue->tail;
    if (!tail || tail->used + size > QUEUE_CHUNK) {
        bool fits = queue->bytes + size <= queue->limit;
        struct chunk *chunk = fits ? malloc(sizeof *chunk) : NULL;
        if (!chunk) {
            queue->lost = true;
            queue->starved = fits;
            wake(queue);
            return NULL;
        }
        chunk->next = NULL;
        chunk->used = 0;
        chunk->open = SIZE_MAX;
        if (tail) {
            tail->next = chunk;
            wake(queue); /* the one before is full */
        } else {
            queue->head = chunk;
        }
        queue->tail = tail = chunk;
    }
    uint8_t *at = tail->data + tail->used;
    tail->used += size;
    queue->bytes += size;
    return at;
}

void queue_vrp(struct queue *queue, const struct vrp *vrp)
{
    int cancel = enter(queue);
    struct chunk *tail = queue->tail;
    if (queue->shut) {
        leave(queue, cancel);
        return;
    }
    if (tail && tail->open != SIZE_MAX && tail->used + sizeof *vrp <= QUEUE_CHUNK) {
        uint8_t *at = room(queue, sizeof *vrp);
        if (at) {
            struct frame frame;
            memcpy(&frame, tail->data + tail->open, sizeof frame);
            frame.size += sizeof *vrp;
            memcpy(tail->data + tail->open, &frame, sizeof frame);
            memcpy(at, vrp, sizeof *vrp);
        }
    } else {
        struct frame frame = {.type = FRAME_VRPS, .size = sizeof *vrp};
        uint8_t *at = room(queue, sizeof frame + sizeof *vrp);
        if (at) {
            memcpy(at, &frame, sizeof frame);
            memcpy(at + sizeof frame, vrp, sizeof *vrp);
            queue->tail->open = (size_t)(at - queue->tail->data);
        }
    }
    leave(queue, cancel);
}

void queue_put(struct queue *queue, enum frame_type type, const void *payload, size_t size)
{
    struct frame frame = {.type = (uint32_t)type, .size = (uint32_t)size};
    int cancel = enter(queue);
    if (!queue->shut && size <= QUEUE_CHUNK - sizeof frame) {
        uint8_t *at = room(queue, sizeof frame + size);
        if (at) {
            memcpy(at, &frame, sizeof frame);
            if (size)
                memcpy(at + sizeof frame, payload, size);
            queue->tail->open = SIZE_MAX;
            wake(queue);
        }
    }
    leave(queue, cancel);
}

void queue_shut(struct queue *queue)
{
    int cancel = enter(queue);
    queue->shut = true;
    leave(queue, cancel);
}

size_t queue_take(struct queue *queue, void *out, size_t size)
{
    if (size < QUEUE_CHUNK)
        return 0;
    int cancel = enter(queue);
    struct chunk *chunk = queue->head;
    bool tell = false;
    if (chunk) {
        queue->head = chunk->next;
        if (!queue->head)
            queue->tail = NULL;
        queue->bytes -= chunk->used;
    } else if (queue->lost && !queue->told) {
        queue->told = tell = true;
    }
    if (!queue->head && !(queue->lost && !queue->told)) {
        eventfd_t count;
        (void)eventfd_read(queue->event, &count); /* fails when it is clear already */
    }
    leave(queue, cancel);

    size_t used = 0;
    if (chunk) {
        used = chunk->used;
        memcpy(out, chunk->data, used);
        free(chunk);
    } else if (tell) {
        struct frame frame = {.type = queue->starved ? FRAME_STARVED : FRAME_LOST, .size = 0};
        used = sizeof frame;
        memcpy(out, &frame, used);
    }
    return used;
}
