/* pool-list.h — a queue of tasks, linked through the tasks themselves. Internal to pool.c; its lock is held. */
#pragma once
#include "pool.h"
#include <stddef.h>

struct list {
    struct task *head, *tail;
    uint32_t count;
};

static inline void list_push(struct list *list, struct task *task) {
    task->next = 0;
    if (list->tail) list->tail->next = (uint64_t)(uintptr_t)task;
    else list->head = task;
    list->tail = task;
    list->count++;
}

static inline struct task *list_pop(struct list *list) {
    struct task *task = list->head;
    if (!task) return NULL;
    list->head = (struct task *)(uintptr_t)task->next;
    if (!list->head) list->tail = NULL;
    list->count--;
    return task;
}
