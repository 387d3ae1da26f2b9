/* pool-steps.h — what a task does, for the worker of pool.c that has it. Internal. */
#pragma once
#include "pool.h"
#include <stdbool.h>

/* Step by step until one fails; its descriptors are closed afterwards. */
void run_task(struct task *task);

/* Does it wait for what it wrote to be on the drive? */
bool task_syncs(const struct task *task);
