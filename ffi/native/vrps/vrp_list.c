/* Lists of packed VRPs, which grow. */

#include <stdlib.h>
#include <string.h>

#include "vrps/vrpset_table.h"

void vrp_list_free(struct vrp_list *list)
{
    free(list->records);
    *list = (struct vrp_list){NULL, 0, 0};
}

int vrp_list_reserve(struct vrp_list *list, size_t more)
{
    if (more <= list->room - list->n)
        return 0;
    size_t room = list->n + more;
    struct vrp *records = realloc(list->records, room * sizeof *records);
    if (!records)
        return -1;
    list->records = records;
    list->room = room;
    return 0;
}

int vrp_list_append(struct vrp_list *list, const struct vrp_list *more)
{
    if (vrp_list_reserve(list, more->n) != 0)
        return -1;
    if (more->n)
        memcpy(list->records + list->n, more->records, more->n * sizeof *more->records);
    list->n += more->n;
    return 0;
}
