#include "aspas/aspas.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 2 }; /* words before the providers */

/* A run of records that is walked. */
struct run {
    const uint32_t *at;
    const uint32_t *end;
};

static size_t size_of(const uint32_t *record) { return HEAD + (size_t)record[1]; }

/* Whether a whole record is there. */
static bool more(const struct run *run)
{
    size_t left = (size_t)(run->end - run->at);
    return left >= HEAD && run->at[1] <= left - HEAD;
}

static size_t copy(uint32_t *out, const uint32_t *record)
{
    memcpy(out, record, size_of(record) * sizeof *record);
    return size_of(record);
}

static int by_number(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

/* By customer; those of one customer as they came. */
static int by_customer(const void *a, const void *b)
{
    const uint32_t *one = *(const uint32_t *const *)a, *other = *(const uint32_t *const *)b;
    int order = by_number(one, other);
    return order != 0 ? order : (one > other) - (one < other);
}

/* The records of a run in the order of by_customer, and how many there are; NULL: no memory. */
static const uint32_t **sorted(const uint32_t *records, size_t n, size_t *count)
{
    const uint32_t **found = malloc((n / HEAD + 1) * sizeof *found);
    if (found == NULL)
        return NULL;
    *count = 0;
    for (struct run run = {records, records + n}; more(&run); run.at += size_of(run.at))
        found[(*count)++] = run.at;
    qsort(found, *count, sizeof *found, by_customer);
    return found;
}

long aspas_settle(const uint32_t *records, size_t n, uint32_t *out)
{
    size_t count, used = 0;
    const uint32_t **all = sorted(records, n, &count);
    if (all == NULL)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (i + 1 == count || *all[i + 1] != *all[i])
            used += copy(out + used, all[i]);
    free(all);
    return (long)used;
}

/* Sorts the providers of a record, each once, without the customer, and without 0 beside others. Its words; 0: nothing
 * is left. */
static size_t cleaned(uint32_t *record)
{
    uint32_t *providers = record + HEAD;
    size_t count = 0;
    qsort(providers, record[1], sizeof *providers, by_number);
    for (size_t i = 0; i < record[1]; i++) {
        if (providers[i] == record[0] || (count != 0 && providers[i] == providers[count - 1]))
            continue;
        if (count == 1 && providers[0] == 0)
            count = 0;
        providers[count++] = providers[i];
    }
    record[1] = (uint32_t)count;
    return count == 0 ? 0 : HEAD + count;
}

long aspas_pack(const uint32_t *records, size_t n, uint32_t *out)
{
    size_t count, used = 0;
    const uint32_t **all = sorted(records, n, &count);
    if (all == NULL)
        return -1;
    for (size_t i = 0; i < count;) {
        uint32_t *record = out + used;
        record[0] = *all[i];
        record[1] = 0;
        for (; i < count && *all[i] == record[0]; i++) {
            memcpy(record + size_of(record), all[i] + HEAD, all[i][1] * sizeof *record);
            record[1] += all[i][1];
        }
        used += cleaned(record);
    }
    free(all);
    return (long)used;
}

long aspas_limit(const uint32_t *set, size_t n, size_t most, uint32_t *out, uint32_t *dropped, size_t *count)
{
    size_t used = 0;
    *count = 0;
    for (struct run run = {set, set + n}; more(&run);) {
        const uint32_t *record = run.at;
        run.at += size_of(record);
        if (record[1] > most) {
            dropped[(*count)++] = record[0];
            continue;
        }
        memmove(out + used, record, size_of(record) * sizeof *record);
        used += size_of(out + used);
    }
    return (long)used;
}

/* Writes the union of two records of one customer. */
static size_t both(const uint32_t *a, const uint32_t *b, uint32_t *out)
{
    const uint32_t *one = a + HEAD, *one_end = a + size_of(a), *other = b + HEAD, *other_end = b + size_of(b);
    uint32_t *to = out + HEAD;
    while (one < one_end || other < other_end) {
        if (other == other_end || (one < one_end && *one < *other))
            *to = *one++;
        else if (one == one_end || *other < *one)
            *to = *other++;
        else {
            *to = *one++;
            other++;
        }
        /* 0 comes first, if at all: what follows replaces it. */
        if (to == out + HEAD + 1 && to[-1] == 0)
            to[-1] = *to;
        else
            to++;
    }
    out[0] = a[0];
    out[1] = (uint32_t)(to - out - HEAD);
    return size_of(out);
}

long aspas_union(const uint32_t *a, size_t n, const uint32_t *b, size_t m, uint32_t *out)
{
    struct run one = {a, a + n}, other = {b, b + m};
    size_t used = 0;
    while (more(&one) || more(&other)) {
        bool first = more(&one) && (!more(&other) || *one.at <= *other.at);
        bool second = more(&other) && (!first || *one.at == *other.at);
        used += first && second ? both(one.at, other.at, out + used) : copy(out + used, first ? one.at : other.at);
        one.at += first ? size_of(one.at) : 0;
        other.at += second ? size_of(other.at) : 0;
    }
    return (long)used;
}

long aspas_apply(const uint32_t *set, size_t n, const uint32_t *changes, size_t m, uint32_t *out)
{
    struct run held = {set, set + n}, new = {changes, changes + m};
    size_t used = 0;
    while (more(&held) || more(&new)) {
        bool keeps = more(&held) && (!more(&new) || *held.at < *new.at);
        if (keeps) {
            used += copy(out + used, held.at);
            held.at += size_of(held.at);
            continue;
        }
        if (more(&held) && *held.at == *new.at)
            held.at += size_of(held.at);
        if (new.at[1] != 0)
            used += copy(out + used, new.at);
        new.at += size_of(new.at);
    }
    return (long)used;
}

uint32_t aspas_unknown(const uint32_t *set, size_t n, const uint32_t *changes, size_t m)
{
    struct run held = {set, set + n}, new = {changes, changes + m};
    for (; more(&new); new.at += size_of(new.at)) {
        while (more(&held) && *held.at < *new.at)
            held.at += size_of(held.at);
        if (new.at[1] == 0 && (!more(&held) || *held.at != *new.at))
            return *new.at;
    }
    return 0;
}

static bool same(const uint32_t *a, const uint32_t *b)
{
    return a[1] == b[1] && memcmp(a, b, size_of(a) * sizeof *a) == 0;
}

long aspas_changes(const uint32_t *before, size_t n, const uint32_t *after, size_t m, uint32_t *out)
{
    struct run old = {before, before + n}, new = {after, after + m};
    size_t used = 0;
    while (more(&old) || more(&new)) {
        bool gone = more(&old) && (!more(&new) || *old.at < *new.at);
        if (gone) {
            out[used++] = *old.at;
            out[used++] = 0;
            old.at += size_of(old.at);
            continue;
        }
        bool held = more(&old) && *old.at == *new.at;
        if (!held || !same(old.at, new.at))
            used += copy(out + used, new.at);
        old.at += held ? size_of(old.at) : 0;
        new.at += size_of(new.at);
    }
    return (long)used;
}

size_t aspas_index(const uint32_t *set, size_t n, uint32_t *begins)
{
    size_t count = 0;
    for (struct run run = {set, set + n}; more(&run); run.at += size_of(run.at))
        begins[count++] = (uint32_t)(run.at - set);
    return count;
}

long aspas_find(const uint32_t *set, const uint32_t *begins, size_t count, uint32_t customer)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set[begins[middle]] < customer)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && set[begins[low]] == customer ? (long)begins[low] : -1;
}
